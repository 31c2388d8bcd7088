package dev.isobit;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Options of {@link Adam}; immutable and range-checked. A NaN anywhere is refused.
 *
 * @param lr learning rate, finite, at least 0; the schedule's factor multiplies it
 * @param beta1 decay of the first moment, in [0, 1)
 * @param beta2 decay of the second moment, in [0, 1)
 * @param eps added to the denominator, finite, at least 0
 * @param weightDecay weight decay, finite, at least 0
 * @param decoupled true for AdamW (decay apart from the gradient), false for Adam (decay inside the gradient)
 * @param maximize true to ascend: the gradient is negated first
 * @param amsgrad true to divide by the largest second moment so far: AMSGrad
 * @param semantics whose reading of Adam
 * @param schedule how the learning rate changes with the steps
 * @param rounding how BF16 parameters without a master are rounded, others to nearest; null to round all to nearest
 */
public record AdamOptions(double lr, double beta1, double beta2, double eps, double weightDecay, boolean decoupled,
        boolean maximize, boolean amsgrad, AdamSemantics semantics, LrSchedule schedule,
        @Nullable StochasticRounding rounding) {
    private static final AdamOptions ADAM =
            new AdamOptions(1e-3, 0.9, 0.999, 1e-8, 0.0, false, false, false, AdamSemantics.TORCH,
                    LrSchedule.constant(), null);
    private static final AdamOptions ADAM_W =
            new AdamOptions(1e-3, 0.9, 0.999, 1e-8, 1e-2, true, false, false, AdamSemantics.TORCH,
                    LrSchedule.constant(), null);

    /** Checks the ranges. */
    public AdamOptions {
        atLeastZero("lr", lr);
        belowOne("beta1", beta1);
        belowOne("beta2", beta2);
        atLeastZero("eps", eps);
        atLeastZero("weightDecay", weightDecay);
        Objects.requireNonNull(semantics, "semantics");
        Objects.requireNonNull(schedule, "schedule");
    }

    private static void atLeastZero(String name, double value) {
        if (!(value >= 0) || value == Double.POSITIVE_INFINITY) {
            throw new IllegalArgumentException("Adam: " + name + " = " + value + " is not finite and at least 0");
        }
    }

    private static void belowOne(String name, double value) {
        if (!(value >= 0 && value < 1)) {
            throw new IllegalArgumentException("Adam: " + name + " = " + value + " is not in [0, 1)");
        }
    }

    /**
     * PyTorch's defaults of Adam: lr 0.001, betas (0.9, 0.999), eps 1e-8, no weight decay.
     *
     * @return default options of Adam
     */
    public static AdamOptions adam() {
        return ADAM;
    }

    /**
     * PyTorch's defaults of AdamW: as {@link #adam} with decoupled weight decay 0.01.
     *
     * @return default options of AdamW
     */
    public static AdamOptions adamW() {
        return ADAM_W;
    }

    /**
     * A copy with another learning rate.
     *
     * @param lr learning rate
     * @return changed options
     */
    public AdamOptions withLr(double lr) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }

    /**
     * A copy with other betas.
     *
     * @param beta1 decay of the first moment
     * @param beta2 decay of the second moment
     * @return changed options
     */
    public AdamOptions withBetas(double beta1, double beta2) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }

    /**
     * A copy with another epsilon.
     *
     * @param eps added to the denominator
     * @return changed options
     */
    public AdamOptions withEps(double eps) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }

    /**
     * A copy with another weight decay.
     *
     * @param weightDecay weight decay
     * @return changed options
     */
    public AdamOptions withWeightDecay(double weightDecay) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }

    /**
     * A copy that ascends or descends.
     *
     * @param maximize true to negate the gradient
     * @return changed options
     */
    public AdamOptions withMaximize(boolean maximize) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }

    /**
     * A copy with or without AMSGrad.
     *
     * @param amsgrad true to divide by the largest second moment so far
     * @return changed options
     */
    public AdamOptions withAmsgrad(boolean amsgrad) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }

    /**
     * A copy with another reading of Adam.
     *
     * @param semantics whose reading
     * @return changed options
     */
    public AdamOptions withSemantics(AdamSemantics semantics) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }

    /**
     * A copy whose learning rate changes otherwise.
     *
     * @param schedule how the learning rate changes with the steps
     * @return changed options
     */
    public AdamOptions withSchedule(LrSchedule schedule) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }

    /**
     * A copy that rounds BF16 parameters without a master stochastically, or all to nearest.
     *
     * @param rounding the noise; null to round to nearest
     * @return changed options
     */
    public AdamOptions withRounding(@Nullable StochasticRounding rounding) {
        return new AdamOptions(lr, beta1, beta2, eps, weightDecay, decoupled, maximize, amsgrad, semantics, schedule,
                rounding);
    }
}
