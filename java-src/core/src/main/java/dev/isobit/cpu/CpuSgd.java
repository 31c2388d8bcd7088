package dev.isobit.cpu;

import dev.isobit.SgdGroup;
import dev.isobit.SgdParameter;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SgdScalars;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/** SGD on the CPU. */
final class CpuSgd extends ElementSplit implements SgdKernel {
    private final SgdOperands[] tensors;
    /** Of each worker; none where a step takes all tensors as they stand in memory. */
    private final SgdBlock[] blocks;
    /** Of each worker, the tensors as its block shows them. */
    private final SgdOperands[][] windows;
    private SgdScalars[] scalars = {};

    CpuSgd(CpuBackend backend, List<SgdGroup> groups) {
        this(backend, joined(operands(groups, backend.kernels()), SgdOperands::extendBy)
                .toArray(SgdOperands[]::new));
    }

    private CpuSgd(CpuBackend backend, SgdOperands[] tensors) {
        super(backend, tensors.length);
        this.tensors = tensors;
        for (int i = 0; i < tensors.length; i++) {
            SgdOperands t = tensors[i];
            add(i, t.count, t.storage.param, t.storage.master, t.storage.remainders, t.grad, t.momentumBuffer);
        }
        boolean inBlocks = !Arrays.stream(tensors).allMatch(t -> t.isDirect(backend.kernels()));
        blocks = new SgdBlock[inBlocks ? backend.workers().count() : 0];
        windows = new SgdOperands[blocks.length][tensors.length];
        for (int member = 0; member < blocks.length; member++) {
            blocks[member] = new SgdBlock();
            for (int i = 0; i < tensors.length; i++) {
                windows[member][i] = blocks[member].window(tensors[i], backend.kernels());
            }
        }
    }

    private static Stream<SgdOperands> operands(List<SgdGroup> groups, CpuKernels kernels) {
        List<SgdOperands> all = new ArrayList<>();
        for (int group = 0; group < groups.size(); group++) {
            for (SgdParameter parameter : groups.get(group).parameters()) {
                all.add(new SgdOperands(parameter, all.size(), groups.get(group).options(), group, kernels));
            }
        }
        return all.stream();
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
        SgdOperands window = blocks.length == 0 ? tensors[tensor] : windows[member][tensor];
        if (window == tensors[tensor]) {
            update(window, from, to, s);
        } else {
            blocks[member].run(tensors[tensor], window, from, to, s);
        }
    }

    /** Updates elements [from, to) by what is prepared for them. */
    static void update(SgdOperands operands, long from, long to, SgdScalars s) {
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
