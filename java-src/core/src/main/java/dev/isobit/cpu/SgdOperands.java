package dev.isobit.cpu;

import dev.isobit.SgdParameter;

/** One parameter, its gradient and momentum buffer, as the kernels access them. */
final class SgdOperands {
    final FloatOperand param = new FloatOperand();
    final FloatOperand grad;
    /** Empty without {@link #momentum}. */
    final FloatOperand momentumBuffer = new FloatOperand();
    final boolean momentum;
    long count;
    final int group;
    final SgdUpdate update;

    SgdOperands(SgdParameter parameter, int group, CpuKernels kernels) {
        grad = new FloatOperand();
        param.set(parameter.param());
        grad.set(parameter.grad());
        momentum = parameter.momentumBuffer() != null;
        if (parameter.momentumBuffer() != null) {
            momentumBuffer.set(parameter.momentumBuffer());
        }
        count = parameter.param().elementCount();
        this.group = group;
        update = kernels.sgd(this);
    }

    /** The same parameter with another gradient, of the same count. */
    SgdOperands(SgdOperands of, FloatOperand grad, CpuKernels kernels) {
        group = of.group;
        momentum = of.momentum;
        count = of.count;
        this.grad = grad;
        param.set(of.param);
        momentumBuffer.set(of.momentumBuffer);
        update = kernels.sgd(this);
    }

    /** Takes a parameter that lies right behind this one in all its memory along, or returns false. */
    boolean extendBy(SgdOperands next) {
        if (group != next.group || momentum != next.momentum || !param.isFollowedBy(next.param, count)
                || !grad.isFollowedBy(next.grad, count)
                || momentum && !momentumBuffer.isFollowedBy(next.momentumBuffer, count)) {
            return false;
        }
        count += next.count;
        return true;
    }
}
