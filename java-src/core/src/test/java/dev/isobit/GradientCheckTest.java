package dev.isobit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class GradientCheckTest {
    private static final double[] X = {0.5, -2, 1, 3e-4};

    private static double loss(double[] x) {
        double sum = 0;
        for (double each : x) {
            sum += Math.sin(each) + each * each * 1e-6;
        }
        return sum;
    }

    private static double[] gradient() {
        double[] gradient = new double[X.length];
        for (int i = 0; i < X.length; i++) {
            gradient[i] = Math.cos(X[i]) + 2e-6 * X[i];
        }
        return gradient;
    }

    @Test
    void aRightGradientPasses() {
        GradientCheck check = GradientCheck.of(GradientCheckTest::loss, X, gradient());
        assertTrue(check.passes(1e-9), check.toString());
        assertEquals(4, check.elements());
    }

    @Test
    void aWrongElementIsNamed() {
        double[] wrong = gradient();
        wrong[1] += 1e-5;
        GradientCheck check = GradientCheck.of(GradientCheckTest::loss, new double[] {X[0], X[1]},
                new double[] {wrong[0], wrong[1]});
        assertFalse(check.passes(1e-6));
        assertEquals(1, check.worstIndex());
        assertEquals(1e-5, check.actual() - check.expected(), 1e-8);
    }

    @Test
    void whatIsNotANumberNeverPasses() {
        assertFalse(GradientCheck.of(x -> x[0], new double[] {1}, new double[] {Double.NaN}).passes(1e300));
        assertFalse(GradientCheck.of(x -> Double.NaN, new double[] {1}, new double[] {1}).passes(1e300));
        assertFalse(GradientCheck.of(x -> x[0] / 0, new double[] {1}, new double[] {1}).passes(1e300));
    }

    @Test
    void lengthsMustFit() {
        var e = assertThrows(IllegalArgumentException.class,
                () -> GradientCheck.of(x -> 0, new double[2], new double[3]));
        assertTrue(e.getMessage().contains("2") && e.getMessage().contains("3"), e.getMessage());
        assertThrows(IllegalArgumentException.class, () -> GradientCheck.of(x -> 0, new double[0], new double[0]));
    }

    /** As README.md shows it: the loss on the reference backend. */
    @Test
    void crossEntropyOnTheReference() {
        double[] z = {0.3, -1, 2, 0.1, 0.2, -0.7};
        long[] shape = {2, 3};
        double[] gradient = new double[6];
        Tensor targets = Tensor.of(new long[] {2, 0}, 2);
        try (Backend reference = Backend.open("reference");
                CrossEntropy op = CrossEntropy.on(reference, CrossEntropyOptions.defaults())) {
            op.gradient(Tensor.of(z, shape), targets, Tensor.of(gradient, shape));
            GradientCheck check = GradientCheck.of(x -> {
                double[] loss = new double[1];
                op.loss(Tensor.of(x, shape), targets, Tensor.of(loss));
                return loss[0];
            }, z, gradient);
            assertTrue(check.passes(1e-9), check.toString());
        }
    }
}
