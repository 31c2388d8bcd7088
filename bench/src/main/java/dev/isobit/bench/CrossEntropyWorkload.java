package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;

/** Cross-entropy over class indices, loss and gradient in one call. */
final class CrossEntropyWorkload extends Workload {
    private static final float CERTAIN = 20;
    private static final float OFFSET = 5000;

    private final long rows;
    private final long classes;
    private final CrossEntropyOptions options;
    private final Tensor logits;
    private final Tensor targets;
    private final Tensor loss;
    private final Tensor gradLogits;
    private final CrossEntropy operation;

    CrossEntropyWorkload(BenchCase what, Inputs inputs, boolean mean, Backend backend) {
        super(what, inputs, mean, backend);
        rows = what.shape().get(0);
        classes = what.shape().get(1);
        options = CrossEntropyOptions.defaults().withReduction(mean ? Reduction.MEAN : Reduction.NONE);
        logits = operand("logits", what.dtype(), rows, classes);
        targets = operand("targets", DType.I64, rows);
        loss = mean ? operand("loss", DType.F32) : operand("loss", DType.F32, rows);
        gradLogits = operand("gradLogits", what.dtype(), rows, classes);
        operation = CrossEntropy.on(backend, options);
    }

    /** A logit is read and its gradient written; a row's target is read, and its loss written where it is wanted. */
    @Override
    long bytes() {
        return 2L * what.dtype().byteSize() * what.elements() + 8 * rows + (mean ? 0 : 4 * rows);
    }

    @Override
    void run() {
        operation.lossAndGradient(logits, targets, loss, gradLogits);
    }

    @Override
    void fill(Rng rng) {
        Tensor values = hostTensor("logits");
        MemorySegment indices = host("targets");
        for (long row = 0; row < rows; row++) {
            long target = rng.nextInt(Math.toIntExact(classes));
            indices.setAtIndex(ValueLayout.JAVA_LONG, row, target);
            float offset = inputs == Inputs.LARGE_OFFSET ? OFFSET * (2 * rng.nextFloat() - 1) : 0;
            for (long k = 0; k < classes; k++) {
                float certain = inputs == Inputs.CONFIDENT_ROWS && k == target ? CERTAIN : 0;
                set(values, row * classes + k, 2 * rng.nextNormal() + offset + certain);
            }
        }
        poison(host("gradLogits"));
        poison(host("loss"));
    }

    @Override
    List<String> outputs() {
        return List.of("loss", "gradLogits");
    }

    @Override
    Map<String, MemorySegment> reference(Backend reference, Arena arena) {
        MemorySegment exactLoss = arena.allocate(mean ? 8 : 8 * rows, 64);
        MemorySegment exactGrad = arena.allocate(8 * what.elements(), 64);
        try (var op = CrossEntropy.on(reference, options)) {
            op.lossAndGradient(hostTensor("logits"),
                    hostTensor("targets"),
                    mean ? Tensor.of(DType.F64, exactLoss) : Tensor.of(DType.F64, exactLoss, rows),
                    Tensor.of(DType.F64, exactGrad, rows, classes));
        }
        return Map.of("loss", exactLoss, "gradLogits", exactGrad);
    }

    @Override
    Peer.Problem problem() {
        return new Peer.Problem(what.operation(), what.dtype(), mean, what.shape(), what.threads(),
                hosts("logits", "targets"),
                Map.of());
    }

    @Override
    public void close() {
        operation.close();
        super.close();
    }
}
