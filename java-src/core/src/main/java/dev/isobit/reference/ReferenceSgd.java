package dev.isobit.reference;

import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SgdScalars;
import java.util.List;

/**
 * SGD as PyTorch defines it, in float64:
 * <pre>
 * g = gradFactor·g, within ±clipValue            a guarded step
 * g = -g                                         maximize
 * g = g + weightDecay·p
 * b = momentum·b + (1 - dampening)·g             with momentum; the first step: b = g
 * u = g + momentum·b                             nesterov; else u = b; without momentum u = g
 * p = p - lr·u
 * </pre>
 * The scalars enter as the floats that they are in float32 arithmetic.
 */
final class ReferenceSgd implements SgdKernel {
    private final ReferenceBackend backend;
    private final List<SgdGroup> groups;

    ReferenceSgd(ReferenceBackend backend, List<SgdGroup> groups) {
        this.backend = backend;
        this.groups = groups;
    }

    @Override
    public void step(SgdScalars[] scalars) {
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
    private static void step(SgdGroup group, SgdScalars scalars, int first) {
        int number = first;
        SgdOptions options = group.options();
        for (SgdParameter parameter : group.parameters()) {
            var param = new ParamElements(parameter.param(), parameter.master(), options.rounding(), number++,
                    scalars.step);
            var grad = Elements.of(parameter.stepGrad());
            var buffer = parameter.momentumBuffer() == null ? null : Elements.of(parameter.momentumBuffer());
            for (long i = 0; i < parameter.param().elementCount(); i++) {
                double p = param.get(i);
                double g = scalars.scaled(grad.get(i));
                if (options.maximize()) {
                    g = -g;
                }
                if (options.weightDecay() != 0) {
                    g = g + scalars.weightDecay * p;
                }
                double u = g;
                if (buffer != null) {
                    double b = scalars.first ? g : scalars.momentum * buffer.get(i) + scalars.gradShare * g;
                    buffer.set(i, b);
                    u = options.nesterov() ? g + scalars.momentum * b : b;
                }
                param.set(i, p + scalars.negLr * u);
            }
        }
    }

    @Override
    public void close() {
        // owns nothing
    }
}
