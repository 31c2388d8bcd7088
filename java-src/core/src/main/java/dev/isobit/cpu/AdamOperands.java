package dev.isobit.cpu;

import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/** One parameter, its gradient and moments, as the kernels access them. */
final class AdamOperands {
    final ParamStorage storage;
    final FloatOperand grad;
    final FloatOperand expAvg;
    final FloatOperand expAvgSq;
    /** Empty without {@link #amsgrad}. */
    final FloatOperand maxExpAvgSq;
    final boolean amsgrad;
    long count;
    final int group;
    final AdamUpdate update;
    /** The same otherwise, for gradients that a step takes as they are. */
    final AdamUpdate staged;

    /** @param number of the parameter in the optimizer */
    AdamOperands(AdamParameter parameter, int number, AdamOptions options, int group, CpuKernels kernels) {
        this(new ParamStorage(parameter.param(), parameter.master(), options.rounding(), number, kernels), parameter,
                group, kernels);
    }

    private AdamOperands(ParamStorage storage, AdamParameter parameter, int group, CpuKernels kernels) {
        this(storage, operand(parameter.stepGrad(), kernels),
                operand(parameter.expAvg(), kernels), operand(parameter.expAvgSq(), kernels),
                operand(parameter.maxExpAvgSq(), kernels), parameter.maxExpAvgSq() != null,
                parameter.param().elementCount(), group, kernels);
    }

    private AdamOperands(ParamStorage storage, FloatOperand grad, FloatOperand expAvg,
            FloatOperand expAvgSq,
            FloatOperand maxExpAvgSq, boolean amsgrad, long count, int group, CpuKernels kernels) {
        this.storage = storage;
        this.grad = grad;
        this.expAvg = expAvg;
        this.expAvgSq = expAvgSq;
        this.maxExpAvgSq = maxExpAvgSq;
        this.amsgrad = amsgrad;
        this.count = count;
        this.group = group;
        update = kernels.adam(this);
        staged = kernels.stagedAdam(this);
    }

    private static FloatOperand operand(@Nullable Tensor tensor, CpuKernels kernels) {
        FloatOperand operand = new FloatOperand();
        if (tensor != null) {
            operand.set(tensor, kernels);
        }
        return operand;
    }

    /** Whether the update takes all of it as it stands in memory. */
    boolean isDirect(CpuKernels kernels) {
        return storage.isDirect(kernels) && kernels.reaches(grad) && kernels.reaches(expAvg)
                && kernels.reaches(expAvgSq) && kernels.reaches(maxExpAvgSq);
    }

    /** The same parameter with other operands for some of its own, of the same count. */
    AdamOperands with(FloatOperand otherParam, FloatOperand otherGrad, FloatOperand otherExpAvg,
            FloatOperand otherExpAvgSq, FloatOperand otherMaxExpAvgSq, CpuKernels kernels) {
        return new AdamOperands(new ParamStorage(otherParam, kernels), otherGrad, otherExpAvg, otherExpAvgSq,
                otherMaxExpAvgSq, amsgrad, count, group, kernels);
    }

    /** Takes a parameter that lies right behind this one in all its memory along, or returns false. */
    boolean extendBy(AdamOperands next) {
        if (group != next.group || amsgrad != next.amsgrad || !storage.isFollowedBy(next.storage, count)
                || !grad.isFollowedBy(next.grad, count) || !expAvg.isFollowedBy(next.expAvg, count)
                || !expAvgSq.isFollowedBy(next.expAvgSq, count)
                || amsgrad && !maxExpAvgSq.isFollowedBy(next.maxExpAvgSq, count)) {
            return false;
        }
        count += next.count;
        return true;
    }
}
