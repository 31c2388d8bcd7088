package dev.isobit.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.LogSoftmax;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.Tensor;
import org.junit.jupiter.api.Test;

class ReferenceSoftmaxTest {
    private static double[] forward(boolean logarithm, int axis, double[] z, long... shape) {
        double[] result = new double[z.length];
        SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(axis);
        try (Backend backend = Backend.open("reference");
                Softmax softmax = Softmax.on(backend, options);
                LogSoftmax log = LogSoftmax.on(backend, options)) {
            if (logarithm) {
                log.logProbabilities(Tensor.of(z, shape), Tensor.of(result, shape));
            } else {
                softmax.probabilities(Tensor.of(z, shape), Tensor.of(result, shape));
            }
        }
        return result;
    }

    @Test
    void knownValues() {
        double[] z = {0, Math.log(2), Math.log(5)};
        assertArrayEquals(new double[] {0.125, 0.25, 0.625}, forward(false, -1, z, 3), 1e-15);
        assertArrayEquals(new double[] {-Math.log(8), -Math.log(4), Math.log(0.625)}, forward(true, -1, z, 3), 1e-15);
        assertArrayEquals(new double[] {0.5, 0.2, 0.5, 0.8},
                forward(false, 0, new double[] {3, 0, 3, Math.log(4)}, 2, 2), 1e-15);
        assertEquals(-Math.exp(-80), forward(true, -1, new double[] {80, 0}, 2)[0], 1e-50);
    }

    @Test
    void rowsWithoutSoftmax() {
        double inf = Double.POSITIVE_INFINITY;
        for (double[] z : new double[][] {{1, Double.NaN}, {inf, 0}, {-inf, -inf}}) {
            assertTrue(Double.isNaN(forward(false, -1, z, 2)[0]));
            assertTrue(Double.isNaN(forward(true, -1, z, 2)[1]));
        }
        assertArrayEquals(new double[] {0, 1}, forward(false, -1, new double[] {-inf, 3}, 2));
    }

    /** Against differences of what the forward pass computes. */
    @Test
    void gradientsAreThoseOfTheFunction() {
        double[] z = {0.3, -1.2, 2, 0.7, 0.1, -0.4};
        double[] g = {0.5, -1, 2, 0.25, 3, -2};
        long[] shape = {2, 3};
        for (boolean logarithm : new boolean[] {false, true}) {
            for (int axis = 0; axis < 2; axis++) {
                double[] found = new double[6];
                SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(axis);
                Tensor y = Tensor.of(forward(logarithm, axis, z, shape), shape);
                try (Backend backend = Backend.open("reference");
                        Softmax softmax = Softmax.on(backend, options);
                        LogSoftmax log = LogSoftmax.on(backend, options)) {
                    if (logarithm) {
                        log.gradient(y, Tensor.of(g, shape), Tensor.of(found, shape));
                    } else {
                        softmax.gradient(y, Tensor.of(g, shape), Tensor.of(found, shape));
                    }
                }
                for (int i = 0; i < 6; i++) {
                    double[] up = z.clone();
                    double[] down = z.clone();
                    up[i] += 1e-5;
                    down[i] -= 1e-5;
                    up = forward(logarithm, axis, up, shape);
                    down = forward(logarithm, axis, down, shape);
                    double slope = 0;
                    for (int k = 0; k < 6; k++) {
                        slope += g[k] * (up[k] - down[k]) / 2e-5;
                    }
                    assertEquals(slope, found[i], 1e-9);
                }
            }
        }
    }
}
