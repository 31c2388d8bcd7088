package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The exponentials in turns of {@link VectorPairedRow} with an element that is not plain: the maximum's lane becomes 0, and what
 * else is not plain is computed again. Copied by {@link Specialized}.
 */
final class VectorRareExponentials implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int PAIR = VectorPairedRow.PAIR;

    VectorRareExponentials() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment inSegment = work.inSegment;
        long lanes = work.lanesAt();
        VectorAccess.require(IN_NATIVE, inSegment);
        long at = work.at;
        int length = work.length;
        float maxOrMinusZero = work.max == 0 ? -0f : work.max;
        int plainAbove = Float.floatToRawIntBits(VectorMath.plainAbove(work.max));
        int last = (length + PAIR - 1) / PAIR - 1;
        int count = 0;
        int maxAt = 0;
        for (long left = work.special; left != 0; left &= left - 1) {
            int start = (last - Long.numberOfTrailingZeros(left)) * PAIR;
            int first = Math.min(start, length - PAIR);
            FloatVector z0 = VectorAccess.load(IN_ARRAY, in, inSegment, at, first);
            FloatVector z1 = VectorAccess.load(IN_ARRAY, in, inSegment, at, first + WIDTH);
            FloatVector d0 = z0.sub(maxOrMinusZero);
            FloatVector d1 = z1.sub(maxOrMinusZero);
            VectorMask<Float> isMax0 = d0.eq(0);
            VectorMask<Float> isMax1 = d1.eq(0);
            long max0 = isMax0.toLong();
            long max1 = isMax1.toLong();
            FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, lanes + first * 4L, ORDER).blend(0, isMax0)
                    .intoMemorySegment(ScratchPool.MEMORY, lanes + first * 4L, ORDER);
            FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, lanes + first * 4L + WIDTH * 4, ORDER)
                    .blend(0, isMax1)
                    .intoMemorySegment(ScratchPool.MEMORY, lanes + first * 4L + WIDTH * 4, ORDER);
            // Scalar: in vectors, code that most rows do not need would box them.
            long others = max0 ^ d0.reinterpretAsInts().compare(VectorOperators.GT, plainAbove).toLong()
                    | (max1 ^ d1.reinterpretAsInts().compare(VectorOperators.GT, plainAbove).toLong()) << WIDTH;
            for (; others != 0; others &= others - 1) {
                int i = first + Long.numberOfTrailingZeros(others);
                float e = ExactMath.expDifference(VectorAccess.get(IN_ARRAY, in, inSegment, at, i), work.max);
                ScratchPool.MEMORY.set(ValueLayout.JAVA_FLOAT, lanes + i * 4L, e);
            }
            long fresh = (max0 | max1 << WIDTH) & -1L << start - first;
            count += Long.bitCount(fresh);
            maxAt = fresh == 0 ? maxAt : first + Long.numberOfTrailingZeros(fresh);
        }
        work.count = count;
        work.maxAt = maxAt;
        // Of vectors, as the other stages count them.
        work.unplain = 2 * Long.bitCount(work.special);
    }
}
