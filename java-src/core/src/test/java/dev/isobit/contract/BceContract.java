package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.contract.BceCase.Logits;
import dev.isobit.contract.BceCase.Spread;
import dev.isobit.contract.BceCase.Targets;
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
 * Binary cross-entropy of a float32 backend: the bits of {@link BceDefinition}, nothing written beside the outputs, within
 * the promised distance from float64, the edges, and what is refused.
 */
public abstract class BceContract extends BceInputContract {
    private static final float INF = Float.POSITIVE_INFINITY;
    private static final BceWithLogitsOptions NONE = BceWithLogitsOptions.defaults().withReduction(Reduction.NONE);
    private static final BceWithLogitsOptions SUM = NONE.withReduction(Reduction.SUM);
    private static final BceWithLogitsOptions MEAN = NONE.withReduction(Reduction.MEAN);

    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16};

    /** Kept from test to test and case to case: state left over from one call must not reach the next. */
    private final Map<BceWithLogitsOptions, BceWithLogits> ops = new HashMap<>();

    /** For subclasses. */
    protected BceContract() {}

    /**
     * How much work a test may be.
     *
     * @return about the elements that one case may have; a backend that is slow by nature takes less
     */
    protected int largestCase() {
        return 110_000;
    }

    /**
     * How many variations a size is tried with.
     *
     * @return from 1, few, to 10, many
     */
    protected int variations() {
        return 10;
    }

    @AfterAll
    void closeOps() {
        ops.values().forEach(BceWithLogits::close);
    }

    private BceWithLogits op(BceWithLogitsOptions options) {
        return ops.computeIfAbsent(options, o -> BceWithLogits.on(backend(), o));
    }

    private long check(BceCase test) {
        return test.check(op(test.options()), block());
    }

    /** Both sides of every vector, lane and segment boundary, and every tail. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 129, 1023, 1024, 1025, 2049, 8191,
        8192, 8193, 9217, 16384, 16385, 20_011, 100_003})
    void everySize(int count) {
        assumeTrue(count <= largestCase(), "larger than this backend's largest case");
        long compared = 0;
        for (int i = 0; i < (count > 10_000 ? 2 : 4) * variations(); i++) {
            compared += check(BceCase.random(1_000_003L * count + i, count));
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Weights that spread over every shape in every way, on both sides of a block. */
    @ParameterizedTest
    @EnumSource(Spread.class)
    void everyBroadcast(Spread spread) {
        long[][] shapes = {{}, {1}, {7}, {1, 1}, {5, 3}, {3, 1, 5}, {1, 9, 1}, {4, 3, 5}, {2, 3, 4, 5},
            {3, 2, 1, 3, 2, 2},
            {2, 3, 2, 3, 2, 3, 2, 3}, {37, 41}, {3, 1025}, {1025, 3}, {2, 3, 1500}, {5, 1, 2000}, {0}, {0, 3}, {3, 0},
            {2, 5000}, {2, 9000}, {9000, 2}, {3, 1025}, {37, 41}};
        long compared = 0;
        int tried = 0;
        for (long[] shape : shapes) {
            if (Arrays.stream(shape).reduce(1, (a, b) -> a * b) > largestCase()) {
                continue;
            }
            for (int i = 0; i < variations(); i++) {
                BceCase random = BceCase.random(31L * tried++ + i, shape);
                boolean both = i % 3 == 0;
                compared += check(new BceCase(shape, random.kind(), random.targets(),
                        both || i % 3 == 1 ? spread : Spread.ABSENT, both || i % 3 == 2 ? spread : Spread.LAST,
                        i % 4 == 0 ? spread : random.mask(), random.options(), random.upstream(), random.wanted(),
                        random.sigmoid(), random.seed(), random.dtype()));
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** All kinds of logits, targets, upstream gradients and results in all combinations. */
    @ParameterizedTest
    @EnumSource(Logits.class)
    void everyCombinationOfOptions(Logits kind) {
        long compared = 0;
        int combination = 0;
        for (Targets targets : Targets.values()) {
            for (Upstream upstream : Upstream.values()) {
                for (Wanted wanted : Wanted.values()) {
                    for (Reduction reduction : Reduction.values()) {
                        for (boolean weightedMean : new boolean[] {false, true}) {
                            if (combination++ * 7 % 10 >= variations()) {
                                continue;
                            }
                            var options = new BceWithLogitsOptions(reduction, weightedMean, combination % 3 * 0.15,
                                    combination % 4 == 0 ? 1 : Double.NaN);
                            Spread spread = Spread.values()[combination % Spread.values().length];
                            compared += check(new BceCase(new long[] {5, 19}, kind, targets, Spread.LAST, spread,
                                    combination % 7 == 0 ? Spread.FIRST : Spread.ABSENT, options, upstream, wanted,
                                    combination % 5 == 0, combination, TYPES[combination % 11 % TYPES.length]));
                        }
                    }
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** More segments than any launch holds at once, more elements than a chunk of work. */
    @Test
    void aMillionElements() {
        assumeTrue(largestCase() >= 100_000, "larger than this backend's largest case");
        for (BceWithLogitsOptions options : new BceWithLogitsOptions[] {SUM, MEAN.withWeightedMean(true)}) {
            assertTrue(check(new BceCase(new long[] {(1 << 20) + 8192 + 77}, Logits.NORMAL, Targets.SOFT, Spread.SCALAR,
                    Spread.FULL, Spread.ABSENT, options, Upstream.SCALAR, Wanted.BOTH, true, 3)) > 0);
        }
    }

    /** Promise 2: loss, gradient and probability at most 8 ULP from float64. */
    @ParameterizedTest
    @EnumSource(Logits.class)
    void distanceFromFloat64(Logits kind) {
        long compared = 0;
        for (Targets targets : new Targets[] {Targets.BINARY, Targets.SOFT}) {
            for (double labelSmoothing : new double[] {0, 0.1, 1e-4}) {
                var test = new BceCase(new long[] {40, 50}, kind, targets, Spread.LAST, Spread.FIRST,
                        Spread.ABSENT, NONE.withLabelSmoothing(labelSmoothing), Upstream.PER_ROW, Wanted.BOTH, true, 7);
                var outcome = test.run(op(test.options()), block());
                var exact = Float64Bce.of(test);
                for (int i = 0; i < outcome.loss().length; i++) {
                    String what = test + " element " + i + ": logit " + test.logits()[i];
                    within(8, exact.loss()[i], exact.loss()[i], 1, outcome.loss()[i], what);
                    within(8, exact.gradLogits()[i], exact.scale()[i], test.gradLoss()[i], outcome.gradLogits()[i],
                            what);
                    within(8, exact.sigmoid()[i], exact.sigmoid()[i], 1, outcome.sigmoid()[i], what);
                    compared += 3;
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Promise 2: the nearest BF16 or F16 in 99.9 % of the gradients, and never but a neighbour of it. */
    @ParameterizedTest
    @EnumSource(Logits.class)
    void gradientsOf16BitsAreRounded(Logits kind) {
        for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
            int compared = 0;
            int nearest = 0;
            for (double labelSmoothing : new double[] {0, 0.1}) {
                var test = new BceCase(new long[] {70, 90}, kind, Targets.BINARY, Spread.LAST, Spread.FIRST,
                        Spread.ABSENT, NONE.withLabelSmoothing(labelSmoothing), Upstream.PER_ROW, Wanted.BOTH, false, 8,
                        dtype);
                float[] found = test.run(op(test.options()), block()).gradLogits();
                var exact = Float64Bce.of(test);
                for (int i = 0; i < found.length; i++) {
                    double gradient = exact.gradLogits()[i];
                    int off = Rounded.distance(dtype, gradient, found[i]);
                    compared++;
                    nearest += off == 0 ? 1 : 0;
                    // Where the addends nearly cancel, the neighbour is one at the larger addend.
                    double neighbour = Math.abs(Rounded.value(dtype, Rounded.bits(dtype, (float) exact.scale()[i])))
                            * (dtype == DType.BF16 ? 0x1p-7 : 0x1p-10);
                    if (!(off <= 1 || Math.abs(found[i] - gradient) <= neighbour)) {
                        fail(test + " element " + i + " is " + found[i] + ", not " + gradient);
                    }
                }
            }
            assertTrue(nearest >= 0.999 * compared && compared > 10_000, kind + " " + dtype + ": " + nearest + " of "
                    + compared + " are the nearest");
        }
    }

    private static final double[] GAMMAS = {0, 0.5, 1, 1.5, 2, 2.5, 3, 5, 7.5, 8};

    /** Every exponent and alpha with every kind of logits, targets, reduction and result; on both sides of a block. */
    @ParameterizedTest
    @EnumSource(Logits.class)
    void focalLoss(Logits kind) {
        long compared = 0;
        int i = kind.ordinal();
        for (double gamma : GAMMAS) {
            for (double alpha : new double[] {Double.NaN, 0.25, 0, 1}) {
                for (Targets targets : Targets.values()) {
                    if (gamma == 0 && Double.isNaN(alpha)) {
                        continue;
                    }
                    i++;
                    var options = new BceWithLogitsOptions(Reduction.values()[i % 3], i % 2 == 0, i % 4 * 0.05,
                            i % 5 == 0 ? 1 : Double.NaN).withFocal(gamma, alpha);
                    Spread weights = Spread.values()[i % Spread.values().length];
                    long[] shape = i % 6 == 0 ? new long[] {2, 520} : new long[] {3, 1 + i % 37};
                    BceCase test = new BceCase(shape, kind, targets, Spread.ABSENT, weights,
                            i % 7 == 0 ? Spread.FIRST : Spread.ABSENT, options, Upstream.values()[i % 3],
                            Wanted.values()[i % Wanted.values().length], i % 3 == 0, i, TYPES[i % 11 % TYPES.length]);
                    compared += check(test);
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Promise 2 of the focal loss: at most 64 ULP from float64. */
    @ParameterizedTest
    @EnumSource(Logits.class)
    void focalDistanceFromFloat64(Logits kind) {
        for (double gamma : GAMMAS) {
            for (Targets targets : new Targets[] {Targets.BINARY, Targets.SOFT}) {
                for (double labelSmoothing : new double[] {0, 0.1}) {
                    var options = NONE.withLabelSmoothing(labelSmoothing).withFocal(gamma, 0.25);
                    var test = new BceCase(new long[] {20, 50}, kind, targets, Spread.ABSENT, Spread.FIRST,
                            Spread.ABSENT, options, Upstream.PER_ROW, Wanted.BOTH, true, 7);
                    var outcome = test.run(op(options), block());
                    var exact = Float64Bce.of(test);
                    for (int i = 0; i < outcome.loss().length; i++) {
                        String what = test + " element " + i + ": logit " + test.logits()[i] + ", target "
                                + test.targetValues()[i];
                        within(64, exact.loss()[i], exact.loss()[i], 1, outcome.loss()[i], what);
                        within(64, exact.gradLogits()[i], exact.scale()[i], test.gradLoss()[i],
                                outcome.gradLogits()[i], what);
                    }
                }
            }
        }
    }

    /** Promise 2: the nearest BF16 or F16 in 99 % of the focal loss's gradients, and never but a neighbour of it. */
    @ParameterizedTest
    @ValueSource(doubles = {0.5, 2, 8})
    void focalGradientsOf16BitsAreRounded(double gamma) {
        for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
            var options = NONE.withFocal(gamma, 0.25);
            var test = new BceCase(new long[] {70, 90}, Logits.NORMAL, Targets.BINARY, Spread.ABSENT, Spread.FIRST,
                    Spread.ABSENT, options, Upstream.PER_ROW, Wanted.BOTH, false, 8, dtype);
            float[] found = test.run(op(options), block()).gradLogits();
            var exact = Float64Bce.of(test);
            int nearest = 0;
            for (int i = 0; i < found.length; i++) {
                int off = Rounded.distance(dtype, exact.gradLogits()[i], found[i]);
                assertTrue(off <= 1, test + " element " + i);
                nearest += off == 0 ? 1 : 0;
            }
            assertTrue(nearest >= 0.99 * found.length, dtype + ": " + nearest + " of " + found.length);
        }
    }

    /** The paper's example: at gamma 2 an element that is right with probability 0.9 counts a hundredth. */
    @Test
    void whatIsRightCountsForLittle() {
        float x = (float) Math.log(9);
        float[][] plain = focal(NONE.withFocal(0, 1), x);
        float[][] focal = focal(NONE.withFocal(2, 1), x);
        assertEquals(0.1053605f, plain[0][0], 1e-7f);
        assertEquals(0.001053605f, focal[0][0], 1e-9f);
        assertEquals(0.25f * 0.001053605f, focal(NONE.withFocal(2, 0.25), x)[0][0], 1e-9f);
        // -(1 - p)^3 - 2(1 - p)^2·p·loss
        assertEquals(-0.001f - 0.02f * 0.9f * 0.1053605f, focal[1][0], 1e-8f);
    }

    private float[][] focal(BceWithLogitsOptions options, float x) {
        block().begin(256, 4);
        Tensor logits = block().floats(new float[] {x}, 0, 1);
        Tensor targets = block().floats(new float[] {1}, 0, 1);
        Tensor loss = block().room(DType.F32, 0, 1);
        Tensor gradient = block().room(DType.F32, 0, 1);
        block().upload();
        op(options).lossAndGradient(logits, targets, loss, gradient);
        block().download();
        return new float[][] {block().read(loss), block().read(gradient)};
    }

    /** Infinite logits have the focal loss's limits, too; an element that is right has no loss and no gradient. */
    @Test
    void infiniteLogitsOfTheFocalLoss() {
        float[] x = {INF, INF, -INF, -INF, INF, Float.NaN, 200};
        float[] t = {0, 1, 0, 1, 0.5f, 0, 1};
        for (double gamma : new double[] {0.5, 1, 2}) {
            block().begin(1024, 4);
            Tensor logits = block().floats(x, 0, x.length);
            Tensor targets = block().floats(t, 0, t.length);
            Tensor loss = block().room(DType.F32, 0, x.length);
            Tensor gradient = block().room(DType.F32, 0, x.length);
            block().upload();
            op(NONE.withFocal(gamma, 0.25)).lossAndGradient(logits, targets, loss, gradient);
            block().download();
            float half = (float) (0.5 * Math.pow(0.5, gamma) * 0.5);
            near(new float[] {INF, 0, 0, INF, INF, Float.NaN, 0}, block().read(loss), "loss");
            near(new float[] {0.75f, 0, 0, -0.25f, half, Float.NaN, 0}, block().read(gradient), "gradient");
        }
    }

    @Test
    void whatTheFocalLossRefuses() {
        for (double gamma : new double[] {-0.5, 0.3, 8.5, Double.NaN, INF}) {
            var thrown = assertThrows(IllegalArgumentException.class, () -> NONE.withFocal(gamma, 0.25));
            assertTrue(thrown.getMessage().contains("focalGamma " + gamma), thrown.getMessage());
        }
        for (double alpha : new double[] {-1, 1.01}) {
            var thrown = assertThrows(IllegalArgumentException.class, () -> NONE.withFocal(2, alpha));
            assertTrue(thrown.getMessage().contains("focalAlpha " + alpha), thrown.getMessage());
        }
        block().begin(256, 4);
        Tensor one = block().floats(new float[] {1}, 0, 1);
        Tensor loss = block().room(DType.F32, 0, 1);
        refused(IllegalArgumentException.class,
                () -> op(NONE.withFocal(2, 0.25)).loss(BceWithLogitsOperands.of(one, one).withPosWeight(one), loss),
                "BceWithLogits.loss", "focalAlpha 0.25", "posWeight");
    }

    /** What the refusal says instead: alpha = p/(1 + p) and weights of 1 + p weigh positives by p. */
    @Test
    void alphaIsAPosWeight() {
        float[] x = {0.5f, -2, 3, -0.25f, 7, -30};
        float[] t = {1, 0, 0, 1, 1, 1};
        float[][][] found = new float[2][][];
        for (int i = 0; i < 2; i++) {
            block().begin(1024, 5);
            Tensor logits = block().floats(x, 0, x.length);
            Tensor targets = block().floats(t, 0, t.length);
            Tensor weights = block().floats(new float[] {i == 0 ? 4 : 1}, 0, 1);
            Tensor loss = block().room(DType.F32, 0, x.length);
            Tensor gradient = block().room(DType.F32, 0, x.length);
            block().upload();
            op(NONE.withFocal(2, i == 0 ? 0.75 : Double.NaN)).lossAndGradient(
                    BceWithLogitsOperands.of(logits, targets).withWeights(weights), loss, gradient);
            block().download();
            found[i] = new float[][] {block().read(loss), block().read(gradient)};
        }
        for (int output = 0; output < 2; output++) {
            for (int i = 0; i < x.length; i++) {
                float expected = (t[i] == 1 ? 3 : 1) * found[1][output][i];
                assertEquals(expected, found[0][output][i], 2 * Math.ulp(expected), "element " + i);
            }
        }
    }

    private static void within(double budget, double exact, double scale, double upstream, float value, String what) {
        if (Double.isNaN(exact) || Math.abs(exact) > Float.MAX_VALUE) {
            assertEquals((float) exact, value, what);
            return;
        }
        double ulp = Math.max(Math.scalb(1.0, Math.getExponent(scale) - 23), Float.MIN_VALUE);
        double error = Math.abs(value - exact);
        if (!(error <= budget * ulp + 1e-38 * Math.max(1, Math.abs(upstream)))) {
            fail(what + ": " + value + " is " + error / ulp + " ULP from " + exact);
        }
    }

    private void expect(float[] x, float[] t, float[] loss, float[] gradient) {
        expect(x, t, null, null, loss, gradient);
    }

    /** Losses and gradients of elements, NONE, within an ULP where both are finite. */
    private void expect(float[] x, float[] t, float[] posWeight, float[] weights, float[] loss, float[] gradient) {
        block().begin(1 << 12, 6);
        var operands = BceWithLogitsOperands.of(block().floats(x, 0, x.length), block().floats(t, 0, t.length));
        if (posWeight != null) {
            operands = operands.withPosWeight(block().floats(posWeight, 0, posWeight.length));
        }
        if (weights != null) {
            operands = operands.withWeights(block().floats(weights, 0, weights.length));
        }
        Tensor l = block().room(DType.F32, 0, x.length);
        Tensor g = block().room(DType.F32, 0, x.length);
        block().upload();
        op(NONE).lossAndGradient(operands, l, g);
        block().download();
        near(loss, block().read(l), "loss");
        near(gradient, block().read(g), "gradient");
    }

    private static void near(float[] expected, float[] found, String what) {
        for (int i = 0; i < expected.length; i++) {
            if (Float.isNaN(expected[i]) || Float.isInfinite(expected[i])) {
                assertEquals(expected[i], found[i], what + " " + i);
            } else {
                assertEquals(expected[i], found[i], Math.abs(expected[i]) * 2e-7, what + " " + i);
            }
        }
    }

    /** A probability of 0.2 costs 1.609 for a positive and 0.223 for a negative; 0.8 mirrors it. */
    @Test
    void probabilityOfAFifth() {
        float x = (float) Math.log(0.2 / 0.8);
        float[] losses = {1.6094379f, 0.22314355f, 0.22314355f, 1.6094379f};
        expect(new float[] {x, x, -x, -x}, new float[] {1, 0, 1, 0}, losses, new float[] {-0.8f, 0.2f, -0.2f, 0.8f});
    }

    @Test
    void aPosWeightOfOneIsPlain() {
        BceCase plain = new BceCase(new long[] {2000}, Logits.HARD, Targets.SOFT, Spread.ABSENT, Spread.ABSENT,
                Spread.ABSENT, NONE, Upstream.ABSENT, Wanted.BOTH, false, 5);
        float[] x = plain.logits();
        float[] ones = new float[x.length];
        Arrays.fill(ones, 1);
        var expected = plain.expected();
        expect(x, plain.targetValues(), ones, null, expected.loss(), expected.gradLogits());
        expect(x, plain.targetValues(), new float[] {1}, null, expected.loss(), expected.gradLogits());
    }

    /** Cross-entropy of the logits (z, 0) is this loss of z, with the target turned around. */
    @Test
    void crossEntropyOfTwoClassesIsTheSame() {
        float[] z = {0, 1, -1, 5, -7.5f, 20, -20, 80, -80, 0.3f};
        float[] two = new float[2 * z.length];
        float[] t = new float[z.length];
        long[] indices = new long[z.length];
        for (int i = 0; i < z.length; i++) {
            two[2 * i] = z[i];
            t[i] = i % 2;
            indices[i] = 1 - i % 2;
        }
        block().begin(1 << 12, 5);
        Tensor logits = block().floats(two, 0, z.length, 2);
        Tensor classes = block().indices(DType.I64, indices, 0);
        Tensor loss = block().room(DType.F32, 0, z.length);
        Tensor gradient = block().room(DType.F32, 0, z.length, 2);
        block().upload();
        try (CrossEntropy crossEntropy =
                CrossEntropy.on(backend(), CrossEntropyOptions.defaults().withReduction(Reduction.NONE))) {
            crossEntropy.lossAndGradient(logits, classes, loss, gradient);
        }
        block().download();
        float[] losses = block().read(loss);
        float[] gradients = new float[z.length];
        for (int i = 0; i < z.length; i++) {
            gradients[i] = block().read(gradient)[2 * i];
        }
        expect(z, t, losses, gradients);
    }

    /** The loss of a confident element, which 1 - sigmoid(x) would lose from about 17 on, keeps its digits. */
    @Test
    void confidentElementsKeepTheirDigits() {
        float[] x = {20, -20, 88, -88, 100, -100};
        float[] t = {1, 0, 1, 0, 1, 0};
        float[] loss = new float[x.length];
        float[] gradient = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            loss[i] = (float) Math.log1p(Math.exp(-Math.abs(x[i])));
            gradient[i] = (float) (Math.exp(-Math.abs(x[i])) / (1 + Math.exp(-Math.abs(x[i]))) * (t[i] == 1 ? -1 : 1));
        }
        expect(x, t, loss, gradient);
    }

    /** An infinite logit has the limits of loss and gradient, finite or infinite. */
    @Test
    void infiniteLogitsHaveTheLimit() {
        expect(new float[] {INF, INF, -INF, -INF, INF, -INF}, new float[] {1, 0, 1, 0, 0.5f, 0.25f},
                new float[] {0, INF, INF, 0, INF, INF}, new float[] {0, 1, -1, 0, 0.5f, -0.25f});
    }

    @Test
    void zeroTimesInfinityIsZero() {
        // The weight, posWeight and the label as the 0; the logit and the weights as the infinity.
        expect(new float[] {INF, -INF, -INF, 1, 1}, new float[] {0, 1, 1, 0, 1}, new float[] {1, 1, 0, INF, 1},
                new float[] {0, 0, 1, 1, 1}, new float[] {0, 0, 0, 1.3132617f, 0.3132617f},
                new float[] {0, 0, 0, 0.7310586f, -0.26894143f});
    }

    @Test
    void aNaNSpoilsItsElementAlone() {
        float nan = Float.NaN;
        expect(new float[] {nan, 0, 0, 0, 0}, new float[] {1, nan, 1, 1, 1}, new float[] {1, 1, nan, 1, 1},
                new float[] {1, 1, 1, nan, 1}, new float[] {nan, nan, nan, nan, 0.6931472f},
                new float[] {nan, nan, nan, nan, -0.5f});
        expect(new float[] {nan}, new float[] {0}, new float[] {0}, new float[] {0}, new float[] {nan},
                new float[] {nan});
    }

    /** The formula knows no range. */
    @Test
    void targetsOutsideZeroAndOne() {
        expect(new float[] {0, 0, 1, INF, INF}, new float[] {2, -1, 3, 2, -1},
                new float[] {0.6931472f, 0.6931472f, -2 * 1.3132617f + 3 * 0.3132617f, -INF, INF},
                new float[] {-1.5f, 1.5f, -2 * 0.7310586f - 3 * 0.26894143f, -1, 2});
    }

    @Test
    void noElements() {
        for (BceWithLogitsOptions options : new BceWithLogitsOptions[] {NONE, SUM, MEAN,
            MEAN.withWeightedMean(true)}) {
            for (Wanted wanted : Wanted.values()) {
                block().begin(256, 4);
                Tensor x = block().floats(new float[0], 0, 3, 0);
                Tensor loss = options.reduction() == Reduction.NONE
                        ? block().room(DType.F32, 0, 3, 0)
                        : block().room(DType.F32, 0);
                Tensor gradient = block().room(DType.F32, 0, 3, 0);
                block().upload();
                var operands = BceWithLogitsOperands.of(x, x);
                if (wanted.loss() && wanted.gradient()) {
                    op(options).lossAndGradient(operands, loss, gradient);
                } else if (wanted.loss()) {
                    op(options).loss(operands, loss);
                } else {
                    op(options).gradient(operands, gradient);
                }
                block().download();
                if (wanted.loss() && options.reduction() != Reduction.NONE) {
                    float expected = options.reduction() == Reduction.SUM ? 0 : Float.NaN;
                    Bits.assertSame(options, new float[] {expected}, block().read(loss));
                    block().assertUntouchedBut(options, loss);
                } else {
                    block().assertUntouchedBut(options);
                }
            }
        }
    }

    @Test
    void weightsThatAddUpToZero() {
        for (float[] weights : new float[][] {{0, 0, 0}, {1, -1, 0}}) {
            block().begin(256, 5);
            var operands = BceWithLogitsOperands.of(block().floats(new float[] {1, 2, 3}, 0, 3),
                    block().floats(new float[3], 0, 3)).withWeights(block().floats(weights, 0, 3));
            Tensor loss = block().room(DType.F32, 0);
            Tensor gradient = block().room(DType.F32, 0, 3);
            block().upload();
            op(MEAN.withWeightedMean(true)).lossAndGradient(operands, loss, gradient);
            block().download();
            float nan = Float.NaN;
            Bits.assertSame("loss", new float[] {nan}, block().read(loss));
            Bits.assertSame("gradient", new float[] {nan, nan, nan}, block().read(gradient));
        }
    }

    /** Ignored by mask or value: 0, whatever the element holds, and not counted; targets of a byte. */
    @Test
    void ignoredElements() {
        float nan = Float.NaN;
        float ln2 = 0x1.62e43p-1f;
        for (boolean masked : new boolean[] {true, false}) {
            for (Reduction reduction : Reduction.values()) {
                block().begin(512, 6);
                var operands = BceWithLogitsOperands
                        .of(block().floats(new float[] {0, nan, 0, INF}, 1, 4),
                                block().bytes(new byte[] {1, (byte) 255, 0, (byte) 255}, 3, 4))
                        .withWeights(block().floats(new float[] {1, nan, 3, INF}, 0, 4));
                if (masked) {
                    operands = operands.withMask(block().bytes(new byte[] {1, 0, (byte) 200, 0}, 1, 4));
                }
                Tensor loss = reduction == Reduction.NONE
                        ? block().room(DType.F32, 0, 4)
                        : block().room(DType.F32, 0);
                Tensor gradient = block().room(DType.F32, 0, 4);
                block().upload();
                var options = NONE.withReduction(reduction).withWeightedMean(true);
                op(masked ? options : options.withIgnoreValue(255)).lossAndGradient(operands, loss, gradient);
                block().download();
                float divisor = reduction == Reduction.MEAN ? 4 : 1;
                near(reduction == Reduction.NONE
                        ? new float[] {ln2, 0, 3 * ln2, 0}
                        : new float[] {4 * ln2 / divisor}, block().read(loss), "loss");
                near(new float[] {-0.5f / divisor, 0, 1.5f / divisor, 0}, block().read(gradient), "gradient");
            }
        }
    }

    @Test
    void allIgnored() {
        for (boolean weighted : new boolean[] {true, false}) {
            block().begin(256, 5);
            var operands = BceWithLogitsOperands
                    .of(block().floats(new float[3], 0, 3), block().floats(new float[] {2, 2, 2}, 0, 3));
            Tensor loss = block().room(DType.F32, 0);
            Tensor gradient = block().room(DType.F32, 0, 3);
            block().upload();
            op(MEAN.withIgnoreValue(2).withWeightedMean(weighted)).lossAndGradient(operands, loss, gradient);
            block().download();
            Bits.assertSame("loss", new float[] {Float.NaN}, block().read(loss));
            Bits.assertSame("gradient", new float[3], block().read(gradient));
        }
    }

    /** MEAN divides by the number of elements, whatever the weights; by the sum of the weights if asked. */
    @Test
    void divisorsOfTheMean() {
        float ln2 = 0x1.62e43p-1f;
        float[][] expected = {{1.5f * ln2, 0.125f, 0.625f}, {0.5f * 2 * ln2, 0.5f / 6, 2.5f / 6}};
        for (int weighted = 0; weighted < 2; weighted++) {
            block().begin(256, 5);
            var operands =
                    BceWithLogitsOperands.of(block().floats(new float[2], 0, 2), block().floats(new float[2], 0, 2))
                            .withWeights(block().floats(new float[] {0.5f, 2.5f}, 0, 2));
            Tensor loss = block().room(DType.F32, 0);
            Tensor gradient = block().room(DType.F32, 0, 2);
            block().upload();
            op(MEAN.withWeightedMean(weighted == 1)).lossAndGradient(operands, loss, gradient);
            block().download();
            near(new float[] {expected[weighted][0]}, block().read(loss), "loss");
            near(new float[] {expected[weighted][1], expected[weighted][2]}, block().read(gradient), "gradient");
        }
    }

    /** An element has the same bits alone, among others and anywhere. */
    @Test
    void elementsDoNotDependOnEachOther() {
        SplittableRandom random = new SplittableRandom(9);
        float[] x = new float[777];
        float[] t = new float[x.length];
        for (int i = 0; i < x.length; i++) {
            x[i] = Logits.WILD.next(random);
            t[i] = Targets.SOFT.next(random);
        }
        float[][] all = lossAndGradient(x, t);
        for (int from : new int[] {0, 1, 5, 16, 300, 776}) {
            for (int to : new int[] {from + 1, Math.min(from + 37, x.length), x.length}) {
                float[][] some = lossAndGradient(Arrays.copyOfRange(x, from, to), Arrays.copyOfRange(t, from, to));
                for (int result = 0; result < 2; result++) {
                    Bits.assertSame("from " + from + " to " + to, Arrays.copyOfRange(all[result], from, to),
                            some[result]);
                }
            }
        }
    }

    private float[][] lossAndGradient(float[] x, float[] t) {
        block().begin(16L * x.length, 4);
        Tensor logits = block().floats(x, 3, x.length);
        Tensor targets = block().floats(t, 1, x.length);
        Tensor loss = block().room(DType.F32, 2, x.length);
        Tensor gradient = block().room(DType.F32, 7, x.length);
        block().upload();
        op(NONE).lossAndGradient(logits, targets, loss, gradient);
        block().download();
        return new float[][] {block().read(loss), block().read(gradient)};
    }
}
