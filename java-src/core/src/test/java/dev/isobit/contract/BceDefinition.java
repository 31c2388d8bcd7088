package dev.isobit.contract;

import dev.isobit.BceWithLogitsOptions;
import dev.isobit.Reduction;
import dev.isobit.math.ExactMath;

/**
 * Binary cross-entropy as kernels/NUMERICS.md defines it to the bit, written from its text: slow and literal. It shares
 * nothing with a backend but {@code exp} and {@code log1p}, which the text leaves to ExactMath.
 */
public final class BceDefinition {
    private static final int LANES = 1024;
    private static final int SEGMENT = 8192;
    private static final float NAN = Float.intBitsToFloat(0x7fc00000);

    private BceDefinition() {}

    /**
     * Results, asked for or not.
     *
     * @param loss one value, or one per element for {@code NONE}
     * @param gradLogits one per element
     * @param sigmoid one per element
     */
    public record Result(float[] loss, float[] gradLogits, float[] sigmoid) {}

    /**
     * Computes all elements.
     *
     * @param x logits
     * @param t targets
     * @param posWeight one per element
     * @param weights one per element
     * @param mask one per element
     * @param gradLoss empty, one value, or one per element
     * @param options options
     * @return results
     */
    public static Result compute(float[] x, float[] t, float[] posWeight, float[] weights, float[] mask,
            float[] gradLoss, BceWithLogitsOptions options) {
        boolean mean = options.reduction() == Reduction.MEAN;
        boolean[] live = new boolean[x.length];
        float[] shares = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            live[i] = mask[i] != 0 && t[i] != (float) options.ignoreValue();
            shares[i] = !live[i] ? 0 : options.weightedMean() ? weights[i] : 1;
        }
        double denominator = mean ? denominator(shares) : 1;
        float keep = (float) (1 - options.labelSmoothing());
        float half = (float) (options.labelSmoothing() / 2);
        float[] loss = new float[x.length];
        float[] gradient = new float[x.length];
        float[] sigmoid = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            float a = gradLoss.length == 0 ? 1 : gradLoss[gradLoss.length == 1 ? 0 : i];
            a = (float) (a / denominator);
            float e = ExactMath.exp(-Math.abs(x[i]));
            float l = ExactMath.log1p(e);
            float q = 1 / (1 + e);
            float r = e * q;
            float c0 = times(weights[i], Math.fma(1 - t[i], keep, half));
            float c1 = times(weights[i], times(posWeight[i], Math.fma(t[i], keep, half)));
            float sp = (x[i] > 0 ? x[i] : 0) + l;
            float sn = (x[i] < 0 ? -x[i] : 0) + l;
            loss[i] = !live[i] ? 0 : canonical(plus(c0, sp, times(c1, sn)));
            boolean right = x[i] >= 0;
            sigmoid[i] = canonical(right ? q : r);
            float core = plus(c0, right ? q : r, -times(c1, right ? r : q));
            if (options.isFocal()) {
                float[] focal = focal(x[i], t[i], weights[i], options);
                loss[i] = !live[i] ? 0 : canonical(focal[0]);
                core = focal[1];
            }
            gradient[i] = !live[i] ? 0 : canonical(core * a);
        }
        if (options.reduction() == Reduction.NONE) {
            return new Result(loss, gradient, sigmoid);
        }
        float total = (float) (sum(loss) / denominator);
        return new Result(new float[] {canonical(total)}, gradient, sigmoid);
    }

    /** Loss and gradient of an element of the focal loss. */
    private static float[] focal(float x, float t, float w, BceWithLogitsOptions options) {
        float keep = (float) (1 - options.labelSmoothing());
        float half = (float) (options.labelSmoothing() / 2);
        boolean weighs = !Double.isNaN(options.focalAlpha());
        float alpha = weighs ? (float) options.focalAlpha() : 1;
        float rest = weighs ? (float) (1 - options.focalAlpha()) : 1;
        float k0 = Math.fma(1 - t, keep, half);
        float k1 = Math.fma(t, keep, half);
        float near = x >= 0 ? k1 : k0;
        float far = x >= 0 ? k0 : k1;
        float e = ExactMath.exp(-Math.abs(x));
        float l = ExactMath.log1p(e);
        float q = 1 / (1 + e);
        float r = e * q;
        float plain = plus(near, l, times(far, Math.abs(x) + l));
        float u = plus(near, r, times(far, q));
        float v = far == 0 ? 1 / near : e / plus(near, e, far);
        float change = times(times((float) options.focalGamma(), times(v, q)), times(far - near, plain));
        float alphaOf = plus(k1, alpha, times(k0, rest));
        float both = powered(plus(far, q, -times(near, r)) + change, u, options.focalGamma());
        float g = times(w, times(alphaOf, both));
        return new float[] {times(w, times(alphaOf, powered(plain, u, options.focalGamma()))), x >= 0 ? g : -g};
    }

    private static float powered(float y, float u, double gamma) {
        float product = gamma == Math.rint(gamma) ? y : times(y, (float) Math.sqrt(u));
        for (int i = 1; i <= gamma; i++) {
            product = times(product, u);
        }
        return product;
    }

    /** A product where 0 wins over infinity. */
    private static float times(float a, float b) {
        return Float.isNaN(a * b) && !Float.isNaN(a) && !Float.isNaN(b) ? 0 : a * b;
    }

    private static float plus(float a, float b, float c) {
        return Float.isNaN(a * b) && !Float.isNaN(a) && !Float.isNaN(b) ? c : Math.fma(a, b, c);
    }

    private static float canonical(float value) {
        return Float.isNaN(value) ? NAN : value;
    }

    /** The sum of these, NaN for 0. */
    static double denominator(float[] shares) {
        double sum = sum(shares);
        return sum == 0 ? Double.NaN : sum;
    }

    /** Lanes and segments in float32, segments joined in float64. */
    static double sum(float[] values) {
        double total = 0;
        for (int from = 0; from < values.length; from += SEGMENT) {
            float[] lanes = new float[LANES];
            for (int i = from; i < Math.min(from + SEGMENT, values.length); i++) {
                lanes[(i - from) % LANES] += values[i];
            }
            for (int half = LANES / 2; half >= 1; half /= 2) {
                for (int lane = 0; lane < half; lane++) {
                    lanes[lane] += lanes[lane + half];
                }
            }
            total += lanes[0];
        }
        return total;
    }
}
