package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.AllIgnored;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.Arrays;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Cross-entropy where anyone can say what it must be: the edges, and examples that users know. */
public abstract class GeneralEdgeContract extends BackendContract {
    private static final float INF = Float.POSITIVE_INFINITY;
    private static final float NAN = Float.NaN;
    private static final float LN2 = 0x1.62e43p-1f;
    private static final CrossEntropyOptions NONE = CrossEntropyOptions.defaults().withReduction(Reduction.NONE);

    /** Results of a call. */
    private float[] loss;
    private float[] gradient;
    private float[] lse;
    private float[] entropy;
    private float[] logProbabilities;
    private long[] argmax;
    private long hits;

    /** For subclasses. */
    protected GeneralEdgeContract() {}

    private interface Targets {
        Tensor place(OperandBlock block, int rows, int classes);
    }

    private static Targets index(long... targets) {
        return (block, rows, classes) -> block.indices(DType.I64, targets, 0);
    }

    private static Targets probabilities(float... values) {
        return (block, rows, classes) -> block.floats(values, 0, rows, classes);
    }

    /** Everything, of rows one after the other. */
    private void call(CrossEntropyOptions options, float[] logits, int rows, Targets targets, float[] classWeights,
            float[] weights) {
        call(options, logits, rows, targets, classWeights, weights, o -> o);
    }

    private void call(CrossEntropyOptions options, float[] logits, int rows, Targets targets, float[] classWeights,
            float[] weights, UnaryOperator<CrossEntropyOperands> more) {
        int classes = rows == 0 ? 3 : logits.length / rows;
        block().begin(1 << 14, 13);
        Tensor x = block().floats(logits, 1, rows, classes);
        Tensor t = targets.place(block(), rows, classes);
        CrossEntropyOperands operands = CrossEntropyOperands.of(x, t);
        if (classWeights != null) {
            operands = operands.withClassWeights(block().floats(classWeights, 1, classes));
        }
        if (weights != null) {
            operands = operands.withWeights(block().floats(weights, 1, rows));
        }
        Tensor lseOut = block().room(DType.F32, 0, rows);
        Tensor entropyOut = block().room(DType.F32, 0, rows);
        Tensor argmaxOut = block().room(DType.I64, 0, rows);
        Tensor hitsOut = block().room(DType.I64, 0);
        Tensor logProbabilitiesOut = block().room(DType.F32, 0, rows, classes);
        operands = more.apply(operands.withLse(lseOut).withEntropy(entropyOut).withArgmax(argmaxOut)
                .withLogProbabilities(logProbabilitiesOut));
        operands = t.dtype().isFloating() ? operands : operands.withHits(hitsOut);
        boolean none = options.reduction() == Reduction.NONE;
        Tensor lossOut = none ? block().room(DType.F32, 0, rows) : block().room(DType.F32, 0);
        Tensor gradOut = block().room(DType.F32, 0, rows, classes);
        block().upload();
        try (CrossEntropy op = CrossEntropy.on(backend(), options)) {
            op.lossAndGradient(operands, lossOut, gradOut);
        }
        block().download();
        loss = block().read(lossOut);
        gradient = block().read(gradOut);
        lse = block().read(lseOut);
        entropy = block().read(entropyOut);
        logProbabilities = block().read(logProbabilitiesOut);
        argmax = block().readLongs(argmaxOut);
        hits = block().readLongs(hitsOut)[0];
    }

    private static void same(float[] found, float... expected) {
        Bits.assertSame("", expected, found);
    }

    private static void near(float[] found, double budget, double... expected) {
        assertEquals(expected.length, found.length);
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], found[i], budget, "element " + i);
        }
    }

    @Test
    void emptyBatch() {
        for (Denominator denominator : new Denominator[] {Denominator.WEIGHTS, Denominator.ROWS}) {
            var mean = NONE.withReduction(Reduction.MEAN).withDenominator(denominator).withZLoss(1);
            call(mean, new float[0], 0, index(), null, new float[0]);
            same(loss, NAN);
            assertEquals(0, hits);
            call(mean.withAllIgnored(AllIgnored.ZERO), new float[0], 0, index(), null, new float[0]);
            same(loss, 0);
        }
        call(NONE.withReduction(Reduction.SUM).withZLoss(1), new float[0], 0, index(), null, null);
        same(loss, 0);
        call(NONE, new float[0], 0, index(), null, null);
        same(loss);
    }

    @Test
    void ignoredRow() {
        call(NONE.withLabelSmoothing(0.5), new float[] {NAN, INF, 1, 1}, 2, index(-100, 1), new float[] {1, 2},
                new float[] {NAN, 1});
        same(new float[] {loss[0], lse[0], entropy[0], gradient[0], gradient[1]}, 0, 0, 0, 0, 0);
        assertArrayEquals(new long[] {-1, 0}, argmax);
        assertEquals(0, hits);
    }

    /** The target decides nothing about log-probabilities. */
    @Test
    void logProbabilitiesOfAnyRow() {
        float[] logits = {1, 1, NAN, 0, -INF, 0, INF, 0, 5, -INF};
        call(NONE.withIgnoreIndex(0), logits, 5, index(0, 0, 1, 1, 0), null, null);
        same(logProbabilities, -LN2, -LN2, NAN, NAN, -INF, 0, NAN, NAN, 0, -INF);
        assertArrayEquals(new long[] {-1, -1, 1, 0, -1}, argmax);
        assertEquals(1, hits);
        call(NONE.withClasses(2), new float[] {3, 3, NAN, INF, NAN, 0, 0, 0}, 2, index(-100, -100), null, null);
        same(logProbabilities, -LN2, -LN2, -INF, -INF, NAN, NAN, -INF, -INF);
        call(NONE.withSoftcap(2).withScale(1e9), new float[] {1, 1, -1}, 1, index(-100), null, null);
        double sum = 2 + Math.exp(-4);
        near(logProbabilities, 1e-6, -Math.log(sum), -Math.log(sum), -4 - Math.log(sum));
    }

    @Test
    void logProbabilitiesThatDoNotFit() {
        block().begin(1 << 10, 6);
        Tensor logits = block().floats(new float[6], 0, 2, 3);
        Tensor targets = block().indices(DType.I64, new long[2], 0);
        Tensor loss = block().room(DType.F32, 0, 2);
        Tensor gradLogits = block().room(DType.F32, 0, 2, 3);
        Tensor lse = block().room(DType.F32, 0, 2);
        Tensor room = block().room(DType.I64, 0, 2, 3);
        var operands = CrossEntropyOperands.of(logits, targets).withLse(lse);
        try (CrossEntropy op = CrossEntropy.on(backend(), NONE)) {
            for (long[] shape : new long[][] {{2}, {3, 2}, {2, 4}, {1, 2, 3}, {2, 3, 1}}) {
                Tensor other = Tensor.of(DType.F32, room.memory(), room.byteOffset(), shape);
                refused(IllegalArgumentException.class, () -> op.loss(operands.withLogProbabilities(other), loss),
                        "CrossEntropy.loss", "logProbabilities", Arrays.toString(shape), "the shape of logits");
            }
            Tensor halves = Tensor.of(DType.BF16, room.memory(), room.byteOffset(), 2, 3);
            refused(UnsupportedOperationException.class, () -> op.loss(operands.withLogProbabilities(halves), loss),
                    "logProbabilities", "BF16", "F32");
            for (Tensor taken : new Tensor[] {logits, targets, loss, gradLogits, lse}) {
                Tensor over = Tensor.of(DType.F32, taken.memory(), taken.byteOffset(), 2, 3);
                refused(IllegalArgumentException.class,
                        () -> op.lossAndGradient(operands.withLogProbabilities(over), loss, gradLogits),
                        "CrossEntropy.lossAndGradient", "logProbabilities", "overlaps");
            }
            refused(NullPointerException.class, () -> operands.withLogProbabilities(null), "logProbabilities");
        }
    }

    @Test
    void statesOfAnyRow() {
        int classes = 8193;
        float[] logits = new float[3 * classes];
        logits[5] = NAN;
        logits[classes + 7] = 1;
        logits[2 * classes - 1] = -INF;
        Arrays.fill(logits, 2 * classes, 3 * classes - 1, -INF);
        block().begin(1 << 18, 5);
        Tensor x = block().floats(logits, 0, 3, classes);
        Tensor targets = block().indices(DType.I64, new long[] {3, 7, -100}, 0);
        Tensor loss = block().room(DType.F32, 0, 3);
        Tensor states = block().room(DType.F32, 0, 2, 3, 7);
        Tensor argmax = block().room(DType.I64, 0, 3);
        block().upload();
        try (CrossEntropy op = CrossEntropy.on(backend(), NONE)) {
            assertArrayEquals(new long[] {2, 3, 7}, op.stateShape(x));
            op.loss(CrossEntropyOperands.of(x, targets).withStates(states).withArgmax(argmax), loss);
        }
        block().download();
        float[] found = block().read(states);
        near(new float[] {found[9]}, 1e-3, 8191 * Math.exp(-1));
        found[9] = 0;
        same(found, NAN, NAN, NAN, NAN, NAN, NAN, NAN, // of the first segments: one with NaN,
                1, 1, 0, 0, 0, 0, 7, -INF, 0, 0, 0, 0, 0, 0, // one maximum, ignored
                0, 1, 0, 0, 0, 0, 0, -INF, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0); // of the classes behind these
    }

    /** The place of a maximum tells +inf from NaN, and no maxima are looked for where nobody asks. */
    @Test
    void placesOfMaxima() {
        int classes = 8193;
        float[] logits = new float[4 * classes];
        logits[5] = INF;
        logits[7] = INF;
        logits[classes + 5] = INF;
        logits[classes + 6] = NAN;
        logits[2 * classes + 3] = 2;
        logits[3 * classes - 1] = 2;
        logits[3 * classes + 3] = 2;
        logits[4 * classes - 1] = 3;
        block().begin(1 << 18, 8);
        Tensor x = block().floats(logits, 0, 4, classes);
        Tensor targets = block().indices(DType.I64, new long[] {5, 5, 3, 3}, 0);
        Tensor loss = block().room(DType.F32, 0, 4);
        Tensor states = block().room(DType.F32, 0, 2, 4, 7);
        Tensor without = block().room(DType.F32, 0, 2, 4, 7);
        Tensor argmax = block().room(DType.I64, 0, 4);
        Tensor unknown = block().room(DType.I64, 0, 4);
        Tensor hits = block().room(DType.I64, 0, 1);
        block().upload();
        try (CrossEntropy op = CrossEntropy.on(backend(), NONE)) {
            var operands = CrossEntropyOperands.of(x, targets);
            op.states(operands.withStates(states).withHits(hits));
            op.states(operands.withStates(without));
            op.loss(operands.withSavedStates(states).withArgmax(argmax).withHits(hits), loss);
            op.loss(operands.withSavedStates(without).withArgmax(unknown), loss);
        }
        block().download();
        float[] places = new float[8];
        for (int i = 0; i < 8; i++) {
            places[i] = block().read(states)[7 * i + 6];
            assertEquals(-1, block().read(without)[7 * i + 6]);
        }
        same(places, 5, NAN, 3, 3, 0, 0, 0, 0);
        assertArrayEquals(new long[] {5, -1, 3, 8192}, block().readLongs(argmax));
        assertArrayEquals(new long[] {2}, block().readLongs(hits));
        assertArrayEquals(new long[] {-1, -1, -1, -1}, block().readLongs(unknown));
    }

    @Test
    void statesThatDoNotFit() {
        block().begin(1 << 10, 6);
        Tensor logits = block().floats(new float[6], 0, 2, 3);
        Tensor targets = block().indices(DType.I64, new long[2], 0);
        Tensor loss = block().room(DType.F32, 0, 2);
        Tensor gradLogits = block().room(DType.F32, 0, 2, 3);
        Tensor states = block().room(DType.F32, 0, 1, 2, 7);
        var operands = CrossEntropyOperands.of(logits, targets);
        try (CrossEntropy op = CrossEntropy.on(backend(), NONE)) {
            for (long[] shape : new long[][] {{2, 7}, {1, 2, 6}, {2, 1, 7}, {1, 1, 7}, {1, 2, 7, 1}}) {
                Tensor other = Tensor.of(DType.F32, states.memory(), states.byteOffset(), shape);
                refused(IllegalArgumentException.class, () -> op.loss(operands.withStates(other), loss),
                        "CrossEntropy.loss", "states", Arrays.toString(shape), "stateShape");
                refused(IllegalArgumentException.class, () -> op.gradient(operands.withSavedStates(other), gradLogits),
                        "CrossEntropy.gradient", "savedStates", Arrays.toString(shape), "stateShape");
            }
            refused(IllegalArgumentException.class,
                    () -> op.gradient(operands.withSavedStates(states).withStates(states), gradLogits),
                    "states is asked for");
            Tensor over = Tensor.of(DType.F32, states.memory(), states.byteOffset(), 2, 3);
            refused(IllegalArgumentException.class, () -> op.gradient(operands.withSavedStates(states), over),
                    "gradLogits", "savedStates", "overlaps");
            refused(IllegalArgumentException.class, () -> op.stateShape(loss), "stateShape", "[N, C]");
        }
    }

    @Test
    void rowsThatHaveNoSoftmax() {
        float[] logits = {NAN, 0, 1, 0, INF, 1, -INF, -INF, -INF, 0, 1, 2};
        call(NONE.withZLoss(0.1), logits, 4, index(1, 1, 2, 2), null, new float[] {0, 1, 1, 1});
        same(new float[] {loss[0], loss[1], loss[2]}, NAN, NAN, NAN);
        same(new float[] {lse[0], lse[1], lse[2], entropy[0], entropy[1], entropy[2]}, NAN, NAN, NAN, NAN, NAN, NAN);
        for (int i = 0; i < 9; i++) {
            same(new float[] {gradient[i]}, NAN);
        }
        assertArrayEquals(new long[] {-1, 1, 0, 2}, argmax);
        assertEquals(2, hits);
        assertEquals(true, Float.isFinite(loss[3] + gradient[9] + lse[3] + entropy[3]));
    }

    @Test
    void minusInfinityUnderALabel() {
        float[] logits = {-INF, 0, 0};
        call(NONE.withLabelSmoothing(0.1), logits, 1, index(1), null, null);
        same(loss, INF);
        near(gradient, 1e-6, -0.1 / 3, 0.5 - 0.9 - 0.1 / 3, 0.5 - 0.1 / 3);
        call(NONE, logits, 1, probabilities(0.5f, 0.5f, 0), null, null);
        same(loss, INF);
        same(gradient, -0.5f, 0, 0.5f);
    }

    @Test
    void zeroTimesInfinity() {
        float[] logits = {-INF, 0, 0};
        float[] none = {0, 1, 1};
        call(NONE.withLabelSmoothing(0.1), logits, 1, index(1), none, null);
        near(loss, 1e-6, 0.9 * Math.log(2) + 0.2 / 3 * Math.log(2));
        call(NONE.withZLoss(0), logits, 1, index(0), none, null);
        same(loss, 0);
        same(gradient, 0, 0, 0);
        call(NONE, logits, 1, probabilities(0, 0.5f, 0.5f), null, null);
        same(loss, LN2);
        call(NONE, logits, 1, index(0), null, new float[] {0});
        same(loss, 0);
        call(NONE, logits, 1, probabilities(1, 0, 0), none, null);
        same(loss, 0);
    }

    @Test
    void oneClass() {
        for (double smoothing : new double[] {0, 0.3}) {
            CrossEntropyOptions options = NONE.withLabelSmoothing(smoothing).withSoftcap(2).withScale(3);
            call(options, new float[] {-7, 3e38f}, 2, index(0, 0), new float[] {0.7f}, new float[] {3, 0.1f});
            same(loss, 0, 0);
            same(gradient, 0, 0);
            same(entropy, 0, 0);
            call(options.withReduction(Reduction.MEAN), new float[] {-7, 5, 1}, 3, probabilities(1, 0.3f, 0.9f), null,
                    null);
            same(loss, 0);
            same(gradient, 0, 0, 0);
        }
        call(NONE.withZLoss(0.5), new float[] {-3}, 1, index(0), null, null);
        same(loss, 4.5f);
        same(gradient, -3);
    }

    @Test
    void denominatorOfZero() {
        CrossEntropyOptions mean = CrossEntropyOptions.defaults();
        float[] logits = {1, 2, 3, 4};
        call(mean, logits, 2, index(-100, -100), new float[] {1, 1}, null);
        same(loss, NAN);
        same(gradient, 0, 0, 0, 0);
        call(mean, logits, 2, index(0, -100), new float[] {0, 1}, null);
        same(loss, NAN);
        same(gradient, NAN, NAN, 0, 0);
        for (long[] targets : new long[][] {{-100, -100}, {0, -100}}) {
            call(mean.withAllIgnored(AllIgnored.ZERO), logits, 2, index(targets), new float[] {0, 1}, null);
            same(loss, 0);
            same(gradient, 0, 0, 0, 0);
        }
    }

    @Test
    void denominators() {
        CrossEntropyOptions mean = CrossEntropyOptions.defaults().withIgnoreIndex(1);
        float[] logits = {0, 0, 0, 0, 0, 0};
        call(mean, logits, 3, index(0, 1, 0), new float[] {2, 9}, new float[] {1, 7, 0.5f});
        same(loss, LN2);
        same(gradient, -1f / 3, 1f / 3, 0, 0, -1f / 6, 1f / 6);
        call(mean.withDenominator(Denominator.ROWS), logits, 3, index(0, 1, 0), null, null);
        near(loss, 1e-7, Math.log(2) * 2 / 3);
        call(mean.withDenominator(Denominator.OPERAND), logits, 3, index(0, 1, 0), null, null,
                o -> o.withDenominator(block().floats(new float[] {8}, 0)));
        same(loss, LN2 / 4);
        same(gradient, -0.0625f, 0.0625f, 0, 0, -0.0625f, 0.0625f);
    }

    @Test
    void infiniteLogitsUnderSoftcap() {
        call(NONE.withSoftcap(2), new float[] {INF, -INF, 0}, 1, index(0), null, null);
        near(lse, 1e-6, Math.log(Math.exp(2) + Math.exp(-2) + 1));
        near(loss, 1e-6, Math.log1p(Math.exp(-4) + Math.exp(-2)));
        assertEquals(0, Math.abs(gradient[0]));
        assertEquals(0, Math.abs(gradient[1]));
    }

    @Test
    void paddingHasNoGradientAndIsNotRead() {
        call(NONE.withClasses(2), new float[] {0, 0, NAN, INF, 0, 0, INF, NAN}, 2, index(0, -100), null, null);
        same(loss, LN2, 0);
        same(gradient, -0.5f, 0.5f, 0, 0, 0, 0, 0, 0);
    }

    @Test
    void softmaxOfLargeLogits() {
        call(NONE, new float[] {1000, 999, 0}, 1, probabilities(0, 0, 0), null, null);
        same(loss, 0);
        call(NONE, new float[] {1000, 999, 0}, 1, index(2), null, null, o -> o);
        near(gradient, 6e-8, 0.73105858, 0.26894142, -1);
    }

    @Test
    void probabilitiesOfTextbooks() {
        float[] logits = {(float) Math.log(0.1), (float) Math.log(0.8), (float) Math.log(0.1), (float) Math.log(0.7),
            (float) Math.log(0.1), (float) Math.log(0.2)};
        call(NONE, logits, 2, index(1, 1), null, null);
        near(loss, 5e-4, 0.223, 2.303);
        near(lse, 1e-7, 0, 0);
        assertArrayEquals(new long[] {1, 0}, argmax);
        assertEquals(1, hits);
        near(entropy, 1e-6, -0.8 * Math.log(0.8) - 0.2 * Math.log(0.1),
                -0.7 * Math.log(0.7) - 0.1 * Math.log(0.1) - 0.2 * Math.log(0.2));
    }

    @Test
    void oneHotIsTheIndex() {
        float[] logits = {1.5f, -2, 0.25f, 3, 3, -1};
        call(NONE, logits, 2, index(1, 0), null, null);
        float[] byIndex = loss;
        float[] gradientByIndex = gradient;
        call(NONE, logits, 2, probabilities(0, 1, 0, 1, 0, 0), null, null);
        for (int i = 0; i < 2; i++) {
            assertEquals(byIndex[i], loss[i], 4 * Math.ulp(byIndex[i]));
        }
        for (int i = 0; i < 6; i++) {
            assertEquals(gradientByIndex[i], gradient[i], 1e-6);
        }
    }

    @Test
    void aConstantAddedChangesNothing() {
        float[] logits = {1.5f, -2, 0.25f, 3};
        float[] moved = {17.5f, 14, 16.25f, 19};
        call(NONE.withLabelSmoothing(0.1), logits, 1, index(2), null, null);
        float[] before = loss;
        float[] gradientBefore = gradient;
        call(NONE.withLabelSmoothing(0.1), moved, 1, index(2), null, null);
        same(loss, before);
        same(gradient, gradientBefore);
    }

    @Test
    void gradientsOfARowAddUpToZero() {
        float[] logits = {1.5f, -2, 0.25f, 3, 0, 7, -1, 2};
        for (double smoothing : new double[] {0, 0.2}) {
            call(NONE.withLabelSmoothing(smoothing), logits, 1, index(2), new float[] {1, 2, 3, 0, 0.5f, 1, 1, 4},
                    null);
            double sum = 0;
            for (float g : gradient) {
                sum += g;
            }
            assertEquals(0, sum, 1e-6);
        }
    }
}
