package dev.isobit.spi;

import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Class indices in host memory: checked before anything is written, and read. A reusable view of a tensor.
 *
 * <p>Not thread-safe while {@link #view} runs; reading is.
 */
public final class HostTargets {
    private static final long[] NO_LONGS = new long[0];
    private static final int[] NO_INTS = new int[0];

    /** Arrays are read as arrays: one access site that meets segments of several classes costs ten times as much. */
    private long[] longs = NO_LONGS;
    private int[] ints = NO_INTS;
    private MemorySegment segment = MemorySegment.NULL;
    /** Of target 0: an index into an array that is not empty, else a byte offset. */
    private long base;
    private boolean wide;
    private long rows;

    /** Makes a view of nothing. */
    public HostTargets() {}

    /**
     * Views targets.
     *
     * @param targets [N], I64 or I32, in host memory
     */
    public void view(Tensor targets) {
        HostMemory memory = (HostMemory) targets.memory();
        clear();
        segment = memory.segment();
        wide = targets.dtype() == DType.I64;
        rows = targets.elementCount();
        if (wide && memory.array() instanceof long[] array && targets.address() % Long.BYTES == 0) {
            longs = array;
            base = targets.address() / Long.BYTES;
        } else if (!wide && memory.array() instanceof int[] array && targets.address() % Integer.BYTES == 0) {
            ints = array;
            base = targets.address() / Integer.BYTES;
        } else {
            base = targets.byteOffset();
        }
    }

    /** Drops the tensor. */
    public void clear() {
        longs = NO_LONGS;
        ints = NO_INTS;
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
        return wide
                ? segment.get(ValueLayout.JAVA_LONG_UNALIGNED, base + row * Long.BYTES)
                : segment.get(ValueLayout.JAVA_INT_UNALIGNED, base + row * Integer.BYTES);
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
        long bad = 0;
        long firstBad = -1;
        for (long row = 0; row < rows; row++) {
            long target = get(row);
            if (target != ignoreIndex) {
                kept++;
                if (target < 0 || target >= classes) {
                    bad++;
                    firstBad = firstBad < 0 ? row : firstBad;
                }
            }
        }
        if (bad > 0) {
            throw new IllegalArgumentException(operation + ": target " + get(firstBad) + " in row " + firstBad
                    + " is outside [0, " + classes + ") and is not ignoreIndex " + ignoreIndex + "; " + bad + " of "
                    + rows + " rows have such a target");
        }
        return kept;
    }
}
