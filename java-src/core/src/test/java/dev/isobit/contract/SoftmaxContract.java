package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.LogSoftmax;
import dev.isobit.Reduction;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.Tensor;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Softmax and log-softmax of a float32 backend: the bits of {@link SoftmaxDefinition}, nothing written beside the result,
 * within the promised distance from float64, and what is refused.
 */
public abstract class SoftmaxContract extends BackendContract {
    private static final float INF = Float.POSITIVE_INFINITY;
    private static final float NAN = Float.intBitsToFloat(0x7fc00000);
    private static final float[] WILD =
            {0, -0f, 1, -1e-40f, 3e38f, Float.NaN, Float.NEGATIVE_INFINITY, INF, -1e30f};

    /** For subclasses. */
    protected SoftmaxContract() {}

    /** Which operand the result lies over. */
    private enum Place {
        APART, OVER_INPUT, OVER_GRADIENT
    }

    private void call(boolean logarithm, int axis, Tensor input, Tensor gradOutput, Tensor result) {
        SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(axis);
        if (logarithm) {
            try (LogSoftmax op = LogSoftmax.on(backend(), options)) {
                if (gradOutput == null) {
                    op.logProbabilities(input, result);
                } else {
                    op.gradient(input, gradOutput, result);
                }
            }
        } else {
            try (Softmax op = Softmax.on(backend(), options)) {
                if (gradOutput == null) {
                    op.probabilities(input, result);
                } else {
                    op.gradient(input, gradOutput, result);
                }
            }
        }
    }

    /** Runs a call over [outer, classes, inner] and sees that nothing but the result was written. */
    private float[] run(boolean logarithm, float[] input, float[] gradOutput, Place place, SplittableRandom random,
            long... shape) {
        return run(DType.F32, logarithm, input, gradOutput, place, random, shape);
    }

    private float[] run(DType dtype, boolean logarithm, float[] input, float[] gradOutput, Place place,
            SplittableRandom random, long... shape) {
        block().begin(16L * input.length + 16, 4);
        Tensor from = block().floats(dtype, input, random.nextInt(16), shape);
        Tensor grad = gradOutput == null ? null : block().floats(dtype, gradOutput, random.nextInt(16), shape);
        Tensor to = switch (place) {
            case APART -> block().room(dtype, random.nextInt(16), shape);
            case OVER_INPUT -> from;
            case OVER_GRADIENT -> grad;
        };
        block().upload();
        call(logarithm, random.nextBoolean() ? 1 : -2, from, grad, to);
        block().download();
        block().assertUntouchedBut(Arrays.toString(shape), to);
        return block().read(to);
    }

    private interface Row {
        void accept(float[] row, int index);
    }

    /** Visits the rows of [outer, classes, inner]; what the visitor leaves in the row is stored back. */
    private static float[] rows(float[] from, int outer, int classes, int inner, Row visitor) {
        float[] to = from.clone();
        float[] row = new float[classes];
        for (int i = 0; i < outer * inner; i++) {
            int first = i / inner * classes * inner + i % inner;
            for (int k = 0; k < classes; k++) {
                row[k] = from[first + k * inner];
            }
            visitor.accept(row, i);
            for (int k = 0; k < classes; k++) {
                to[first + k * inner] = row[k];
            }
        }
        return to;
    }

    private static double ulp(double magnitude) {
        return Math.max(Math.ulp((float) magnitude), Float.MIN_VALUE);
    }

    private static void within(double budget, double expected, float actual, double magnitude, String what) {
        if (Double.isNaN(expected) || Float.isNaN(actual)) {
            assertTrue(Double.isNaN(expected) && Float.isNaN(actual), what + ": " + actual + ", not " + expected);
            return;
        }
        // Either may have been rounded to infinity.
        double error =
                (float) expected == actual ? 0 : Math.max(0, Math.abs(actual - expected) - 1e-38) / ulp(magnitude);
        assertTrue(error <= budget, () -> what + ": " + actual + ", not " + expected + ", " + error + " ULP");
    }

    /** float64 from the textbook. */
    private static void judge(float[] z, float[] found, boolean logarithm, String what) {
        double max = Double.NEGATIVE_INFINITY;
        for (float x : z) {
            max = Math.max(max, x);
        }
        double atMax = 0;
        double rest = 0;
        for (float x : z) {
            atMax += x == max ? 1 : 0;
            rest += x == max ? 0 : Math.exp(x - max);
        }
        for (int k = 0; k < z.length; k++) {
            if (Double.isNaN(max) || Double.isInfinite(max)) {
                assertTrue(Float.isNaN(found[k]), what);
            } else if (logarithm) {
                double logSum = atMax == 1 ? Math.log1p(rest) : Math.log(atMax + rest);
                within(4, z[k] - max - logSum, found[k], Math.max(max - z[k], logSum), what + " class " + k);
            } else {
                double p = Math.exp(z[k] - max) / (atMax + rest);
                within(6, p, found[k], p, what + " class " + k);
            }
        }
    }

    /** Rows, columns and tiles, in every place. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100, 255, 256, 257, 513, 1000, 1023, 1024, 1025,
        2049, 8191, 8192, 8193, 16385, 20011})
    void everySizeAndKind(int classes) {
        SplittableRandom random = new SplittableRandom(classes);
        for (LogitsKind kind : LogitsKind.values()) {
            if (classes > 8000 && random.nextInt(3) > 0) {
                continue;
            }
            for (int inner : new int[] {1, new int[] {2, 3, 5, 33, 67}[random.nextInt(classes > 2000 ? 3 : 5)]}) {
                int outer = classes > 2000 ? 1 : 1 + random.nextInt(3);
                boolean logarithm = random.nextBoolean();
                float[] z = rows(new float[outer * classes * inner], outer, classes, inner,
                        (row, i) -> kind.fill(row, random));
                String what = kind + " [" + outer + ", " + classes + ", " + inner + "] " + logarithm;
                float[] expected = rows(z, outer, classes, inner, (row, i) -> System
                        .arraycopy(SoftmaxDefinition.forward(row, logarithm), 0, row, 0, classes));
                Place place = random.nextBoolean() ? Place.APART : Place.OVER_INPUT;
                float[] found = run(logarithm, z, null, place, random, outer, classes, inner);
                Bits.assertSame(what, expected, found);
                float[][] of = new float[outer * inner][];
                rows(z, outer, classes, inner, (row, i) -> of[i] = row.clone());
                rows(found, outer, classes, inner, (row, i) -> judge(of[i], row, logarithm, what));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 15, 16, 17, 33, 64, 65, 100, 256, 257, 1000, 1023, 1024, 1025, 3001, 8191, 8192, 8193,
        16385, 20011})
    void gradients(int classes) {
        SplittableRandom random = new SplittableRandom(-classes);
        for (LogitsKind kind : LogitsKind.values()) {
            if (classes > 8000 && random.nextInt(3) > 0) {
                continue;
            }
            for (int inner : new int[] {1, new int[] {2, 3, 5, 33, 67}[random.nextInt(classes > 2000 ? 3 : 5)]}) {
                int outer = classes > 2000 ? 1 : 1 + random.nextInt(3);
                boolean logarithm = random.nextBoolean();
                boolean wild = random.nextInt(4) == 0;
                float[] y = rows(new float[outer * classes * inner], outer, classes, inner, (row, i) -> {
                    kind.fill(row, random);
                    if (!wild) {
                        System.arraycopy(SoftmaxDefinition.forward(row, logarithm), 0, row, 0, classes);
                    }
                });
                float[] g = new float[y.length];
                for (int i = 0; i < g.length; i++) {
                    g[i] = wild && random.nextInt(9) == 0
                            ? WILD[random.nextInt(WILD.length)]
                            : LogitsKind.gaussian(random);
                }
                String what = kind + " [" + outer + ", " + classes + ", " + inner + "] " + logarithm + wild;
                float[][] gs = new float[outer * inner][];
                float[][] ys = new float[outer * inner][];
                rows(g, outer, classes, inner, (row, i) -> gs[i] = row.clone());
                rows(y, outer, classes, inner, (row, i) -> ys[i] = row.clone());
                float[] expected = rows(y, outer, classes, inner, (row, i) -> System
                        .arraycopy(SoftmaxDefinition.gradient(row, gs[i], logarithm), 0, row, 0, classes));
                Place place = Place.values()[random.nextInt(3)];
                float[] found = run(logarithm, y, g, place, random, outer, classes, inner);
                Bits.assertSame(what, expected, found);
                if (!wild) {
                    rows(found, outer, classes, inner,
                            (row, i) -> judgeGradient(ys[i], gs[i], row, logarithm, what));
                }
            }
        }
    }

    /** The unit in the last place is that of the largest addend; in the dot product, of the sum of magnitudes. */
    private static void judgeGradient(float[] y, float[] g, float[] found, boolean logarithm, String what) {
        double sum = 0;
        double magnitudes = 0;
        for (int k = 0; k < y.length; k++) {
            double term = logarithm ? g[k] : (double) g[k] * y[k];
            sum += term;
            magnitudes += Math.abs(term);
        }
        for (int k = 0; k < y.length; k++) {
            double p = logarithm ? Math.exp(y[k]) : y[k];
            double expected = logarithm ? g[k] - p * sum : p * (g[k] - sum);
            double first = logarithm ? g[k] : p * g[k];
            within(6, expected, found[k], Math.max(Math.abs(first), p * magnitudes), what + " class " + k);
        }
    }

    /** From 16 bits: the definition's float32, rounded once; nearly always the number nearest to float64's. */
    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void resultsOf16BitsAreRounded(DType dtype) {
        long[] nearest = new long[2];
        for (int classes : new int[] {1, 2, 3, 7, 8, 9, 16, 33, 63, 64, 65, 100, 256, 257, 1000, 1023, 1024, 1025, 2049,
            8191, 8192, 8193, 16385}) {
            SplittableRandom random = new SplittableRandom(classes);
            for (LogitsKind kind : LogitsKind.values()) {
                if (classes > 2000 && random.nextInt(4) > 0) {
                    continue;
                }
                for (int inner : new int[] {1, new int[] {2, 3, 33}[random.nextInt(classes > 2000 ? 2 : 3)]}) {
                    int outer = classes > 2000 ? 1 : 1 + random.nextInt(3);
                    boolean logarithm = random.nextBoolean();
                    float[] z = rows(new float[outer * classes * inner], outer, classes, inner,
                            (row, i) -> kind.fill(row, random));
                    z = Rounded.to(dtype, z);
                    String what = dtype + " " + kind + " [" + outer + ", " + classes + ", " + inner + "] " + logarithm;
                    float[] y = Rounded.to(dtype, rows(z, outer, classes, inner, (row, i) -> System
                            .arraycopy(SoftmaxDefinition.forward(row, logarithm), 0, row, 0, classes)));
                    Place place = random.nextBoolean() ? Place.APART : Place.OVER_INPUT;
                    float[] found = run(dtype, logarithm, z, null, place, random, outer, classes, inner);
                    Bits.assertSame(what, y, found);
                    float[] g = new float[z.length];
                    for (int i = 0; i < g.length; i++) {
                        g[i] = LogitsKind.gaussian(random);
                    }
                    g = Rounded.to(dtype, g);
                    float[][] gs = new float[outer * inner][];
                    rows(g, outer, classes, inner, (row, i) -> gs[i] = row.clone());
                    float[] gradient = Rounded.to(dtype, rows(y, outer, classes, inner, (row, i) -> System
                            .arraycopy(SoftmaxDefinition.gradient(row, gs[i], logarithm), 0, row, 0, classes)));
                    found = run(dtype, logarithm, y, g, Place.values()[random.nextInt(3)], random, outer, classes,
                            inner);
                    Bits.assertSame(what + " gradient", gradient, found);
                    countNearest(dtype, logarithm, z, y, outer, classes, inner, nearest);
                }
            }
        }
        assertTrue(nearest[1] > 10_000 && nearest[0] >= 0.999 * nearest[1],
                nearest[0] + " of " + nearest[1] + " are the nearest");
    }

    /** Probabilities or log-probabilities beside those of the reference, in float64. */
    private static void countNearest(DType dtype, boolean logarithm, float[] z, float[] found, long outer,
            long classes, long inner, long[] nearest) {
        double[] exact = new double[z.length];
        try (Backend reference = Backend.open("reference");
                Softmax softmax = Softmax.on(reference, SoftmaxOptions.defaults().withAxis(1));
                LogSoftmax log = LogSoftmax.on(reference, SoftmaxOptions.defaults().withAxis(1))) {
            Tensor from = Tensor.of(z, outer, classes, inner);
            Tensor to = Tensor.of(exact, outer, classes, inner);
            if (logarithm) {
                log.logProbabilities(from, to);
            } else {
                softmax.probabilities(from, to);
            }
        }
        for (int i = 0; i < exact.length; i++) {
            if (Double.isFinite(exact[i])) {
                int off = Rounded.distance(dtype, exact[i], found[i]);
                assertTrue(off <= 1, "element " + i + " is " + found[i] + ", not " + exact[i]);
                nearest[0] += off == 0 ? 1 : 0;
                nearest[1]++;
            }
        }
    }

    private float[] one(boolean logarithm, float... z) {
        return run(logarithm, z, null, Place.APART, new SplittableRandom(1), 1, z.length, 1);
    }

    /** The naive form gives NaN. */
    @Test
    void largeLogitsOfTheTextbook() {
        float[] p = one(false, 1000, 999, 0);
        assertArrayEquals(new float[] {0.73105858f, 0.26894142f, 0}, p, 1e-8f);
        float[] lp = one(true, 1000, 999, 0);
        assertArrayEquals(new float[] {-0.31326169f, -1.3132617f, -1000.3133f}, lp, 1e-4f);
    }

    @Test
    void aConfidentRowKeepsItsLogProbability() {
        assertEquals(-Math.exp(-80), one(true, 80, 0)[0], 1e-40);
    }

    /** To the bit, whatever the row. */
    @ParameterizedTest
    @EnumSource(LogitsKind.class)
    void crossEntropyIsMinusTheLogProbabilityOfTheTarget(LogitsKind kind) {
        for (int classes : new int[] {1, 5, 40, 1500, 9000}) {
            SplittableRandom random = new SplittableRandom(kind.ordinal());
            float[] z = new float[classes];
            kind.fill(z, random);
            int target = random.nextInt(classes);
            float[] lp = run(true, z, null, Place.APART, random, 1, classes, 1);
            block().begin(8L * classes + 64, 3);
            Tensor logits = block().floats(z, 0, 1, classes);
            Tensor targets = block().indices(DType.I64, new long[] {target}, 0);
            Tensor loss = block().room(DType.F32, 0, 1);
            block().upload();
            try (var op = CrossEntropy.on(backend(), CrossEntropyOptions.defaults().withReduction(Reduction.NONE))) {
                op.loss(logits, targets, loss);
            }
            block().download();
            float row = block().read(loss)[0];
            Bits.assertSame(kind, new float[] {row}, new float[] {Float.isNaN(row) ? NAN : 0 - lp[target]});
        }
    }

    @Test
    void edges() {
        float none = -INF;
        for (boolean logarithm : new boolean[] {false, true}) {
            for (float[] row : new float[][] {{1, Float.NaN, 2}, {INF, 0, 1}, {none, none}, {none},
                {INF, none, Float.NaN}}) {
                float[] expected = new float[row.length];
                Arrays.fill(expected, NAN);
                Bits.assertSame(Arrays.toString(row), expected, one(logarithm, row));
            }
            // In that row alone, whichever way rows lie.
            float[] rows = {1, Float.NaN, 0, 0};
            float half = logarithm ? (float) -Math.log(2) : 0.5f;
            Bits.assertSame("rows", new float[] {NAN, NAN, half, half},
                    run(logarithm, rows, null, Place.APART, new SplittableRandom(2), 2, 2, 1));
            Bits.assertSame("columns", new float[] {half, NAN, half, NAN},
                    run(logarithm, new float[] {0, 1, 0, INF}, null, Place.APART, new SplittableRandom(2), 1, 2, 2));
        }
        Bits.assertSame("-inf elsewhere", new float[] {0, 1, 0}, one(false, none, 7, none));
        Bits.assertSame("-inf elsewhere", new float[] {none, 0, none}, one(true, none, 7, none));
        Bits.assertSame("one class", new float[] {1}, one(false, -3));
        Bits.assertSame("one class", new float[] {0}, one(true, -3));
    }

    @Test
    void withoutElements() {
        block().begin(64, 1);
        Tensor any = block().room(DType.F32, 0, 4);
        block().upload();
        for (long[] shape : new long[][] {{0}, {3, 0}, {0, 3}, {2, 0, 5}}) {
            Tensor empty = Tensor.of(DType.F32, any.memory(), any.byteOffset(), shape);
            call(true, -1, empty, null, empty);
            call(false, 0, empty, empty, empty);
        }
        block().download();
        block().assertUntouchedBut("empty");
    }

    /** An axis of any shape is one of three. */
    @Test
    void everyAxisOfAShape() {
        SplittableRandom random = new SplittableRandom(3);
        long[] shape = {2, 3, 4, 5};
        float[] z = new float[120];
        LogitsKind.NORMAL.fill(z, random);
        for (int axis = -4; axis < 4; axis++) {
            int at = Math.floorMod(axis, 4);
            int inner = new int[] {60, 20, 5, 1}[at];
            int classes = (int) shape[at];
            float[] expected = rows(z, 120 / inner / classes, classes, inner,
                    (row, i) -> System.arraycopy(SoftmaxDefinition.forward(row, true), 0, row, 0, classes));
            block().begin(960, 2);
            Tensor from = block().floats(z, 1, shape);
            Tensor to = block().room(DType.F32, 2, shape);
            block().upload();
            call(true, axis, from, null, to);
            block().download();
            Bits.assertSame("axis " + axis, expected, block().read(to));
        }
    }

    @Test
    void badOperandsAreRefusedByName() {
        block().begin(1 << 10, 3);
        Tensor logits = block().floats(new float[6], 1, 2, 3);
        Tensor grad = block().floats(new float[6], 2, 2, 3);
        Tensor result = block().room(DType.F32, 3, 2, 3);
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        String forward = "LogSoftmax.logProbabilities";
        for (int axis : new int[] {2, -3, 7}) {
            refused(type, () -> call(true, axis, logits, null, result), forward, "axis " + axis);
        }
        Tensor other = Tensor.of(DType.F32, grad.memory(), grad.byteOffset(), 3, 2);
        refused(type, () -> call(true, 1, logits, null, other), forward, "logProbabilities", "[3, 2]");
        refused(type, () -> call(false, 1, logits, other, result), "Softmax.gradient", "gradProbabilities", "[3, 2]");
        refused(type, () -> call(false, 1, logits, grad, shifted(grad, DType.F32, 4, 2, 3)), "gradLogits",
                "gradProbabilities", "overlaps");
        refused(type, () -> call(false, 1, logits, null, shifted(logits, DType.F32, -4, 2, 3)), "probabilities",
                "logits", "overlaps");
        refused(type, () -> call(false, 1, foreign(DType.F32, 2, 3), null, result), "logits", backend().name());
        refused(type, () -> call(false, 1, logits, foreign(DType.F32, 2, 3), result), "gradProbabilities");
        refused(IllegalStateException.class, () -> call(false, 1, logits, null, closed(DType.F32, 2, 3)), "closed");
        Tensor narrow = Tensor.of(DType.BF16, logits.memory(), logits.byteOffset(), 2, 3);
        refused(UnsupportedOperationException.class, () -> call(false, 1, narrow, null, result), "F32", "one type");
        refused(UnsupportedOperationException.class, () -> call(true, 1, logits, narrow, result), "BF16", "one type");
        Tensor integers = Tensor.of(DType.I32, logits.memory(), logits.byteOffset(), 2, 3);
        refused(UnsupportedOperationException.class, () -> call(true, 1, integers, null, result), "I32", "F32");
        Softmax op = Softmax.on(backend(), SoftmaxOptions.defaults());
        op.close();
        op.close();
        assertThrows(IllegalStateException.class, () -> op.probabilities(logits, result));
    }
}
