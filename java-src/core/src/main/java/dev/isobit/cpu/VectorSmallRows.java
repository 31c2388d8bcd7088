package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Rows of at most a vector's lanes, a vector each, a vector's lanes of them: {@code maxima}, {@code counts}, {@code sums};
 * exponentials are left in {@code block}, logits in the lanes' memory. What is behind a row's end is read as well. Copied
 * by {@link Specialized}.
 */
final class VectorSmallRows implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorSmallRows() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment inSegment = work.inSegment;
        MemorySegment block = work.block;
        MemorySegment logits = work.smallLogits;
        float[] maxima = work.maxima;
        float[] sums = work.sums;
        float[] counts = work.counts;
        VectorAccess.require(IN_NATIVE, inSegment);
        VectorAccess.require(true, block);
        VectorAccess.require(true, logits);
        long at = work.at;
        int classes = work.length;
        FloatVector zero = VectorMath.kept(1);
        VectorMask<Float> behind = SPECIES.indexInRange(0, classes).not();
        for (int r = 0; r < WIDTH; r++) {
            FloatVector z = VectorAccess.load(IN_ARRAY, in, inSegment, at, r * classes)
                    .blend(Float.NEGATIVE_INFINITY, behind);
            FloatVector max = z;
            if (WIDTH > 32) {
                FloatVector other = max.rearrange(VectorSum.FROM_32);
                max = max.blend(other, other.compare(VectorOperators.GT, max));
            }
            if (WIDTH > 16) {
                FloatVector other = max.rearrange(VectorSum.FROM_16);
                max = max.blend(other, other.compare(VectorOperators.GT, max));
            }
            if (WIDTH > 8) {
                FloatVector other = max.rearrange(VectorSum.FROM_8);
                max = max.blend(other, other.compare(VectorOperators.GT, max));
            }
            if (WIDTH > 4) {
                FloatVector other = max.rearrange(VectorSum.FROM_4);
                max = max.blend(other, other.compare(VectorOperators.GT, max));
            }
            if (WIDTH > 2) {
                FloatVector other = max.rearrange(VectorSum.FROM_2);
                max = max.blend(other, other.compare(VectorOperators.GT, max));
            }
            if (WIDTH > 1) {
                FloatVector other = max.rearrange(VectorSum.FROM_1);
                max = max.blend(other, other.compare(VectorOperators.GT, max));
            }
            FloatVector d = z.sub(max);
            FloatVector e = VectorMath.expDifference(z, max, d);
            VectorMask<Float> isMax = d.eq(zero);
            z.intoMemorySegment(logits, r * WIDTH * 4L, ORDER);
            e.intoMemorySegment(block, r * WIDTH * 4L, ORDER);
            FloatVector sum = e.blend(zero, isMax);
            sum = WIDTH > 32 ? sum.add(sum.rearrange(VectorSum.FROM_32)) : sum;
            sum = WIDTH > 16 ? sum.add(sum.rearrange(VectorSum.FROM_16)) : sum;
            sum = WIDTH > 8 ? sum.add(sum.rearrange(VectorSum.FROM_8)) : sum;
            sum = WIDTH > 4 ? sum.add(sum.rearrange(VectorSum.FROM_4)) : sum;
            sum = WIDTH > 2 ? sum.add(sum.rearrange(VectorSum.FROM_2)) : sum;
            sum = WIDTH > 1 ? sum.add(sum.rearrange(VectorSum.FROM_1)) : sum;
            maxima[r] = max.lane(0);
            sums[r] = sum.lane(0);
            counts[r] = isMax.trueCount();
        }
    }
}
