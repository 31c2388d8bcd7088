package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;

/** Binary cross-entropy with logits over some labels, with a weight of positives for each or none: loss and gradient in one call. */
final class BceWorkload extends Workload {
    private static final float SATURATED = 20;

    private final long rows;
    private final long labels;
    private final boolean weighted;
    private final BceWithLogitsOptions options;
    private final BceWithLogitsOperands operands;
    private final Tensor loss;
    private final Tensor gradLogits;
    private final BceWithLogits operation;

    BceWorkload(BenchCase what, Inputs inputs, boolean mean, boolean weighted, Backend backend) {
        super(what, inputs, mean, backend);
        this.weighted = weighted;
        rows = what.shape().get(0);
        labels = what.shape().get(1);
        options = BceWithLogitsOptions.defaults().withReduction(mean ? Reduction.MEAN : Reduction.NONE);
        var plain = BceWithLogitsOperands.of(operand("logits", what.dtype(), rows, labels),
                operand("targets", DType.F32, rows, labels));
        operands = weighted ? plain.withPosWeight(operand("posWeight", DType.F32, labels)) : plain;
        loss = mean ? operand("loss", DType.F32) : operand("loss", DType.F32, rows, labels);
        gradLogits = operand("gradLogits", what.dtype(), rows, labels);
        operation = BceWithLogits.on(backend, options);
    }

    /** Logits and targets are read, gradients written, and losses where they are wanted. */
    @Override
    long bytes() {
        return (2L * what.dtype().byteSize() + 4 + (mean ? 0 : 4)) * what.elements();
    }

    @Override
    void run() {
        operation.lossAndGradient(operands, loss, gradLogits);
    }

    @Override
    void fill(Rng rng) {
        Tensor logits = hostTensor("logits");
        MemorySegment targets = host("targets");
        for (long i = 0; i < what.elements(); i++) {
            boolean positive = rng.nextInt(4) == 0;
            float noise = 2 * rng.nextNormal();
            set(logits, i,
                    inputs == Inputs.SATURATED ? (positive ? SATURATED : -SATURATED) + noise / 4 : noise);
            targets.setAtIndex(ValueLayout.JAVA_FLOAT, i, positive ? 1 : 0);
        }
        if (weighted) {
            uniform(hostTensor("posWeight"), rng, 3, 2);
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
        MemorySegment exactLoss = arena.allocate(mean ? 8 : 8 * what.elements(), 64);
        MemorySegment exactGrad = arena.allocate(8 * what.elements(), 64);
        try (var op = BceWithLogits.on(reference, options)) {
            var plain = BceWithLogitsOperands.of(hostTensor("logits"), hostTensor("targets"));
            op.lossAndGradient(weighted ? plain.withPosWeight(hostTensor("posWeight")) : plain,
                    mean ? Tensor.of(DType.F64, exactLoss) : Tensor.of(DType.F64, exactLoss, rows, labels),
                    Tensor.of(DType.F64, exactGrad, rows, labels));
        }
        return Map.of("loss", exactLoss, "gradLogits", exactGrad);
    }

    @Override
    Peer.Problem problem() {
        return new Peer.Problem(what.operation(), what.dtype(), mean, what.shape(), what.threads(),
                weighted ? hosts("logits", "targets", "posWeight") : hosts("logits", "targets"), Map.of());
    }

    @Override
    public void close() {
        operation.close();
        super.close();
    }
}
