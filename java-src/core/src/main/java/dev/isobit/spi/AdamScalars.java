package dev.isobit.spi;

import dev.isobit.AdamOptions;

/**
 * What changes from step to step of Adam, computed once per step from exactly rounded float64 operations only, so that
 * every host and device that computes them gets the same bits. Filled by {@link dev.isobit.Adam} and reused.
 *
 * <p>{@code w1 = float(1 - beta1)}, {@code w2 = float(1 - beta2)}; the bias corrections come from the rounded weights:
 * {@code bc1 = 1 - (1 - w1)^step}, the power by repeated squaring.
 */
public final class AdamScalars {
    /** The learning rate of this step. */
    public double lr;
    /** The step, from 1. */
    public long step;
    /** {@code float(1 - beta1)}. */
    public float w1;
    /** {@code float(1 - beta2)}. */
    public float w2;
    /** {@code -float(lr / bc1)}. */
    public float negStepSize;
    /** {@code float(1 / sqrt(bc2))}. */
    public float rsqrtBc2;
    /** {@code float(eps)}. */
    public float eps;
    /** {@code float(1 - lr·weightDecay)}, the factor of the parameter in AdamW; 1 where there is none. */
    public float paramDecay;
    /** {@code float(weightDecay)}, the parameter's share in the gradient in Adam; 0 where there is none. */
    public float gradDecay;
    /** Whether {@link #gradDecay} enters the gradient: Adam with weight decay, even one so small that it rounds to 0. */
    public boolean decaysGrad;

    /** Makes scalars that are all zero. */
    public AdamScalars() {}

    /**
     * Computes the scalars of one step.
     *
     * @param options options
     * @param lr the learning rate of this step
     * @param step the step, from 1
     */
    public void set(AdamOptions options, double lr, long step) {
        this.lr = lr;
        this.step = step;
        w1 = (float) (1 - options.beta1());
        w2 = (float) (1 - options.beta2());
        double bc1 = 1 - power(1 - (double) w1, step);
        double bc2 = 1 - power(1 - (double) w2, step);
        negStepSize = -(float) (lr / bc1);
        rsqrtBc2 = (float) (1 / Math.sqrt(bc2));
        eps = (float) options.eps();
        boolean decays = options.weightDecay() != 0;
        paramDecay = options.decoupled() && decays ? (float) (1 - lr * options.weightDecay()) : 1;
        decaysGrad = !options.decoupled() && decays;
        gradDecay = decaysGrad ? (float) options.weightDecay() : 0;
    }

    /** base^exponent by repeated squaring, lowest bit first: only multiplications, each exactly rounded. */
    static double power(double base, long exponent) {
        double result = 1;
        double square = base;
        for (long e = exponent; e != 0; e >>>= 1) {
            if ((e & 1) != 0) {
                result *= square;
            }
            square *= square;
        }
        return result;
    }
}
