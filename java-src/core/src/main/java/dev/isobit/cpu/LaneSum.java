package dev.isobit.cpu;

import java.util.Arrays;

/**
 * The float32 sum of a segment by lanes. The loops are plain Java, each element by itself: the JIT makes vectors of them,
 * and with or without these the bits are the same.
 */
final class LaneSum {
    private final float[] lanes = new float[SegmentWork.LANES];

    void clear() {
        Arrays.fill(lanes, 0);
    }

    /** Adds elements that belong to the lanes from 0 on. */
    void add(float[] values, int at, int count) {
        for (int i = 0; i < count; i++) {
            lanes[i] += values[at + i];
        }
    }

    /** Folds the lanes from the highest bit of the lane number to the lowest. */
    float fold() {
        for (int half = lanes.length / 2; half >= 1; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }
}
