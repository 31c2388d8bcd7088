package dev.isobit.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** 1 - p_t, p_t the probability of the true side, of a block's logits and targets, of whole vectors alone. */
final class VectorFocalMiss implements BceKernel {
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;

    @Override
    public void run(BceBlock block, int from, int to) {
        float[] logits = block.logits.array;
        float[] targets = block.targets.array;
        float[] exponentials = block.exp;
        float[] results = block.miss;
        int logitsAt = block.logits.at;
        int targetsAt = block.targets.at;
        FloatVector keep = VectorMath.constant(block.keep);
        FloatVector half = VectorMath.constant(block.half);
        int end = from + SPECIES.loopBound(to - from);
        for (int i = from; i < end; i += VectorAccess.WIDTH) {
            FloatVector one = VectorMath.constant(1);
            FloatVector x = FloatVector.fromArray(SPECIES, logits, logitsAt + i);
            FloatVector t = FloatVector.fromArray(SPECIES, targets, targetsAt + i);
            FloatVector k0 = one.sub(t).fma(keep, half);
            FloatVector k1 = t.fma(keep, half);
            VectorMask<Float> right = x.compare(VectorOperators.GE, VectorMath.constant(0));
            FloatVector e = FloatVector.fromArray(SPECIES, exponentials, i);
            FloatVector q = one.div(e.add(one));
            k0.blend(k1, right).fma(e.mul(q), k1.blend(k0, right).mul(q)).intoArray(results, i);
        }
    }
}
