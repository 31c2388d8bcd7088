package dev.isobit.ptx;

import java.util.HashMap;
import java.util.Map;

/**
 * Which accesses of other threads a thread knows to be over: a vector clock over all threads of the grid, kept small by
 * naming whole blocks and warps where it can. Every block counts time of its own; an access is stamped with its thread
 * and its block's time. Immutable, so that threads which learn the same share one.
 */
final class Knowledge {
    /** Nothing at all. */
    static final Knowledge NONE = new Knowledge(-1, null, Map.of(), Map.of());

    /** All threads of the own block, up to this time. */
    private final int block;
    /** Per lane of the own warp; or null. */
    private final int[] lanes;
    /** Per warp of the grid: all its threads. */
    private final Map<Integer, Integer> warps;
    /** Per thread of the grid. */
    private final Map<Integer, Integer> threads;

    private Knowledge(int block, int[] lanes, Map<Integer, Integer> warps, Map<Integer, Integer> threads) {
        this.block = block;
        this.lanes = lanes;
        this.warps = warps;
        this.threads = threads;
    }

    /** Whether an access is over, as far as a thread in the given warp that has this knowledge can tell. */
    boolean covers(WarpHistory own, int thread, int time) {
        BlockHistory home = own.block;
        int inBlock = thread - home.firstThread;
        if (inBlock >= 0 && inBlock < home.threads) {
            if (time <= block) {
                return true;
            }
            if (lanes != null && inBlock / Lanes.COUNT == own.index && lanes[inBlock % Lanes.COUNT] >= time) {
                return true;
            }
        }
        Integer warp = warps.isEmpty() ? null : warps.get(home.warpOf(thread));
        if (warp != null && warp >= time) {
            return true;
        }
        Integer single = threads.isEmpty() ? null : threads.get(thread);
        return single != null && single >= time;
    }

    /** Whether anything is known of one of these warps of the grid. */
    boolean hasHeardOf(int firstWarp, int count) {
        return warps.keySet().stream().anyMatch(w -> w >= firstWarp && w < firstWarp + count);
    }

    /** What two threads of one warp know together. */
    Knowledge join(Knowledge other) {
        if (this == other || other == NONE) {
            return this;
        }
        int[] both = lanes == null ? other.lanes : lanes;
        if (lanes != null && other.lanes != null) {
            both = lanes.clone();
            for (int i = 0; i < both.length; i++) {
                both[i] = Math.max(both[i], other.lanes[i]);
            }
        }
        return new Knowledge(Math.max(block, other.block), both, union(warps, other.warps),
                union(threads, other.threads));
    }

    /** With the times of these lanes of the own warp. */
    Knowledge withLanes(int mask, int[] times) {
        int[] all = lanes == null ? new int[Lanes.COUNT] : lanes.clone();
        if (lanes == null) {
            java.util.Arrays.fill(all, -1);
        }
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            all[lane] = Math.max(all[lane], times[lane]);
        }
        return new Knowledge(block, all, warps, threads);
    }

    /** What is left once everything of the own block up to this time is known. */
    Knowledge withBlock(int time) {
        return new Knowledge(time, null, warps, threads);
    }

    Knowledge withWarp(int warp, int time) {
        return new Knowledge(block, lanes, union(warps, Map.of(warp, time)), threads);
    }

    Knowledge withThread(int thread, int time) {
        return new Knowledge(block, lanes, warps, union(threads, Map.of(thread, time)));
    }

    /** The same in terms that mean the same in every block. */
    Knowledge abroad(WarpHistory own) {
        if (block < 0 && lanes == null) {
            return this;
        }
        Map<Integer, Integer> allWarps = new HashMap<>(warps);
        if (block >= 0) {
            for (int w = 0; w < own.block.warps; w++) {
                allWarps.merge(own.block.firstWarp + w, block, Math::max);
            }
        }
        Map<Integer, Integer> allThreads = new HashMap<>(threads);
        for (int lane = 0; lanes != null && lane < lanes.length; lane++) {
            if (lanes[lane] >= 0) {
                allThreads.merge(own.thread(lane), lanes[lane], Math::max);
            }
        }
        return new Knowledge(-1, null, allWarps, allThreads);
    }

    private static Map<Integer, Integer> union(Map<Integer, Integer> a, Map<Integer, Integer> b) {
        if (a == b || b.isEmpty()) {
            return a;
        }
        if (a.isEmpty()) {
            return b;
        }
        Map<Integer, Integer> all = new HashMap<>(a);
        b.forEach((key, time) -> all.merge(key, time, Math::max));
        return all;
    }
}
