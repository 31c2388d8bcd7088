package dev.isobit.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** exp(-|x|) of a block's logits, of whole vectors alone. */
final class VectorBceExp implements BceKernel {
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;

    @Override
    public void run(BceBlock block, int from, int to) {
        float[] logits = block.logits.array;
        float[] results = block.exp;
        int logitsAt = block.logits.at;
        int end = from + SPECIES.loopBound(to - from);
        for (int i = from; i < end; i += VectorAccess.WIDTH) {
            FloatVector x = FloatVector.fromArray(SPECIES, logits, logitsAt + i);
            VectorMath.expNotPositive(x.abs().neg()).intoArray(results, i);
        }
    }
}
