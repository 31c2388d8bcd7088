package dev.isobit.ptx;

import java.util.Arrays;

/** A running block: its warps, its shared memory and its barriers. */
final class Block {
    private static final int BARRIERS = 16;

    /** The arrivals at one barrier. */
    private static final class Arrivals {
        int threads;
        /** Threads needed; 0 for all of the block. */
        int needed;
        int votesAnd;
        int votesOr;
        int votesCount;
    }

    final Grid grid;
    final Warp[] warps;
    final byte[] shared;
    final int[] position = new int[3];
    Cluster cluster;
    int rank;
    private int liveWarps;
    private final Arrivals[] barriers = new Arrivals[BARRIERS];

    Block(Grid grid) {
        this.grid = grid;
        shared = new byte[grid.sharedBytes()];
        warps = new Warp[(int) ((grid.launch.block().size() + Lanes.COUNT - 1) / Lanes.COUNT)];
        for (int i = 0; i < warps.length; i++) {
            warps[i] = new Warp(this, i, grid.program);
        }
        for (int i = 0; i < BARRIERS; i++) {
            barriers[i] = new Arrivals();
        }
    }

    void start(Cluster inCluster, int rankInCluster, int[] at) {
        cluster = inCluster;
        rank = rankInCluster;
        System.arraycopy(at, 0, position, 0, 3);
        Arrays.fill(shared, (byte) 0);
        for (Arrivals barrier : barriers) {
            clear(barrier);
        }
        liveWarps = warps.length;
        for (Warp warp : warps) {
            warp.start();
        }
    }

    boolean isDone() {
        return liveWarps == 0;
    }

    /** The current fragment of a warp comes to a barrier. */
    void arrive(Warp warp, int mask, int id, int needed) {
        if (id < 0 || id >= BARRIERS) {
            throw warp.fault(DeviceFault.Kind.UNDEFINED, Warp.firstLane(mask), 0, "barrier " + id + " does not exist");
        }
        if (needed % Lanes.COUNT != 0) {
            throw warp.fault(DeviceFault.Kind.UNDEFINED, Warp.firstLane(mask), 0,
                    "barrier for " + needed + " threads, no multiple of the warp size");
        }
        warp.current.barrier = id;
        warp.await(Fragment.Wait.GATHER, mask);
        int gathered = 0;
        for (Fragment leaf : warp.leaves()) {
            if (leaf.wait == Fragment.Wait.GATHER && leaf.barrier == id) {
                gathered |= leaf.waitMask;
            }
        }
        if ((warp.live & ~gathered) != 0) {
            return;
        }
        Arrivals barrier = barriers[id];
        for (Fragment leaf : warp.leaves()) {
            if (leaf.wait == Fragment.Wait.GATHER && leaf.barrier == id) {
                BarrierInstruction at = (BarrierInstruction) warp.program.code[leaf.pc];
                vote(barrier, leaf.waitMask, at.votes(warp));
                if (at.waits()) {
                    leaf.wait = Fragment.Wait.BLOCK;
                } else {
                    leaf.wait = Fragment.Wait.NONE;
                    leaf.pc = at.next;
                }
            }
        }
        if (needed != 0) {
            barrier.needed = needed;
        }
        barrier.threads += Lanes.COUNT;
        completeIfFull(id);
    }

    private static void vote(Arrivals barrier, int mask, int votes) {
        barrier.votesAnd &= votes | ~mask;
        barrier.votesOr |= votes & mask;
        barrier.votesCount += Integer.bitCount(votes & mask);
    }

    private void completeIfFull(int id) {
        Arrivals barrier = barriers[id];
        int needed = barrier.needed != 0 ? barrier.needed : liveWarps * Lanes.COUNT;
        if (barrier.threads == 0 || barrier.threads < needed) {
            return;
        }
        for (Warp warp : warps) {
            for (Fragment leaf : warp.leaves()) {
                if (leaf.wait == Fragment.Wait.BLOCK && leaf.barrier == id) {
                    BarrierInstruction at = (BarrierInstruction) warp.program.code[leaf.pc];
                    at.complete(warp, leaf.waitMask, barrier.votesAnd == -1, barrier.votesOr != 0,
                            barrier.votesCount);
                    leaf.wait = Fragment.Wait.NONE;
                    leaf.pc = at.next;
                }
            }
        }
        clear(barrier);
    }

    private static void clear(Arrivals barrier) {
        barrier.threads = 0;
        barrier.needed = 0;
        barrier.votesAnd = -1;
        barrier.votesOr = 0;
        barrier.votesCount = 0;
    }

    void exited(Warp warp, int mask) {
        if (warp.live == 0) {
            liveWarps--;
            for (int id = 0; id < BARRIERS; id++) {
                if (barriers[id].needed == 0 && liveWarps > 0) {
                    completeIfFull(id);
                }
            }
        }
        cluster.exited(warp, mask);
    }
}
