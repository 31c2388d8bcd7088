package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.Ulp;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Cross-entropy, loss and gradient, F32 [rows, classes] with class indices, on one set of operands: by the cpu backend
 * and by the C baseline, checked against the float64 reference. Seeded: normal logits of deviation 2.
 */
final class CrossEntropyCase implements AutoCloseable {
    /** Bytes that must move for an element: its logit is read, its gradient written. */
    static final long BYTES_PER_ELEMENT = 8;

    private static final long SEED = 20250101;
    /** NUMERICS.md; the mean of the row losses is a sum of float32 as well. */
    private static final double GRADIENT_ULP = 6;
    private static final double LOSS_ULP = 16;
    private static final double TINY = 1e-38;
    /** The baseline's exp is shorter. */
    private static final double BASELINE_TOLERANCE = 1e-5;
    /** Absolute: its loss is the logarithm of a sum that was rounded. */
    private static final double BASELINE_LOSS = 1e-5;
    /** And the gradient of a target is what a cancellation left: of the gradient of a target of probability 0. */
    private static final double BASELINE_CANCELLATION = 4e-7;

    final long rows;
    final long classes;
    final int threads;

    private final Arena arena = Arena.ofShared();
    private final Tensor logits;
    private final Tensor targets;
    private final Tensor loss;
    private final Tensor gradLogits;
    private final MemorySegment rowLoss;
    private final Backend backend;
    private final CrossEntropy operation;

    /**
     * Makes operands.
     *
     * @param rows rows
     * @param classes classes
     * @param threads threads of either side
     * @param heap whether logits and gradient are arrays; the baseline cannot have these
     */
    CrossEntropyCase(long rows, long classes, int threads, boolean heap) {
        this.rows = rows;
        this.classes = classes;
        this.threads = threads;
        logits = heap ? Tensor.of(new float[Math.toIntExact(elements())], rows, classes) : floats(rows, classes);
        gradLogits = heap ? Tensor.of(new float[Math.toIntExact(elements())], rows, classes) : floats(rows, classes);
        targets = Tensor.of(DType.I64, arena.allocate(8 * rows, 64), rows);
        loss = floats();
        rowLoss = arena.allocate(4 * rows, 64);
        var rng = new Rng(SEED);
        MemorySegment values = logits.segment();
        for (long i = 0; i < elements(); i++) {
            values.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * i, 2 * rng.nextNormal());
        }
        MemorySegment indices = targets.segment();
        for (long i = 0; i < rows; i++) {
            indices.set(ValueLayout.JAVA_LONG, 8 * i, rng.nextInt(Math.toIntExact(classes)));
        }
        backend = Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
        operation = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
        poison();
    }

    private Tensor floats(long... shape) {
        long count = 1;
        for (long size : shape) {
            count *= size;
        }
        return Tensor.of(DType.F32, HostMemory.of(arena.allocate(4 * count, 64)), 0, shape);
    }

    long elements() {
        return rows * classes;
    }

    long bytes() {
        return BYTES_PER_ELEMENT * elements();
    }

    /** Makes sure that what is checked later has been written. */
    void poison() {
        MemorySegment values = gradLogits.segment();
        for (long i = 0; i < elements(); i++) {
            values.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * i, Float.NaN);
        }
        loss.segment().set(ValueLayout.JAVA_FLOAT, 0, Float.NaN);
    }

    String description() {
        return backend.description();
    }

    void isobit() {
        operation.lossAndGradient(logits, targets, loss, gradLogits);
    }

    void baseline(Baseline.Variant variant) {
        float mean = Baseline.crossEntropy(((HostMemory) logits.memory()).segment(),
                ((HostMemory) targets.memory()).segment(), rowLoss, ((HostMemory) gradLogits.memory()).segment(), rows,
                classes, 1f / rows, DType.F32, variant, threads);
        ((HostMemory) loss.memory()).segment().set(ValueLayout.JAVA_FLOAT, 0, mean);
    }

    /**
     * Compares loss and gradient as the last run left them with the reference.
     *
     * @param baseline whether the baseline made them: its tolerance is wider
     * @return the largest error of an element, in ULP
     * @throws IllegalStateException if an element is wrong
     */
    double check(boolean baseline) {
        try (Arena own = Arena.ofShared(); Backend reference = Backend.open("reference")) {
            Tensor exactLoss = Tensor.of(DType.F64, own.allocate(8, 8));
            Tensor exact = Tensor.of(DType.F64, own.allocate(8 * elements(), 64), rows, classes);
            try (var op = CrossEntropy.on(reference, CrossEntropyOptions.defaults())) {
                op.lossAndGradient(logits, targets, exactLoss, exact);
            }
            double target = exactLoss.get(0);
            double worst = require("loss", 0, loss.get(0), target,
                    baseline ? BASELINE_LOSS : LOSS_ULP * Ulp.ofFloatAt(target));
            MemorySegment values = gradLogits.segment();
            MemorySegment exactValues = exact.segment();
            for (long i = 0; i < elements(); i++) {
                float value = values.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4 * i);
                target = exactValues.get(ValueLayout.JAVA_DOUBLE, 8 * i);
                boolean ofTarget = i % classes == targets.get(i / classes);
                worst = Math.max(worst, require("gradient", i, value, target,
                        baseline
                                ? BASELINE_TOLERANCE * Math.abs(target)
                                        + (ofTarget ? BASELINE_CANCELLATION / rows : 0)
                                : GRADIENT_ULP * Ulp.ofFloatAt(target)));
            }
            return worst;
        }
    }

    private static double require(String what, long i, double value, double exact, double tolerance) {
        double error = Math.abs(value - exact);
        if (!(error <= tolerance + TINY)) {
            throw new IllegalStateException(what + " " + i + " is " + value + ", the reference has " + exact);
        }
        return error / Ulp.ofFloatAt(exact);
    }

    @Override
    public void close() {
        operation.close();
        backend.close();
        arena.close();
    }
}
