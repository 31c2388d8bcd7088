package dev.isobit.cpu;

import dev.isobit.SgdGroup;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SgdScalars;
import java.util.ArrayList;
import java.util.List;

/** SGD on the CPU. */
final class CpuSgd extends ElementSplit implements SgdKernel {
    private final SgdOperands[] tensors;
    private SgdScalars[] scalars = {};

    CpuSgd(CpuBackend backend, List<SgdGroup> groups) {
        this(backend, operands(groups, backend.kernels()));
    }

    private CpuSgd(CpuBackend backend, SgdOperands[] tensors) {
        super(backend, tensors.length);
        this.tensors = tensors;
        for (int i = 0; i < tensors.length; i++) {
            SgdOperands t = tensors[i];
            add(i, t.count, t.param, t.grad, t.momentumBuffer);
        }
    }

    /** Parameters that lie side by side become one: a call for each of thousands of small ones costs more than its work. */
    private static SgdOperands[] operands(List<SgdGroup> groups, CpuKernels kernels) {
        List<SgdOperands> operands = new ArrayList<>();
        for (int group = 0; group < groups.size(); group++) {
            for (var parameter : groups.get(group).parameters()) {
                SgdOperands next = new SgdOperands(parameter, group, kernels);
                if (operands.isEmpty() || !operands.getLast().extendBy(next)) {
                    operands.add(next);
                }
            }
        }
        return operands.toArray(new SgdOperands[0]);
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
