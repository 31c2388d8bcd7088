package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * The exponentials of the last elements of a segment, less than a vector, which {@link VectorMax} has left padded with
 * -inf; of 16 bits less than a pair of vectors, which {@link VectorNarrowMax} has left. Copied by {@link Specialized}.
 */
final class VectorTail implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 4);

    private static final boolean NARROW = Specialized.flag(MethodHandles.lookup(), VectorExponentials.BF16_BIT)
            || Specialized.flag(MethodHandles.lookup(), VectorExponentials.F16_BIT);
    private static final int WIDTH = VectorAccess.WIDTH;

    VectorTail() {}

    @Override
    public void run(SegmentWork work) {
        MemorySegment lanes = work.lanes();
        VectorAccess.require(true, lanes);
        float[] tail = work.tail;
        int whole = work.length - work.length % (NARROW ? 2 * WIDTH : WIDTH);
        FloatVector max = VectorMath.constant(work.max);
        for (int i = 0; i < (NARROW ? 2 * WIDTH : WIDTH); i += WIDTH) {
            FloatVector z = FloatVector.fromArray(VectorMath.SPECIES, tail, i);
            FloatVector d = z.sub(max);
            FloatVector e = VectorMath.expDifference(z, max, d);
            e.intoArray(tail, i);
            VectorMask<Float> isMax = d.eq(VectorMath.constant(0));
            VectorAccess.addToLanes(lanes, whole + i, e.blend(VectorMath.constant(0), isMax));
            work.count += isMax.trueCount();
        }
        if (GRADIENT && NARROW) {
            MemorySegment.copy(tail, 0, work.waiting, ValueLayout.JAVA_FLOAT, work.waitingAt + whole * 4L, 2 * WIDTH);
        } else if (GRADIENT) {
            VectorAccess.require(OUT_NATIVE, work.outSegment);
            for (int i = whole; i < work.length; i++) {
                VectorAccess.set(OUT_ARRAY, work.out, work.outSegment, work.outAt, i, tail[i - whole]);
            }
        }
    }
}
