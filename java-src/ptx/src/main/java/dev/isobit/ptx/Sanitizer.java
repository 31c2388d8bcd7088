package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Watches one launch.
 *
 * <p><b>Races.</b> Two accesses of different threads to the same bytes, at least one a write, race unless one is known
 * to be over when the other happens, or both are strong (atomic, volatile, relaxed and stronger). What is over spreads
 * by barriers of the warp ({@code bar.warp.sync}), the block and the cluster; and, as the PTX memory model has it, from
 * a thread that fences and then writes strongly, to one that reads that place strongly and then fences; where both
 * fences are {@code membar} or {@code fence.sc}, also by way of threads that meet at barriers in between. A shuffle or a
 * vote orders nothing. Two writes of the same value do not race: threads may agree. Only an order
 * that actually happened is judged, so a race is found whatever the schedule, but only on ways that were taken.
 *
 * <p><b>Uninitialised memory.</b> Per byte, whether anybody has written it: for shared memory since the block started,
 * for global memory since it was allocated.
 */
final class Sanitizer {
    private record Key(Finding.Kind kind, int instruction, int other) {}

    /** What a strong write published at an address. */
    private record Publication(Knowledge knowledge, Knowledge inOrder, int block) {}

    private final Grid grid;
    private final Map<Key, Finding> findings = new LinkedHashMap<>();
    private final Map<Allocation, AccessHistory> histories = new HashMap<>();
    private final Map<Long, Publication> publications = new HashMap<>();
    private Allocation lastAllocation;
    private AccessHistory lastHistory;

    Sanitizer(Grid grid) {
        this.grid = grid;
    }

    List<Finding> findings() {
        return List.copyOf(findings.values());
    }

    /** Starts to remember a block. */
    BlockHistory start(Block block) {
        return new BlockHistory(grid.launch.grid().index(block.position), (int) grid.launch.block().size(),
                block.shared.length);
    }

    // Findings

    private void report(Finding.Kind kind, Warp warp, int lane, ThreadLocation other, int otherInstruction,
            long address, java.util.function.Supplier<String> message) {
        Key key = new Key(kind, warp.current.pc, otherInstruction);
        Finding known = findings.get(key);
        findings.put(key, known == null
                ? new Finding(kind, message.get(), warp.locate(lane), other, address, 1)
                : new Finding(kind, known.message(), known.thread(), known.other(), known.address(),
                        known.count() + 1));
    }

    private void report(Finding.Kind kind, Warp warp, int lane, long address,
            java.util.function.Supplier<String> message) {
        report(kind, warp, lane, null, -1, address, message);
    }

    /** An access that memory refused. Returns whether the launch can go on without it. */
    boolean refused(Warp warp, int lane, DeviceFault fault) {
        Finding.Kind kind = switch (fault.kind()) {
            case OUT_OF_BOUNDS -> Finding.Kind.OUT_OF_BOUNDS;
            case MISALIGNED -> Finding.Kind.MISALIGNED;
            case USE_AFTER_FREE -> Finding.Kind.USE_AFTER_FREE;
            case READ_ONLY -> Finding.Kind.READ_ONLY;
            default -> null;
        };
        if (kind != null) {
            report(kind, warp, lane, fault.address(), fault::what);
        }
        return kind != null;
    }

    /** A shuffle that reads a lane which does not take part. */
    void undefinedShuffle(Warp warp, int lane, int from) {
        report(Finding.Kind.UNDEFINED_SHUFFLE, warp, lane, 0, () -> "shuffle from lane " + from
                + ", which does not take part,");
    }

    // Accesses

    /** A thread reads. */
    void read(Warp warp, int lane, Access access, int size, boolean strong) {
        switch (access.space) {
            case GLOBAL -> {
                Allocation allocation = access.allocation;
                long offset = access.address - allocation.base;
                if (!allocation.isWritten(offset, size)) {
                    report(Finding.Kind.UNINITIALISED, warp, lane, access.address, () -> String.format(
                            "read of %d bytes at global 0x%x, in %s, that nobody has written,", size,
                            access.address, allocation));
                }
                check(warp, lane, access, history(allocation), offset, size, strong, false, false);
            }
            case SHARED -> {
                absent(warp, lane, access);
                BlockHistory owner = access.owner.history;
                int offset = (int) access.address;
                if (owner.written.nextClearBit(offset) < offset + size) {
                    report(Finding.Kind.UNINITIALISED, warp, lane, access.address, () -> String.format(
                            "read of %d bytes at shared 0x%x that nobody has written,", size, access.address));
                }
                check(warp, lane, access, owner.shared, offset, size, strong, false, false);
            }
            default -> {
            }
        }
    }

    /** A thread is about to write. {@code same}: what it writes is there already. */
    void write(Warp warp, int lane, Access access, int size, boolean strong, boolean same) {
        switch (access.space) {
            case GLOBAL -> {
                Allocation allocation = access.allocation;
                long offset = access.address - allocation.base;
                allocation.setWritten(offset, size);
                check(warp, lane, access, history(allocation), offset, size, strong, true, same);
            }
            case SHARED -> {
                absent(warp, lane, access);
                BlockHistory owner = access.owner.history;
                int offset = (int) access.address;
                owner.written.set(offset, offset + size);
                check(warp, lane, access, owner.shared, offset, size, strong, true, same);
            }
            default -> {
            }
        }
    }

    private AccessHistory history(Allocation allocation) {
        if (allocation != lastAllocation) {
            lastAllocation = allocation;
            lastHistory = histories.computeIfAbsent(allocation, a -> new AccessHistory(a.size));
        }
        return lastHistory;
    }

    private void check(Warp warp, int lane, Access access, AccessHistory history, long offset, int size,
            boolean strong, boolean write, boolean same) {
        WarpHistory own = warp.history;
        Knowledge knowledge = own.knowledge[lane];
        int thread = own.thread(lane);
        int time = own.times[lane];
        int instruction = warp.current.pc | (strong ? Integer.MIN_VALUE : 0);
        AccessHistory.Page page = history.page(offset, size);
        int[] accesses = page.accesses;
        int last = page.piece(offset + size - 1);
        for (int piece = page.piece(offset); piece <= last; piece++) {
            int writer = AccessHistory.Page.index(piece, AccessHistory.WRITER);
            int reader = AccessHistory.Page.index(piece, AccessHistory.READER);
            int otherReader = AccessHistory.Page.index(piece, AccessHistory.OTHER_READER);
            if (!same && !isOver(own, knowledge, thread, strong, accesses, writer)) {
                race(warp, lane, access, accesses, writer, write ? "write" : "read", "write");
            }
            if (write) {
                if (!isOver(own, knowledge, thread, strong, accesses, reader)) {
                    race(warp, lane, access, accesses, reader, "write", "read");
                } else if (!isOver(own, knowledge, thread, strong, accesses, otherReader)) {
                    race(warp, lane, access, accesses, otherReader, "write", "read");
                }
                page.note(writer, thread, time, instruction);
                accesses[reader] = -1;
                accesses[otherReader] = -1;
            } else if (accesses[reader] < 0 || accesses[reader] == thread
                    || knowledge.covers(own, accesses[reader], accesses[reader + 1])) {
                page.note(reader, thread, time, instruction);
            } else {
                page.note(otherReader, thread, time, instruction);
            }
        }
    }

    private static boolean isOver(WarpHistory own, Knowledge knowledge, int thread, boolean strong, int[] accesses,
            int at) {
        int other = accesses[at];
        return other < 0 || other == thread || strong && accesses[at + 2] < 0
                || knowledge.covers(own, other, accesses[at + 1]);
    }

    private void race(Warp warp, int lane, Access access, int[] accesses, int at, String how, String before) {
        int instruction = accesses[at + 2] & Integer.MAX_VALUE;
        report(Finding.Kind.RACE, warp, lane, warp.locate(accesses[at], instruction), instruction, access.address,
                () -> String.format("%s at %s 0x%x races with a %s", how,
                        access.space.name().toLowerCase(java.util.Locale.ROOT), access.address, before));
    }

    /** Shared memory of another block is only there while that block runs. */
    private void absent(Warp warp, int lane, Access access) {
        Block owner = access.owner;
        if (owner == warp.block) {
            return;
        }
        if (owner.isDone()) {
            report(Finding.Kind.ABSENT_BLOCK, warp, lane, access.address,
                    () -> "access to the shared memory of a block of the cluster that has ended,");
        } else if (!warp.history.knowledge[lane].hasHeardOf(owner.history.firstWarp, owner.history.warps)) {
            report(Finding.Kind.ABSENT_BLOCK, warp, lane, access.address,
                    () -> "access to the shared memory of a block of the cluster that may not have started,");
        }
    }

    // What threads learn from each other

    /** A strong access: passes on what was published here, and what the thread has published. */
    void strong(Warp warp, int lane, Access access, MemoryInstruction.Order order, boolean reads, boolean writes) {
        if (access.space != Space.GLOBAL && access.space != Space.SHARED) {
            return;
        }
        WarpHistory own = warp.history;
        int block = own.block.firstThread;
        long place = access.space == Space.GLOBAL
                ? access.address
                : Long.MIN_VALUE | (long) access.owner.history.firstThread << Access.RANK_SHIFT | access.address;
        if (order == MemoryInstruction.Order.RELEASE || order == MemoryInstruction.Order.ACQUIRE_RELEASE) {
            publish(own, lane, -1);
        }
        Publication there = publications.get(place);
        boolean meant = there != null && (there.block < 0 || there.block == block);
        if (reads && meant) {
            own.seen[lane] = own.seen[lane].join(there.knowledge);
            own.seenInOrder[lane] = own.seenInOrder[lane].join(there.inOrder);
            if (order == MemoryInstruction.Order.ACQUIRE || order == MemoryInstruction.Order.ACQUIRE_RELEASE) {
                own.knowledge[lane] = own.knowledge[lane].join(own.seen[lane]);
            }
        }
        if (writes) {
            Knowledge mine = own.published[lane];
            Knowledge inOrder = mine.join(own.publishedInOrder[lane]);
            if (inOrder != Knowledge.NONE) {
                publications.put(place, reads && there != null
                        ? new Publication(there.knowledge.join(mine), there.inOrder.join(inOrder),
                                own.publishedTo[lane])
                        : new Publication(mine, inOrder, own.publishedTo[lane]));
            } else if (!reads) {
                publications.remove(place); // nothing is passed on by this value
            }
        }
    }

    private static void publish(WarpHistory own, int lane, int toBlock) {
        own.published[lane] = own.knowledge[lane].withThread(own.thread(lane), own.times[lane]).abroad(own);
        own.publishedTo[lane] = toBlock;
        own.times[lane] = ++own.block.time;
    }

    /**
     * A fence.
     *
     * @param inOrder whether it is {@code fence.sc} or {@code membar}
     * @param blockOnly whether it orders for the own block alone
     */
    void fence(Warp warp, int mask, boolean inOrder, boolean blockOnly) {
        WarpHistory own = warp.history;
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            Knowledge seen = inOrder ? own.seenInOrder[lane].join(own.seen[lane]) : own.seen[lane];
            own.knowledge[lane] = own.knowledge[lane].join(seen);
            publish(own, lane, blockOnly ? own.block.firstThread : -1);
            if (inOrder && !blockOnly) {
                own.publishedInOrder[lane] = own.publishedInOrder[lane].join(own.published[lane]);
            }
        }
    }

    /** {@code bar.warp.sync}: these threads know all of each other. */
    void warpBarrier(Warp warp, int mask) {
        WarpHistory own = warp.history;
        Knowledge all = together(own.knowledge, mask).withLanes(mask, own.times);
        BlockHistory.Arrival common = new BlockHistory.Arrival(all, together(own.publishedInOrder, mask),
                together(own.seenInOrder, mask));
        own.block.time++;
        for (int m = mask; m != 0; m &= m - 1) {
            learn(own, Integer.numberOfTrailingZeros(m), common);
        }
    }

    private static void learn(WarpHistory own, int lane, BlockHistory.Arrival common) {
        own.knowledge[lane] = common.knowledge();
        own.publishedInOrder[lane] = common.published();
        own.seenInOrder[lane] = common.seen();
        own.times[lane] = own.block.time;
    }

    private static Knowledge together(Knowledge[] perLane, int mask) {
        List<Knowledge> parts = new ArrayList<>();
        for (int m = mask; m != 0; m &= m - 1) {
            parts.add(perLane[Integer.numberOfTrailingZeros(m)]);
        }
        return Knowledge.joinAll(parts);
    }

    /** A warp arrives at a barrier of its block with all its threads. */
    void arrive(Warp warp, int barrier) {
        WarpHistory own = warp.history;
        BlockHistory block = own.block;
        block.arrivals[barrier] = new BlockHistory.Arrival(
                together(own.knowledge, warp.live).abroad(own).withWarp(block.firstWarp + own.index, block.time),
                together(own.publishedInOrder, warp.live), together(own.seenInOrder, warp.live))
                .and(block.arrivals[barrier]);
        advance(own, warp.live);
    }

    private static void advance(WarpHistory own, int mask) {
        own.block.time++;
        for (int m = mask; m != 0; m &= m - 1) {
            own.times[Integer.numberOfTrailingZeros(m)] = own.block.time;
        }
    }

    /** A barrier is complete: these warps go on, knowing what all that arrived knew. */
    void complete(Block block, int barrier, List<Warp> released, boolean everyone) {
        BlockHistory history = block.history;
        BlockHistory.Arrival arrived = history.arrivals[barrier];
        history.arrivals[barrier] = null;
        BlockHistory.Arrival common = new BlockHistory.Arrival(arrived.knowledge().withBlock(history.time),
                arrived.published(), arrived.seen());
        history.time++;
        for (Warp warp : released) {
            WarpHistory own = warp.history;
            for (int m = warp.live; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                learn(own, lane, everyone
                        ? common
                        : new BlockHistory.Arrival(own.knowledge[lane], own.publishedInOrder[lane],
                                own.seenInOrder[lane]).and(arrived));
            }
        }
    }

    /** Some threads of a warp, or warps of a block, come to a barrier elsewhere or not at all. */
    void divergentBarrier(Warp warp, Fragment at, java.util.function.Supplier<String> message) {
        Fragment current = warp.current;
        warp.current = at;
        report(Finding.Kind.DIVERGENT_BARRIER, warp, Warp.firstLane(at.mask), 0, message);
        warp.current = current;
    }

    /** Threads arrive at the cluster barrier: what they know is added to what is known there. */
    Knowledge clusterArrive(Warp warp, int mask, Knowledge before) {
        WarpHistory own = warp.history;
        Knowledge known = together(own.knowledge, mask).abroad(own);
        if (mask == warp.live) {
            known = known.withWarp(own.block.firstWarp + own.index, own.block.time);
        } else {
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                known = known.withThread(own.thread(lane), own.times[lane]);
            }
        }
        advance(own, mask);
        return before == null ? known : before.join(known);
    }

    /** Threads go on after the cluster barrier. */
    void clusterWait(Warp warp, int mask, Knowledge known) {
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            warp.history.knowledge[lane] = warp.history.knowledge[lane].join(known);
        }
    }
}
