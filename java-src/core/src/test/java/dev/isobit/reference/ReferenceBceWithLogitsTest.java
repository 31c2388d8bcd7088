package dev.isobit.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class ReferenceBceWithLogitsTest {
    private static final double INF = Double.POSITIVE_INFINITY;
    private static final BceWithLogitsOptions NONE = BceWithLogitsOptions.defaults().withReduction(Reduction.NONE);

    /** Losses, gradients, probabilities. */
    private static double[][] run(BceWithLogitsOptions options, double[] x, double[] t, Tensor posWeight,
            Tensor weights, double gradLoss) {
        double[] loss = new double[options.reduction() == Reduction.NONE ? x.length : 1];
        double[][] results = {loss, new double[x.length], new double[x.length]};
        Tensor lossTensor =
                options.reduction() == Reduction.NONE ? Tensor.of(loss, x.length / 2, 2) : Tensor.of(loss);
        try (Backend backend = Backend.open("reference"); BceWithLogits op = BceWithLogits.on(backend, options)) {
            op.lossAndGradient(
                    new BceWithLogitsOperands(Tensor.of(x, x.length / 2, 2), Tensor.of(t, x.length / 2, 2), posWeight,
                            weights, null, Tensor.of(new double[] {gradLoss}), Tensor.of(results[2], x.length / 2, 2)),
                    lossTensor, Tensor.of(results[1], x.length / 2, 2));
        }
        return results;
    }

    @Test
    void knownValues() {
        // A probability of 0.2, as logit; weights per class and per row.
        double x = Math.log(0.25);
        double[][] result = run(NONE, new double[] {x, x, -x, -x}, new double[] {1, 0, 1, 0},
                Tensor.of(new double[] {3, 5}, 2), Tensor.of(new double[] {1, 2}, 2, 1), 10);
        assertArrayEquals(new double[] {-3 * Math.log(0.2), -Math.log(0.8), -6 * Math.log(0.8), -2 * Math.log(0.2)},
                result[0], 1e-14);
        assertArrayEquals(new double[] {-24, 2, -12, 16}, result[1], 1e-13);
        assertArrayEquals(new double[] {0.2, 0.2, 0.8, 0.8}, result[2], 1e-15);
    }

    /** torchvision's formula, soft targets too, and the gradient by central differences. */
    @Test
    void focalLoss() {
        double[] x = {-3, 2, 0.5, -0.25, 20, -20, 0, 1};
        double[] t = {0, 1, 1, 0, 1, 0, 0.3, 0.9};
        double h = 1e-5;
        for (double gamma : new double[] {0.5, 1, 2, 3.5}) {
            var options = NONE.withFocal(gamma, 0.25);
            double[][] found = run(options, x, t, null, null, 1);
            double[] above = run(options, Arrays.stream(x).map(v -> v + h).toArray(), t, null, null, 1)[0];
            double[] below = run(options, Arrays.stream(x).map(v -> v - h).toArray(), t, null, null, 1)[0];
            for (int i = 0; i < x.length; i++) {
                double p = 1 / (1 + Math.exp(-x[i]));
                double loss = -t[i] * Math.log(p) - (1 - t[i]) * Math.log1p(-p);
                double miss = p * (1 - t[i]) + (1 - p) * t[i];
                double expected = (0.25 * t[i] + 0.75 * (1 - t[i])) * Math.pow(miss, gamma) * loss;
                assertEquals(expected, found[0][i], 1e-6 * expected);
                assertEquals((above[i] - below[i]) / (2 * h), found[1][i], 1e-8, "gradient " + i);
            }
        }
    }

    @Test
    void aConfidentElementKeepsItsLoss() {
        double[][] result = run(NONE, new double[] {80, -80}, new double[] {1, 0}, null, null, 1);
        assertArrayEquals(new double[] {Math.exp(-80), Math.exp(-80)}, result[0], 1e-49);
        assertArrayEquals(new double[] {-Math.exp(-80), Math.exp(-80)}, result[1], 1e-49);
    }

    @Test
    void reductions() {
        double[] x = new double[4];
        double[] t = {1, 0, 0, 0};
        Tensor weights = Tensor.of(new double[] {1, 2, 3, 2}, 2, 2);
        double[][] sum = run(NONE.withReduction(Reduction.SUM), x, t, null, weights, 1);
        assertEquals(8 * Math.log(2), sum[0][0], 1e-14);
        assertArrayEquals(new double[] {-0.5, 1, 1.5, 1}, sum[1], 1e-15);
        double[][] mean = run(BceWithLogitsOptions.defaults(), x, t, null, weights, 2);
        assertEquals(2 * Math.log(2), mean[0][0], 1e-14);
        assertArrayEquals(new double[] {-0.25, 0.5, 0.75, 0.5}, mean[1], 1e-15);
        double[][] weighted = run(BceWithLogitsOptions.defaults().withWeightedMean(true), x, t, null, weights, 8);
        assertEquals(Math.log(2), weighted[0][0], 1e-14);
        assertArrayEquals(new double[] {-0.5, 1, 1.5, 1}, weighted[1], 1e-15);
    }

    @Test
    void labelSmoothing() {
        double[][] smooth = run(NONE.withLabelSmoothing(0.5), new double[] {3, 3}, new double[] {1, 0}, null, null, 1);
        double[][] soft = run(NONE, new double[] {3, 3}, new double[] {0.75, 0.25}, null, null, 1);
        assertArrayEquals(soft[0], smooth[0], 1e-15);
        assertArrayEquals(soft[1], smooth[1], 1e-15);
    }

    @Test
    void ignoredElements() {
        double[] loss = new double[1];
        double[] gradient = new double[4];
        try (Backend backend = Backend.open("reference");
                BceWithLogits op =
                        BceWithLogits.on(backend, BceWithLogitsOptions.defaults().withIgnoreValue(7))) {
            op.lossAndGradient(BceWithLogitsOperands
                    .of(Tensor.of(new double[] {0, Double.NaN, 0, INF}, 4), Tensor.of(new byte[] {1, 1, 0, 7}, 4))
                    .withMask(Tensor.of(new byte[] {1, 0, 1, 1}, 4)), Tensor.of(loss), Tensor.of(gradient, 4));
        }
        assertEquals(Math.log(2), loss[0], 1e-15);
        assertArrayEquals(new double[] {-0.25, 0, 0.25, 0}, gradient, 1e-16);
    }

    @Test
    void infiniteLogits() {
        double[][] result = run(NONE, new double[] {INF, INF, -INF, -INF, INF, Double.NaN},
                new double[] {1, 0, 1, 0, 0.5, 1}, null, null, 1);
        assertArrayEquals(new double[] {0, INF, INF, 0, INF, Double.NaN}, result[0]);
        assertArrayEquals(new double[] {0, 1, -1, 0, 0.5, Double.NaN}, result[1], 0);
        assertArrayEquals(new double[] {1, 1, 0, 0, 1, Double.NaN}, result[2]);
    }

    /** The gradient of 16-bit logits is that of float64, rounded once. */
    @Test
    void logitsOf16Bits() {
        short[] logits = {NarrowFloats.toF16(0.75f), NarrowFloats.toF16(-3), NarrowFloats.toF16(1e-4f)};
        short[] gradient = new short[3];
        double[] exact = new double[3];
        float[] widened = new float[3];
        for (int i = 0; i < 3; i++) {
            widened[i] = NarrowFloats.fromF16(logits[i]);
        }
        try (Backend reference = Backend.open("reference");
                BceWithLogits op = BceWithLogits.on(reference,
                        BceWithLogitsOptions.defaults().withReduction(Reduction.SUM))) {
            Tensor targets = Tensor.of(new float[] {1, 0, 1}, 3);
            op.gradient(Tensor.of(DType.F16, MemorySegment.ofArray(logits), 3), targets,
                    Tensor.of(DType.F16, MemorySegment.ofArray(gradient), 3));
            op.gradient(Tensor.of(widened, 3), targets, Tensor.of(exact, 3));
        }
        for (int i = 0; i < 3; i++) {
            assertEquals(NarrowFloats.toF16(NarrowFloats.roundedToOdd(exact[i])), gradient[i]);
            assertEquals(exact[i], NarrowFloats.fromF16(gradient[i]), Math.abs(exact[i]) * 0x1p-11);
        }
    }
}
