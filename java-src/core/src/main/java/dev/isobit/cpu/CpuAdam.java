package dev.isobit.cpu;

import dev.isobit.AdamGroup;
import dev.isobit.AdamParameter;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** Adam on the CPU. */
final class CpuAdam extends ElementSplit implements AdamKernel {
    /** Elements, of 28 bytes each: more than a core's own caches hold. */
    private static final long LARGE = 1 << 22;

    private final AdamOperands[] tensors;
    /** Of each worker; none where a step takes all tensors as they stand in memory. */
    private final AdamBlock[] blocks;
    /** Of each worker, the tensors as its block shows them. */
    private final AdamOperands[][] windows;
    /** Between one loop and three; none where the tensors are too small for it to matter, or gradients are multiplied. */
    private final @Nullable Trial trial;
    private AdamScalars[] scalars = {};
    private boolean staged;

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
            add(i, t.count, t.storage.param, t.storage.master, t.storage.remainders, t.grad, t.expAvg, t.expAvgSq,
                    t.maxExpAvgSq);
        }
        boolean mayBeStaged = Arrays.stream(tensors).anyMatch(t -> t.staged != t.update);
        trial = !guarded && mayBeStaged && elements() >= LARGE ? new Trial() : null;
        boolean inBlocks = !Arrays.stream(tensors).allMatch(t -> t.isDirect(backend.kernels()));
        blocks = new AdamBlock[inBlocks ? backend.workers().count() : 0];
        windows = new AdamOperands[blocks.length][tensors.length];
        for (int member = 0; member < blocks.length; member++) {
            blocks[member] = new AdamBlock();
            for (int i = 0; i < tensors.length; i++) {
                windows[member][i] = blocks[member].window(tensors[i], backend.kernels());
            }
        }
    }

    private static Stream<AdamOperands> operands(List<AdamGroup> groups, CpuKernels kernels) {
        List<AdamOperands> all = new ArrayList<>();
        for (int group = 0; group < groups.size(); group++) {
            for (AdamParameter parameter : groups.get(group).parameters()) {
                all.add(new AdamOperands(parameter, all.size(), groups.get(group).options(), group, kernels));
            }
        }
        return all.stream();
    }

    @Override
    public void step(AdamScalars[] stepScalars) {
        scalars = stepScalars;
        if (trial == null) {
            updateAll();
            return;
        }
        staged = trial.begin();
        updateAll();
        trial.end();
    }

    @Override
    void update(int member, int tensor, long from, long to) {
        AdamScalars s = scalars[tensors[tensor].group];
        if (!s.enabled) {
            return;
        }
        AdamOperands window = blocks.length == 0 ? tensors[tensor] : windows[member][tensor];
        if (window == tensors[tensor]) {
            update(window, staged ? window.staged : window.update, from, to, s);
        } else {
            blocks[member].run(tensors[tensor], window, from, to, s);
        }
    }

    /** Updates elements [from, to) by one of the kernels that are prepared for them. */
    static void update(AdamOperands operands, AdamUpdate kernel, long from, long to, AdamScalars s) {
        // Not by the vector code itself: were the JIT to take back what it has inlined of a tail, vectors would be boxed.
        long whole = to - (to - from) % kernel.width();
        if (from < whole) {
            kernel.run(operands, from, whole, s);
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
