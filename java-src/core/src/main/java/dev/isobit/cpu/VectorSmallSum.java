package dev.isobit.cpu;

import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/** The sums of small rows, the elements that are their row's maximum left out, and how many these are. */
final class VectorSmallSum implements SegmentStage {
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;

    VectorSmallSum() {}

    @Override
    public void run(SegmentWork work) {
        SmallBlock block = work.block;
        int classes = work.length;
        sums(block, classes, block.sums);
        int rows = block.groups * WIDTH;
        // Every row with a finite maximum has an element equal to it; where these are no more than rows, each has one.
        block.single = block.equal == rows && VectorMath.areFinite(block.maxima, rows);
        if (block.single) {
            Arrays.fill(block.counts, 0, rows, 1);
        } else {
            maximaAlone(block, rows * classes);
            sums(block, classes, block.counts);
        }
    }

    private static void sums(SmallBlock block, int classes, float[] to) {
        boolean several = classes > WIDTH;
        if (several) {
            lanes(block, classes);
        } else {
            fours(block, classes);
        }
        VectorSmallFold.sums(block.folded, several ? 0 : 2, block.groups, to);
    }

    /** Rows of some vectors, added to one: lanes that are as many as the next power of two, folded to a vector's. */
    private static void lanes(SmallBlock block, int classes) {
        float[] others = block.others;
        float[] folded = block.folded;
        int last = (classes - 1) / WIDTH * WIDTH;
        FloatVector zero = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.ZERO);
        VectorMask<Float> behind = SPECIES.indexInRange(last, classes).not();
        int row = 0;
        for (int r = 0; r < block.groups * WIDTH; r++) {
            FloatVector sum = FloatVector.fromArray(SPECIES, others, row + last)
                    .blend(zero, behind);
            FloatVector a = FloatVector.fromArray(SPECIES, others, row);
            if (last == WIDTH) {
                sum = a.add(sum);
            } else {
                FloatVector b = FloatVector.fromArray(SPECIES, others, row + WIDTH);
                if (last == 2 * WIDTH) {
                    sum = a.add(sum).add(b);
                } else {
                    FloatVector c = FloatVector.fromArray(SPECIES, others, row + 2 * WIDTH);
                    sum = a.add(c).add(b.add(sum));
                }
            }
            sum.intoArray(folded, r * WIDTH);
            row += classes;
        }
    }

    /** Rows of at most a vector: the first two levels of {@link VectorSmallFold}. */
    private static void fours(SmallBlock block, int classes) {
        float[] others = block.others;
        float[] folded = block.folded;
        FloatVector zero = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.ZERO);
        VectorMask<Float> behind = SPECIES.indexInRange(0, classes).not();
        VectorMask<Float> upper = VectorSmallFold.upper(0);
        VectorShuffle<Float> across = VectorSmallFold.across(0);
        VectorMask<Float> upperNext = VectorSmallFold.upper(1);
        VectorShuffle<Float> acrossNext = VectorSmallFold.across(1);
        int at = 0;
        for (int v = 0; v < block.groups * (WIDTH / 4); v++) {
            FloatVector a = FloatVector.fromArray(SPECIES, others, at).blend(zero, behind);
            FloatVector b = FloatVector.fromArray(SPECIES, others, at + classes).blend(zero, behind);
            FloatVector c = FloatVector.fromArray(SPECIES, others, at + 2 * classes).blend(zero, behind);
            FloatVector d = FloatVector.fromArray(SPECIES, others, at + 3 * classes).blend(zero, behind);
            FloatVector ac = a.blend(c, upper).add(c.blend(a, upper).rearrange(across));
            FloatVector bd = b.blend(d, upper).add(d.blend(b, upper).rearrange(across));
            ac.blend(bd, upperNext).add(bd.blend(ac, upperNext).rearrange(acrossNext))
                    .intoArray(folded, v * WIDTH);
            at += 4 * classes;
        }
    }

    /** Leaves 1 for an element that is its row's maximum, and 0 for another. */
    private static void maximaAlone(SmallBlock block, int elements) {
        float[] others = block.others;
        float[] exponentials = block.exponentials;
        for (int i = 0; i < elements; i += WIDTH) {
            FloatVector.fromArray(SPECIES, exponentials, i)
                    .sub(FloatVector.fromArray(SPECIES, others, i))
                    .intoArray(others, i);
        }
    }
}
