package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * The whole vectors of a segment: exponentials around its maximum into the gradient's memory, their sums into the lanes.
 * Copied by {@link Specialized}.
 */
final class VectorExponentials implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 4);
    /** The copy for the first element of each lane, which starts the lane, or the one for all others. */
    private static final boolean FIRST = Specialized.flag(MethodHandles.lookup(), 5);
    private static final int WIDTH = VectorAccess.WIDTH;

    VectorExponentials() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment segment = work.inSegment;
        float[] out = work.out;
        MemorySegment outSegment = work.outSegment;
        MemorySegment lanes = work.lanes;
        VectorAccess.require(IN_NATIVE, segment);
        VectorAccess.require(OUT_NATIVE, outSegment);
        VectorAccess.require(true, lanes);
        long at = work.at;
        long outAt = work.outAt;
        int length = work.length;
        int from = FIRST ? 0 : SegmentWork.LANES;
        int whole = VectorMath.SPECIES.loopBound(FIRST ? Math.min(length, SegmentWork.LANES) : length);
        FloatVector max = VectorMath.constant(work.max);
        int count = 0;
        for (int i = from; i < whole; i += WIDTH) {
            FloatVector z = VectorAccess.load(IN_ARRAY, in, segment, at, i);
            FloatVector d = z.sub(max);
            FloatVector e = VectorMath.expDifference(z, max, d);
            if (GRADIENT) {
                VectorAccess.store(OUT_ARRAY, out, outSegment, outAt, i, e);
            }
            VectorMask<Float> isMax = d.eq(VectorMath.constant(0));
            if (isMax.anyTrue()) {
                count += isMax.trueCount();
                e = e.blend(VectorMath.constant(0), isMax);
            }
            if (FIRST) {
                VectorAccess.store(false, out, lanes, 0, i, e);
            } else {
                VectorAccess.addToLanes(lanes, i, e);
            }
        }
        if (FIRST) {
            work.count = count;
            for (int lane = whole; lane < VectorSum.width(length); lane += WIDTH) {
                VectorAccess.store(false, out, lanes, 0, lane, VectorMath.constant(0));
            }
        } else {
            work.count += count;
        }
    }
}
