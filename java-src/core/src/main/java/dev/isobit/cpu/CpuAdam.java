package dev.isobit.cpu;

import dev.isobit.AdamGroup;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** Adam on the CPU. */
final class CpuAdam extends ElementSplit implements AdamKernel {
    private final AdamOperands[] tensors;
    /** Of each worker, the gradients that a guarded step makes of the parameters'; empty for others. */
    private final ScaledGradient[] scaled;
    /** Of each worker, the same tensors with these gradients. */
    private final AdamOperands[][] withScaled;
    private AdamScalars[] scalars = {};

    /** @param guarded whether the scalars say what the gradients are multiplied by and clipped to */
    CpuAdam(CpuBackend backend, List<AdamGroup> groups, boolean guarded) {
        this(backend, joined(operands(groups, backend.kernels()), AdamOperands::extendBy)
                .toArray(AdamOperands[]::new), guarded);
    }

    private CpuAdam(CpuBackend backend, AdamOperands[] tensors, boolean guarded) {
        super(backend, tensors.length);
        this.tensors = tensors;
        for (int i = 0; i < tensors.length; i++) {
            AdamOperands t = tensors[i];
            add(i, t.count, t.param, t.grad, t.expAvg, t.expAvgSq, t.maxExpAvgSq);
        }
        scaled = new ScaledGradient[guarded ? backend.workers().count() : 0];
        withScaled = new AdamOperands[scaled.length][tensors.length];
        for (int member = 0; member < scaled.length; member++) {
            scaled[member] = new ScaledGradient();
            for (int i = 0; i < tensors.length; i++) {
                withScaled[member][i] = new AdamOperands(tensors[i], scaled[member].operand, backend.kernels());
            }
        }
    }

    private static Stream<AdamOperands> operands(List<AdamGroup> groups, CpuKernels kernels) {
        return IntStream.range(0, groups.size()).boxed().flatMap(group -> groups.get(group).parameters().stream()
                .map(parameter -> new AdamOperands(parameter, group, kernels)));
    }

    @Override
    public void step(AdamScalars[] stepScalars) {
        scalars = stepScalars;
        updateAll();
    }

    @Override
    void update(int member, int tensor, long from, long to) {
        AdamScalars s = scalars[tensors[tensor].group];
        if (!s.enabled) {
            return;
        }
        if (scaled.length == 0) {
            update(tensors[tensor], from, to, s);
            return;
        }
        for (long at = from; at < to; at += ScaledGradient.LENGTH) {
            long end = Math.min(at + ScaledGradient.LENGTH, to);
            scaled[member].set(tensors[tensor].grad, at, (int) (end - at), s);
            update(withScaled[member][tensor], at, end, s);
        }
    }

    private static void update(AdamOperands operands, long from, long to, AdamScalars s) {
        // Not by the vector code itself: were the JIT to take back what it has inlined of a tail, vectors would be boxed.
        long whole = to - (to - from) % operands.update.width();
        if (from < whole) {
            operands.update.run(operands, from, whole, s);
        }
        if (whole < to) {
            ScalarKernels.adam(operands.amsgrad).run(operands, whole, to, s);
        }
    }

    @Override
    public void close() {
        // owns nothing
    }
}
