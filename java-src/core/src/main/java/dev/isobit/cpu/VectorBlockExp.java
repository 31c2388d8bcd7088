package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import jdk.incubator.vector.FloatVector;

/** {@code exp} of a block by vectors. */
final class VectorBlockExp implements BlockExp {
    @Override
    public void run(float[] from, int at, float[] to, int count) {
        int whole = VectorMath.SPECIES.loopBound(count);
        for (int i = 0; i < whole; i += VectorAccess.WIDTH) {
            VectorMath.exp(FloatVector.fromArray(VectorMath.SPECIES, from, at + i)).intoArray(to, i);
        }
        for (int i = whole; i < count; i++) {
            to[i] = ExactMath.exp(from[at + i]);
        }
    }
}
