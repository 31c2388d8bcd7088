package dev.isobit.cpu;

import dev.isobit.AdamParameter;
import java.util.Objects;

/** One parameter, its gradient and moments, as the kernels access them. */
final class AdamOperands {
    final FloatOperand param = new FloatOperand();
    final FloatOperand grad;
    final FloatOperand expAvg = new FloatOperand();
    final FloatOperand expAvgSq = new FloatOperand();
    /** Empty without {@link #amsgrad}. */
    final FloatOperand maxExpAvgSq = new FloatOperand();
    final boolean amsgrad;
    long count;
    final int group;
    final AdamUpdate update;

    AdamOperands(AdamParameter parameter, int group, CpuKernels kernels) {
        grad = new FloatOperand();
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

    /** The same parameter with another gradient, of the same count. */
    AdamOperands(AdamOperands of, FloatOperand grad, CpuKernels kernels) {
        group = of.group;
        amsgrad = of.amsgrad;
        count = of.count;
        this.grad = grad;
        param.set(of.param);
        expAvg.set(of.expAvg);
        expAvgSq.set(of.expAvgSq);
        maxExpAvgSq.set(of.maxExpAvgSq);
        update = kernels.adam(this);
    }

    /** Takes a parameter that lies right behind this one in all its memory along, or returns false. */
    boolean extendBy(AdamOperands next) {
        if (group != next.group || amsgrad != next.amsgrad || !param.isFollowedBy(next.param, count)
                || !grad.isFollowedBy(next.grad, count) || !expAvg.isFollowedBy(next.expAvg, count)
                || !expAvgSq.isFollowedBy(next.expAvgSq, count)
                || amsgrad && !maxExpAvgSq.isFollowedBy(next.maxExpAvgSq, count)) {
            return false;
        }
        count += next.count;
        return true;
    }
}
