package dev.isobit.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class ReferenceCrossEntropyTest {
    private static final float INF = Float.POSITIVE_INFINITY;
    private static final CrossEntropyOptions NONE = CrossEntropyOptions.defaults().withReduction(Reduction.NONE);

    private static double[][] run(CrossEntropyOptions options, float[] logits, int classes, long[] targets,
            double... gradLoss) {
        int rows = targets.length;
        double[] loss = new double[options.reduction() == Reduction.NONE ? rows : 1];
        double[] grad = new double[logits.length];
        try (Backend backend = Backend.open("reference"); CrossEntropy op = CrossEntropy.on(backend, options)) {
            op.lossAndGradient(Tensor.of(logits, rows, classes), Tensor.of(targets, rows),
                    Tensor.of(gradLoss.length == 0 ? new double[] {1} : gradLoss, Math.max(1, gradLoss.length)),
                    Tensor.of(loss, loss.length), Tensor.of(grad, rows, classes));
        }
        return new double[][] {loss, grad};
    }

    @Test
    void knownValues() {
        // softmax of (ln 1, ln 2, ln 5) is (1, 2, 5)/8, up to the rounding of the logits
        float[] logits = {0, (float) Math.log(2), (float) Math.log(5)};
        double[][] result = run(NONE, logits, 3, new long[] {1}, 2);
        assertArrayEquals(new double[] {Math.log(4)}, result[0], 1e-7);
        assertArrayEquals(new double[] {2 / 8.0, -2 * 6 / 8.0, 2 * 5 / 8.0}, result[1], 1e-7);
    }

    /** Three segments with maxima of their own, one of them of -inf. */
    @Test
    void theGradientFromStatesIsTheGradient() {
        int classes = 2 * 8192 + 3;
        float[] logits = new float[classes];
        for (int k = 0; k < classes; k++) {
            logits[k] = k >= 2 * 8192 ? -INF : (float) Math.sin(k) * (k < 8192 ? 1 : 3);
        }
        var options = NONE.withLabelSmoothing(0.1).withZLoss(0.01);
        double[] states = new double[21];
        double[] gradient = new double[classes];
        double[] expected = new double[classes];
        try (Backend backend = Backend.open("reference"); CrossEntropy op = CrossEntropy.on(backend, options)) {
            var operands = CrossEntropyOperands.of(Tensor.of(logits, 1, classes), Tensor.of(new long[] {9000}, 1));
            op.lossAndGradient(operands.withStates(Tensor.of(states, 3, 1, 7)), Tensor.of(new double[1], 1),
                    Tensor.of(expected, 1, classes));
            op.gradient(operands.withSavedStates(Tensor.of(states, 3, 1, 7)), Tensor.of(gradient, 1, classes));
            assertArrayEquals(expected, gradient, 1e-15);
            states[2] *= 2;
            op.gradient(operands.withSavedStates(Tensor.of(states, 3, 1, 7)), Tensor.of(gradient, 1, classes));
            assertNotEquals(expected[0], gradient[0], 1e-7);
        }
    }

    /** In one piece and in three, of F32 and of class probabilities. */
    @Test
    void shardsMakeTheWhole() {
        int classes = 2 * 8192 + 3;
        long[] boundaries = CrossEntropy.shardBoundaries(classes, 3);
        double[] logits = new double[classes];
        double[] labels = new double[classes];
        double[] weights = new double[classes];
        for (int k = 0; k < classes; k++) {
            logits[k] = Math.sin(k) * (k < 8192 ? 1 : 3);
            labels[k] = (k % 5) / (2.0 * classes);
            weights[k] = 1 + Math.cos(k);
        }
        var options = NONE.withLabelSmoothing(0.1).withZLoss(0.01);
        for (boolean soft : new boolean[] {false, true}) {
            double[] expected = new double[3];
            double[] found = new double[3];
            double[] gradient = new double[classes];
            double[] whole = new double[classes];
            double[] states = new double[21];
            double[] targetLogit = new double[1];
            try (Backend backend = Backend.open("reference"); CrossEntropy op = CrossEntropy.on(backend, options)) {
                Tensor target = Tensor.of(new long[] {9000}, 1);
                op.lossAndGradient(results(CrossEntropyOperands.of(Tensor.of(logits, 1, classes),
                        soft ? Tensor.of(labels, 1, classes) : target), expected)
                        .withClassWeights(Tensor.of(weights, classes)), scalar(expected, 0),
                        Tensor.of(whole, 1, classes));
                for (boolean joins : new boolean[] {false, true}) {
                    for (int rank = 0; rank < 3; rank++) {
                        int from = (int) boundaries[rank];
                        int to = (int) boundaries[rank + 1];
                        Tensor x = Tensor.of(Arrays.copyOfRange(logits, from, to), 1, to - from);
                        Tensor t = soft ? Tensor.of(Arrays.copyOfRange(labels, from, to), 1, to - from) : target;
                        var operands = results(CrossEntropyOperands.of(x, t), found)
                                .withClassWeights(Tensor.of(weights, classes)).withShard(from, classes);
                        if (joins) {
                            operands = operands.withSavedStates(Tensor.of(states, 3, 1, 7));
                            operands = soft ? operands : operands.withSavedTargetLogits(Tensor.of(targetLogit, 1));
                            double[] part = new double[to - from];
                            op.lossAndGradient(operands, scalar(found, 0), Tensor.of(part, 1, to - from));
                            System.arraycopy(part, 0, gradient, from, to - from);
                            assertArrayEquals(expected, found, 1e-12);
                        } else {
                            double[] part = new double[7];
                            double[] own = new double[1];
                            operands = operands.withStates(Tensor.of(part, 1, 1, 7));
                            op.states(soft ? operands : operands.withTargetLogits(Tensor.of(own, 1)));
                            System.arraycopy(part, 0, states, 7 * rank, 7);
                            targetLogit[0] += own[0];
                            assertEquals(rank == 1 && !soft ? logits[9000] : 0, own[0]);
                        }
                    }
                }
                assertArrayEquals(whole, gradient, 1e-15);
            }
        }
    }

    private static CrossEntropyOperands results(CrossEntropyOperands operands, double[] results) {
        return operands.withLse(scalar(results, 1)).withEntropy(scalar(results, 2));
    }

    private static Tensor scalar(double[] of, int at) {
        Tensor all = Tensor.of(of, of.length);
        return Tensor.of(DType.F64, all.memory(), 8L * at, 1);
    }

    @Test
    void aConfidentRowKeepsItsLoss() {
        double[][] result = run(NONE, new float[] {80, 0}, 2, new long[] {0});
        assertEquals(Math.exp(-80), result[0][0], 1e-50);
        assertEquals(-Math.exp(-80), result[1][0], 1e-50);
        assertEquals(Math.exp(-80), result[1][1], 1e-50);
    }

    @Test
    void reductions() {
        float[] logits = {0, 0, 0, 0, 9, 7};
        long[] targets = {0, 1, -100};
        double[][] sum = run(NONE.withReduction(Reduction.SUM), logits, 2, targets);
        assertEquals(2 * Math.log(2), sum[0][0], 1e-15);
        assertArrayEquals(new double[] {-0.5, 0.5, 0.5, -0.5, 0, 0}, sum[1], 1e-15);
        double[][] mean = run(CrossEntropyOptions.defaults(), logits, 2, targets, 3);
        assertEquals(Math.log(2), mean[0][0], 1e-15);
        assertArrayEquals(new double[] {-0.75, 0.75, 0.75, -0.75, 0, 0}, mean[1], 1e-15);
    }

    @Test
    void edges() {
        // only -inf; -inf elsewhere; -inf at the target; +inf; ties
        float[] logits = {-INF, -INF, 0, -INF, 0, -INF, 0, INF, 3, 3};
        double[][] result = run(NONE, logits, 2, new long[] {0, 0, 1, 0, 1});
        assertArrayEquals(new double[] {Double.NaN, 0, INF, Double.NaN, Math.log(2)}, result[0]);
        assertArrayEquals(new double[] {Double.NaN, Double.NaN, 0, 0, 1, -1, Double.NaN, Double.NaN, 0.5, -0.5},
                result[1]);
        assertArrayEquals(new double[][] {{0}, {0}}, run(NONE, new float[] {-7}, 1, new long[] {0}, 5));
    }

    @Test
    void emptyAndAllIgnored() {
        var mean = CrossEntropyOptions.defaults();
        assertArrayEquals(new double[][] {{Double.NaN}, {}}, run(mean, new float[0], 2, new long[0]));
        assertArrayEquals(new double[][] {{0}, {}},
                run(mean.withReduction(Reduction.SUM), new float[0], 2, new long[0]));
        assertArrayEquals(new double[][] {{Double.NaN}, {0, 0}},
                run(mean, new float[] {Float.NaN, 1}, 2, new long[] {-100}));
    }

    @Test
    void floatResultsInPlace() {
        float[] logits = {0, (float) Math.log(3)};
        float[] loss = new float[1];
        try (Backend backend = Backend.open("reference");
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            var tensor = Tensor.of(logits, 1, 2);
            op.lossAndGradient(tensor, Tensor.of(new int[] {1}, 1), Tensor.of(loss), tensor);
        }
        assertArrayEquals(new float[] {0.25f, -0.25f}, logits, 1e-7f);
        assertEquals((float) Math.log(4 / 3.0), loss[0], 1e-7f);
    }

    @Test
    void aTargetOutOfRangeWritesNothing() {
        float[] logits = {1, 2};
        float[] before = logits.clone();
        try (Backend backend = Backend.open("reference");
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            var tensor = Tensor.of(logits, 1, 2);
            assertThrows(IllegalArgumentException.class,
                    () -> op.gradient(tensor, Tensor.of(new long[] {2}, 1), tensor));
        }
        assertArrayEquals(before, logits);
    }
}
