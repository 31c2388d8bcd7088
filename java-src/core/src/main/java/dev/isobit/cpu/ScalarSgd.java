package dev.isobit.cpu;

import static dev.isobit.math.Fma.fma;

import dev.isobit.spi.SgdScalars;

/** SGD by scalar code: any memory, any JVM. {@link VectorSgd} must match it to the bit. */
final class ScalarSgd implements SgdUpdate {
    @Override
    public int width() {
        return 1;
    }

    @Override
    public void run(SgdOperands tensors, long from, long to, SgdScalars s) {
        for (long i = from; i < to; i++) {
            float p = tensors.storage.get(i);
            float g = s.scaled(tensors.grad.get(i));
            if (s.maximize) {
                g = -g;
            }
            if (s.decays) {
                g = fma(s.weightDecay, p, g);
            }
            float u = g;
            if (tensors.momentum) {
                float b = s.first ? g : fma(s.momentum, tensors.momentumBuffer.get(i), s.gradShare * g);
                u = s.nesterov ? fma(s.momentum, b, g) : b;
                tensors.momentumBuffer.set(i, SegmentWork.canonical(b));
            }
            tensors.storage.set(i, SegmentWork.canonical(fma(s.negLr, u, p)));
        }
    }
}
