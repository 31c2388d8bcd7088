package dev.isobit.ptx;

/**
 * Threads of a warp that stand at one instruction. A branch that divides them leaves this fragment waiting at the point
 * where the two ways meet again, and makes two new ones; a call does the same with one. So the fragments of a warp form
 * a tree, and its leaves are what runs.
 */
final class Fragment {
    /** No meeting point: the ways meet nowhere before the end. */
    static final int NOWHERE = -2;

    final Fragment parent;
    /** Where these threads join their parent, or {@link #NOWHERE}. */
    final int join;
    /** Whether the parent waits for a call to return. */
    final boolean call;
    int pc;
    int mask;
    /** Threads of {@code mask} that are still on their way in child fragments. */
    int waiting;
    /** Instructions that this leaf has executed while others waited for it. */
    int steps;
    /** The call that it waits for, if it does. */
    Call calling;
    /** What a leaf waits for. */
    Wait wait = Wait.NONE;
    /** Threads that execute the instruction that this leaf waits at. */
    int waitMask;
    /** The barrier that it waits at. */
    int barrier;

    enum Wait {
        /** Runs. */
        NONE,
        /** At an instruction for named threads of the warp. */
        WARP,
        /** At a barrier of the block, before all threads of the warp have come. */
        GATHER,
        /** At a barrier of the block. */
        BLOCK,
        /** At a cluster barrier. */
        CLUSTER
    }

    Fragment(Fragment parent, int join, boolean call, int pc, int mask) {
        this.parent = parent;
        this.join = join;
        this.call = call;
        this.pc = pc;
        this.mask = mask;
    }
}
