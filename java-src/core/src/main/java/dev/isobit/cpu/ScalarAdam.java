package dev.isobit.cpu;

import static dev.isobit.math.Fma.fma;

import dev.isobit.spi.AdamScalars;

/** Adam by scalar code: any memory, any JVM. {@link VectorAdam} must match it to the bit. */
final class ScalarAdam implements AdamUpdate {
    private final boolean amsgrad;

    ScalarAdam(boolean amsgrad) {
        this.amsgrad = amsgrad;
    }

    @Override
    public int width() {
        return 1;
    }

    @Override
    public void run(AdamOperands tensors, long from, long to, AdamScalars s) {
        for (long i = from; i < to; i++) {
            float p = tensors.storage.get(i);
            float g = s.scaled(tensors.grad.get(i));
            float m = tensors.expAvg.get(i);
            float v = tensors.expAvgSq.get(i);
            if (s.maximize) {
                g = -g;
            }
            if (s.decaysGrad) {
                g = fma(s.gradDecay, p, g);
            }
            m = fma(s.w1, g - m, m);
            v = fma(s.w2, fma(g, g, -v), v);
            float x = v;
            if (amsgrad) {
                float largest = tensors.maxExpAvgSq.get(i);
                x = v > largest || v != v ? v : largest;
                tensors.maxExpAvgSq.set(i, SegmentWork.canonical(x));
            }
            if (s.paramDecay != 1) {
                p *= s.paramDecay;
            }
            p = fma(s.negStepSize, m / fma((float) Math.sqrt(x), s.rsqrtBc2, s.eps), p);
            tensors.storage.set(i, SegmentWork.canonical(p));
            tensors.expAvg.set(i, SegmentWork.canonical(m));
            tensors.expAvgSq.set(i, SegmentWork.canonical(v));
        }
    }
}
