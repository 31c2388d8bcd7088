package dev.isobit.cpu;

import dev.isobit.AdamGroup;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.ArrayList;
import java.util.List;

/** Adam on the CPU. */
final class CpuAdam extends ElementSplit implements AdamKernel {
    private final AdamOperands[] tensors;
    private AdamScalars[] scalars = {};

    CpuAdam(CpuBackend backend, List<AdamGroup> groups) {
        this(backend, operands(groups, backend.kernels()));
    }

    private CpuAdam(CpuBackend backend, AdamOperands[] tensors) {
        super(backend, tensors.length);
        this.tensors = tensors;
        for (int i = 0; i < tensors.length; i++) {
            AdamOperands t = tensors[i];
            add(i, t.count, t.param, t.grad, t.expAvg, t.expAvgSq, t.maxExpAvgSq);
        }
    }

    /** Parameters that lie side by side become one: a call for each of thousands of small ones costs more than its work. */
    private static AdamOperands[] operands(List<AdamGroup> groups, CpuKernels kernels) {
        List<AdamOperands> operands = new ArrayList<>();
        for (int group = 0; group < groups.size(); group++) {
            for (var parameter : groups.get(group).parameters()) {
                AdamOperands next = new AdamOperands(parameter, group, kernels);
                if (operands.isEmpty() || !operands.getLast().extendBy(next)) {
                    operands.add(next);
                }
            }
        }
        return operands.toArray(new AdamOperands[0]);
    }

    @Override
    public void step(AdamScalars[] stepScalars) {
        scalars = stepScalars;
        updateAll();
    }

    @Override
    void update(int tensor, long from, long to) {
        AdamOperands operands = tensors[tensor];
        AdamScalars s = scalars[operands.group];
        if (s.enabled) {
            // Not by the vector code itself: were the JIT to take back what it has inlined of a tail, vectors would be boxed.
            long whole = to - (to - from) % operands.update.width();
            if (from < whole) {
                operands.update.run(operands, from, whole, s);
            }
            if (whole < to) {
                ScalarKernels.adam(operands.amsgrad).run(operands, whole, to, s);
            }
        }
    }

    @Override
    public void close() {
        // owns nothing
    }
}
