package dev.isobit.cpu;

import java.util.Arrays;

/**
 * The float32 sum of a segment by lanes. The loops are plain Java, each element by itself: the JIT makes vectors of them,
 * and with or without these the bits are the same.
 */
final class LaneSum {
    private final float[] lanes = new float[SegmentWork.LANES];
    private final float[] addends = new float[SegmentWork.LANES];

    /** The lanes, for whoever adds to them. */
    float[] lanes() {
        return lanes;
    }

    void clear() {
        Arrays.fill(lanes, 0);
    }

    /** Adds elements that belong to the lanes from 0 on. */
    void add(float[] values, int at, int count) {
        for (int i = 0; i < count; i++) {
            lanes[i] += values[at + i];
        }
    }

    /** Adds the squares of elements that stand at the numbers of their lanes. */
    void addSquares(float[] values, int lane, int count) {
        for (int i = lane; i < lane + count; i++) {
            lanes[i] += values[i] * values[i];
        }
    }

    /** The sum of a segment: as many lanes as a power of two needs to cover it. */
    float sum(float[] values, int count) {
        int covering = count <= 1 ? 1 : Integer.highestOneBit(count - 1) << 1;
        int width = Math.min(covering, lanes.length);
        Arrays.fill(lanes, 0, width, 0);
        for (int at = 0; at < count; at += lanes.length) {
            add(values, at, Math.min(lanes.length, count - at));
        }
        return fold(width);
    }

    /** Adds values to a total: lanes and segments in float32, segments in float64. */
    double addSegments(double total, float[] values, int count) {
        double sum = total;
        for (int segment = 0; segment < count; segment += SegmentWork.SEGMENT) {
            int end = Math.min(segment + SegmentWork.SEGMENT, count);
            clear();
            for (int at = segment; at < end; at += SegmentWork.LANES) {
                // At the numbers of their lanes they are added by vectors, from anywhere else in an array not.
                int some = Math.min(SegmentWork.LANES, end - at);
                System.arraycopy(values, at, addends, 0, some);
                for (int i = 0; i < some; i++) {
                    lanes[i] += addends[i];
                }
            }
            sum += fold();
        }
        return sum;
    }

    /** What {@code MEAN} divides a loss and its gradient by: 0 makes them NaN, even where the loss is not 0. */
    static double denominator(double sum) {
        return sum == 0 ? Double.NaN : sum;
    }

    /** Folds the lanes from the highest bit of the lane number to the lowest. */
    float fold() {
        return fold(lanes.length);
    }

    private float fold(int width) {
        int half = width / 2;
        for (; half >= 64; half /= 2) {
            // As in addSegments.
            System.arraycopy(lanes, half, addends, 0, half);
            for (int i = 0; i < half; i++) {
                lanes[i] += addends[i];
            }
        }
        for (; half >= 1; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }
}
