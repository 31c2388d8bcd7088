package dev.isobit.reference;

import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.List;
import java.util.Objects;

/**
 * Adam and AdamW as PyTorch defines them, in float64:
 * <pre>
 * g = -g                                         maximize
 * g = g + weightDecay·p                          Adam
 * m = m + w1·(g - m)
 * v = v + w2·(g·g - v)
 * p = p·(1 - lr·weightDecay)                     AdamW
 * p = p - lr/bc1·m/(sqrt(v)/sqrt(bc2) + eps)     bc = 1 - (1 - w)^step
 * </pre>
 * The scalars that are operands of float32 arithmetic enter as the floats that they are there: w1, w2, eps, weightDecay
 * and 1 - lr·weightDecay. What is computed from them (bias corrections, step size) stays in float64.
 */
final class ReferenceAdam implements AdamKernel {
    private final ReferenceBackend backend;
    private final AdamOptions options;
    private final List<AdamParameter> parameters;

    ReferenceAdam(ReferenceBackend backend, AdamOptions options, List<AdamParameter> parameters) {
        this.backend = backend;
        this.options = options;
        this.parameters = parameters;
    }

    @Override
    public void step(AdamScalars scalars) {
        backend.requireOpen();
        double bc1 = -Math.expm1(scalars.step * Math.log1p(-(double) scalars.w1));
        double bc2 = -Math.expm1(scalars.step * Math.log1p(-(double) scalars.w2));
        double stepSize = scalars.lr / bc1;
        for (AdamParameter parameter : parameters) {
            var param = Elements.of(parameter.param());
            var grad = Elements.of(parameter.grad());
            var expAvg = Elements.of(Objects.requireNonNull(parameter.expAvg()));
            var expAvgSq = Elements.of(Objects.requireNonNull(parameter.expAvgSq()));
            for (long i = 0; i < parameter.param().elementCount(); i++) {
                double p = param.get(i);
                double g = grad.get(i);
                double m = expAvg.get(i);
                double v = expAvgSq.get(i);
                if (options.maximize()) {
                    g = -g;
                }
                if (!options.decoupled() && options.weightDecay() != 0) {
                    g = g + scalars.gradDecay * p;
                }
                m = m + scalars.w1 * (g - m);
                v = v + scalars.w2 * (g * g - v);
                if (options.decoupled() && options.weightDecay() != 0) {
                    p = p * scalars.paramDecay;
                }
                p = p - stepSize * m / (Math.sqrt(v) / Math.sqrt(bc2) + scalars.eps);
                param.set(i, p);
                expAvg.set(i, m);
                expAvgSq.set(i, v);
            }
        }
    }

    @Override
    public void close() {
        // owns nothing
    }
}
