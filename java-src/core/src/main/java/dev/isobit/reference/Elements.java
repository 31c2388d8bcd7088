package dev.isobit.reference;

import dev.isobit.DType;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The elements of an F32 or F64 host tensor, read and written as float64; those of a U8 tensor, read. */
final class Elements {
    /** The NaN that is stored, as every backend stores it. */
    private static final float NAN = Float.intBitsToFloat(0x7fc00000);

    private final MemorySegment bytes;
    private final boolean wide;
    private final boolean narrow;

    private Elements(Tensor tensor) {
        this.bytes = tensor.segment();
        this.wide = tensor.dtype() == DType.F64;
        this.narrow = tensor.dtype() == DType.U8;
    }

    static Elements of(Tensor tensor) {
        return new Elements(tensor);
    }

    double get(long index) {
        if (narrow) {
            return Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, index));
        }
        return wide
                ? bytes.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, index * 8)
                : bytes.get(ValueLayout.JAVA_FLOAT_UNALIGNED, index * 4);
    }

    void set(long index, double value) {
        if (wide) {
            bytes.set(ValueLayout.JAVA_DOUBLE_UNALIGNED, index * 8, Double.isNaN(value) ? Double.NaN : value);
        } else {
            bytes.set(ValueLayout.JAVA_FLOAT_UNALIGNED, index * 4, Double.isNaN(value) ? NAN : (float) value);
        }
    }

    /** Writes an element of an I64 tensor. */
    void setLong(long index, long value) {
        bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, index * 8, value);
    }
}
