package dev.isobit.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** log1p of a block's exponentials, of whole vectors alone. */
final class VectorBceLog implements BceKernel {
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;

    @Override
    public void run(BceBlock block, int from, int to) {
        float[] exponentials = block.exp;
        float[] results = block.log1p;
        int end = from + SPECIES.loopBound(to - from);
        for (int i = from; i < end; i += VectorAccess.WIDTH) {
            VectorMath.log1pOfUnit(FloatVector.fromArray(SPECIES, exponentials, i)).intoArray(results, i);
        }
    }
}
