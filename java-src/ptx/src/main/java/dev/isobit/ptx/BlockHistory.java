package dev.isobit.ptx;

import java.util.BitSet;

/** What the sanitizer remembers of a running block. */
final class BlockHistory {
    /** Numbers of its first thread and warp in the grid. */
    final int firstThread;
    final int firstWarp;
    final int threads;
    final int warps;
    /** Counts the moments at which threads of the block learn from each other. */
    int time;
    /** Who accessed its shared memory. */
    final AccessHistory shared;
    /** Bytes of shared memory that have been written. */
    final BitSet written;
    /** What the threads that have arrived at each barrier know. */
    final Arrival[] arrivals = new Arrival[16];

    /** What threads bring to a barrier. */
    record Arrival(Knowledge knowledge, Knowledge published, Knowledge seen) {
        Arrival and(Arrival other) {
            return other == null
                    ? this
                    : new Arrival(knowledge.join(other.knowledge), published.join(other.published),
                            seen.join(other.seen));
        }
    }

    BlockHistory(long number, int threads, int sharedBytes) {
        this.threads = threads;
        this.warps = (threads + Lanes.COUNT - 1) / Lanes.COUNT;
        this.firstThread = Math.toIntExact(number * threads);
        this.firstWarp = Math.toIntExact(number * warps);
        shared = new AccessHistory(sharedBytes);
        written = new BitSet(sharedBytes);
    }

    /** Number in the grid of the warp that a thread of the grid belongs to. */
    int warpOf(int thread) {
        return thread / threads * warps + thread % threads / Lanes.COUNT;
    }
}
