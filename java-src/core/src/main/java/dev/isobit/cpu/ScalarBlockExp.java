package dev.isobit.cpu;

import dev.isobit.math.ExactMath;

/** Scalar twin of {@link VectorBlockExp}. */
final class ScalarBlockExp implements BlockExp {
    @Override
    public void run(float[] from, int at, float[] to, int count) {
        for (int i = 0; i < count; i++) {
            to[i] = ExactMath.exp(from[at + i]);
        }
    }
}
