package dev.isobit.ptx;

/** Is told of every instruction that a warp executes, in the order of execution. */
@FunctionalInterface
public interface Tracer {
    /**
     * Called before the instruction takes effect, by the thread that launches.
     *
     * @param block index of the block
     * @param warp number of the warp in its block
     * @param mask the threads of the warp that execute it, one bit each
     * @param source where it comes from
     * @param instruction its line in the PTX
     */
    void step(ThreadLocation.Index block, int warp, int mask, SourceLocation source, String instruction);
}
