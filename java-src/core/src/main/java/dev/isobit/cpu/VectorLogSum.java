package dev.isobit.cpu;

import jdk.incubator.vector.FloatVector;

/** The logarithms of small rows' sums: log1p of the others where one element is the maximum, log of all elsewhere. */
final class VectorLogSum implements SegmentStage {
    VectorLogSum() {}

    @Override
    public void run(SegmentWork work) {
        SmallBlock block = work.block;
        int rows = block.groups * VectorAccess.WIDTH;
        VectorMath.log1p(block.sums, block.logSums, rows);
        if (block.single) {
            return;
        }
        for (int r = 0; r < rows; r += VectorAccess.WIDTH) {
            // Counts are small: rounded in float32 the sum is what it is when rounded in float64 and then in float32.
            FloatVector.fromArray(VectorMath.SPECIES, block.sums, r)
                    .add(FloatVector.fromArray(VectorMath.SPECIES, block.counts, r)).intoArray(block.losses, r);
        }
        VectorMath.log(block.losses, block.losses, rows);
        for (int r = 0; r < rows; r += VectorAccess.WIDTH) {
            FloatVector ofAll = FloatVector.fromArray(VectorMath.SPECIES, block.losses, r);
            FloatVector ofOthers = FloatVector.fromArray(VectorMath.SPECIES, block.logSums, r);
            ofAll.blend(ofOthers, FloatVector.fromArray(VectorMath.SPECIES, block.counts, r).eq(1))
                    .intoArray(block.logSums, r);
        }
    }
}
