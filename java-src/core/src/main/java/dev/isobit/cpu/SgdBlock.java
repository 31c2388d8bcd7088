package dev.isobit.cpu;

import dev.isobit.spi.SgdScalars;

/** What one worker of SGD needs beside the tensors, see {@link AdamBlock}. */
final class SgdBlock {
    private final ParamBlock param = new ParamBlock();
    private final NarrowBlock grad = new NarrowBlock();
    private final NarrowBlock momentumBuffer = new NarrowBlock();

    /** A parameter as the update finds it: itself, where nothing stands between. */
    SgdOperands window(SgdOperands of, CpuKernels kernels) {
        return of.isDirect(kernels)
                ? of
                : of.with(param.window(of.storage), NarrowBlock.window(of.grad, grad),
                        NarrowBlock.window(of.momentumBuffer, momentumBuffer), kernels);
    }

    /**
     * Updates elements [from, to).
     *
     * @param tensors the parameter, its gradient and momentum buffer
     * @param window of the same parameter
     * @param from first element
     * @param to element after the last
     * @param s the step's scalars
     */
    void run(SgdOperands tensors, SgdOperands window, long from, long to, SgdScalars s) {
        for (long at = from; at < to;) {
            int count = ParamBlock.together(at, (int) Math.min(NarrowBlock.LENGTH, to - at));
            grad.load(tensors.grad, at, count);
            param.load(tensors.storage, at, count);
            momentumBuffer.load(tensors.momentumBuffer, at, count);
            CpuSgd.update(window, at, at + count, s);
            param.store(tensors.storage, at, count, s.step);
            momentumBuffer.store(tensors.momentumBuffer, at, count);
            at += count;
        }
    }
}
