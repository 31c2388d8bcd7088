package dev.isobit.spi;

import dev.isobit.AdamOptions;
import dev.isobit.AdamSemantics;
import dev.isobit.math.StepMath;

/**
 * What changes from step to step of Adam, computed once per step from exactly rounded float64 operations only, so that
 * every host and device that computes them gets the same bits. Filled by {@link dev.isobit.Adam} and reused.
 *
 * <p>{@code w1 = float(1 - beta1)}, {@code w2 = float(1 - beta2)}; the bias corrections come from the rounded weights:
 * {@code bc1 = 1 - (1 - w1)^step}, the power by repeated squaring. What the {@link AdamSemantics} differ in is in these
 * scalars alone: one update of an element serves them all. With {@code d = 1 - lr·weightDecay} ({@code ONNX}:
 * {@code 1 - weightDecay}), a decay after the update, {@code (p - u)·d}, is {@code p·d - u·d}.
 */
public final class AdamScalars extends GroupScalars {
    /** The learning rate of this step. */
    public double lr;
    /** The step, from 1. */
    public long step;
    /** {@code float(1 - beta1)}. */
    public float w1;
    /** {@code float(1 - beta2)}. */
    public float w2;
    /** {@code -float(lr / bc1)}; epsilon-hat {@code -float(lr·sqrt(bc2) / bc1)}; either times d for decay after. */
    public float negStepSize;
    /** {@code float(1 / sqrt(bc2))}; 1 for epsilon-hat. */
    public float rsqrtBc2;
    /** {@code float(eps)}. */
    public float eps;
    /** {@code float(d)}, the factor of the parameter in AdamW; 1 where there is none. */
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
     * @param lr the learning rate, which the schedule's factor multiplies
     * @param step the step, from 1
     */
    public void set(AdamOptions options, double lr, long step) {
        maximize = options.maximize();
        lr *= options.schedule().factor(step);
        this.lr = lr;
        this.step = step;
        w1 = (float) (1 - options.beta1());
        w2 = (float) (1 - options.beta2());
        AdamSemantics semantics = options.semantics();
        double bc1 = correction(w1, step, semantics);
        double bc2 = correction(w2, step, semantics);
        double stepSize = semantics.usesEpsilonHat() ? lr * Math.sqrt(bc2) / bc1 : lr / bc1;
        rsqrtBc2 = semantics.usesEpsilonHat() ? 1 : (float) (1 / Math.sqrt(bc2));
        eps = (float) options.eps();
        boolean decays = options.weightDecay() != 0;
        decaysGrad = !options.decoupled() && decays;
        gradDecay = decaysGrad ? (float) options.weightDecay() : 0;
        paramDecay = 1;
        if (options.decoupled() && decays) {
            double left = 1 - (semantics == AdamSemantics.ONNX ? options.weightDecay() : lr * options.weightDecay());
            paramDecay = (float) left;
            if (semantics.decaysAfterUpdate()) {
                stepSize *= left;
            }
        }
        negStepSize = -(float) stepSize;
    }

    /** What a moment that starts at 0 has to be divided by. */
    private static double correction(float weight, long step, AdamSemantics semantics) {
        if (semantics != AdamSemantics.ONNX) {
            return 1 - StepMath.power(1 - (double) weight, step);
        }
        return step == 1 ? 1 : 1 - StepMath.power(1 - (double) weight, step - 1);
    }
}
