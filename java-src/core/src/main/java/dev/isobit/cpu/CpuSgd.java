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
    private SgdScalars[] scalars = {};

    CpuSgd(CpuBackend backend, List<SgdGroup> groups) {
        this(backend, joined(operands(groups, backend.kernels()), SgdOperands::extendBy).toArray(SgdOperands[]::new));
    }

    private CpuSgd(CpuBackend backend, SgdOperands[] tensors) {
        super(backend, tensors.length);
        this.tensors = tensors;
        for (int i = 0; i < tensors.length; i++) {
            SgdOperands t = tensors[i];
            add(i, t.count, t.param, t.grad, t.momentumBuffer);
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
    void update(int tensor, long from, long to) {
        SgdOperands operands = tensors[tensor];
        SgdScalars s = scalars[operands.group];
        if (s.enabled) {
            // Not by the vector code itself: were the JIT to take back what it has inlined of a tail, vectors would be boxed.
            long whole = to - (to - from) % operands.update.width();
            if (from < whole) {
                operands.update.run(operands, from, whole, s);
            }
            if (whole < to) {
                ScalarKernels.SGD.run(operands, whole, to, s);
            }
        }
    }

    @Override
    public void close() {
        // owns nothing
    }
}
