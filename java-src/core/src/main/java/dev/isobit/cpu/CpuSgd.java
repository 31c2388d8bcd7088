package dev.isobit.cpu;

import dev.isobit.SgdGroup;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SgdScalars;
import java.util.List;

/** SGD on the CPU. */
final class CpuSgd extends ElementSplit implements SgdKernel {
    private final SgdOperands[] tensors;
    private SgdScalars[] scalars = {};

    CpuSgd(CpuBackend backend, List<SgdGroup> groups) {
        super(backend, groups.stream().mapToInt(group -> group.parameters().size()).sum());
        tensors = new SgdOperands[groups.stream().mapToInt(group -> group.parameters().size()).sum()];
        int i = 0;
        for (int group = 0; group < groups.size(); group++) {
            for (var parameter : groups.get(group).parameters()) {
                SgdOperands t = new SgdOperands(parameter, group, backend.kernels());
                add(i, t.count, t.param, t.grad, t.momentumBuffer);
                tensors[i++] = t;
            }
        }
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
