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
        // Two levels of the tree at a time, the high one first, so that each value is loaded once for both.
        for (; width >= 4 * WIDTH; width >>= 2) {
            int quarter = width >> 2;
            for (int i = 0; i < quarter; i += WIDTH) {
                FloatVector low = lane(lanes, i).add(lane(lanes, i + 2 * quarter));
                FloatVector high = lane(lanes, i + quarter).add(lane(lanes, i + 3 * quarter));
                VectorAccess.store(false, tail, lanes, 0, i, low.add(high));
            }
        }
        FloatVector last = lane(lanes, 0);
        if (width == 2 * WIDTH) {
            last = last.add(lane(lanes, WIDTH));
        }
        last.intoArray(tail, 0);
        for (int half = WIDTH >> 1; half >= 1; half >>= 1) {
            for (int i = 0; i < half; i++) {
                tail[i] += tail[i + half];
            }
        }
        work.sum = tail[0];
    }

    private static FloatVector lane(MemorySegment lanes, int i) {
        return VectorAccess.load(false, NO_ARRAY, lanes, 0, i);
    }
}
