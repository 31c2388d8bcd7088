package dev.isobit.ptx;

import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

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
        return this == other || other == NONE ? this : joinAll(List.of(this, other));
    }

    /** What several threads know together; all of one warp, or all in terms that mean the same everywhere. */
    static Knowledge joinAll(List<Knowledge> parts) {
        Set<Knowledge> distinct = Collections.newSetFromMap(new IdentityHashMap<>());
        distinct.addAll(parts);
        distinct.remove(NONE);
        if (distinct.size() < 2) {
            return distinct.isEmpty() ? NONE : distinct.iterator().next();
        }
        int block = -1;
        int[] lanes = null;
        Map<Integer, Integer> warps = new HashMap<>();
        Map<Integer, Integer> threads = new HashMap<>();
        for (Knowledge part : distinct) {
            block = Math.max(block, part.block);
            lanes = latest(lanes, part.lanes);
            part.warps.forEach((warp, time) -> warps.merge(warp, time, Math::max));
            part.threads.forEach((thread, time) -> threads.merge(thread, time, Math::max));
        }
        return new Knowledge(block, lanes, warps, threads);
    }

    private static int[] latest(int[] a, int[] b) {
        if (a == null || b == null) {
            return a == null ? b : a;
        }
        int[] both = a.clone();
        for (int i = 0; i < both.length; i++) {
            both[i] = Math.max(both[i], b[i]);
        }
        return both;
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
        return new Knowledge(block, lanes, with(warps, warp, time), threads);
    }

    Knowledge withThread(int thread, int time) {
        return new Knowledge(block, lanes, warps, with(threads, thread, time));
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

    private static Map<Integer, Integer> with(Map<Integer, Integer> map, int key, int time) {
        Map<Integer, Integer> all = new HashMap<>(map);
        all.merge(key, time, Math::max);
        return all;
    }
}
