package dev.isobit.cpu;

import dev.isobit.AdamGroup;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.List;

/** Adam on the CPU. */
final class CpuAdam extends ElementSplit implements AdamKernel {
    private final AdamOperands[] tensors;
    private AdamScalars[] scalars = {};

    CpuAdam(CpuBackend backend, List<AdamGroup> groups) {
        super(backend, groups.stream().mapToInt(group -> group.parameters().size()).sum());
        tensors = new AdamOperands[groups.stream().mapToInt(group -> group.parameters().size()).sum()];
        int i = 0;
        for (int group = 0; group < groups.size(); group++) {
            for (var parameter : groups.get(group).parameters()) {
                AdamOperands t = new AdamOperands(parameter, group, backend.kernels());
                add(i, t.count, t.param, t.grad, t.expAvg, t.expAvgSq, t.maxExpAvgSq);
                tensors[i++] = t;
            }
        }
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
