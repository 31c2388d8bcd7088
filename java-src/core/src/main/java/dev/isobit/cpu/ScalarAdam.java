package dev.isobit.cpu;

import static dev.isobit.math.Fma.fma;

import dev.isobit.spi.AdamScalars;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Adam by scalar code: any memory, any JVM. {@link VectorAdam} must match it to the bit. */
final class ScalarAdam implements AdamUpdate {
    @Override
    public void run(AdamOperands tensors, long from, long to, AdamScalars s, boolean maximize) {
        for (long i = from; i < to; i++) {
            float p = get(tensors.param, i);
            float g = get(tensors.grad, i);
            float m = get(tensors.expAvg, i);
            float v = get(tensors.expAvgSq, i);
            if (maximize) {
                g = -g;
            }
            if (s.gradDecay != 0) {
                g = fma(s.gradDecay, p, g);
            }
            m = fma(s.w1, g - m, m);
            v = fma(s.w2, fma(g, g, -v), v);
            if (s.paramDecay != 1) {
                p *= s.paramDecay;
            }
            p = fma(s.negStepSize, m / fma((float) Math.sqrt(v), s.rsqrtBc2, s.eps), p);
            set(tensors.param, i, p);
            set(tensors.expAvg, i, m);
            set(tensors.expAvgSq, i, v);
        }
    }

    private static float get(FloatOperand operand, long i) {
        MemorySegment segment = operand.segment;
        return segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, operand.byteBase() + i * Float.BYTES);
    }

    private static void set(FloatOperand operand, long i, float value) {
        operand.segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, operand.byteBase() + i * Float.BYTES,
                CrossEntropyRow.canonical(value));
    }
}
