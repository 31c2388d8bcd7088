package dev.isobit.spi;

import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Class indices in host memory: checked before anything is written, and read.
 *
 * <p>Thread-safe: no state.
 */
public final class HostTargets {
    private HostTargets() {}

    /**
     * Checks all targets and counts those that are not ignored, the denominator of {@code MEAN}.
     *
     * @param operation for the message
     * @param targets [N], I64 or I32, in host memory
     * @param classes C
     * @param ignoreIndex the target value whose rows are skipped, maybe a valid class
     * @return how many rows are not ignored
     * @throws IllegalArgumentException if a target is outside [0, C) and is not {@code ignoreIndex}; the message gives
     *     the first such row, its value and how many there are
     */
    public static long countNotIgnored(String operation, Tensor targets, long classes, long ignoreIndex) {
        MemorySegment segment = ((HostMemory) targets.memory()).segment();
        long offset = targets.byteOffset();
        long rows = targets.elementCount();
        boolean wide = targets.dtype() == DType.I64;
        long kept = 0;
        long bad = 0;
        long firstBad = -1;
        for (long row = 0; row < rows; row++) {
            long target = wide
                    ? segment.get(ValueLayout.JAVA_LONG_UNALIGNED, offset + row * 8)
                    : segment.get(ValueLayout.JAVA_INT_UNALIGNED, offset + row * 4);
            if (target != ignoreIndex) {
                kept++;
                if (target < 0 || target >= classes) {
                    bad++;
                    firstBad = firstBad < 0 ? row : firstBad;
                }
            }
        }
        if (bad > 0) {
            throw new IllegalArgumentException(operation + ": target " + get(targets, firstBad) + " in row " + firstBad
                    + " is outside [0, " + classes + ") and is not ignoreIndex " + ignoreIndex + "; " + bad + " of "
                    + rows + " rows have such a target");
        }
        return kept;
    }

    /**
     * One target.
     *
     * @param targets [N], I64 or I32, in host memory
     * @param row from 0
     * @return its class index
     */
    public static long get(Tensor targets, long row) {
        MemorySegment segment = ((HostMemory) targets.memory()).segment();
        return targets.dtype() == DType.I64
                ? segment.get(ValueLayout.JAVA_LONG_UNALIGNED, targets.byteOffset() + row * 8)
                : segment.get(ValueLayout.JAVA_INT_UNALIGNED, targets.byteOffset() + row * 4);
    }
}
