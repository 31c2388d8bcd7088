package dev.isobit.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** The logarithms of small rows' sums: log1p of the others where one element is the maximum, log of all elsewhere. */
final class VectorLogSum implements SegmentStage {
    VectorLogSum() {}

    @Override
    public void run(SegmentWork work) {
        SmallBlock block = work.block;
        int rows = block.groups * VectorAccess.WIDTH;
        VectorMath.log1p(block.sums, block.logSums, rows);
        for (int r = 0; r < rows; r += VectorAccess.WIDTH) {
            FloatVector count = FloatVector.fromArray(VectorMath.SPECIES, block.counts, r);
            VectorMask<Float> single = count.eq(1);
            if (!single.allTrue()) {
                // Counts are small: rounded in float32 the sum is what it is when rounded in float64 and then in float32.
                FloatVector sum = FloatVector.fromArray(VectorMath.SPECIES, block.sums, r);
                FloatVector others = FloatVector.fromArray(VectorMath.SPECIES, block.logSums, r);
                VectorMath.log(sum.add(count)).blend(others, single).intoArray(block.logSums, r);
            }
        }
    }
}
