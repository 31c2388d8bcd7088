package dev.isobit.spi;

import dev.isobit.SgdOptions;

/** What a step of SGD does to a group of parameters. Filled by {@link dev.isobit.Sgd} and reused. */
public final class SgdScalars extends GroupScalars {
    /** The step, from 1. */
    public long step;
    /** Whether the parameter moves along gradient and momentum. */
    public boolean nesterov;
    /** Whether {@link #weightDecay} enters the gradient, even one so small that it rounds to 0. */
    public boolean decays;
    /** Whether the momentum buffer becomes the gradient: the group's first step. */
    public boolean first;
    /** {@code -float(lr)}, lr with the schedule's factor. */
    public float negLr;
    /** {@code float(momentum)}. */
    public float momentum;
    /** {@code float(1 - dampening)}. */
    public float gradShare;
    /** {@code float(weightDecay)}. */
    public float weightDecay;

    /** Makes scalars that are all zero. */
    public SgdScalars() {}

    /**
     * Computes the scalars of one step.
     *
     * @param options options
     * @param lr the learning rate, which the schedule's factor multiplies
     * @param step the step, from 1
     */
    public void set(SgdOptions options, double lr, long step) {
        this.step = step;
        maximize = options.maximize();
        nesterov = options.nesterov();
        decays = options.weightDecay() != 0;
        first = step == 1;
        negLr = -(float) (lr * options.schedule().factor(step));
        momentum = (float) options.momentum();
        gradShare = (float) (1 - options.dampening());
        weightDecay = (float) options.weightDecay();
    }
}
