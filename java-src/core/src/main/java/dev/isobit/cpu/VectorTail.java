package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * The exponentials of the last elements of a segment, less than a vector, which {@link VectorMax} has left padded with
 * -inf. Copied by {@link Specialized}.
 */
final class VectorTail implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 4);

    VectorTail() {}

    @Override
    public void run(SegmentWork work) {
        MemorySegment lanes = work.lanes();
        VectorAccess.require(true, lanes);
        float[] tail = work.tail;
        int whole = VectorMath.SPECIES.loopBound(work.length);
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
}
