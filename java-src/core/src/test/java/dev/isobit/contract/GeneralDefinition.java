package dev.isobit.contract;

import static dev.isobit.contract.CrossEntropyDefinition.canonical;
import static dev.isobit.contract.CrossEntropyDefinition.expDifference;
import static dev.isobit.contract.CrossEntropyDefinition.laneSum;

import dev.isobit.CrossEntropyOptions;
import dev.isobit.math.ExactMath;
import java.util.Arrays;

/**
 * Cross-entropy with options as kernels/NUMERICS.md defines it to the bit, written from its text, row by row: slow and
 * literal. It shares nothing with a backend but the elementary functions.
 */
final class GeneralDefinition {
    private static final int SEGMENT = CrossEntropyDefinition.SEGMENT;
    static final int STATE = 7;
    private static final float NAN = Float.intBitsToFloat(0x7fc00000);

    /** Options, and operands that all rows share; null where there are none. */
    private final CrossEntropyOptions options;
    private final float[] classWeights;
    private final float keep;
    private final float smooth;
    private final float lambda;
    private final float scale;
    private final float cap;
    private final float rate;

    /** Results of one row. */
    float loss;
    float lse;
    float entropy;
    long argmax;
    float[] gradient;
    float[] logProbabilities;
    /** Of segment after segment: max, count, sum, labels, distances, entropy, place of the max. */
    float[] states;
    private final boolean wantsEntropy;
    private final boolean wantsPlaces;

    GeneralDefinition(CrossEntropyOptions options, int classes, float[] classWeights, boolean wantsEntropy,
            boolean wantsPlaces) {
        this.wantsEntropy = wantsEntropy;
        this.wantsPlaces = wantsPlaces;
        this.options = options;
        this.classWeights = classWeights;
        keep = (float) (1 - options.labelSmoothing());
        smooth = (float) (options.labelSmoothing() / classes);
        lambda = (float) options.zLoss();
        scale = (float) options.scale();
        cap = (float) options.softcap();
        rate = cap == 0 ? 0 : (float) (2 / options.softcap());
    }

    /** The row's weight in the denominator. */
    float share(long target, float weight) {
        return target == options.ignoreIndex() ? 0 : weight * (classWeights == null ? 1 : classWeights[(int) target]);
    }

    private void set(int classes, float value, float entropyToo, long predicted) {
        gradient = new float[classes];
        Arrays.fill(gradient, value);
        loss = value;
        lse = value;
        entropy = entropyToo;
        argmax = predicted;
    }

    /**
     * Computes a row.
     *
     * @param x its logits
     * @param target its class, if there are no probabilities
     * @param probabilities or null
     * @param u its weight
     * @param upstream its upstream gradient, divided by the denominator
     * @param previous what the gradient is added to
     */
    void row(float[] x, long target, float[] probabilities, float u, double upstream, float[] previous) {
        int classes = x.length;
        float[] z = new float[classes];
        float[] slope = new float[classes];
        for (int k = 0; k < classes; k++) {
            float y = x[k] * scale;
            float decay = ExactMath.softcapDecay(y, rate);
            z[k] = cap == 0 ? y : ExactMath.softcap(y, cap, rate, decay);
            slope[k] = cap == 0 ? 1 : ExactMath.softcapSlope(decay);
        }
        logProbabilities = SoftmaxDefinition.forward(z, true);
        float[] q = new float[classes];
        Arrays.fill(q, 1);
        for (int k = 0; k < classes; k++) {
            q[k] = classWeights == null ? 1 : classWeights[k];
            if (probabilities != null) {
                q[k] *= smooth == 0 ? probabilities[k] : Math.fma(probabilities[k], keep, smooth);
            }
        }
        boolean hasLabels = probabilities != null || smooth != 0;
        states(z, q, hasLabels);
        if (probabilities == null && target == options.ignoreIndex()) {
            set(classes, 0, 0, -1);
            if (options.accumulate()) {
                gradient = previous;
            }
            return;
        }
        float m = Float.NEGATIVE_INFINITY;
        boolean hasNaN = false;
        int predicted = 0;
        for (int k = 0; k < classes; k++) {
            hasNaN |= z[k] != z[k];
            if (z[k] > m) {
                m = z[k];
                predicted = k;
            }
        }
        if (hasNaN || Float.isInfinite(m)) {
            set(classes, NAN, NAN, hasNaN ? -1 : predicted);
            return;
        }
        argmax = predicted;
        int segments = (classes + SEGMENT - 1) / SEGMENT;
        float[] e = new float[classes];
        float[] mOf = new float[segments];
        double[] w = new double[segments];
        long n = 0;
        double r = 0;
        double a = 0;
        double b = 0;
        double h = 0;
        for (int j = 0; j < segments; j++) {
            int from = j * SEGMENT;
            int to = Math.min(from + SEGMENT, classes);
            float mj = Float.NEGATIVE_INFINITY;
            for (int k = from; k < to; k++) {
                mj = Math.max(mj, z[k]);
            }
            mOf[j] = mj;
            float base = mj == Float.NEGATIVE_INFINITY ? 0 : mj;
            w[j] = mj == m ? 1 : ExactMath.exp64((double) mj - (double) m);
            int nj = 0;
            float[] others = new float[to - from];
            float[] distances = new float[to - from];
            float[] entropies = new float[to - from];
            for (int k = from; k < to; k++) {
                e[k] = expDifference(z[k], base);
                boolean isMax = z[k] == mj;
                nj += isMax && mj != Float.NEGATIVE_INFINITY ? 1 : 0;
                others[k - from] = isMax ? 0 : e[k];
                distances[k - from] = q[k] == 0 ? 0 : q[k] * (base - z[k]);
                entropies[k - from] = e[k] == 0 ? 0 : e[k] * (base - z[k]);
            }
            float rj = laneSum(others, 0, to - from);
            if (mj == m) {
                n += nj;
                r += rj;
            } else {
                r += w[j] * ((double) nj + rj);
            }
            double gap = (double) m - base;
            float aj = laneSum(q, from, to);
            a += aj;
            b += laneSum(distances, 0, to - from) + aj * gap;
            if (w[j] != 0) {
                h += w[j] * (laneSum(entropies, 0, to - from) + ((double) nj + rj) * gap);
            }
        }
        double s = n + r;
        float ls = n == 1 ? ExactMath.log1p((float) r) : ExactMath.log((float) s);
        double lse64 = (double) m + ls;
        lse = (float) lse64;
        entropy = canonical((float) (ls + h / s));

        boolean index = probabilities == null;
        double c = index && classWeights != null ? classWeights[(int) target] : 1;
        double hard = index ? keep * c : 0;
        double spread = index ? smooth : 1;
        double total = hard == 0 ? 0 : hard * (((double) m - (index ? z[(int) target] : 0)) + ls);
        if (hasLabels) {
            total += spread * (b + a * ls);
        }
        if (lambda != 0) {
            total += (lambda * lse64) * lse64;
        }
        loss = canonical((float) (u == 0 && Double.isInfinite(total) ? 0 : u * total));

        double g = (upstream * u) * scale;
        g = index ? g : (float) g;
        double mass = hasLabels ? hard + spread * a : hard;
        mass = lambda == 0 ? mass : mass + (2.0 * lambda) * lse64;
        gradient = new float[classes];
        for (int k = 0; k < classes; k++) {
            int j = k / SEGMENT;
            float f = (float) (((g * w[j]) * mass) / s);
            float d = hasLabels ? Math.fma(e[k], f, -((float) (g * spread) * q[k])) : e[k] * f;
            if (index && k == target) {
                double own = e[k] * w[j];
                double others = z[k] == m ? (n - 1) + r : s - own;
                double exact = 0.0 - ((others * g) * hard) / s;
                if (hasLabels || lambda != 0) {
                    double rest = (hasLabels ? spread * a : 0) + (lambda == 0 ? 0 : (2.0 * lambda) * lse64);
                    exact += g * (rest * (own / s) - spread * c);
                }
                d = (float) exact;
            }
            d = cap == 0 ? d : d * slope[k];
            gradient[k] = canonical(options.accumulate() ? previous[k] + d : d);
        }
    }

    private void states(float[] z, float[] q, boolean hasLabels) {
        states = new float[(z.length + SEGMENT - 1) / SEGMENT * STATE];
        for (int from = 0, at = 0; from < z.length; from += SEGMENT, at += STATE) {
            int n = Math.min(SEGMENT, z.length - from);
            boolean hasSoftmax = true;
            boolean hasNaN = false;
            int place = 0;
            float max = Float.NEGATIVE_INFINITY;
            for (int i = 0; i < n; i++) {
                hasSoftmax &= z[from + i] < Float.POSITIVE_INFINITY;
                hasNaN |= z[from + i] != z[from + i];
                place = z[from + i] > max ? i : place;
                max = z[from + i] > max ? z[from + i] : max;
            }
            float base = max == Float.NEGATIVE_INFINITY ? 0 : max;
            float[] terms = new float[n];
            float[] distances = new float[n];
            float[] entropies = new float[n];
            int count = 0;
            for (int i = 0; i < n; i++) {
                float value = z[from + i];
                float e = expDifference(value, base);
                count += value == max ? 1 : 0;
                terms[i] = value == max ? 0 : e;
                distances[i] = !hasLabels || q[from + i] == 0 ? 0 : q[from + i] * (base - value);
                entropies[i] = !wantsEntropy || e == 0 ? 0 : e * (base - value);
            }
            float[] state = {max, max == Float.NEGATIVE_INFINITY ? 0 : count, laneSum(terms, 0, n),
                hasLabels ? laneSum(q, from, from + n) : 0, laneSum(distances, 0, n), laneSum(entropies, 0, n)};
            for (int i = 0; i < state.length; i++) {
                states[at + i] = hasSoftmax ? canonical(state[i]) : NAN;
            }
            states[at + state.length] = !wantsPlaces ? -1 : hasNaN ? NAN : place;
        }
    }

    /** Lanes and segments in float32, segments in float64. */
    static double sum(float[] values) {
        double total = 0;
        for (int from = 0; from < values.length; from += SEGMENT) {
            total += laneSum(values, from, Math.min(from + SEGMENT, values.length));
        }
        return total;
    }
}
