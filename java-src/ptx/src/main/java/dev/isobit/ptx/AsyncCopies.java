package dev.isobit.ptx;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/**
 * The {@code cp.async} copies of a warp that are under way. A copy happens as late as it may: when its group is waited
 * for. So a kernel that reads too early does not find its data.
 */
final class AsyncCopies {
    private record Pending(long to, long from, int size, int sourceSize, int pc) {}

    private static final class Lane {
        List<Pending> open = new ArrayList<>();
        final Deque<List<Pending>> groups = new ArrayDeque<>();
    }

    private Lane[] lanes;

    /** {@code cp.async}: notes a copy. */
    static final class Copy extends Instruction {
        private final MemoryInstruction.Address to;
        private final MemoryInstruction.Address from;
        private final int size;
        private final int sourceSize;

        /** @param sourceSize offset of the register with the number of bytes to read; the rest becomes 0 */
        Copy(MemoryInstruction.Address to, MemoryInstruction.Address from, int size, int sourceSize) {
            this.to = to;
            this.from = from;
            this.size = size;
            this.sourceSize = sourceSize;
        }

        @Override
        int execute(Warp warp, int mask) {
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                int bytes = Math.clamp(warp.words[sourceSize + lane], 0, size);
                warp.copies().lane(lane).open.add(new Pending(to.of(warp, lane), from.of(warp, lane), size, bytes,
                        warp.current.pc));
            }
            return next;
        }
    }

    private Lane lane(int index) {
        if (lanes == null) {
            lanes = new Lane[Lanes.COUNT];
        }
        if (lanes[index] == null) {
            lanes[index] = new Lane();
        }
        return lanes[index];
    }

    /** Closes the open groups of these threads. */
    void commit(int mask) {
        for (int m = mask; m != 0; m &= m - 1) {
            Lane lane = lane(Integer.numberOfTrailingZeros(m));
            lane.groups.add(lane.open);
            lane.open = new ArrayList<>();
        }
    }

    /** Completes all but the newest {@code left} groups of these threads. */
    void await(Warp warp, int mask, int left) {
        for (int m = mask; m != 0; m &= m - 1) {
            int index = Integer.numberOfTrailingZeros(m);
            Lane lane = lane(index);
            while (lane.groups.size() > left) {
                for (Pending pending : lane.groups.removeFirst()) {
                    perform(warp, index, pending);
                }
            }
        }
    }

    /** Completes everything: these threads end. */
    void finish(Warp warp, int mask) {
        if (lanes != null) {
            commit(mask);
            await(warp, mask, 0);
        }
    }

    private static void perform(Warp warp, int lane, Pending copy) {
        Access access = warp.block.grid.access;
        Sanitizer sanitizer = warp.block.grid.sanitizer;
        warp.block.grid.changed();
        byte[] data = new byte[copy.size];
        int pc = warp.current.pc;
        warp.current.pc = copy.pc; // a fault is the copy's, not the wait's
        if (copy.sourceSize > 0) {
            access.resolve(warp, lane, Space.GLOBAL, copy.from, copy.size, false, null);
            if (sanitizer != null) {
                sanitizer.read(warp, lane, access, copy.sourceSize, false);
            }
            for (int i = 0; i < copy.sourceSize; i++) {
                data[i] = (byte) access.load(i, 1);
            }
        }
        access.resolve(warp, lane, Space.SHARED, copy.to, copy.size, true, null);
        if (sanitizer != null) {
            sanitizer.write(warp, lane, access, copy.size, false, false);
        }
        for (int i = 0; i < copy.size; i++) {
            access.store(i, 1, data[i]);
        }
        warp.current.pc = pc;
    }
}
