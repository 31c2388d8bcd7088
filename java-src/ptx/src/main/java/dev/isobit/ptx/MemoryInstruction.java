package dev.isobit.ptx;

/** An instruction with a memory operand. */
abstract class MemoryInstruction extends Instruction {
    /** A memory operand: state space (null: generic), base register and constant offset. */
    record Address(Space space, boolean wide, int base, long offset) {
        long of(Warp warp, int lane) {
            return (wide ? warp.longs[base + lane] : warp.words[base + lane] & 0xffff_ffffL) + offset;
        }
    }

    final Address operand;
    /** The allocation of the last access: most likely that of the next. Benign when threads race on it. */
    private Allocation hint;

    MemoryInstruction(Address operand) {
        this.operand = operand;
    }

    /** The checked piece of memory that a lane's operand names; null if the sanitizer took note of a bad access. */
    final Access resolve(Warp warp, int lane, int size, boolean write) {
        Access access = warp.block.grid.access;
        try {
            access.resolve(warp, lane, operand.space, operand.of(warp, lane), size, write, hint);
        } catch (DeviceFault refused) {
            Sanitizer sanitizer = warp.block.grid.sanitizer;
            if (sanitizer == null || !sanitizer.refused(warp, lane, refused)) {
                throw refused;
            }
            return null;
        }
        if (access.allocation != null) {
            hint = access.allocation;
        }
        return access;
    }

    /** {@code ld}: reads one element or a vector into registers. */
    static final class Load extends MemoryInstruction {
        private final Type type;
        private final Slots.Place[] to;
        private final Order order;

        Load(Address operand, Type type, Slots.Place[] to, Order order) {
            super(operand);
            this.type = type;
            this.to = to;
            this.order = order;
        }

        @Override
        int execute(Warp warp, int mask) {
            int bytes = type.bytes;
            int size = bytes * to.length;
            Grid grid = warp.block.grid;
            Sanitizer sanitizer = grid.sanitizer;
            long before = -1;
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                Access access = resolve(warp, lane, size, false);
                if (access != null && access.space == Space.GLOBAL) {
                    if (access.address == before) {
                        grid.bytesReadTogether += size;
                    }
                    before = access.address;
                }
                if (sanitizer != null && access != null) {
                    sanitizer.read(warp, lane, access, size, order != Order.WEAK);
                    if (order != Order.WEAK) {
                        sanitizer.strong(warp, lane, access, order, true, false);
                    }
                }
                for (int k = 0; k < to.length; k++) {
                    long value = access == null ? 0 : access.load(k * bytes, bytes);
                    Slots.Place d = to[k];
                    if (type.isSigned() && d.bits() > type.bits) {
                        value = IntegerDecoder.truncate(d.bits(), IntegerDecoder.extend(type, value));
                    }
                    warp.put(d.wide(), d.offset() + lane, value);
                }
            }
            return next;
        }
    }

    /** {@code st}: writes one element or a vector. */
    static final class Store extends MemoryInstruction {
        private final Type type;
        private final Slots.Place[] from;
        private final Order order;

        Store(Address operand, Type type, Slots.Place[] from, Order order) {
            super(operand);
            this.type = type;
            this.from = from;
            this.order = order;
        }

        @Override
        int execute(Warp warp, int mask) {
            int bytes = type.bytes;
            int size = bytes * from.length;
            warp.block.grid.changed();
            Sanitizer sanitizer = warp.block.grid.sanitizer;
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                Access access = resolve(warp, lane, size, true);
                if (access == null) {
                    continue;
                }
                if (sanitizer != null) {
                    if (order != Order.WEAK) {
                        sanitizer.strong(warp, lane, access, order, false, true);
                    }
                    sanitizer.write(warp, lane, access, size, order != Order.WEAK, isThere(warp, lane, access));
                }
                for (int k = 0; k < from.length; k++) {
                    access.store(k * bytes, bytes, warp.get(from[k].wide(), from[k].offset() + lane));
                }
            }
            return next;
        }

        /** Whether memory holds already what is to be stored. */
        private boolean isThere(Warp warp, int lane, Access access) {
            for (int k = 0; k < from.length; k++) {
                long value = warp.get(from[k].wide(), from[k].offset() + lane);
                if (access.load(k * type.bytes, type.bytes) != IntegerDecoder.truncate(type.bits, value)) {
                    return false;
                }
            }
            return true;
        }
    }

    /** {@code atom} and {@code red}: reads, combines and writes in one step. */
    static final class Atomic extends MemoryInstruction {
        /** The new value from the old one and the operands, all zero-extended. */
        @FunctionalInterface
        interface Update {
            long apply(long old, long b, long c);
        }

        private final Type type;
        private final Update update;
        private final int d;
        private final int b;
        private final int c;
        private final Order order;

        /** @param d where the old value goes, or -1 */
        Atomic(Address operand, Type type, Update update, int d, int b, int c, Order order) {
            super(operand);
            this.type = type;
            this.update = update;
            this.d = d;
            this.b = b;
            this.c = c;
            this.order = order;
        }

        @Override
        int execute(Warp warp, int mask) {
            boolean wide = type.isWide();
            Sanitizer sanitizer = warp.block.grid.sanitizer;
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                Access access = resolve(warp, lane, type.bytes, true);
                if (access == null) {
                    continue;
                }
                if (sanitizer != null) {
                    sanitizer.strong(warp, lane, access, order, true, true);
                    sanitizer.read(warp, lane, access, type.bytes, true);
                    sanitizer.write(warp, lane, access, type.bytes, true, false);
                }
                warp.block.grid.bytesRead[access.space.ordinal()] += type.bytes;
                long old = access.load(0, type.bytes);
                long value = update.apply(old, warp.get(wide, b + lane), warp.get(wide, c + lane));
                access.store(0, type.bytes, value);
                if (IntegerDecoder.truncate(type.bits, value) != old) {
                    warp.block.grid.changed();
                }
                if (d >= 0) {
                    warp.put(wide, d + lane, old);
                }
            }
            return next;
        }
    }

    /** What an access promises about the order of other accesses. */
    enum Order {
        /** Plain: may not race. */
        WEAK,
        /** {@code volatile}, {@code relaxed}, {@code mmio}. */
        RELAXED, ACQUIRE, RELEASE, ACQUIRE_RELEASE
    }
}
