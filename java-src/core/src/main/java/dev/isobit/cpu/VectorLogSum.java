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
        for (int r = 0; r < rows; r += VectorAccess.WIDTH) {
            FloatVector sum = FloatVector.fromArray(VectorMath.SPECIES, block.sums, r);
            FloatVector count = FloatVector.fromArray(VectorMath.SPECIES, block.counts, r);
            VectorMask<Float> single = count.eq(1);
            FloatVector logSum = VectorMath.log1p(sum);
            if (!single.allTrue()) {
                // Counts are small: rounded in float32 the sum is what it is when rounded in float64 and then in float32.
                logSum = VectorMath.log(sum.add(count)).blend(logSum, single);
            }
            logSum.intoArray(block.logSums, r);
        }
    }
}
