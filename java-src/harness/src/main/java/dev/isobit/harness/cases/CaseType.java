package dev.isobit.harness.cases;

import dev.isobit.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Element types of case files: what stands there, and as what the library takes it. */
enum CaseType {
    F64(8, 53, Double.MIN_EXPONENT, DType.F64), F32(4, 24, Float.MIN_EXPONENT, DType.F32), F16(2, 11, -14,
            DType.F16), BF16(2, 8, Float.MIN_EXPONENT,
                    DType.BF16), I64(8, 0, 0, DType.I64), I32(4, 0, 0, DType.I32), U8(1, 0, 0, DType.U8);

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final int byteSize;
    private final int digits;
    private final int minExponent;
    private final @Nullable DType dtype;

    CaseType(int byteSize, int digits, int minExponent, @Nullable DType dtype) {
        this.byteSize = byteSize;
        this.digits = digits;
        this.minExponent = minExponent;
        this.dtype = dtype;
    }

    /** By the name in a file; an {@link IllegalArgumentException} lists what there is. */
    static CaseType named(String name) {
        for (CaseType type : values()) {
            if (type.toString().equals(name)) {
                return type;
            }
        }
        throw new IllegalArgumentException("dtype " + name + " is none of " + Arrays.toString(values()));
    }

    static CaseType of(DType dtype) {
        return Arrays.stream(values()).filter(type -> type.dtype == dtype).findFirst().orElseThrow();
    }

    int byteSize() {
        return byteSize;
    }

    /** The library's type; null if it has none. */
    @Nullable
    DType dtype() {
        return dtype;
    }

    /** An element as a number: exact, but for integers beyond 2^53. */
    double get(MemorySegment bytes, long index) {
        long at = index * byteSize;
        return switch (this) {
            case F64 -> Double.longBitsToDouble(bytes.get(LONG, at));
            case F32 -> Float.intBitsToFloat(bytes.get(INT, at));
            case F16 -> Float.float16ToFloat(bytes.get(SHORT, at));
            case BF16 -> Float.intBitsToFloat(bytes.get(SHORT, at) << 16);
            case I64 -> bytes.get(LONG, at);
            case I32 -> bytes.get(INT, at);
            case U8 -> Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, at));
        };
    }

    /**
     * How far a result is from a float64 value, in units in the last place of this type at that value; 0 for two NaNs and
     * for an infinity that meets its own, or a value that this type rounds to it.
     */
    double ulps(double expected, double actual) {
        if (Double.isNaN(expected) || Double.isNaN(actual)) {
            return Double.isNaN(expected) && Double.isNaN(actual) ? 0 : Double.POSITIVE_INFINITY;
        }
        if (Double.isInfinite(expected) || Double.isInfinite(actual)) {
            return expected == actual || this != F64 && (float) expected == actual ? 0 : Double.POSITIVE_INFINITY;
        }
        return Math.abs(actual - expected)
                / Math.scalb(1.0, Math.max(Math.getExponent(expected), minExponent) - digits + 1);
    }

    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT);
    }
}
