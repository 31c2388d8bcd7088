package dev.isobit.contract;

import dev.isobit.math.ExactMath;
import java.util.Arrays;

/**
 * Softmax and log-softmax of one row as kernels/NUMERICS.md defines them to the bit, written from its text: slow and
 * literal. It shares nothing with a backend but the elementary functions that the text leaves to ExactMath.
 */
public final class SoftmaxDefinition {
    private static final int SEGMENT = 8192;

    private SoftmaxDefinition() {}

    /**
     * Probabilities or log-probabilities.
     *
     * @param z logits of a row
     * @param logarithm which of them
     * @return one per class
     */
    public static float[] forward(float[] z, boolean logarithm) {
        int segments = (z.length + SEGMENT - 1) / SEGMENT;
        float[] result = new float[z.length];
        float[] maxOf = new float[segments];
        long[] countOf = new long[segments];
        float[] sumOf = new float[segments];
        float[] e = new float[z.length];
        float m = Float.NEGATIVE_INFINITY;
        boolean invalid = false;
        for (int j = 0; j < segments; j++) {
            int from = j * SEGMENT;
            int to = Math.min(from + SEGMENT, z.length);
            maxOf[j] = Float.NEGATIVE_INFINITY;
            for (int k = from; k < to; k++) {
                invalid |= Float.isNaN(z[k]);
                maxOf[j] = z[k] > maxOf[j] ? z[k] : maxOf[j];
            }
            m = Math.max(m, maxOf[j]);
            if (Float.isInfinite(maxOf[j])) {
                continue;
            }
            float[] addends = new float[to - from];
            for (int k = from; k < to; k++) {
                e[k] = CrossEntropyDefinition.expDifference(z[k], maxOf[j]);
                countOf[j] += z[k] == maxOf[j] ? 1 : 0;
                addends[k - from] = z[k] == maxOf[j] ? 0 : e[k];
            }
            sumOf[j] = CrossEntropyDefinition.laneSum(addends, 0, addends.length);
        }
        if (invalid || Float.isInfinite(m)) {
            Arrays.fill(result, CrossEntropyDefinition.canonical(Float.NaN));
            return result;
        }
        long n = 0;
        double r = 0;
        double[] weightOf = new double[segments];
        for (int j = 0; j < segments; j++) {
            weightOf[j] = maxOf[j] == m ? 1 : ExactMath.exp64((double) maxOf[j] - m);
            n += maxOf[j] == m ? countOf[j] : 0;
            r += maxOf[j] == m ? sumOf[j] : weightOf[j] * ((double) countOf[j] + sumOf[j]);
        }
        double s = n + r;
        float logSum = n == 1 ? ExactMath.log1p((float) r) : ExactMath.log((float) s);
        for (int k = 0; k < z.length; k++) {
            float factor = (float) (weightOf[k / SEGMENT] / s);
            result[k] = logarithm ? (float) (((double) z[k] - m) - logSum) : e[k] * factor;
        }
        return result;
    }

    /**
     * The gradient of the logits.
     *
     * @param y probabilities or log-probabilities of a row
     * @param g upstream gradient
     * @param logarithm which of them
     * @return one per class
     */
    public static float[] gradient(float[] y, float[] g, boolean logarithm) {
        float[] addends = new float[y.length];
        for (int k = 0; k < y.length; k++) {
            addends[k] = logarithm ? g[k] : y[k] * g[k];
        }
        double total = 0;
        for (int from = 0; from < y.length; from += SEGMENT) {
            total += CrossEntropyDefinition.laneSum(addends, from, Math.min(from + SEGMENT, y.length));
        }
        float sum = (float) total;
        float[] result = new float[y.length];
        for (int k = 0; k < y.length; k++) {
            result[k] = CrossEntropyDefinition
                    .canonical(logarithm ? Math.fma(-ExactMath.exp(y[k]), sum, g[k]) : y[k] * (g[k] - sum));
        }
        return result;
    }
}
