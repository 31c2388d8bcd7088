package dev.isobit.cpu;

import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/** One parameter, its gradient and momentum buffer, as the kernels access them. */
final class SgdOperands {
    final ParamStorage storage;
    final FloatOperand grad;
    /** Empty without {@link #momentum}. */
    final FloatOperand momentumBuffer;
    final boolean momentum;
    long count;
    final int group;
    final SgdUpdate update;

    /** @param number of the parameter in the optimizer */
    SgdOperands(SgdParameter parameter, int number, SgdOptions options, int group, CpuKernels kernels) {
        this(new ParamStorage(parameter.param(), parameter.master(), options.rounding(), number, kernels), parameter,
                group, kernels);
    }

    private SgdOperands(ParamStorage storage, SgdParameter parameter, int group, CpuKernels kernels) {
        this(storage, operand(parameter.stepGrad(), kernels),
                operand(parameter.momentumBuffer(), kernels), parameter.momentumBuffer() != null,
                parameter.param().elementCount(), group, kernels);
    }

    private SgdOperands(ParamStorage storage, FloatOperand grad, FloatOperand momentumBuffer,
            boolean momentum,
            long count, int group, CpuKernels kernels) {
        this.storage = storage;
        this.grad = grad;
        this.momentumBuffer = momentumBuffer;
        this.momentum = momentum;
        this.count = count;
        this.group = group;
        update = kernels.sgd(this);
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
        return storage.isDirect(kernels) && kernels.reaches(grad) && kernels.reaches(momentumBuffer);
    }

    /** The same parameter with other operands for some of its own, of the same count. */
    SgdOperands with(FloatOperand otherParam, FloatOperand otherGrad, FloatOperand otherMomentumBuffer,
            CpuKernels kernels) {
        return new SgdOperands(new ParamStorage(otherParam, kernels), otherGrad, otherMomentumBuffer, momentum, count,
                group, kernels);
    }

    /** Takes a parameter that lies right behind this one in all its memory along, or returns false. */
    boolean extendBy(SgdOperands next) {
        if (group != next.group || momentum != next.momentum || !storage.isFollowedBy(next.storage, count)
                || !grad.isFollowedBy(next.grad, count)
                || momentum && !momentumBuffer.isFollowedBy(next.momentumBuffer, count)) {
            return false;
        }
        count += next.count;
        return true;
    }
}
