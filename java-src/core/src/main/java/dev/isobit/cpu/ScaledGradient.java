package dev.isobit.cpu;

import dev.isobit.spi.GroupScalars;

/**
 * Elements of a gradient as a guarded step takes them, multiplied and clipped, in the first cache: the update itself is that
 * of any step.
 */
final class ScaledGradient {
    /** Elements at once: a multiple of every vector. */
    static final int LENGTH = 2048;

    private final float[] values = new float[LENGTH];

    /** The elements, at the places that they have in the gradient. */
    final FloatOperand operand = new FloatOperand();

    ScaledGradient() {
        operand.kind = FloatOperand.Kind.ARRAY;
        operand.array = values;
    }

    /** Takes elements of a gradient; see {@link GroupScalars#scaled}. */
    void set(FloatOperand grad, long first, int count, GroupScalars s) {
        grad.copyTo(values, 0, first, count);
        operand.base = -first;
        float factor = s.gradFactor;
        float most = s.clipValue;
        float least = -most;
        for (int i = 0; i < count; i++) {
            // Both keep a NaN, as comparisons do.
            values[i] = Math.max(least, Math.min(most, values[i] * factor));
        }
    }
}
