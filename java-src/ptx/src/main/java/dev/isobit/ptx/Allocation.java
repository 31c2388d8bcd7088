package dev.isobit.ptx;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/** A piece of global memory: an address range and the segment behind it. */
final class Allocation {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    final Device device;
    final long base;
    final long size;
    final MemorySegment segment;
    /** What holds it: a variable's name, or null for plain memory. */
    final String name;
    volatile boolean freed;

    Allocation(Device device, long base, MemorySegment segment, String name) {
        this.device = device;
        this.base = base;
        this.size = segment.byteSize();
        this.segment = segment;
        this.name = name;
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
