package dev.isobit.cpu;

import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * The exponentials of the last elements of a segment, less than a vector, padded with -inf; of 16 bits
 * less than a pair of vectors, the even ones and then the odd ones. Copied by {@link Specialized}.
 */
final class VectorTail implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 4);

    private static final boolean F16 = Specialized.flag(MethodHandles.lookup(), VectorExponentials.F16_BIT);
    private static final boolean NARROW = F16 || Specialized.flag(MethodHandles.lookup(), VectorExponentials.BF16_BIT);
    private static final int WIDTH = VectorAccess.WIDTH;

    VectorTail() {}

    @Override
    public void run(SegmentWork work) {
        float[] lanes = work.lanes;
        float[] tail = work.tail;
        int whole = work.length - work.length % (NARROW ? 2 * WIDTH : WIDTH);
        fill(work, tail, whole);
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
            System.arraycopy(tail, 0, work.waiting, work.waitingAt + whole, 2 * WIDTH);
        } else if (GRADIENT) {
            VectorAccess.require(OUT_NATIVE, work.outSegment);
            for (int i = whole; i < work.length; i++) {
                VectorAccess.set(OUT_ARRAY, work.out, work.outSegment, work.outAt, i, tail[i - whole]);
            }
        }
    }

    private static void fill(SegmentWork work, float[] tail, int whole) {
        MemorySegment segment = work.inSegment;
        VectorAccess.require(IN_NATIVE, segment);
        Arrays.fill(tail, Float.NEGATIVE_INFINITY);
        for (int i = whole; i < work.length; i++) {
            if (NARROW) {
                short bits = IN_ARRAY
                        ? work.inShorts[(int) work.at + i]
                        : segment.get(ValueLayout.JAVA_SHORT_UNALIGNED, work.at + i * 2L);
                tail[(i - whole >> 1) + (i & 1) * WIDTH] =
                        F16 ? NarrowFloats.fromF16(bits) : NarrowFloats.fromBf16(bits);
            } else {
                tail[i - whole] = VectorAccess.get(IN_ARRAY, work.in, segment, work.at, i);
            }
        }
    }
}
