package dev.isobit.cpu;

import dev.isobit.SgdGroup;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SgdScalars;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/** SGD on the CPU. */
final class CpuSgd extends ElementSplit implements SgdKernel {
    private final SgdOperands[] tensors;
    /** Of each worker, the gradients that a guarded step makes of the parameters'; empty for others. */
    private final ScaledGradient[] scaled;
    /** Of each worker, the same tensors with these gradients. */
    private final SgdOperands[][] withScaled;
    private SgdScalars[] scalars = {};

    /** @param guarded whether the scalars say what the gradients are multiplied by and clipped to */
    CpuSgd(CpuBackend backend, List<SgdGroup> groups, boolean guarded) {
        this(backend, joined(operands(groups, backend.kernels()), SgdOperands::extendBy)
                .toArray(SgdOperands[]::new), guarded);
    }

    private CpuSgd(CpuBackend backend, SgdOperands[] tensors, boolean guarded) {
        super(backend, tensors.length);
        this.tensors = tensors;
        for (int i = 0; i < tensors.length; i++) {
            SgdOperands t = tensors[i];
            add(i, t.count, t.param, t.grad, t.momentumBuffer);
        }
        scaled = new ScaledGradient[guarded ? backend.workers().count() : 0];
        withScaled = new SgdOperands[scaled.length][tensors.length];
        for (int member = 0; member < scaled.length; member++) {
            scaled[member] = new ScaledGradient();
            for (int i = 0; i < tensors.length; i++) {
                withScaled[member][i] = new SgdOperands(tensors[i], scaled[member].operand, backend.kernels());
            }
        }
    }

    private static Stream<SgdOperands> operands(List<SgdGroup> groups, CpuKernels kernels) {
        return IntStream.range(0, groups.size()).boxed().flatMap(group -> groups.get(group).parameters().stream()
                .map(parameter -> new SgdOperands(parameter, group, kernels)));
    }

    @Override
    public void step(SgdScalars[] stepScalars) {
        scalars = stepScalars;
        updateAll();
    }

    @Override
    void update(int member, int tensor, long from, long to) {
        SgdScalars s = scalars[tensors[tensor].group];
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

    private static void update(SgdOperands operands, long from, long to, SgdScalars s) {
        // Not by the vector code itself: were the JIT to take back what it has inlined of a tail, vectors would be boxed.
        long whole = to - (to - from) % operands.update.width();
        if (from < whole) {
            operands.update.run(operands, from, whole, s);
        }
        if (whole < to) {
            ScalarKernels.SGD.run(operands, whole, to, s);
        }
    }

    @Override
    public void close() {
        // owns nothing
    }
}
