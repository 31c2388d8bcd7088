package dev.isobit.reference;

import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The elements of a host tensor of a floating-point type, read and written as float64; those of a U8 tensor, read. */
final class Elements {
    /** The NaN that is stored, as every backend stores it. */
    private static final float NAN = Float.intBitsToFloat(0x7fc00000);

    private final MemorySegment bytes;
    private final DType dtype;

    private Elements(Tensor tensor) {
        this.bytes = tensor.segment();
        this.dtype = tensor.dtype();
    }

    static Elements of(Tensor tensor) {
        return new Elements(tensor);
    }

    /** What {@code MEAN} divides by: 0 makes loss and gradient NaN. */
    static double denominator(double sum) {
        return sum == 0 ? Double.NaN : sum;
    }

    double get(long index) {
        return switch (dtype) {
            case F64 -> bytes.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, index * 8);
            case BF16 -> NarrowFloats.fromBf16(bytes.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2));
            case F16 -> NarrowFloats.fromF16(bytes.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2));
            case U8 -> Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, index));
            default -> bytes.get(ValueLayout.JAVA_FLOAT_UNALIGNED, index * 4);
        };
    }

    void set(long index, double value) {
        float odd = NarrowFloats.roundedToOdd(value);
        switch (dtype) {
            case F64 ->
                bytes.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, index * 8, Double.isNaN(value) ? Double.NaN : value);
            case BF16 -> bytes.set(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2, NarrowFloats.toBf16(odd));
            case F16 -> bytes.set(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2, NarrowFloats.toF16(odd));
            default ->
                bytes.set(ValueLayout.JAVA_FLOAT_UNALIGNED, index * 4, Double.isNaN(value) ? NAN : (float) value);
        }
    }

    /** Writes an element of an I64 tensor. */
    void setLong(long index, long value) {
        bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, index * 8, value);
    }
}
