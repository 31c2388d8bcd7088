package dev.isobit.contract;

import dev.isobit.Reduction;
import dev.isobit.math.ExactMath;

/**
 * Cross-entropy as kernels/NUMERICS.md defines it to the bit, written from its text: slow and literal. It shares nothing
 * with a backend but {@code log}, {@code log1p} and {@code exp64}, which the text leaves to ExactMath.
 */
public final class CrossEntropyDefinition {
    private static final int LANES = 1024;
    static final int SEGMENT = 8192;
    private static final float NAN = Float.intBitsToFloat(0x7fc00000);

    private CrossEntropyDefinition() {}

    /**
     * Loss and gradient.
     *
     * @param loss one value, or one per row for {@code NONE}
     * @param gradLogits rows one after the other
     */
    public record Result(float[] loss, float[] gradLogits) {}

    /**
     * Computes a batch.
     *
     * @param logits rows one after the other
     * @param classes C
     * @param targets one per row; the number of rows
     * @param reduction reduction
     * @param ignoreIndex ignore index
     * @param gradLoss empty, one value, or for {@code NONE} one per row
     * @return loss and gradient
     */
    public static Result compute(float[] logits, int classes, long[] targets, Reduction reduction, long ignoreIndex,
            float[] gradLoss) {
        int rows = targets.length;
        long denominator = 0;
        for (long target : targets) {
            if (target != ignoreIndex && target >= 0 && target < classes) {
                denominator++;
            }
        }
        float[] rowLoss = new float[rows];
        float[] gradLogits = new float[logits.length];
        float[] z = new float[classes];
        float[] gradient = new float[classes];
        for (int row = 0; row < rows; row++) {
            System.arraycopy(logits, row * classes, z, 0, classes);
            double a = gradLoss.length == 0 ? 1 : gradLoss[gradLoss.length == 1 ? 0 : row];
            if (reduction == Reduction.MEAN) {
                a = a / denominator;
            }
            rowLoss[row] = row(z, targets[row], ignoreIndex, a, gradient);
            System.arraycopy(gradient, 0, gradLogits, row * classes, classes);
        }
        if (reduction == Reduction.NONE) {
            return new Result(rowLoss, gradLogits);
        }
        double total = 0;
        for (int from = 0; from < rows; from += SEGMENT) {
            total += laneSum(rowLoss, from, Math.min(from + SEGMENT, rows));
        }
        float loss = (float) (reduction == Reduction.SUM ? total : total / denominator);
        return new Result(new float[] {canonical(loss)}, gradLogits);
    }

    private static float row(float[] z, long target, long ignoreIndex, double a, float[] gradient) {
        int classes = z.length;
        if (target == ignoreIndex) {
            java.util.Arrays.fill(gradient, 0f);
            return 0;
        }
        float m = Float.NEGATIVE_INFINITY;
        boolean invalid = target < 0 || target >= classes;
        for (float value : z) {
            invalid |= Float.isNaN(value);
            if (value > m) {
                m = value;
            }
        }
        if (invalid || Float.isInfinite(m)) {
            java.util.Arrays.fill(gradient, NAN);
            return NAN;
        }
        int t = (int) target;
        int segments = (classes + SEGMENT - 1) / SEGMENT;
        float[] e = new float[classes];
        float[] mOf = new float[segments];
        int[] nOf = new int[segments];
        float[] rOf = new float[segments];
        for (int j = 0; j < segments; j++) {
            int from = j * SEGMENT;
            int to = Math.min(from + SEGMENT, classes);
            float mj = Float.NEGATIVE_INFINITY;
            for (int k = from; k < to; k++) {
                if (z[k] > mj) {
                    mj = z[k];
                }
            }
            mOf[j] = mj;
            if (mj == Float.NEGATIVE_INFINITY) {
                continue;
            }
            float[] addends = new float[to - from];
            for (int k = from; k < to; k++) {
                e[k] = expDifference(z[k], mj);
                if (z[k] == mj) {
                    nOf[j]++;
                } else {
                    addends[k - from] = e[k];
                }
            }
            rOf[j] = laneSum(addends, 0, addends.length);
        }

        long n = 0;
        double r = 0;
        double[] w = new double[segments];
        for (int j = 0; j < segments; j++) {
            if (mOf[j] == m) {
                w[j] = 1;
                n += nOf[j];
                r += rOf[j];
            } else {
                w[j] = mOf[j] == Float.NEGATIVE_INFINITY ? 0 : ExactMath.exp64((double) mOf[j] - (double) m);
                r += w[j] * ((double) nOf[j] + (double) rOf[j]);
            }
        }
        double s = n + r;
        double ls = n == 1 ? ExactMath.log1p((float) r) : ExactMath.log((float) s);
        float loss = (float) (((double) m - (double) z[t]) + ls);

        for (int k = 0; k < classes; k++) {
            float f = (float) ((a * w[k / SEGMENT]) / s);
            gradient[k] = canonical(e[k] * f);
        }
        double others = z[t] == m ? (n - 1) + r : s - (double) e[t] * w[t / SEGMENT];
        gradient[t] = canonical((float) (0.0 - ((others * a) / s)));
        return loss;
    }

    /** z at most m, m finite. */
    static float expDifference(float z, float m) {
        float d = z - m;
        float b = d - z;
        float e = (z - (d - b)) + (-m - b);
        return expExt(d, e);
    }

    private static float expExt(float d, float e) {
        if (d < -104) {
            return 0;
        }
        float magic = 1.5f * 0x1p23f + 191;
        float t = Math.fma(d, ExactMath.LOG2E, magic);
        float n = t - magic;
        float hi = Math.fma(n, -ExactMath.LN2_HI, d);
        float lo = Math.fma(n, -ExactMath.LN2_LO, e);
        float r = hi + lo;
        float[] coefficients = {ExactMath.EXP_C5, ExactMath.EXP_C4, ExactMath.EXP_C3, ExactMath.EXP_C2, 1, 1};
        float p = ExactMath.EXP_C6;
        for (float coefficient : coefficients) {
            p = Math.fma(p, r, coefficient);
        }
        float scale = Float.intBitsToFloat(Float.floatToRawIntBits(t) << 23);
        return (p * scale) * 0x1p-64f;
    }

    /** Lanes from +0, elements in rising index, then the fold from the highest bit of the lane number to the lowest. */
    static float laneSum(float[] x, int from, int to) {
        // A missing lane adds +0: the smallest power of two that covers the elements does.
        int lanes = 1;
        while (lanes < Math.min(LANES, to - from)) {
            lanes *= 2;
        }
        return laneSum(x, from, to, lanes);
    }

    static float laneSum(float[] x, int from, int to, int lanes) {
        float[] lane = new float[lanes];
        for (int i = from; i < to; i++) {
            lane[(i - from) % lanes] += x[i];
        }
        for (int half = lanes / 2; half >= 1; half /= 2) {
            for (int i = 0; i < half; i++) {
                lane[i] += lane[i + half];
            }
        }
        return lane[0];
    }

    static float canonical(float value) {
        return Float.isNaN(value) ? NAN : value;
    }
}
