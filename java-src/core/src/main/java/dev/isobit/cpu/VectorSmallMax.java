package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The maxima of small rows, NaN left out: it will show in the sums. What is behind a row's end is read as well, unless logits end there.
 * Copied by {@link Specialized}.
 */
final class VectorSmallMax implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    /** Bytes of an element, or elements of an array. */
    private static final long UNIT = IN_ARRAY ? 1 : Float.BYTES;

    VectorSmallMax() {}

    @Override
    public void run(SegmentWork work) {
        SmallBlock block = work.block;
        int groups = block.groups;
        boolean several = work.length > WIDTH;
        if (several) {
            lanes(work);
        } else {
            groups -= block.atEnd ? 1 : 0;
            fours(work, groups);
        }
        VectorSmallFold.maxima(block.folded, several ? 0 : 2, groups, block.maxima);
        if (groups < block.groups) {
            oneByOne(work);
        }
    }

    /** The last group's rows. */
    private static void oneByOne(SegmentWork work) {
        SmallBlock block = work.block;
        int classes = work.length;
        for (int r = (block.groups - 1) * WIDTH; r < block.groups * WIDTH; r++) {
            float max = Float.NEGATIVE_INFINITY;
            for (int i = r * classes; i < (r + 1) * classes; i++) {
                float z = VectorAccess.get(IN_ARRAY, work.in, work.inSegment, work.at, i);
                max = z > max ? z : max;
            }
            block.maxima[r] = max;
        }
    }

    /** Rows of some vectors: the maxima of lanes. */
    private static void lanes(SegmentWork work) {
        float[] in = work.in;
        MemorySegment inSegment = work.inSegment;
        float[] folded = work.block.folded;
        VectorAccess.require(IN_NATIVE, inSegment);
        int classes = work.length;
        long row = work.at;
        for (int r = 0; r < work.block.groups * WIDTH; r++) {
            // The last vector overlaps the one before.
            FloatVector max = VectorAccess.load(IN_ARRAY, in, inSegment, row, classes - WIDTH);
            for (int i = 0; i < classes - WIDTH; i += WIDTH) {
                FloatVector z = VectorAccess.load(IN_ARRAY, in, inSegment, row, i);
                max = max.blend(z, z.compare(VectorOperators.GT, max));
            }
            max.intoArray(folded, r * WIDTH);
            row += classes * UNIT;
        }
    }

    /** Rows of at most a vector: the first two levels of {@link VectorSmallFold}. */
    private static void fours(SegmentWork work, int groups) {
        float[] in = work.in;
        MemorySegment inSegment = work.inSegment;
        float[] folded = work.block.folded;
        VectorAccess.require(IN_NATIVE, inSegment);
        VectorMask<Float> behind = SPECIES.indexInRange(0, work.length).not();
        VectorMask<Float> upper = VectorSmallFold.upper(0);
        VectorShuffle<Float> across = VectorSmallFold.across(0);
        VectorMask<Float> upperNext = VectorSmallFold.upper(1);
        VectorShuffle<Float> acrossNext = VectorSmallFold.across(1);
        long step = work.length * UNIT;
        long at = work.at;
        for (int v = 0; v < groups * (WIDTH / 4); v++) {
            FloatVector a = VectorAccess.load(IN_ARRAY, in, inSegment, at, 0)
                    .blend(Float.NEGATIVE_INFINITY, behind);
            FloatVector b = VectorAccess.load(IN_ARRAY, in, inSegment, at + step, 0)
                    .blend(Float.NEGATIVE_INFINITY, behind);
            FloatVector c = VectorAccess.load(IN_ARRAY, in, inSegment, at + 2 * step, 0)
                    .blend(Float.NEGATIVE_INFINITY, behind);
            FloatVector d = VectorAccess.load(IN_ARRAY, in, inSegment, at + 3 * step, 0)
                    .blend(Float.NEGATIVE_INFINITY, behind);
            at += 4 * step;
            FloatVector ac = a.blend(c, upper);
            FloatVector acOther = c.blend(a, upper).rearrange(across);
            ac = ac.blend(acOther, acOther.compare(VectorOperators.GT, ac));
            FloatVector bd = b.blend(d, upper);
            FloatVector bdOther = d.blend(b, upper).rearrange(across);
            bd = bd.blend(bdOther, bdOther.compare(VectorOperators.GT, bd));
            FloatVector max = ac.blend(bd, upperNext);
            FloatVector other = bd.blend(ac, upperNext).rearrange(acrossNext);
            max.blend(other, other.compare(VectorOperators.GT, max)).intoArray(folded, v * WIDTH);
        }
    }
}
