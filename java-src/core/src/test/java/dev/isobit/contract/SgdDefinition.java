package dev.isobit.contract;

import dev.isobit.SgdOptions;

/** SGD as kernels/NUMERICS.md defines it to the bit, written from its text. */
public final class SgdDefinition {
    private SgdDefinition() {}

    /**
     * One step over one parameter.
     *
     * @param options options
     * @param lr the learning rate, which the schedule's factor multiplies
     * @param step from 1
     * @param param updated
     * @param grad gradient
     * @param buffer momentum buffer, updated with momentum
     */
    public static void step(SgdOptions options, double lr, long step, float[] param, float[] grad, float[] buffer) {
        float negLr = -(float) (lr * ScheduleDefinition.factor(options.schedule(), step));
        float momentum = (float) options.momentum();
        float gradShare = (float) (1 - options.dampening());
        float weightDecay = (float) options.weightDecay();
        for (int i = 0; i < param.length; i++) {
            float g = options.maximize() ? -grad[i] : grad[i];
            if (options.weightDecay() != 0) {
                g = Math.fma(weightDecay, param[i], g);
            }
            float u = g;
            if (options.momentum() != 0) {
                float b = g;
                if (step > 1) {
                    float share = gradShare * g;
                    b = Math.fma(momentum, buffer[i], share);
                }
                u = options.nesterov() ? Math.fma(momentum, b, g) : b;
                buffer[i] = CrossEntropyDefinition.canonical(b);
            }
            param[i] = CrossEntropyDefinition.canonical(Math.fma(negLr, u, param[i]));
        }
    }
}
