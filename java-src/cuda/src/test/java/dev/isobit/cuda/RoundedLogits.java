package dev.isobit.cuda;

import dev.isobit.DType;
import dev.isobit.math.NarrowFloats;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/**
 * Logits at which one operation of the exponential or the logarithm decides a bit of the result: found by computing both
 * with one operation rounded to zero. What is found need not be exact, only useful.
 */
final class RoundedLogits {
    /** The number of what no rounding is: leaving out the rounding error of the difference to the maximum. */
    private static final int NO_ERROR = 19;

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
        e = wrong == NO_ERROR ? 0 : e;
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

    /** Of 16 bits all that there are. */
    private static List<Float> below(float m, int count, DType dtype, Random random) {
        if (dtype == DType.F32) {
            return below(m, count, random);
        }
        List<Float> candidates = new ArrayList<>();
        for (int bits = 0; bits < 1 << 16; bits++) {
            float z = dtype == DType.F16 ? Float.float16ToFloat((short) bits) : Float.intBitsToFloat(bits << 16);
            if (z < m && z > m - 104) {
                candidates.add(z);
            }
        }
        return candidates;
    }

    /** Each once. */
    private static List<Float> rounded(DType dtype, List<Float> values) {
        float[] all = new float[values.size()];
        for (int i = 0; i < all.length; i++) {
            all[i] = values.get(i);
        }
        List<Float> distinct = new ArrayList<>();
        for (float value : HostTensors.floats(HostTensors.of(dtype, all, all.length))) {
            distinct.add(value);
        }
        return distinct.stream().distinct().toList();
    }

    /** Logits of a type whose exponentials below this maximum, of that type as well, show each rounding. */
    static List<Float> ofExp(float m, DType dtype, Random random) {
        return new RoundedLogits().expDeciding(m, dtype, random);
    }

    private List<Float> expDeciding(float m, DType dtype, Random random) {
        return deciding(below(m, 100_000, dtype, random), 19, z -> exp(z, m));
    }

    /**
     * Logits that show each rounding of {@code log1p(copies·exp(z))}, or of {@code log(2 + copies·exp(z))}: the log of
     * a row of them and one or two maxima of 0.
     */
    static List<Float> ofLog(boolean twoMaxima, int copies, DType dtype, Random random) {
        return new RoundedLogits().logDeciding(twoMaxima, copies, dtype, random);
    }

    private List<Float> logDeciding(boolean twoMaxima, int copies, DType dtype, Random random) {
        return deciding(below(0, 20_000, dtype, random).stream().filter(z -> z > -20).toList(), 24, z -> {
            int target = wrong;
            wrong = -1;
            float rest = copies * exp(z, 0);
            wrong = target;
            operation = 0;
            return twoMaxima ? log(2 + rest) : log1p(rest);
        });
    }

    /**
     * An exponential that one operation decides a bit of.
     *
     * @param maximum of the row
     * @param logit below it
     * @param right its exponential
     * @param wrong what it is if that operation is rounded otherwise
     */
    record Decided(float maximum, float logit, float right, float wrong) {}

    /** For each operation some exponentials of logits of 16 bits. */
    static List<Decided> ofExp(DType dtype, Random random) {
        return new RoundedLogits().decided(dtype, random);
    }

    private List<Decided> decided(DType dtype, Random random) {
        List<Float> tops = IntStream.range(0, 600)
                .mapToObj(i -> i % 8 == 0
                        ? 20 * random.nextFloat() - 4
                        : (random.nextFloat() - 0.5f) * (float) Math.scalb(1.0, -random.nextInt(10)))
                .toList();
        List<Decided> found = new ArrayList<>();
        int[] left = new int[NO_ERROR + 1];
        Arrays.fill(left, 3);
        for (float m : rounded(dtype, tops)) {
            for (float z : rounded(dtype, below(m, 500, random))) {
                wrong = -1;
                float right = z >= m || z < m - 40 ? 0 : exp(z, m);
                for (int at = 0; right > 0 && at < left.length; at++) {
                    operation = 0;
                    wrong = at;
                    float other = left[at] > 0 ? exp(z, m) : right;
                    if (other != right) {
                        found.add(new Decided(m, z, right, other));
                        left[at]--;
                    }
                }
            }
        }
        return found;
    }

    /**
     * An upstream gradient of a row of so many classes and maxima, all other logits the same, with which the gradient of
     * these is rounded to another of 16 bits if the exponential is wrong; or 0.
     */
    static float tie(Decided of, DType dtype, int classes, int maxima, Random random) {
        double total = maxima + laneSum(of.right, classes - maxima);
        int bits = dtype == DType.BF16 ? 7 : 10;
        for (int i = 0; i < 40; i++) {
            // Odd, so that it is rounded up.
            float middle = 1 + (4 * random.nextInt(1 << bits - 1) + 3) * (float) Math.scalb(1.0, -bits - 1);
            float upstream = (float) (middle / of.right * total);
            for (int step = -4; step <= 4; step++) {
                float tried = upstream + step * Math.ulp(upstream);
                float factor = (float) (tried / total);
                if (of.right * factor >= middle != of.wrong * factor >= middle) {
                    return tried;
                }
            }
        }
        return 0;
    }

    /**
     * A row of one maximum, two other elements, and all others such a logit: their probability is rounded to another of 16
     * bits if the exponential is wrong. Where there are no two that make it so, any two.
     */
    static float[] probabilityTie(Decided of, DType dtype, int classes, Random random) {
        RoundedLogits exact = new RoundedLogits();
        float[] others = new float[400];
        double[] exps = new double[others.length];
        for (int i = 0; i < others.length; i++) {
            others[i] = of.maximum - 6 * random.nextFloat();
        }
        others = HostTensors.floats(HostTensors.of(dtype, others, others.length));
        for (int i = 0; i < others.length; i++) {
            // A second maximum is not wanted, and nothing with a NaN is near a tie.
            exps[i] = others[i] < of.maximum ? exact.exp(others[i], of.maximum) : Double.NaN;
        }
        float[] logits = new float[classes];
        Arrays.fill(logits, of.logit);
        int place = random.nextInt(classes - 2);
        logits[place] = of.maximum;
        float[] terms = new float[classes];
        Arrays.fill(terms, of.right);
        terms[place] = 0;
        for (int i = 0; i < others.length; i++) {
            for (int j = 0; j < i; j++) {
                double near = of.right / (1 + (classes - 3.0) * of.right + exps[i] + exps[j]);
                boolean isNearTie = narrow(dtype, near * (1 - 0x1p-22)) < narrow(dtype, near * (1 + 0x1p-22));
                if (!isNearTie) {
                    continue;
                }
                logits[place + 1] = others[i];
                logits[place + 2] = others[j];
                terms[place + 1] = (float) exps[i];
                terms[place + 2] = (float) exps[j];
                float factor = (float) (1 / (1 + (double) laneSum(terms)));
                if (narrow(dtype, of.right * factor) != narrow(dtype, of.wrong * factor)) {
                    return logits;
                }
            }
        }
        return logits;
    }

    /** Rounded to 16 bits. */
    static float narrow(DType dtype, double x) {
        return dtype == DType.F16
                ? NarrowFloats.fromF16(NarrowFloats.toF16((float) x))
                : NarrowFloats.fromBf16(NarrowFloats.toBf16((float) x));
    }

    /** Of so many equal values in lanes. */
    private static float laneSum(float value, int count) {
        float[] values = new float[count];
        Arrays.fill(values, value);
        return laneSum(values);
    }

    static float laneSum(float[] values) {
        float[] lanes = new float[1024];
        for (int i = 0; i < values.length; i++) {
            lanes[i % lanes.length] += values[i];
        }
        for (int half = lanes.length / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }
}
