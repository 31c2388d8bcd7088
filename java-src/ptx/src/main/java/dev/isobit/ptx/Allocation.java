package dev.isobit.ptx;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.BitSet;

/** A piece of global memory: an address range and the segment behind it. */
final class Allocation {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    final Device device;
    final long base;
    final long size;
    MemorySegment segment;
    /** What holds it: a variable's name, or null for plain memory. */
    final String name;
    volatile boolean freed;
    /** Which bytes have been written; null where that is not tracked or all were. */
    private final BitSet written;

    /** @param tracked whether to note which bytes are written, of which there are none yet */
    Allocation(Device device, long base, MemorySegment segment, String name, boolean tracked) {
        this.device = device;
        this.base = base;
        this.size = segment.byteSize();
        this.segment = segment;
        this.name = name;
        // A BitSet has no room for more; what is larger is taken as written.
        this.written = tracked && size <= Integer.MAX_VALUE ? new BitSet((int) size) : null;
    }

    /** Lets go of the memory; what is left marks the addresses as freed. */
    void free() {
        freed = true;
        segment = MemorySegment.NULL;
    }

    boolean isWritten(long offset, long bytes) {
        return written == null || written.nextClearBit((int) offset) >= offset + bytes;
    }

    void setWritten(long offset, long bytes) {
        if (written != null) {
            written.set((int) offset, (int) (offset + bytes));
        }
    }

    boolean covers(long address, int bytes) {
        long offset = address - base;
        return offset >= 0 && offset <= size - bytes && !freed;
    }

    long load(long address, int bytes) {
        long offset = address - base;
        return switch (bytes) {
            case 1 -> segment.get(ValueLayout.JAVA_BYTE, offset) & 0xff;
            case 2 -> segment.get(SHORT, offset) & 0xffff;
            case 4 -> segment.get(INT, offset) & 0xffff_ffffL;
            default -> segment.get(LONG, offset);
        };
    }

    void store(long address, int bytes, long value) {
        long offset = address - base;
        switch (bytes) {
            case 1 -> segment.set(ValueLayout.JAVA_BYTE, offset, (byte) value);
            case 2 -> segment.set(SHORT, offset, (short) value);
            case 4 -> segment.set(INT, offset, (int) value);
            default -> segment.set(LONG, offset, value);
        }
    }

    @Override
    public String toString() {
        return String.format("%s0x%x, %d bytes", name == null ? "memory at " : name + " at ", base, size);
    }
}
