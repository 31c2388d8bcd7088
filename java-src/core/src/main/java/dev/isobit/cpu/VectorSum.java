package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/** The sum of a segment: the lanes, folded. */
final class VectorSum implements SegmentStage {
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final float[] NO_ARRAY = new float[0];

    VectorSum() {}

    /** The smallest power of two of lanes that covers a segment, at least one vector. */
    static int width(int length) {
        int covering = length <= 1 ? 1 : Integer.highestOneBit(length - 1) << 1;
        return Math.clamp(covering, WIDTH, SegmentWork.LANES);
    }

    @Override
    public void run(SegmentWork work) {
        MemorySegment lanes = work.lanes;
        VectorAccess.require(true, lanes);
        float[] tail = work.tail;
        int width = width(work.length);
        // Three levels of the tree at a time: a loop of few turns costs more than its work.
        for (; width >= 8 * WIDTH; width >>= 3) {
            for (int i = 0; i < width >> 3; i += WIDTH) {
                eight(lanes, tail, i, width >> 3);
            }
        }
        for (; width > WIDTH; width >>= 1) {
            int half = width >> 1;
            for (int i = 0; i < half; i += WIDTH) {
                VectorAccess.store(false, tail, lanes, 0, i, lane(lanes, i).add(lane(lanes, i + half)));
            }
        }
        lane(lanes, 0).intoArray(tail, 0);
        work.sum = WIDTH == 16 ? sixteen(tail) : within(tail);
    }

    /** The lowest bits of the lane number, which are within a vector. */
    private static float within(float[] t) {
        for (int half = WIDTH >> 1; half >= 1; half >>= 1) {
            for (int i = 0; i < half; i++) {
                t[i] += t[i + half];
            }
        }
        return t[0];
    }

    /** The same written out. */
    private static float sixteen(float[] t) {
        float a = (t[0] + t[8]) + (t[4] + t[12]);
        float b = (t[1] + t[9]) + (t[5] + t[13]);
        float c = (t[2] + t[10]) + (t[6] + t[14]);
        float d = (t[3] + t[11]) + (t[7] + t[15]);
        return (a + c) + (b + d);
    }

    /**
     * Folds the lanes at i, i + step, ... i + 7·step into those at i. It returns nothing: where the JIT does not inline
     * it, since it has compiled it before, a vector returned would be boxed.
     */
    private static void eight(MemorySegment lanes, float[] unused, int i, int step) {
        FloatVector a = lane(lanes, i).add(lane(lanes, i + 4 * step));
        FloatVector b = lane(lanes, i + step).add(lane(lanes, i + 5 * step));
        FloatVector c = lane(lanes, i + 2 * step).add(lane(lanes, i + 6 * step));
        FloatVector d = lane(lanes, i + 3 * step).add(lane(lanes, i + 7 * step));
        VectorAccess.store(false, unused, lanes, 0, i, a.add(c).add(b.add(d)));
    }

    private static FloatVector lane(MemorySegment lanes, int i) {
        return VectorAccess.load(false, NO_ARRAY, lanes, 0, i);
    }
}
