package dev.isobit.spi;

import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Class indices in host memory: checked before anything is written, and read. A reusable view of a tensor.
 *
 * <p>Not thread-safe while {@link #view} or {@link #countNotIgnored} runs; reading is.
 */
public final class HostTargets {
    private static final long[] NO_LONGS = new long[0];
    private static final int[] NO_INTS = new int[0];
    private static final short[] NO_SHORTS = new short[0];
    private static final byte[] NO_BYTES = new byte[0];
    private static final int SOME = 512;

    /** Arrays are read as arrays: one access site that meets segments of several classes costs ten times as much. */
    private long[] longs = NO_LONGS;
    private int[] ints = NO_INTS;
    private short[] shorts = NO_SHORTS;
    private byte[] bytes = NO_BYTES;
    private MemorySegment segment = MemorySegment.NULL;
    /** Of target 0: an index into an array that is not empty, else a byte offset. */
    private long base;
    private DType dtype = DType.I64;
    private long rows;
    /** Some targets while all are counted. */
    private final long[] some = new long[SOME];

    /** Makes a view of nothing. */
    public HostTargets() {}

    /**
     * Views targets.
     *
     * @param targets I64, I32, I16 or U8, in host memory
     */
    public void view(Tensor targets) {
        HostMemory memory = (HostMemory) targets.memory();
        clear();
        segment = memory.segment();
        dtype = targets.dtype();
        rows = targets.elementCount();
        Object array = memory.array();
        long size = dtype.byteSize();
        base = targets.byteOffset();
        if (targets.address() % size != 0) {
            return;
        }
        long index = targets.address() / size;
        if (dtype == DType.I64 && array instanceof long[] elements) {
            longs = elements;
            base = index;
        } else if (dtype == DType.I32 && array instanceof int[] elements) {
            ints = elements;
            base = index;
        } else if (dtype == DType.I16 && array instanceof short[] elements) {
            shorts = elements;
            base = index;
        } else if (dtype == DType.U8 && array instanceof byte[] elements) {
            bytes = elements;
            base = index;
        }
    }

    /** Drops the tensor. */
    public void clear() {
        longs = NO_LONGS;
        ints = NO_INTS;
        shorts = NO_SHORTS;
        bytes = NO_BYTES;
        segment = MemorySegment.NULL;
        rows = 0;
    }

    /**
     * One target.
     *
     * @param row from 0
     * @return its class index
     */
    public long get(long row) {
        if (longs.length > 0) {
            return longs[(int) (base + row)];
        }
        if (ints.length > 0) {
            return ints[(int) (base + row)];
        }
        return switch (dtype) {
            case I64 -> segment.get(ValueLayout.JAVA_LONG_UNALIGNED, base + row * Long.BYTES);
            case I32 -> segment.get(ValueLayout.JAVA_INT_UNALIGNED, base + row * Integer.BYTES);
            default -> narrow(row);
        };
    }

    private long narrow(long row) {
        if (shorts.length > 0) {
            return shorts[(int) (base + row)];
        }
        if (bytes.length > 0) {
            return Byte.toUnsignedInt(bytes[(int) (base + row)]);
        }
        return dtype == DType.I16
                ? segment.get(ValueLayout.JAVA_SHORT_UNALIGNED, base + row * Short.BYTES)
                : Byte.toUnsignedInt(segment.get(ValueLayout.JAVA_BYTE, base + row));
    }

    /**
     * Several targets.
     *
     * @param row the first one's, from 0
     * @param count how many
     * @param to takes their class indices, from its element 0 on
     */
    public void copy(long row, int count, long[] to) {
        if (longs.length > 0) {
            System.arraycopy(longs, (int) (base + row), to, 0, count);
        } else if (dtype == DType.I64) {
            MemorySegment.copy(segment, ValueLayout.JAVA_LONG_UNALIGNED, base + row * Long.BYTES, to, 0, count);
        } else {
            for (int i = 0; i < count; i++) {
                to[i] = get(row + i);
            }
        }
    }

    /**
     * Checks all targets and counts those that are not ignored, the denominator of {@code MEAN}.
     *
     * @param operation for the message
     * @param classes C
     * @param ignoreIndex the target value whose rows are skipped, maybe a valid class
     * @return how many rows are not ignored
     * @throws IllegalArgumentException if a target is outside [0, C) and is not {@code ignoreIndex}; the message gives
     *     the first such row, its value and how many there are
     */
    public long countNotIgnored(String operation, long classes, long ignoreIndex) {
        long kept = 0;
        long signs = 0;
        long last = classes - 1;
        for (long row = 0; row < rows; row += SOME) {
            int count = (int) Math.min(SOME, rows - row);
            copy(row, count, some);
            // Neither branches nor comparisons: the JIT makes vectors of this. A sign tells what is the case.
            for (int i = 0; i < count; i++) {
                long target = some[i];
                long difference = target ^ ignoreIndex;
                long isKept = difference | -difference;
                kept += isKept >>> 63;
                signs |= isKept & (target | last - target);
            }
        }
        if (signs < 0) {
            throw new IllegalArgumentException(message(operation, classes, ignoreIndex));
        }
        return kept;
    }

    private String message(String operation, long classes, long ignoreIndex) {
        long bad = 0;
        long firstBad = -1;
        for (long row = 0; row < rows; row++) {
            long target = get(row);
            if (target != ignoreIndex && (target < 0 || target >= classes)) {
                bad++;
                firstBad = firstBad < 0 ? row : firstBad;
            }
        }
        return operation + ": target " + get(firstBad) + " in row " + firstBad + " is outside [0, " + classes
                + ") and is not ignoreIndex " + ignoreIndex + "; " + bad + " of " + rows + " rows have such a target";
    }
}
