package dev.isobit.contract;

import dev.isobit.DType;
import dev.isobit.math.NarrowFloats;

/** Values as a type of floats holds them. */
public final class Rounded {
    private Rounded() {}

    /**
     * The nearest number's bits.
     *
     * @param dtype BF16 or F16
     * @param value any float
     * @return 16 bits
     */
    public static short bits(DType dtype, float value) {
        return dtype == DType.BF16 ? NarrowFloats.toBf16(value) : NarrowFloats.toF16(value);
    }

    static float value(DType dtype, short bits) {
        return dtype == DType.BF16 ? NarrowFloats.fromBf16(bits) : NarrowFloats.fromF16(bits);
    }

    /**
     * How far a value is from the number that is nearest to an exact one, in numbers of the type; zeros are one.
     *
     * @param dtype BF16 or F16
     * @param exact in float64
     * @param found a number of the type
     * @return 0 for the nearest
     */
    public static int distance(DType dtype, double exact, float found) {
        return Math.abs(order(bits(dtype, NarrowFloats.roundedToOdd(exact))) - order(bits(dtype, found)));
    }

    private static int order(short bits) {
        return bits < 0 ? -(bits & 0x7fff) : bits;
    }

    /**
     * Values that were written to a tensor and read again.
     *
     * @param dtype F32, BF16 or F16
     * @param values any floats
     * @return as many; the array itself for F32
     */
    public static float[] to(DType dtype, float[] values) {
        if (dtype == DType.F32) {
            return values;
        }
        float[] rounded = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            rounded[i] = value(dtype, bits(dtype, values[i]));
        }
        return rounded;
    }
}
