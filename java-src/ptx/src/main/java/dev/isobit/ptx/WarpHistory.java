package dev.isobit.ptx;

import java.util.Arrays;

/** What the sanitizer remembers of the threads of a running warp. */
final class WarpHistory {
    final BlockHistory block;
    final int index;
    /** Per lane: the time that its accesses are stamped with. */
    final int[] times = new int[Lanes.COUNT];
    final Knowledge[] knowledge = new Knowledge[Lanes.COUNT];
    /** Per lane: what its last fence published, for its next strong write to pass on. */
    final Knowledge[] published = new Knowledge[Lanes.COUNT];
    /** Per lane: the block that its last fence was meant for, or -1 for the whole device. */
    final int[] publishedTo = new int[Lanes.COUNT];
    /** Per lane: what its strong reads have seen, for its next fence to take in. */
    final Knowledge[] seen = new Knowledge[Lanes.COUNT];
    /** The same for {@code fence.sc} and {@code membar}, which also order across threads that meet at a barrier. */
    final Knowledge[] publishedInOrder = new Knowledge[Lanes.COUNT];
    final Knowledge[] seenInOrder = new Knowledge[Lanes.COUNT];

    WarpHistory(BlockHistory block, int index) {
        this.block = block;
        this.index = index;
        Arrays.fill(knowledge, Knowledge.NONE);
        for (Knowledge[] perLane : new Knowledge[][] {published, seen, publishedInOrder, seenInOrder}) {
            Arrays.fill(perLane, Knowledge.NONE);
        }
    }

    /** Number in the grid of a thread. */
    int thread(int lane) {
        return block.firstThread + index * Lanes.COUNT + lane;
    }
}
