package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/** The sums of small rows, the elements that are their row's maximum left out, and how many these are. */
final class VectorSmallSum implements SegmentStage {
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorSmallSum() {}

    @Override
    public void run(SegmentWork work) {
        SmallBlock block = work.block;
        MemorySegment others = block.others;
        MemorySegment folded = block.folded;
        VectorAccess.require(true, others);
        VectorAccess.require(true, folded);
        int classes = work.length;
        int last = (classes - 1) / WIDTH * WIDTH;
        FloatVector zero = VectorMath.kept(1);
        VectorMask<Float> behind = SPECIES.indexInRange(last, classes).not();
        int groups = block.groups;
        for (int g = 0; g < groups; g++) {
            for (int r = 0; r < WIDTH; r++) {
                long row = (g * WIDTH + r) * classes * 4L;
                FloatVector sum = FloatVector.fromMemorySegment(SPECIES, others, row + last * 4L, ORDER)
                        .blend(zero, behind);
                if (last == WIDTH) {
                    sum = FloatVector.fromMemorySegment(SPECIES, others, row, ORDER).add(sum);
                } else if (last > WIDTH) {
                    FloatVector a = FloatVector.fromMemorySegment(SPECIES, others, row, ORDER);
                    FloatVector b = FloatVector.fromMemorySegment(SPECIES, others, row + WIDTH * 4L, ORDER);
                    if (last == 2 * WIDTH) {
                        sum = a.add(sum).add(b);
                    } else {
                        FloatVector c = FloatVector.fromMemorySegment(SPECIES, others, row + 2 * WIDTH * 4L, ORDER);
                        sum = a.add(c).add(b.add(sum));
                    }
                }
                sum.intoMemorySegment(folded, (r * groups + g) * WIDTH * 4L, ORDER);
            }
        }
        VectorSmallFold.sums(folded, groups, block.sums);
        count(block, classes);
    }

    /** Every row with a finite maximum has an element equal to it; where these are no more than rows, each has one. */
    private static void count(SmallBlock block, int classes) {
        int rows = block.groups * WIDTH;
        Arrays.fill(block.counts, 0, rows, 1);
        if (block.equal == rows && isFinite(block.maxima, rows)) {
            return;
        }
        for (int r = 0; r < rows; r++) {
            int count = 0;
            for (int i = 0; i < classes; i++) {
                count += block.logits.getAtIndex(ValueLayout.JAVA_FLOAT, r * classes + i) == block.maxima[r] ? 1 : 0;
            }
            block.counts[r] = count;
        }
    }

    /** By a loop that the JIT makes vectors of: where it does not inline this method, vectors written here would be boxed. */
    private static boolean isFinite(float[] values, int count) {
        int greatest = 0;
        for (int i = 0; i < count; i++) {
            greatest = Math.max(greatest, Float.floatToRawIntBits(values[i]) & Integer.MAX_VALUE);
        }
        return greatest < Float.floatToRawIntBits(Float.POSITIVE_INFINITY);
    }
}
