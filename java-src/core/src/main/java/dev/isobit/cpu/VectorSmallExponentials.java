package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The exponentials of small rows around their rows' maxima, as {@link VectorMath#expDifference}. Elements are taken as they lie, without regard to where rows begin. Where all
 * are normal one product is enough; else {@code unplain} is not 0, and another copy does them again. NaN is left to the sums. Copied by {@link Specialized}.
 */
final class VectorSmallExponentials implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    /** Whether exponentials may be below the normal range, or 0. */
    private static final boolean ANY = Specialized.flag(MethodHandles.lookup(), 5);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, SPECIES.vectorShape());
    private static final int WIDTH = VectorAccess.WIDTH;
    /** {@link ExactMath#EXP_MAGIC} without what keeps results below the normal range from being rounded twice. */
    private static final float NORMAL_MAGIC = ExactMath.EXP_MAGIC - 64;
    /** What the magic number's bits are where the power of two is 2^-126. */
    private static final int LOWEST_NORMAL = Float.floatToRawIntBits(NORMAL_MAGIC - 126);

    VectorSmallExponentials() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment inSegment = work.inSegment;
        SmallBlock block = work.block;
        float[] exponentials = block.exponentials;
        float[] others = block.others;
        VectorAccess.require(IN_NATIVE, inSegment);
        long at = work.at;
        int count = work.length * WIDTH;
        int[] rows = block.rows;
        FloatVector one = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.ONE);
        FloatVector zero = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.ZERO);
        FloatVector log2e = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.LOG2E);
        FloatVector magic = one.mul(ANY ? ExactMath.EXP_MAGIC : NORMAL_MAGIC);
        FloatVector minusLn2Hi = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.MINUS_LN2_HI);
        FloatVector minusLn2Lo = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.MINUS_LN2_LO);
        FloatVector c6 = FloatVector.broadcast(SPECIES, ExactMath.EXP_C6);
        FloatVector c5 = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.C5);
        FloatVector c4 = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.C4);
        FloatVector c3 = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.C3);
        FloatVector c2 = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.C2);
        IntVector lowest = magic.reinterpretAsInts();
        int equal = 0;
        float[] maxima = block.maxima;
        int[] firsts = block.firsts;
        int vectors = block.groups * work.length;
        for (int v = 0; v < vectors; v++) {
            int i = v * WIDTH;
            IntVector maximaHere = FloatVector.fromArray(SPECIES, maxima, firsts[v]).reinterpretAsInts();
            FloatVector z = VectorAccess.load(IN_ARRAY, in, inSegment, at, i);
            FloatVector max = IntVector.fromArray(INTS, rows, i).selectFrom(maximaHere).reinterpretAsFloats();
            FloatVector d = z.sub(max);
            FloatVector t = d.fma(log2e, magic);
            FloatVector n = t.sub(magic);
            FloatVector b = d.sub(z);
            FloatVector error = z.sub(d.sub(b)).sub(max.add(b));
            FloatVector r = n.fma(minusLn2Hi, d).add(n.fma(minusLn2Lo, error));
            FloatVector p = c6.fma(r, c5).fma(r, c4).fma(r, c3).fma(r, c2).fma(r, one).fma(r, one);
            FloatVector e = p.mul(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats());
            if (ANY) {
                e = e.mul(ExactMath.EXP_LAST).blend(zero, d.lt(ExactMath.EXP_ZERO_BELOW));
            } else {
                lowest = lowest.min(t.reinterpretAsInts());
            }
            VectorMask<Float> isMax = d.eq(zero);
            equal += Long.bitCount(isMax.toLong());
            e.intoArray(exponentials, i);
            e.blend(zero, isMax).intoArray(others, i);
        }
        block.equal = equal;
        work.unplain = lowest.lt(LOWEST_NORMAL).trueCount();
    }
}
