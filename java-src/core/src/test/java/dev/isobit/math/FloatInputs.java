package dev.isobit.math;

import java.util.SplittableRandom;

/** A fixed subset of all floats: every exponent with special and random significands, and whatever is near a boundary. */
public final class FloatInputs {
    private static final int[] SIGNIFICANDS = {0, 1, 2, 3, 0x3504f2, 0x3504f3, 0x3504f4, 0x2aaaaa, 0x555555, 0x3fffff,
        0x400000, 0x400001, 0x7ffffd, 0x7ffffe, 0x7fffff};
    private static final int NEIGHBOURS = 60;

    private FloatInputs() {}

    /**
     * All exponents, both signs, subnormals, zeros, infinities and NaN.
     *
     * @param perExponent random significands per sign and exponent
     * @param boundaries numbers whose neighbourhoods are added
     * @return the inputs, a multiple of 64 of them
     */
    public static float[] of(int perExponent, double... boundaries) {
        int each = SIGNIFICANDS.length + perExponent;
        int count = 512 * each + boundaries.length * (2 * NEIGHBOURS + 1);
        float[] inputs = new float[(count + 63) / 64 * 64];
        SplittableRandom random = new SplittableRandom(42);
        int n = 0;
        for (int upper = 0; upper < 512; upper++) {
            for (int i = 0; i < each; i++) {
                int significand = i < SIGNIFICANDS.length ? SIGNIFICANDS[i] : random.nextInt(1 << 23);
                inputs[n++] = Float.intBitsToFloat(upper << 23 | significand);
            }
        }
        for (double boundary : boundaries) {
            for (int i = -NEIGHBOURS; i <= NEIGHBOURS; i++) {
                inputs[n++] = Float.intBitsToFloat(Float.floatToRawIntBits((float) boundary) + i);
            }
        }
        while (n < inputs.length) {
            inputs[n++] = random.nextFloat();
        }
        return inputs;
    }

    /**
     * Inputs of exp.
     *
     * @return the inputs
     */
    public static float[] ofExp() {
        double ln2 = Math.log(2);
        double[] boundaries = new double[240];
        for (int i = 0; i < boundaries.length; i++) {
            // Where n changes: odd multiples of ln2/2, and where r is 0.
            boundaries[i] = (i - 150) * ln2 / (i % 2 == 0 ? 1 : 2);
        }
        boundaries[0] = -104;
        boundaries[1] = -103.97208;
        boundaries[2] = -103.27893;
        boundaries[3] = 88.72284;
        boundaries[4] = 89;
        boundaries[5] = -87.33654;
        boundaries[6] = -200;
        return of(1500, boundaries);
    }

    /**
     * Inputs of log and log1p.
     *
     * @return the inputs
     */
    public static float[] ofLog() {
        return of(1500, 1, -1, 0.5, -0.5, 2, Math.sqrt(0.5), Math.sqrt(2), Math.sqrt(2) - 1, Math.sqrt(0.5) - 1,
                ExactMath.LOG1P_NEAR_START, ExactMath.LOG1P_NEAR_END, 0x1p24, 0x1p25, 0x1p23, 0x1p-24, 0x1p-126, 3,
                1e30);
    }
}
