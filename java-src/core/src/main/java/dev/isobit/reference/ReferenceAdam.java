package dev.isobit.reference;

import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.List;
import java.util.Objects;

/**
 * Adam and AdamW as their authors define them, in float64:
 * <pre>
 * g = gradFactor·g, within ±clipValue            a guarded step
 * g = -g                                         maximize
 * g = g + weightDecay·p                          Adam
 * m = m + w1·(g - m)
 * v = v + w2·(g·g - v)
 * x = max(x, v)                                  amsgrad, else x = v
 * p = p·d                                        AdamW, semantics that decay before
 * p = p - lr/bc1·m/(sqrt(x)/sqrt(bc2) + eps)     bc = 1 - (1 - w)^step; ONNX: step - 1, no correction for 0
 * p = p - lr·sqrt(bc2)/bc1·m/(sqrt(x) + eps)     in place of it, with epsilon-hat
 * p = p·d                                        AdamW, semantics that decay after
 * </pre>
 * d = 1 - lr·weightDecay, 1 - weightDecay for ONNX. The scalars that are operands of float32 arithmetic enter as the
 * floats that they are there: w1, w2, eps, weightDecay and d. What is computed from them (bias corrections, step size)
 * stays in float64.
 */
final class ReferenceAdam implements AdamKernel {
    private final ReferenceBackend backend;
    private final List<AdamGroup> groups;

    ReferenceAdam(ReferenceBackend backend, List<AdamGroup> groups) {
        this.backend = backend;
        this.groups = groups;
    }

    @Override
    public void step(AdamScalars[] scalars) {
        backend.requireOpen();
        int number = 0;
        for (int i = 0; i < scalars.length; i++) {
            if (scalars[i].enabled) {
                step(groups.get(i), scalars[i], number);
            }
            number += groups.get(i).parameters().size();
        }
    }

    /** @param first the number of the group's first parameter */
    private static void step(AdamGroup group, AdamScalars scalars, int first) {
        int number = first;
        AdamOptions options = group.options();
        AdamSemantics semantics = options.semantics();
        long steps = semantics == AdamSemantics.ONNX ? scalars.step - 1 : scalars.step;
        double bc1 = correction(scalars.w1, steps);
        double bc2 = correction(scalars.w2, steps);
        double stepSize = semantics.usesEpsilonHat() ? scalars.lr * Math.sqrt(bc2) / bc1 : scalars.lr / bc1;
        double rootCorrection = semantics.usesEpsilonHat() ? 1 : Math.sqrt(bc2);
        boolean decaysParam = options.decoupled() && options.weightDecay() != 0;
        for (AdamParameter parameter : group.parameters()) {
            var param = new ParamElements(parameter.param(), parameter.master(), options.rounding(), number++,
                    scalars.step);
            var grad = Elements.of(parameter.stepGrad());
            var expAvg = Elements.of(Objects.requireNonNull(parameter.expAvg()));
            var expAvgSq = Elements.of(Objects.requireNonNull(parameter.expAvgSq()));
            var maxExpAvgSq = options.amsgrad() ? Elements.of(Objects.requireNonNull(parameter.maxExpAvgSq())) : null;
            for (long i = 0; i < parameter.param().elementCount(); i++) {
                double p = param.get(i);
                double g = scalars.scaled(grad.get(i));
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
                double x = v;
                if (maxExpAvgSq != null) {
                    x = Math.max(maxExpAvgSq.get(i), v);
                    maxExpAvgSq.set(i, x);
                }
                if (decaysParam && !semantics.decaysAfterUpdate()) {
                    p = p * scalars.paramDecay;
                }
                p = p - stepSize * m / (Math.sqrt(x) / rootCorrection + scalars.eps);
                if (decaysParam && semantics.decaysAfterUpdate()) {
                    p = p * scalars.paramDecay;
                }
                param.set(i, p);
                expAvg.set(i, m);
                expAvgSq.set(i, v);
            }
        }
    }

    private static double correction(float weight, long steps) {
        return steps == 0 ? 1 : -Math.expm1(steps * Math.log1p(-(double) weight));
    }

    @Override
    public void close() {
        // owns nothing
    }
}
