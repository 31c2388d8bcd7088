package dev.isobit.contract;

import dev.isobit.DType;
import dev.isobit.math.NarrowFloats;

/** Values as a type of floats holds them. */
public final class Rounded {
    private Rounded() {}

    static short bits(DType dtype, float value) {
        return dtype == DType.BF16 ? NarrowFloats.toBf16(value) : NarrowFloats.toF16(value);
    }

    static float value(DType dtype, short bits) {
        return dtype == DType.BF16 ? NarrowFloats.fromBf16(bits) : NarrowFloats.fromF16(bits);
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
