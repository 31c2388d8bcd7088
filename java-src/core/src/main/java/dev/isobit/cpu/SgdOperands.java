package dev.isobit.cpu;

import dev.isobit.SgdParameter;

/** One parameter, its gradient and momentum buffer, as the kernels access them. */
final class SgdOperands {
    final FloatOperand param = new FloatOperand();
    final FloatOperand grad = new FloatOperand();
    /** Empty without {@link #momentum}. */
    final FloatOperand momentumBuffer = new FloatOperand();
    final boolean momentum;
    final long count;
    final int group;
    final SgdUpdate update;

    SgdOperands(SgdParameter parameter, int group, CpuKernels kernels) {
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
}
