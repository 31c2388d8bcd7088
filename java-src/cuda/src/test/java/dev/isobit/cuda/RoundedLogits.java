package dev.isobit.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Logits at which one operation of the exponential or the logarithm decides a bit of the result: found by computing both
 * with one operation rounded to zero. What is found need not be exact, only useful.
 */
final class RoundedLogits {
    /** The operation that is rounded to zero, by number, or -1. */
    private int wrong = -1;
    private int operation;

    private float round(double exact) {
        float x = (float) exact;
        return operation++ != wrong || Math.abs((double) x) <= Math.abs(exact)
                ? x
                : x > 0 ? Math.nextDown(x) : Math.nextUp(x);
    }

    private float sum(float a, float b) {
        return round((double) a + b);
    }

    private float product(float a, float b) {
        return round((double) a * b);
    }

    private float fma(float a, float b, float c) {
        return round((double) a * b + c);
    }

    private float exp(float z, float m) {
        float d = sum(z, -m);
        float b = sum(d, -z);
        float e = sum(sum(z, -sum(d, -b)), sum(-m, -b));
        float t = fma(d, 0x1.715476p+0f, 0x1.8p+23f + 191);
        float n = sum(t, -(0x1.8p+23f + 191));
        float r = sum(fma(n, -0x1.62e400p-1f, d), fma(n, -0x1.7f7d1cp-20f, e));
        float p = horner(0x1.6a21a8p-10f, r, 0x1.123b6ap-7f, 0x1.5558fcp-5f, 0x1.555490p-3f, 0x1.fffffcp-2f, 1, 1);
        return d < -104 ? 0 : product(product(p, Float.intBitsToFloat(Float.floatToRawIntBits(t) << 23)), 0x1p-64f);
    }

    private float horner(float first, float x, float... others) {
        float p = first;
        for (float c : others) {
            p = fma(p, x, c);
        }
        return p;
    }

    private float logOfParts(float f, float c, float k) {
        float q = horner(-0x1.38c0f2p-4f, f, 0x1.056474p-3f, -0x1.0d876cp-3f, 0x1.22d910p-3f, -0x1.5471f4p-3f,
                0x1.99a010p-3f, -0x1.000228p-2f, 0x1.555554p-2f);
        float f2 = product(f, f);
        float inner = fma(fma(q, f, -0.5f), f2, fma(k, 0x1.7f7d1cp-20f, c));
        float hi = product(k, 0x1.62e400p-1f);
        float sum = sum(hi, f);
        return sum(sum, sum(sum(f, -sum(sum, -hi)), inner));
    }

    private float log(float x) {
        int bits = Float.floatToRawIntBits(x);
        int k = (bits - 0x3f3504f3) >> 23;
        return logOfParts(sum(Float.intBitsToFloat(bits - k * 0x800000), -1), 0, k);
    }

    private float log1p(float x) {
        if (x == 0 || x < 0x1.a8279ap-2f) {
            return x == 0 ? x : logOfParts(x, 0, 0);
        }
        float u = sum(1, x);
        float c = x <= 1 ? sum(x, -sum(u, -1)) : sum(1, -sum(u, -x));
        int bits = Float.floatToRawIntBits(u);
        int k = (bits - 0x3f3504f3) >> 23;
        float significand = Float.intBitsToFloat(bits - k * 0x800000);
        float scale = Float.intBitsToFloat((127 - k) * 0x800000);
        return logOfParts(sum(significand, -1), round((double) product(c, scale) / significand), k);
    }

    private interface Function {
        float of(float z);
    }

    /** For each operation up to two of the given candidates whose result it decides. */
    private List<Float> deciding(List<Float> candidates, int operations, Function function) {
        float[] right = new float[candidates.size()];
        wrong = -1;
        for (int i = 0; i < right.length; i++) {
            right[i] = function.of(candidates.get(i));
        }
        List<Float> all = new ArrayList<>();
        for (int at = 0; at < operations; at++) {
            int left = 2;
            for (int i = 0; i < right.length && left > 0; i++) {
                operation = 0;
                wrong = at;
                if (right[i] != function.of(candidates.get(i))) {
                    all.add(candidates.get(i));
                    left--;
                }
            }
        }
        return all;
    }

    /** Also where what is left of an exponent is largest, and the first steps of a polynomial weigh most. */
    private static List<Float> below(float m, int count, Random random) {
        double[] scales = {0.3, 1, 3, 30, 104};
        List<Float> candidates = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            double d = i % 2 == 0
                    ? scales[i / 2 % 5] * random.nextDouble()
                    : (random.nextInt(12) + 0.5 + 0.03 * random.nextGaussian()) * Math.log(2);
            candidates.add((float) (m - d));
        }
        return candidates;
    }

    /** Logits whose exponentials below this maximum show each rounding. */
    static List<Float> ofExp(float m, Random random) {
        return new RoundedLogits().expDeciding(m, random);
    }

    private List<Float> expDeciding(float m, Random random) {
        return deciding(below(m, 100_000, random), 19, z -> exp(z, m));
    }

    /**
     * Logits that show each rounding of {@code log1p(copies·exp(z))}, or of {@code log(2 + copies·exp(z))}: the log of
     * a row of them and one or two maxima of 0.
     */
    static List<Float> ofLog(boolean twoMaxima, int copies, Random random) {
        return new RoundedLogits().logDeciding(twoMaxima, copies, random);
    }

    private List<Float> logDeciding(boolean twoMaxima, int copies, Random random) {
        return deciding(below(0, 20_000, random).stream().filter(z -> z > -20).toList(), 24, z -> {
            int target = wrong;
            wrong = -1;
            float rest = copies * exp(z, 0);
            wrong = target;
            operation = 0;
            return twoMaxima ? log(2 + rest) : log1p(rest);
        });
    }
}
