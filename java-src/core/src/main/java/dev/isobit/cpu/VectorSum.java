package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * The tail of a segment, which {@link VectorMax} has left padded with -inf, and the folding of the lanes. Copied by
 * {@link Specialized}.
 */
final class VectorSum implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 4);
    private static final int WIDTH = VectorAccess.WIDTH;

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
        int whole = VectorMath.SPECIES.loopBound(work.length);
        if (whole < work.length) {
            FloatVector max = VectorMath.constant(work.max);
            FloatVector z = FloatVector.fromArray(VectorMath.SPECIES, tail, 0);
            FloatVector d = z.sub(max);
            FloatVector e = VectorMath.expDifference(z, max, d);
            e.intoArray(tail, 0);
            VectorMask<Float> isMax = d.eq(VectorMath.constant(0));
            VectorAccess.addToLanes(lanes, whole, e.blend(VectorMath.constant(0), isMax));
            work.count += isMax.trueCount();
            if (GRADIENT) {
                VectorAccess.require(OUT_NATIVE, work.outSegment);
                for (int i = whole; i < work.length; i++) {
                    VectorAccess.set(OUT_ARRAY, work.out, work.outSegment, work.outAt, i, tail[i - whole]);
                }
            }
        }
        for (int half = width(work.length) >> 1; half >= WIDTH; half >>= 1) {
            for (int i = 0; i < half; i += WIDTH) {
                VectorAccess.addToLanes(lanes, i, FloatVector.fromMemorySegment(VectorMath.SPECIES, lanes,
                        (i + half) * (long) Float.BYTES, ByteOrder.nativeOrder()));
            }
        }
        FloatVector.fromMemorySegment(VectorMath.SPECIES, lanes, 0, ByteOrder.nativeOrder()).intoArray(tail, 0);
        for (int half = WIDTH >> 1; half >= 1; half >>= 1) {
            for (int i = 0; i < half; i++) {
                tail[i] += tail[i + half];
            }
        }
        work.sum = tail[0];
    }
}
