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
    private AdamScalars[] scalars = {};

    CpuAdam(CpuBackend backend, List<AdamGroup> groups) {
        this(backend, joined(operands(groups, backend.kernels()), AdamOperands::extendBy).toArray(AdamOperands[]::new));
    }

    private CpuAdam(CpuBackend backend, AdamOperands[] tensors) {
        super(backend, tensors.length);
        this.tensors = tensors;
        for (int i = 0; i < tensors.length; i++) {
            AdamOperands t = tensors[i];
            add(i, t.count, t.param, t.grad, t.expAvg, t.expAvgSq, t.maxExpAvgSq);
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
