package dev.isobit.cpu;

import dev.isobit.AdamParameter;
import java.util.Objects;

/** One parameter, its gradient and moments, as the kernels access them. */
final class AdamOperands {
    final FloatOperand param = new FloatOperand();
    final FloatOperand grad = new FloatOperand();
    final FloatOperand expAvg = new FloatOperand();
    final FloatOperand expAvgSq = new FloatOperand();
    /** Empty without {@link #amsgrad}. */
    final FloatOperand maxExpAvgSq = new FloatOperand();
    final boolean amsgrad;
    final long count;
    final int group;
    final AdamUpdate update;

    AdamOperands(AdamParameter parameter, int group, CpuKernels kernels) {
        this.group = group;
        param.set(parameter.param());
        grad.set(parameter.grad());
        expAvg.set(Objects.requireNonNull(parameter.expAvg()));
        expAvgSq.set(Objects.requireNonNull(parameter.expAvgSq()));
        amsgrad = parameter.maxExpAvgSq() != null;
        if (parameter.maxExpAvgSq() != null) {
            maxExpAvgSq.set(parameter.maxExpAvgSq());
        }
        count = parameter.param().elementCount();
        update = kernels.adam(this);
    }
}
