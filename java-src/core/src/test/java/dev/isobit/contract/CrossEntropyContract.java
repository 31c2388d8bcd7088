package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.contract.CrossEntropyCase.Upstream;
import dev.isobit.contract.CrossEntropyCase.Wanted;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Cross-entropy of a float32 backend: the bits of {@link CrossEntropyDefinition}, nothing written beside the outputs,
 * within the promised distance from float64, and what is refused.
 */
public abstract class CrossEntropyContract extends CrossEntropyInputContract {
    /** Kept from test to test and case to case: state left over from one call must not reach the next. */
    private final Map<CrossEntropyOptions, CrossEntropy> ops = new HashMap<>();

    /** For subclasses. */
    protected CrossEntropyContract() {}

    /**
     * How much work a test may be.
     *
     * @return about the elements that one case may have; a backend that is slow by nature takes less
     */
    protected int largestCase() {
        return 110_000;
    }

    /**
     * How many variations of options a size and kind of rows are tried with, and what share of all combinations.
     *
     * @return from 1, few and a tenth, to 10, many and all
     */
    protected int variations() {
        return 10;
    }

    @AfterAll
    void closeOps() {
        ops.values().forEach(CrossEntropy::close);
    }

    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16};

    private CrossEntropy op(CrossEntropyOptions options) {
        return ops.computeIfAbsent(options, o -> CrossEntropy.on(backend(), o));
    }

    private long check(CrossEntropyCase test) {
        return test.check(op(test.options()), block());
    }

    /** Both sides of every vector, lane and segment boundary, every tail, and the vocabularies of real models. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 127, 128, 129, 255, 257,
        511,
        513, 1000, 1023, 1024, 1025, 2047, 2049, 3001, 8191, 8192, 8193, 8209, 9216, 16383, 16384, 16385, 24577, 32000,
        50257})
    void everySizeAndKind(int classes) {
        assumeTrue(classes <= largestCase(), "larger than this backend's largest case");
        int rows = Math.max(1, Math.min(23, largestCase() / classes));
        long compared = 0;
        for (LogitsKind kind : LogitsKind.values()) {
            for (int i = 0; i < (variations() + 1) / 2; i++) {
                long seed = 1_000_003L * classes + 101L * kind.ordinal() + i;
                compared +=
                        check(CrossEntropyCase.random(i == 0 ? rows : 1 + (int) (seed % rows), classes, kind, seed));
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** All options in all combinations, on small rows. */
    @ParameterizedTest
    @EnumSource(LogitsKind.class)
    void everyCombinationOfOptions(LogitsKind kind) {
        int classes = 19;
        long compared = 0;
        long seed = kind.ordinal();
        int combination = kind.ordinal();
        for (Reduction reduction : Reduction.values()) {
            for (long ignoreIndex : new long[] {-100, 0, 18, 7, 19, Integer.MAX_VALUE}) {
                for (Upstream upstream : Upstream.values()) {
                    for (Wanted wanted : Wanted.values()) {
                        if (combination++ % 10 >= variations()) {
                            continue;
                        }
                        DType type = (seed & 1) == 0 ? DType.I64 : DType.I32;
                        compared += check(new CrossEntropyCase(5, classes, kind, reduction, ignoreIndex, type, upstream,
                                wanted, seed++).of(TYPES[combination % 7 % TYPES.length]));
                    }
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Every upstream gradient over rows of few classes, of which there are enough to be worked on together. */
    @ParameterizedTest
    @EnumSource(Upstream.class)
    void everyUpstreamOfSmallRows(Upstream upstream) {
        long compared = 0;
        long seed = upstream.ordinal();
        for (int classes : new int[] {2, 10, 33}) {
            for (Reduction reduction : Reduction.values()) {
                for (long ignoreIndex : new long[] {-100, 1}) {
                    compared += check(new CrossEntropyCase(37, classes, LogitsKind.NORMAL, reduction, ignoreIndex,
                            DType.I64, upstream, Wanted.BOTH, seed++).of(TYPES[(int) (seed % TYPES.length)]));
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Row losses are reduced by lanes and segments over the batch; D counts them. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 15, 16, 17, 127, 129, 1023, 1024, 1025, 8191, 8192, 8193, 16384, 20_011})
    void everyNumberOfRows(int rows) {
        for (int classes : new int[] {1, 2, 3, 37}) {
            if (rows * classes <= Math.max(largestCase(), 20_011)) {
                for (Reduction reduction : Reduction.values()) {
                    for (LogitsKind kind : new LogitsKind[] {LogitsKind.NORMAL, LogitsKind.CONFIDENT,
                        LogitsKind.MASKED}) {
                        assertTrue(check(new CrossEntropyCase(rows, classes, kind, reduction, -100, DType.I32,
                                Upstream.SCALAR, Wanted.BOTH, rows + classes).of(TYPES[(rows + classes) % 3])) > 0);
                    }
                }
            }
        }
    }

    /** More rows than any launch or scratch memory holds at once. */
    @Test
    void aMillionRows() {
        int rows = (1 << 20) + 8192 + 77;
        assumeTrue(largestCase() >= 100_000, "larger than this backend's largest case");
        for (Reduction reduction : Reduction.values()) {
            assertTrue(check(new CrossEntropyCase(rows, 2, LogitsKind.NORMAL, reduction, -100, DType.I64,
                    Upstream.PER_ROW, Wanted.BOTH, 5)) > 0);
        }
    }

    /** A row has the same bits alone, among others and anywhere. */
    @ParameterizedTest
    @ValueSource(ints = {3, 10, 33, 1000, 8193, 20_000})
    void rowsDoNotDependOnEachOther(int classes) {
        assumeTrue(5 * classes <= largestCase(), "larger than this backend's largest case");
        int rows = 7;
        SplittableRandom random = new SplittableRandom(classes);
        float[][] z = new float[rows][classes];
        long[] targets = new long[rows];
        float[] gradLoss = {1, -2, 0.5f, 3e38f, Float.NaN, 2, 3};
        LogitsKind[] kinds = {LogitsKind.NORMAL, LogitsKind.NAN, LogitsKind.CONFIDENT, LogitsKind.WIDE,
            LogitsKind.SEGMENT_LEVELS, LogitsKind.NORMAL, LogitsKind.NORMAL};
        for (int i = 0; i < rows; i++) {
            kinds[i].fill(z[i], random);
            targets[i] = random.nextInt(classes);
        }
        // As many elements equal a maximum in these two together as in two rows that have one each.
        Arrays.fill(z[5], 0, 2, 100);
        z[6][1] = Float.POSITIVE_INFINITY;
        float[][] losses = new float[rows][];
        float[][] gradients = new float[rows][];
        for (int i = 0; i < rows; i++) {
            int row = i;
            run(new int[] {i}, z, targets, gradLoss, (place, loss, gradient) -> {
                losses[row] = loss;
                gradients[row] = gradient;
            });
        }
        int[] many = new int[Math.min(300, largestCase() / classes)];
        int[] plain = new int[many.length];
        for (int i = 0; i < many.length; i++) {
            many[i] = random.nextInt(rows);
            plain[i] = i % 9 == 5 ? 5 : i % 9 == 8 ? 6 : 2 * random.nextInt(2);
        }
        for (int[] order : new int[][] {{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {2, 2, 2}, {1, 0, 1, 0, 4, 4, 1}, many,
            plain}) {
            run(order, z, targets, gradLoss, (place, loss, gradient) -> {
                String what = "row " + order[place] + " at " + place + " of " + Arrays.toString(order);
                Bits.assertSame(what, losses[order[place]], loss);
                Bits.assertSame(what, gradients[order[place]], gradient);
            });
        }
    }

    private interface RowResult {
        void accept(int place, float[] loss, float[] gradient);
    }

    private void run(int[] order, float[][] z, long[] targets, float[] gradLoss, RowResult result) {
        int classes = z[0].length;
        float[] logits = new float[order.length * classes];
        long[] t = new long[order.length];
        float[] g = new float[order.length];
        for (int i = 0; i < order.length; i++) {
            System.arraycopy(z[order[i]], 0, logits, i * classes, classes);
            t[i] = targets[order[i]];
            g[i] = gradLoss[order[i]];
        }
        block().begin(8L * logits.length + 16L * order.length, 5);
        Tensor logitsTensor = block().floats(logits, 3, order.length, classes);
        Tensor targetsTensor = block().indices(DType.I64, t, 0);
        Tensor gradLossTensor = block().floats(g, 1, order.length);
        Tensor loss = block().room(DType.F32, 2, order.length);
        Tensor gradLogits = block().room(DType.F32, 7, order.length, classes);
        block().upload();
        op(new CrossEntropyOptions(Reduction.NONE, -100)).lossAndGradient(logitsTensor, targetsTensor, gradLossTensor,
                loss, gradLogits);
        block().download();
        float[] losses = block().read(loss);
        float[] gradients = block().read(gradLogits);
        for (int i = 0; i < order.length; i++) {
            result.accept(i, Arrays.copyOfRange(losses, i, i + 1),
                    Arrays.copyOfRange(gradients, i * classes, (i + 1) * classes));
        }
    }

    /** Results that anyone can work out, so that definition and backend cannot be wrong together. */
    @Test
    void knownResults() {
        float inf = Float.POSITIVE_INFINITY;
        float nan = Float.NaN;
        float ln2 = 0x1.62e43p-1f;
        expect(new float[] {0, 0}, 0, ln2, new float[] {-0.5f, 0.5f});
        expect(new float[] {-3, -3, -3, -3}, 2, 2 * ln2, new float[] {0.25f, 0.25f, -0.75f, 0.25f});
        expect(new float[] {7}, 0, 0, new float[] {0});
        expect(new float[] {-inf, 1}, 1, 0, new float[] {0, 0});
        expect(new float[] {-inf, 1}, 0, inf, new float[] {-1, 1});
        expect(new float[] {-inf, -inf}, 0, nan, new float[] {nan, nan});
        expect(new float[] {0, inf}, 0, nan, new float[] {nan, nan});
        expect(new float[] {0, inf}, 1, nan, new float[] {nan, nan});
        expect(new float[] {nan, 0}, 1, nan, new float[] {nan, nan});
        expect(new float[] {nan, 0}, -100, 0, new float[] {0, 0});
        expect(new float[] {3e38f, -3e38f}, 1, inf, new float[] {1, -1});
        // The loss of a confident row, exp(-80), is not lost beside 1.
        expect(new float[] {80, 0}, 0, (float) Math.exp(-80), new float[] {-(float) Math.exp(-80),
            (float) Math.exp(-80)});
        float[] zeros = new float[40_000];
        Arrays.fill(zeros, -inf);
        zeros[0] = 5;
        zeros[39_999] = 5;
        float[] gradient = new float[40_000];
        gradient[0] = 0.5f;
        gradient[39_999] = -0.5f;
        expect(zeros, 39_999, ln2, gradient);
    }

    private void expect(float[] logits, long target, float loss, float[] gradient) {
        block().begin(8L * logits.length + 64, 4);
        Tensor z = block().floats(logits, 0, 1, logits.length);
        Tensor t = block().indices(DType.I64, new long[] {target}, 0);
        Tensor l = block().room(DType.F32, 0, 1);
        Tensor g = block().room(DType.F32, 0, 1, logits.length);
        block().upload();
        op(new CrossEntropyOptions(Reduction.NONE, -100)).lossAndGradient(z, t, l, g);
        block().download();
        String what = "logits " + Arrays.toString(Arrays.copyOf(logits, Math.min(logits.length, 9))) + " target "
                + target;
        Bits.assertSame(what, new float[] {loss}, block().read(l));
        Bits.assertSame(what, gradient, block().read(g));
    }

    /** Rows of -0 with one +0, wherever it stands: each is a maximum, also in a vector that has no +0. */
    @ParameterizedTest
    @ValueSource(ints = {5, 9, 16, 17, 31, 33, 65, 100, 1023, 1025})
    void zerosOfBothSigns(int classes) {
        int rows = 3;
        float log = (float) Math.log(classes);
        for (int place = 0; place < classes; place += classes > 100 ? 19 : 1) {
            float[] logits = new float[rows * classes];
            Arrays.fill(logits, -0f);
            for (int row = 0; row < rows; row++) {
                logits[row * classes + place] = 0;
            }
            block().begin(8L * logits.length + 64, 4);
            Tensor z = block().floats(logits, 0, rows, classes);
            Tensor t = block().indices(DType.I64, new long[rows], 0);
            Tensor loss = block().room(DType.F32, 0, rows);
            Tensor gradient = block().room(DType.F32, 0, rows, classes);
            block().upload();
            op(new CrossEntropyOptions(Reduction.NONE, -100)).lossAndGradient(z, t, loss, gradient);
            block().download();
            for (float found : block().read(loss)) {
                assertEquals(log, found, 4 * Math.ulp(log), "+0 at " + place);
            }
            float[] found = block().read(gradient);
            for (int i = 0; i < found.length; i++) {
                float expected = 1f / classes - (i % classes == 0 ? 1 : 0);
                assertEquals(expected, found[i], 6 * Math.ulp(expected), "+0 at " + place + ", element " + i);
            }
        }
    }

    /** All rows ignored: no divisor. */
    @Test
    void allIgnored() {
        float[] z = {Float.NaN, 1, 2, Float.POSITIVE_INFINITY, 0, 0};
        for (Reduction reduction : Reduction.values()) {
            block().begin(256, 4);
            Tensor logits = block().floats(z, 0, 3, 2);
            Tensor targets = block().indices(DType.I32, new long[] {1, 1, 1}, 0);
            Tensor loss = reduction == Reduction.NONE ? block().room(DType.F32, 0, 3) : block().room(DType.F32, 0);
            Tensor gradient = block().room(DType.F32, 1, 3, 2);
            block().upload();
            op(new CrossEntropyOptions(reduction, 1)).lossAndGradient(logits, targets, loss, gradient);
            block().download();
            Bits.assertSame(reduction, new float[6], block().read(gradient));
            Bits.assertSame(reduction, reduction == Reduction.NONE
                    ? new float[3]
                    : new float[] {reduction == Reduction.SUM ? 0 : Float.NaN}, block().read(loss));
        }
    }

    /** Promise 2: at most 4 ULP of the loss, 6 ULP of the gradient, from float64. */
    @ParameterizedTest
    @EnumSource(LogitsKind.class)
    void distanceFromFloat64(LogitsKind kind) {
        long compared = 0;
        try (Backend reference = Backend.open("reference");
                CrossEntropy exact = CrossEntropy.on(reference, new CrossEntropyOptions(Reduction.NONE, -100))) {
            for (int classes : new int[] {2, 10, 1000, 1025, 8193, 32_000}) {
                if (classes > largestCase()) {
                    continue;
                }
                var test = new CrossEntropyCase(3, classes, kind, Reduction.NONE, -100, DType.I64, Upstream.PER_ROW,
                        Wanted.BOTH, classes);
                var outcome = test.run(op(test.options()), block());
                float[] logits = test.logits();
                double[] loss = new double[3];
                double[] gradient = new double[logits.length];
                exact.lossAndGradient(Tensor.of(logits, 3, classes), Tensor.of(test.targets(logits), 3),
                        Tensor.of(test.gradLoss(), 3), Tensor.of(loss, 3), Tensor.of(gradient, 3, classes));
                for (int i = 0; i < 3; i++) {
                    within(4, loss[i], outcome.loss()[i], test + " loss " + i);
                }
                for (int i = 0; i < gradient.length; i++) {
                    within(6, gradient[i], outcome.gradLogits()[i], test + " gradient " + i);
                }
                compared += loss.length + gradient.length;
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Promise 2: the nearest BF16 or F16 in 99.9 % of the gradients, and never but a neighbour of it. */
    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void gradientsOf16BitsAreRounded(DType dtype) {
        long compared = 0;
        long nearest = 0;
        try (Backend reference = Backend.open("reference");
                CrossEntropy exact = CrossEntropy.on(reference, new CrossEntropyOptions(Reduction.NONE, -100))) {
            for (int classes : new int[] {2, 10, 33, 1000, 1025, 8193, 32_000}) {
                for (LogitsKind kind : new LogitsKind[] {LogitsKind.NORMAL, LogitsKind.CONFIDENT, LogitsKind.MASKED}) {
                    if (classes > largestCase()) {
                        continue;
                    }
                    int rows = classes < 100 ? 40 : 3;
                    var test = new CrossEntropyCase(rows, classes, kind, Reduction.NONE, -100, DType.I64,
                            Upstream.PER_ROW, Wanted.BOTH, classes, dtype);
                    float[] found = test.run(op(test.options()), block()).gradLogits();
                    float[] logits = test.logits();
                    double[] gradient = new double[logits.length];
                    exact.gradient(Tensor.of(logits, rows, classes), Tensor.of(test.targets(logits), rows),
                            Tensor.of(test.gradLoss(), rows), Tensor.of(gradient, rows, classes));
                    for (int i = 0; i < gradient.length; i++) {
                        long off = Rounded.distance(dtype, gradient[i], found[i]);
                        if (off > 1) {
                            fail(test + " gradient " + i + " is " + found[i] + ", not " + gradient[i]);
                        }
                        nearest += off == 0 ? 1 : 0;
                        compared++;
                    }
                }
            }
        }
        assertTrue(compared > 1000 && nearest >= 0.999 * compared, nearest + " of " + compared + " are the nearest");
    }

    static void within(double budget, double exact, float value, String what) {
        if (Double.isNaN(exact) || Math.abs(exact) > Float.MAX_VALUE) {
            assertEquals((float) exact, value, what);
            return;
        }
        // Of the binade that holds the exact value, not of the next one if it rounds up to it.
        double ulp = Math.max(Math.scalb(1.0, Math.getExponent(exact) - 23), Float.MIN_VALUE);
        double error = Math.abs(value - exact);
        if (!(error <= budget * ulp + 1e-38)) {
            fail(what + ": " + value + " is " + error / ulp + " ULP from " + exact);
        }
    }
}
