package dev.isobit.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.LrSchedule;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import dev.isobit.contract.AdamOracle;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ReferenceAdamTest {
    /** One step over one element: param, expAvg, expAvgSq. */
    private static double[] step(AdamOptions options, long step, double p, double g, double m, double v) {
        var param = Tensor.of(new double[] {p}, 1);
        var expAvg = Tensor.of(new double[] {m}, 1);
        var expAvgSq = Tensor.of(new double[] {v}, 1);
        try (Backend backend = Backend.open("reference");
                Adam adam = Adam.on(backend, options, List.of(
                        new AdamParameter("p", param, Tensor.of(new double[] {g}, 1), expAvg, expAvgSq)))) {
            adam.setStepCount(step - 1);
            adam.step();
        }
        return new double[] {param.get(0), expAvg.get(0), expAvgSq.get(0)};
    }

    @Test
    void theFirstStepIsOfSizeLr() {
        double[] after = step(AdamOptions.adam().withLr(0.25).withEps(0), 1, 1, 3, 0, 0);
        assertEquals(0.75, after[0], 1e-15);
        assertEquals(0.3, after[1], 1e-7);
        assertEquals(0.009, after[2], 1e-9);
    }

    @Test
    void weightDecay() {
        // No gradient: AdamW only shrinks; Adam sees the decay as the gradient.
        assertEquals(2 * (1 - 0.5 * 0.125), step(AdamOptions.adamW().withLr(0.5).withWeightDecay(0.125), 1, 2, 0, 0,
                0)[0], 1e-15);
        var adam = AdamOptions.adam().withLr(0.5).withWeightDecay(0.125).withEps(0);
        assertEquals(1.5, step(adam, 1, 2, 0, 0, 0)[0], 1e-15);
        assertEquals(2.5, step(adam.withMaximize(true), 1, 2, 1, 0, 0)[0], 1e-15);
    }

    @Test
    void biasCorrection() {
        double w1 = (float) 0.1;
        double w2 = (float) 0.001;
        double m = 0.5 + w1 * (2 - 0.5);
        double v = 0.25 + w2 * (4 - 0.25);
        double bc1 = 1 - Math.pow(1 - w1, 10);
        double bc2 = 1 - Math.pow(1 - w2, 10);
        double expected = 1 - 0.001 / bc1 * m / (Math.sqrt(v / bc2) + (float) 1e-8);
        double[] after = step(AdamOptions.adam(), 10, 1, 2, 0.5, 0.25);
        assertEquals(expected, after[0], 1e-15);
        assertEquals(m, after[1], 1e-15);
        assertEquals(v, after[2], 1e-15);
    }

    @Test
    void moments() {
        // With beta1 = beta2 = 0 the moments are the gradient and its square; a late step is not corrected.
        double[] after = step(AdamOptions.adam().withBetas(0, 0), 1_000_000, 1, -3, 7, 7);
        assertEquals(-3, after[1]);
        assertEquals(9, after[2]);
        assertEquals(1 + 0.001 * 3 / (3 + (double) 1e-8f), after[0], 1e-15);
    }

    /** Each semantics against its framework's formula; what is left is the rounding of the scalars. */
    @ParameterizedTest
    @EnumSource(AdamSemantics.class)
    void semantics(AdamSemantics semantics) {
        SplittableRandom random = new SplittableRandom(8);
        AdamOptions adam = AdamOptions.adam().withSemantics(semantics).withLr(0.1).withEps(0.01);
        for (AdamOptions options : List.of(adam, adam.withWeightDecay(0.25), adam.withAmsgrad(true),
                AdamOptions.adamW().withSemantics(semantics).withLr(0.5).withWeightDecay(0.25).withMaximize(true))) {
            for (long step : new long[] {1, 2, 10, 1_000_000}) {
                for (int i = 0; i < 20; i++) {
                    double p = random.nextDouble(-1, 1);
                    double g = random.nextDouble(-1, 1);
                    double m = random.nextDouble(-1, 1);
                    double v = random.nextDouble();
                    double x = random.nextDouble();
                    AdamOracle.After exact = new AdamOracle(options).step(step, p, g, m, v, x);
                    var param = Tensor.of(new double[] {p}, 1);
                    var largest = Tensor.of(new double[] {x}, 1);
                    try (Backend backend = Backend.open("reference");
                            Adam op = Adam.on(backend, options, List.of(new AdamParameter("p", param,
                                    Tensor.of(new double[] {g}, 1), Tensor.of(new double[] {m}, 1),
                                    Tensor.of(new double[] {v}, 1), options.amsgrad() ? largest : null)))) {
                        op.setStepCount(step - 1);
                        op.step();
                    }
                    assertEquals(exact.param(), param.get(0), 6e-8 * exact.largest(), options + " step " + step);
                    if (options.amsgrad()) {
                        assertEquals(exact.maxExpAvgSq(), largest.get(0), 1e-15);
                    }
                }
            }
        }
    }

    /** Warm-up, half a cosine, and what is behind it, from the formula; with semantics that take the lr elsewhere, too. */
    @ParameterizedTest
    @EnumSource(AdamSemantics.class)
    void schedule(AdamSemantics semantics) {
        AdamOptions options =
                AdamOptions.adamW().withSemantics(semantics).withLr(0.1).withEps(0.01).withWeightDecay(0.25);
        LrSchedule schedule = LrSchedule.cosine(10, 0.2).withWarmup(5, 0.1);
        for (long step = 1; step <= 20; step++) {
            double factor = step <= 5
                    ? 0.1 + 0.9 * (step - 1) / 5
                    : 0.2 + 0.4 * (1 + Math.cos(Math.PI * Math.min(10, step - 6) / 10));
            AdamOracle.After exact = new AdamOracle(options.withLr(0.1 * factor)).step(step, 0.5, -0.75, 0.25, 0.3, 0);
            assertEquals(exact.param(), step(options.withSchedule(schedule), step, 0.5, -0.75, 0.25, 0.3)[0],
                    6e-8 * exact.largest(), "step " + step);
        }
    }

    @Test
    void scheduleOfSgd() {
        SgdOptions options = SgdOptions.defaults().withLr(0.5).withSchedule(LrSchedule.step(3, 0.1).withWarmup(2, 0));
        double[] lrs = {0, 0.25, 0.5, 0.5, 0.5, 0.05, 0.05, 0.05, 0.005};
        var param = Tensor.of(new double[] {1}, 1);
        double expected = 1;
        try (Backend backend = Backend.open("reference");
                Sgd sgd = Sgd.on(backend, options,
                        List.of(SgdParameter.of("p", param, Tensor.of(new double[] {2}, 1))))) {
            for (double lr : lrs) {
                assertEquals(lr, sgd.scheduledLr(0), 1e-16);
                sgd.step();
                expected -= 2 * lr;
                assertEquals(expected, param.get(0), 1e-7);
            }
        }
    }
}
