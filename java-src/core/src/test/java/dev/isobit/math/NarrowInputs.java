package dev.isobit.math;

/** Floats at which rounding to 16 bits could go wrong: the values of the type, the midpoints, and their neighbours. */
public final class NarrowInputs {
    private NarrowInputs() {}

    /**
     * All floats within two units of a value of the type or of the middle between two, both signs, and others.
     *
     * @param f16 whether the type is F16, else BF16
     * @return a multiple of 64 of them
     */
    public static float[] of(boolean f16) {
        int values = f16 ? 0x7c00 : 0x7f80;
        float[] others = FloatInputs.of(20);
        float[] inputs = new float[(20 * values + others.length + 63) / 64 * 64];
        int n = 0;
        for (int i = 0; i < values; i++) {
            int bits = Float.floatToRawIntBits(value(f16, i));
            int middle = bits + (Float.floatToRawIntBits(value(f16, i + 1)) - bits) / 2;
            if (f16 && i < 0x400) {
                middle = Float.floatToRawIntBits((i + 0.5f) * 0x1p-24f);
            }
            for (int k = -2; k <= 2; k++) {
                for (int sign = 0; sign < 2; sign++) {
                    inputs[n++] = Float.intBitsToFloat(bits + k | sign << 31);
                    inputs[n++] = Float.intBitsToFloat(middle + k | sign << 31);
                }
            }
        }
        System.arraycopy(others, 0, inputs, n, others.length);
        return inputs;
    }

    /**
     * The value of a pattern, by arithmetic; infinity as the number that would follow the largest.
     *
     * @param f16 whether the type is F16, else BF16
     * @param magnitude bits without the sign, at most those of infinity
     */
    static float value(boolean f16, int magnitude) {
        int significandBits = f16 ? 10 : 7;
        int significand = magnitude & (1 << significandBits) - 1;
        int exponent = magnitude >> significandBits;
        int least = (f16 ? -14 : -126) - significandBits;
        return exponent == 0
                ? (float) Math.scalb((double) significand, least)
                : (float) Math.scalb((double) (significand | 1 << significandBits), exponent - 1 + least);
    }
}
