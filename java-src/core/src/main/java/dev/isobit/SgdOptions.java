package dev.isobit;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Options of {@link Sgd}; immutable and range-checked. A NaN anywhere is refused.
 *
 * @param lr learning rate, finite, at least 0; the schedule's factor multiplies it
 * @param momentum share of the momentum buffer that is kept, finite, at least 0; 0 for no momentum
 * @param dampening what the gradient's share in the momentum buffer lacks to 1, finite
 * @param weightDecay weight decay, added to the gradient, finite, at least 0
 * @param nesterov true for Nesterov's momentum; needs momentum and no dampening
 * @param maximize true to ascend: the gradient is negated first
 * @param schedule how the learning rate changes with the steps
 * @param rounding how BF16 parameters without a master are rounded, others to nearest; null to round all to nearest
 */
public record SgdOptions(double lr, double momentum, double dampening, double weightDecay, boolean nesterov,
        boolean maximize, LrSchedule schedule, @Nullable StochasticRounding rounding) {
    private static final SgdOptions DEFAULTS = new SgdOptions(1e-3, 0, 0, 0, false, false, LrSchedule.constant(),
            null);

    /** Checks the ranges. */
    public SgdOptions {
        atLeastZero("lr", lr);
        atLeastZero("momentum", momentum);
        if (!Double.isFinite(dampening)) {
            throw new IllegalArgumentException("Sgd: dampening = " + dampening + " is not finite");
        }
        atLeastZero("weightDecay", weightDecay);
        Objects.requireNonNull(schedule, "schedule");
        if (nesterov && (momentum == 0 || dampening != 0)) {
            throw new IllegalArgumentException("Sgd: nesterov needs momentum and no dampening, not momentum = "
                    + momentum + ", dampening = " + dampening);
        }
    }

    private static void atLeastZero(String name, double value) {
        if (!(value >= 0) || value == Double.POSITIVE_INFINITY) {
            throw new IllegalArgumentException("Sgd: " + name + " = " + value + " is not finite and at least 0");
        }
    }

    /**
     * PyTorch's defaults: lr 0.001, no momentum, no weight decay.
     *
     * @return default options
     */
    public static SgdOptions defaults() {
        return DEFAULTS;
    }

    /**
     * A copy with another learning rate.
     *
     * @param lr learning rate
     * @return changed options
     */
    public SgdOptions withLr(double lr) {
        return new SgdOptions(lr, momentum, dampening, weightDecay, nesterov, maximize, schedule, rounding);
    }

    /**
     * A copy with another momentum.
     *
     * @param momentum share of the momentum buffer that is kept
     * @return changed options
     */
    public SgdOptions withMomentum(double momentum) {
        return new SgdOptions(lr, momentum, dampening, weightDecay, nesterov, maximize, schedule, rounding);
    }

    /**
     * A copy with another dampening.
     *
     * @param dampening what the gradient's share in the momentum buffer lacks to 1
     * @return changed options
     */
    public SgdOptions withDampening(double dampening) {
        return new SgdOptions(lr, momentum, dampening, weightDecay, nesterov, maximize, schedule, rounding);
    }

    /**
     * A copy with another weight decay.
     *
     * @param weightDecay weight decay
     * @return changed options
     */
    public SgdOptions withWeightDecay(double weightDecay) {
        return new SgdOptions(lr, momentum, dampening, weightDecay, nesterov, maximize, schedule, rounding);
    }

    /**
     * A copy with or without Nesterov's momentum.
     *
     * @param nesterov true for Nesterov's momentum
     * @return changed options
     */
    public SgdOptions withNesterov(boolean nesterov) {
        return new SgdOptions(lr, momentum, dampening, weightDecay, nesterov, maximize, schedule, rounding);
    }

    /**
     * A copy that ascends or descends.
     *
     * @param maximize true to negate the gradient
     * @return changed options
     */
    public SgdOptions withMaximize(boolean maximize) {
        return new SgdOptions(lr, momentum, dampening, weightDecay, nesterov, maximize, schedule, rounding);
    }

    /**
     * A copy whose learning rate changes otherwise.
     *
     * @param schedule how the learning rate changes with the steps
     * @return changed options
     */
    public SgdOptions withSchedule(LrSchedule schedule) {
        return new SgdOptions(lr, momentum, dampening, weightDecay, nesterov, maximize, schedule, rounding);
    }

    /**
     * A copy that rounds BF16 parameters without a master stochastically, or all to nearest.
     *
     * @param rounding the noise; null to round to nearest
     * @return changed options
     */
    public SgdOptions withRounding(@Nullable StochasticRounding rounding) {
        return new SgdOptions(lr, momentum, dampening, weightDecay, nesterov, maximize, schedule, rounding);
    }
}
