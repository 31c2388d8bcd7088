package dev.isobit.cpu;

import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/** One parameter, its gradient and moments, as the kernels access them. */
final class AdamOperands {
    /** How {@link #param} is kept, if it is not all there is. */
    final ParamStorage storage;
    final FloatOperand param;
    final FloatOperand grad;
    final FloatOperand expAvg;
    final FloatOperand expAvgSq;
    /** Empty without {@link #amsgrad}. */
    final FloatOperand maxExpAvgSq;
    final boolean amsgrad;
    long count;
    final int group;
    final AdamUpdate update;

    /** @param number of the parameter in the optimizer */
    AdamOperands(AdamParameter parameter, int number, AdamOptions options, int group, CpuKernels kernels) {
        this(new ParamStorage(parameter.param(), parameter.master(), options.rounding(), number, kernels), parameter,
                group, kernels);
    }

    private AdamOperands(ParamStorage storage, AdamParameter parameter, int group, CpuKernels kernels) {
        this(storage, storage.param, operand(parameter.grad(), kernels),
                operand(parameter.expAvg(), kernels), operand(parameter.expAvgSq(), kernels),
                operand(parameter.maxExpAvgSq(), kernels), parameter.maxExpAvgSq() != null,
                parameter.param().elementCount(), group, kernels);
    }

    private AdamOperands(ParamStorage storage, FloatOperand param, FloatOperand grad, FloatOperand expAvg,
            FloatOperand expAvgSq,
            FloatOperand maxExpAvgSq, boolean amsgrad, long count, int group, CpuKernels kernels) {
        this.storage = storage;
        this.param = param;
        this.grad = grad;
        this.expAvg = expAvg;
        this.expAvgSq = expAvgSq;
        this.maxExpAvgSq = maxExpAvgSq;
        this.amsgrad = amsgrad;
        this.count = count;
        this.group = group;
        update = kernels.adam(this);
    }

    private static FloatOperand operand(@Nullable Tensor tensor, CpuKernels kernels) {
        FloatOperand operand = new FloatOperand();
        if (tensor != null) {
            operand.set(tensor, kernels);
        }
        return operand;
    }

    /** Whether all of it is F32. */
    boolean isWide() {
        return storage.isWide() && !(grad.isNarrow() || expAvg.isNarrow() || expAvgSq.isNarrow()
                || maxExpAvgSq.isNarrow());
    }

    /** The same parameter with other operands for some of its own, of the same count. */
    AdamOperands with(FloatOperand otherParam, FloatOperand otherGrad, FloatOperand otherExpAvg,
            FloatOperand otherExpAvgSq, FloatOperand otherMaxExpAvgSq, CpuKernels kernels) {
        return new AdamOperands(storage, otherParam, otherGrad, otherExpAvg, otherExpAvgSq, otherMaxExpAvgSq, amsgrad,
                count,
                group, kernels);
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
