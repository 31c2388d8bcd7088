package dev.isobit.ptx;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** A checked piece of memory that one thread is about to read or write. Reused: one per instruction in flight. */
final class Access {
    private static final VarHandle SHORT =
            MethodHandles.byteArrayViewVarHandle(short[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

    /** Shared addresses of another block of the cluster: its rank plus 1, above this many bits of offset. */
    static final int RANK_SHIFT = 24;

    Space space;
    /** Address in the space; in shared memory the offset in the owning block. */
    long address;
    /** Where it lies, if in global memory. */
    Allocation allocation;
    /** Whose shared memory it is, if in shared memory. */
    Block owner;
    private byte[] bytes;
    private int index;

    /**
     * Finds and checks {@code size} bytes.
     *
     * @param in the state space, or null for a generic address
     * @param hint the allocation that this instruction met last, or null
     */
    void resolve(Warp warp, int lane, Space in, long at, int size, boolean write, Allocation hint) {
        space = in == null ? Space.ofGeneric(at) : in;
        address = in == null ? at - space.window() : at;
        if ((at & size - 1) != 0) {
            throw warp.fault(DeviceFault.Kind.MISALIGNED, lane, at, String.format("access of %d bytes at %s 0x%x",
                    size, name(space), address));
        }
        Grid grid = warp.block.grid;
        (write ? grid.bytesWritten : grid.bytesRead)[space.ordinal()] += size;
        switch (space) {
            case GLOBAL -> {
                if (hint != null && hint.device == grid.device && hint.covers(address, size)) {
                    allocation = hint;
                } else if (Space.ofGeneric(address) == Space.CONST) { // constants are readable as global memory too
                    resolve(warp, lane, null, address, size, write, null);
                } else {
                    allocation = find(warp, lane, size, write);
                }
            }
            case SHARED -> shared(warp, lane, size);
            case LOCAL -> {
                int own = warp.program.localBytes;
                check(warp, lane, own, size);
                inArray(warp.local, lane * own + (int) address);
            }
            case CONST -> {
                readOnly(warp, lane, write);
                check(warp, lane, grid.image.constants.length, size);
                inArray(grid.image.constants, (int) address);
            }
            case PARAM -> {
                readOnly(warp, lane, write);
                check(warp, lane, grid.parameters.length, size);
                inArray(grid.parameters, (int) address);
            }
        }
    }

    private Allocation find(Warp warp, int lane, int size, boolean write) {
        Allocation found = warp.block.grid.device.find(address);
        if (found != null && found.covers(address, size)) {
            return found;
        }
        String how = (write ? "write of " : "read of ") + size + " bytes";
        if (found != null && found.freed && address - found.base < found.size) {
            throw warp.fault(DeviceFault.Kind.USE_AFTER_FREE, lane, address, String.format(
                    "%s at global 0x%x, in freed %s,", how, address, found));
        }
        throw warp.fault(DeviceFault.Kind.OUT_OF_BOUNDS, lane, address, String.format("%s at global 0x%x, %s,", how,
                address, found == null
                        ? "where there is no memory"
                        : (address - found.base - found.size)
                                + " bytes past the end of " + found));
    }

    private void shared(Warp warp, int lane, int size) {
        owner = warp.block;
        if (address >>> RANK_SHIFT != 0) {
            long rank = (address >>> RANK_SHIFT) - 1;
            if (rank >= owner.cluster.blocks.length) {
                throw warp.fault(DeviceFault.Kind.OUT_OF_BOUNDS, lane, address, String.format(
                        "shared 0x%x is in no block of the cluster", address));
            }
            owner = owner.cluster.blocks[(int) rank];
            address &= (1 << RANK_SHIFT) - 1;
        }
        check(warp, lane, owner.shared.length, size);
        inArray(owner.shared, (int) address);
    }

    private void check(Warp warp, int lane, long length, int size) {
        if (address < 0 || address > length - size) {
            throw warp.fault(DeviceFault.Kind.OUT_OF_BOUNDS, lane, address, String.format(
                    "access of %d bytes at %s 0x%x, past the end of its %d bytes,", size, name(space), address,
                    length));
        }
    }

    private void readOnly(Warp warp, int lane, boolean write) {
        if (write) {
            throw warp.fault(DeviceFault.Kind.READ_ONLY, lane, address, String.format("write at %s 0x%x", name(space),
                    address));
        }
    }

    private static String name(Space space) {
        return space.name().toLowerCase(java.util.Locale.ROOT);
    }

    private void inArray(byte[] array, int at) {
        bytes = array;
        index = at;
        allocation = null;
    }

    /** Reads {@code size} bytes, {@code at} bytes from the start, zero-extended. */
    long load(int at, int size) {
        if (allocation != null) {
            return allocation.load(address + at, size);
        }
        int i = index + at;
        return switch (size) {
            case 1 -> bytes[i] & 0xff;
            case 2 -> (short) SHORT.get(bytes, i) & 0xffff;
            case 4 -> (int) INT.get(bytes, i) & 0xffff_ffffL;
            default -> (long) LONG.get(bytes, i);
        };
    }

    void store(int at, int size, long value) {
        if (allocation != null) {
            allocation.store(address + at, size, value);
            return;
        }
        int i = index + at;
        switch (size) {
            case 1 -> bytes[i] = (byte) value;
            case 2 -> SHORT.set(bytes, i, (short) value);
            case 4 -> INT.set(bytes, i, (int) value);
            default -> LONG.set(bytes, i, value);
        }
    }
}
