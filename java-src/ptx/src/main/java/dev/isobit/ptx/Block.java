package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

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
    /** What the sanitizer remembers; or null. */
    BlockHistory history;
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
        Arrays.fill(shared, (byte) -1);
        history = grid.sanitizer == null ? null : grid.sanitizer.start(this);
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
        if (grid.sanitizer != null) {
            grid.sanitizer.arrive(warp, id);
            reportElsewhere(warp, id);
        }
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
        grid.changed();
        completeIfFull(id);
    }

    private void reportElsewhere(Warp warp, int id) {
        for (Fragment leaf : warp.leaves()) {
            if (leaf.wait == Fragment.Wait.GATHER && leaf.barrier == id && leaf.pc != warp.current.pc) {
                grid.sanitizer.divergentBarrier(warp, leaf,
                        () -> "barrier that other threads of the warp reach at another place,");
            }
        }
    }

    /** A barrier for the whole block is meant to be one place that all threads reach. */
    private void reportMissing(List<Warp> released, List<Fragment> leaves) {
        for (int i = 1; i < released.size(); i++) {
            if (leaves.get(i).pc != leaves.getFirst().pc && released.get(i) != released.getFirst()) {
                grid.sanitizer.divergentBarrier(released.get(i), leaves.get(i),
                        () -> "barrier that other warps of the block reach at another place,");
            }
        }
        for (Warp warp : warps) {
            if (warp.live != warp.threads) {
                grid.sanitizer.divergentBarrier(released.getFirst(), leaves.getFirst(),
                        () -> "barrier that some threads of the block have ended without reaching,");
                return;
            }
        }
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
        List<Warp> released = new ArrayList<>();
        List<Fragment> leaves = new ArrayList<>();
        for (Warp warp : warps) {
            for (Fragment leaf : warp.leaves()) {
                if (leaf.wait == Fragment.Wait.BLOCK && leaf.barrier == id) {
                    released.add(warp);
                    leaves.add(leaf);
                }
            }
        }
        if (grid.sanitizer != null) {
            long all = released.stream().distinct().count();
            if (barrier.needed == 0 && !released.isEmpty()) {
                reportMissing(released, leaves);
            }
            grid.sanitizer.complete(this, id, released, barrier.needed == 0 && all == liveWarps);
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
        grid.changed();
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
