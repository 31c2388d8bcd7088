package dev.isobit.cpu;

import dev.isobit.spi.AdamScalars;

/**
 * What one worker of Adam needs beside the tensors: blocks of float32 that the update works on in the place of 16 bits that it
 * does not take as they stand in memory.
 */
final class AdamBlock {
    private final ParamBlock param = new ParamBlock();
    private final NarrowBlock grad = new NarrowBlock();
    private final NarrowBlock expAvg = new NarrowBlock();
    private final NarrowBlock expAvgSq = new NarrowBlock();
    private final NarrowBlock maxExpAvgSq = new NarrowBlock();

    /** A parameter as the update finds it: itself, where nothing stands between. */
    AdamOperands window(AdamOperands of, CpuKernels kernels) {
        return of.isDirect(kernels)
                ? of
                : of.with(param.window(of.storage), NarrowBlock.window(of.grad, grad),
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
        for (long at = from; at < to;) {
            int count = ParamBlock.together(at, (int) Math.min(NarrowBlock.LENGTH, to - at));
            grad.load(tensors.grad, at, count);
            param.load(tensors.storage, at, count);
            expAvg.load(tensors.expAvg, at, count);
            expAvgSq.load(tensors.expAvgSq, at, count);
            maxExpAvgSq.load(tensors.maxExpAvgSq, at, count);
            CpuAdam.update(window, window.update, at, at + count, s);
            param.store(tensors.storage, at, count, s.step);
            expAvg.store(tensors.expAvg, at, count);
            expAvgSq.store(tensors.expAvgSq, at, count);
            maxExpAvgSq.store(tensors.maxExpAvgSq, at, count);
            at += count;
        }
    }
}
