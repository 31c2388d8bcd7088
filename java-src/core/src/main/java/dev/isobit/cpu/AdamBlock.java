package dev.isobit.cpu;

import dev.isobit.spi.AdamScalars;

/**
 * What one worker of Adam needs beside the tensors: a block of what the update takes otherwise than it stands in memory,
 * widened from 16 bits, or of a gradient that a guarded step scales and clips.
 */
final class AdamBlock {
    private final boolean guarded;
    private final ScaledGradient scaled = new ScaledGradient();
    private final ParamBlock param = new ParamBlock();
    private final NarrowBlock grad = new NarrowBlock();
    private final NarrowBlock expAvg = new NarrowBlock();
    private final NarrowBlock expAvgSq = new NarrowBlock();
    private final NarrowBlock maxExpAvgSq = new NarrowBlock();

    /** @param guarded whether the scalars say what the gradients are multiplied by and clipped to */
    AdamBlock(boolean guarded) {
        this.guarded = guarded;
    }

    /** A parameter as the update finds it: itself, where nothing stands between. */
    AdamOperands window(AdamOperands of, CpuKernels kernels) {
        return !guarded && of.isWide()
                ? of
                : of.with(param.window(of.storage),
                        guarded ? scaled.operand : NarrowBlock.window(of.grad, grad),
                        NarrowBlock.window(of.expAvg, expAvg), NarrowBlock.window(of.expAvgSq, expAvgSq),
                        NarrowBlock.window(of.maxExpAvgSq, maxExpAvgSq), kernels);
    }

    /**
     * Updates elements [from, to).
     *
     * @param tensors the parameter, its gradient and moments
     * @param window of the same parameter
     * @param from first element
     * @param to element after the last
     * @param s the step's scalars
     */
    void run(AdamOperands tensors, AdamOperands window, long from, long to, AdamScalars s) {
        int length = tensors.isWide() ? ScaledGradient.LENGTH : NarrowBlock.LENGTH;
        for (long at = from; at < to;) {
            int count = ParamBlock.together(at, (int) Math.min(length, to - at));
            if (guarded) {
                scaled.set(tensors.grad, at, count, s);
            } else {
                grad.load(tensors.grad, at, count);
            }
            param.load(tensors.storage, at, count);
            expAvg.load(tensors.expAvg, at, count);
            expAvgSq.load(tensors.expAvgSq, at, count);
            maxExpAvgSq.load(tensors.maxExpAvgSq, at, count);
            CpuAdam.update(window, at, at + count, s);
            param.store(tensors.storage, at, count, s.step);
            expAvg.store(tensors.expAvg, at, count);
            expAvgSq.store(tensors.expAvgSq, at, count);
            maxExpAvgSq.store(tensors.maxExpAvgSq, at, count);
            at += count;
        }
    }
}
