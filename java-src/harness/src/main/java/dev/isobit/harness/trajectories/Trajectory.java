package dev.isobit.harness.trajectories;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import java.util.List;

/**
 * The way of an optimizer over f(x, y) = 0.5 (x^2 + 24 y^2), whose gradient is (x, 24 y).
 *
 * @param name for people
 * @param settings its options, for people
 * @param points start, and where each step led
 */
record Trajectory(String name, String settings, List<Point> points) {
    static final double STEEPNESS = 24;
    static final int STEPS = 60;
    /** Off the axes: one direction is steep, the other flat. */
    static final Point START = new Point(-4, 1.5f);

    /** A place. */
    record Point(float x, float y) {
        double height() {
            return 0.5 * ((double) x * x + STEEPNESS * y * y);
        }
    }

    /** Does a step on what it was made over. */
    private interface Optimizer extends AutoCloseable {
        void step();

        @Override
        void close();
    }

    /** Makes an optimizer over one parameter. */
    private interface Maker {
        Optimizer on(Backend backend, Tensor param, Tensor grad);
    }

    /** SGD, momentum, Adam and AdamW from the same start. */
    static List<Trajectory> all(Backend backend) {
        SgdOptions sgd = SgdOptions.defaults().withLr(0.08);
        AdamOptions adam = AdamOptions.adam().withLr(0.2);
        AdamOptions adamW = AdamOptions.adamW().withLr(0.2).withWeightDecay(0.5);
        return List.of(run(backend, "SGD", "lr 0.08", sgd(sgd)),
                run(backend, "Momentum", "lr 0.08, momentum 0.9", sgd(sgd.withMomentum(0.9))),
                run(backend, "Adam", "lr 0.2", adam(adam)),
                run(backend, "AdamW", "lr 0.2, weight decay 0.5", adam(adamW)));
    }

    private static Maker sgd(SgdOptions options) {
        return (backend, param, grad) -> {
            Sgd sgd = Sgd.on(backend, options, List.of(SgdParameter.of("p", param, grad)));
            return optimizer(sgd::step, sgd::close);
        };
    }

    private static Maker adam(AdamOptions options) {
        return (backend, param, grad) -> {
            Adam adam = Adam.on(backend, options, List.of(AdamParameter.of("p", param, grad)));
            return optimizer(adam::step, adam::close);
        };
    }

    private static Optimizer optimizer(Runnable step, Runnable close) {
        return new Optimizer() {
            @Override
            public void step() {
                step.run();
            }

            @Override
            public void close() {
                close.run();
            }
        };
    }

    private static Trajectory run(Backend backend, String name, String settings, Maker maker) {
        Point[] points = new Point[STEPS + 1];
        points[0] = START;
        try (Memory params = backend.allocate(2 * Float.BYTES); Memory grads = backend.allocate(2 * Float.BYTES)) {
            Tensor param = Tensor.of(DType.F32, params, 0, 2);
            Tensor grad = Tensor.of(DType.F32, grads, 0, 2);
            backend.copy(Tensor.of(new float[] {START.x, START.y}, 2), param);
            try (Optimizer optimizer = maker.on(backend, param, grad)) {
                float[] at = new float[2];
                for (int i = 0; i < STEPS; i++) {
                    float[] gradient = {points[i].x, (float) STEEPNESS * points[i].y};
                    backend.copy(Tensor.of(gradient, 2), grad);
                    optimizer.step();
                    backend.copy(param, Tensor.of(at, 2));
                    points[i + 1] = new Point(at[0], at[1]);
                }
            }
        }
        return new Trajectory(name, settings, List.of(points));
    }
}
