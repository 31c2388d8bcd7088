package dev.isobit.ptx;

/** One decoded instruction: operands are places in the warp's register files. */
abstract class Instruction {
    /** Returned by {@link #execute} when the warp has to pick another fragment. */
    static final int LEAVE = -1;

    /** Offset of the guarding predicate, or -1. */
    int guard = -1;
    /** -1 where the guard is negated, else 0. */
    int flip;
    /** Index of the following instruction. */
    int next;
    SourceLocation location;

    /**
     * Executes for the lanes in {@code mask}, which is never 0.
     *
     * @return index of the instruction that the fragment continues with, or {@link #LEAVE} when its state was changed
     */
    abstract int execute(Warp warp, int mask);
}
