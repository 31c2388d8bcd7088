package dev.isobit;

import org.jspecify.annotations.Nullable;

/**
 * What an optimizer does around the update, in the same step and on the same device; immutable and range-checked.
 *
 * <p>With {@code gradScaling}, {@code maxNorm} or {@code skipNonFinite} the norm of all gradients of enabled groups is
 * computed first, in a fixed order: {@code norm = sqrt(sum g²) / gradScale}. Where it is not finite, which every infinite
 * or NaN gradient causes, and squares beyond 3.4e38 too, the step is skipped: parameters, moments and step counts
 * keep every bit. Then
 * <pre>
 * factor = float(min(1, maxNorm / (norm + 1e-6)) / (gradScale·gradDivisor))
 * g      = g·factor, and at most clipValue in magnitude
 * </pre>
 * and {@code g} is the gradient of the update. No host waits for any of this: {@code stepState()} and
 * {@code stepCount()} of an optimizer with such options do.
 *
 * <p>Gradients of several micro-batches are added up, and the sum divided once, here. A loss may add to its gradient; else,
 * with {@code accumulateGrad}, the optimizer does: each parameter has an accumulator, F32 whatever the type of its gradient, and
 * {@code accumulate()}, one launch over all parameters of enabled groups, does
 * <pre>
 * accumulator = accumulator + g        float32, one rounding; g = 0 with zeroGrad
 * </pre>
 * {@code step()} then takes the accumulators for gradients, does with them all that stands above, and leaves those of enabled groups
 * at +0 in the same launch, whether the step is skipped or not, as {@code zeroGrad} does with gradients: a sum that is not
 * finite would else have every later step skipped. It does not look at the gradients themselves. A group that is not enabled
 * keeps gradients and accumulators, in both calls. A sum beyond float32 is an infinity, and of opposite infinities a
 * NaN: with {@code skipNonFinite} the step is skipped. The last micro-batch's gradients may be added in the launch of the step:
 * {@code accumulateAndStep()}, the same bits. Four micro-batches a step, their mean clipped:
 * <pre>
 * StepOptions options = StepOptions.defaults().withAccumulateGrad(true).withGradDivisor(4).withMaxNorm(1);
 * try (Adam adam = Adam.on(backend, groups, options, stream)) {
 *     for (int batch = 1; batch &lt;= batches; batch++) {
 *         backward(batch);             // writes the gradients, BF16 perhaps
 *         if (batch % 4 != 0) {
 *             adam.accumulate();
 *         } else {
 *             adam.accumulateAndStep();
 *         }
 *     }
 * }
 * </pre>
 *
 * @param maxNorm the norm that gradients are clipped to, more than 0; infinity: they are not
 * @param clipValue the magnitude that each element of a gradient is clipped to, more than 0; infinity: it is not. A NaN
 *     stays
 * @param skipNonFinite whether a step whose gradients are not finite is skipped; it is with maxNorm or gradScaling, too
 * @param zeroGrad whether the gradients of enabled groups are zero after the step, skipped or not; with accumulateGrad after
 *     {@code accumulate()}
 * @param gradScaling dynamic loss scaling; null for none
 * @param gradDivisor what gradients are divided by besides, before they are clipped: how many micro-batches, devices or tokens
 *     they are a sum over; a normal positive float. {@code setGradDivisor} of an optimizer changes it
 * @param accumulateGrad whether {@code accumulate()} of the optimizer adds gradients to accumulators, which a step takes in their
 *     place and zeroes
 */
public record StepOptions(double maxNorm, double clipValue, boolean skipNonFinite, boolean zeroGrad,
        @Nullable GradScaling gradScaling, float gradDivisor, boolean accumulateGrad) {
    private static final StepOptions DEFAULTS =
            new StepOptions(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY, false, false, null, 1, false);

    /** Checks the ranges. */
    public StepOptions {
        positive("maxNorm", maxNorm);
        positive("clipValue", clipValue);
        StepState.checkScale("StepOptions: gradDivisor", gradDivisor);
    }

    private static void positive(String name, double value) {
        if (!(value > 0)) {
            throw new IllegalArgumentException("StepOptions: " + name + " = " + value + " is not more than 0");
        }
    }

    /**
     * Nothing but the update.
     *
     * @return default options
     */
    public static StepOptions defaults() {
        return DEFAULTS;
    }

    /**
     * Whether the norm of the gradients is computed, and a step skipped where it is not finite.
     *
     * @return true with {@code maxNorm}, {@code skipNonFinite} or {@code gradScaling}
     */
    public boolean checksGrad() {
        return skipNonFinite || gradScaling != null || maxNorm != Double.POSITIVE_INFINITY;
    }

    /**
     * Whether a step zeroes what it takes for gradients.
     *
     * @return true with {@code zeroGrad}, or with {@code accumulateGrad}: then they are accumulators
     */
    public boolean zeroesStepGrad() {
        return zeroGrad || accumulateGrad;
    }

    /**
     * A copy that clips by norm.
     *
     * @param maxNorm the norm that gradients are clipped to
     * @return changed options
     */
    public StepOptions withMaxNorm(double maxNorm) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor,
                accumulateGrad);
    }

    /**
     * A copy that clips by value.
     *
     * @param clipValue the magnitude that elements are clipped to
     * @return changed options
     */
    public StepOptions withClipValue(double clipValue) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor,
                accumulateGrad);
    }

    /**
     * A copy that skips steps or does not.
     *
     * @param skipNonFinite whether a step whose gradients are not finite is skipped
     * @return changed options
     */
    public StepOptions withSkipNonFinite(boolean skipNonFinite) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor,
                accumulateGrad);
    }

    /**
     * A copy that leaves gradients at zero or as they are.
     *
     * @param zeroGrad whether gradients are zero after the step
     * @return changed options
     */
    public StepOptions withZeroGrad(boolean zeroGrad) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor,
                accumulateGrad);
    }

    /**
     * A copy with loss scaling or without.
     *
     * @param gradScaling dynamic loss scaling; null for none
     * @return changed options
     */
    public StepOptions withGradScaling(@Nullable GradScaling gradScaling) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor,
                accumulateGrad);
    }

    /**
     * A copy that divides gradients by another number.
     *
     * @param gradDivisor what gradients are divided by, beside the loss scale
     * @return changed options
     */
    public StepOptions withGradDivisor(float gradDivisor) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor,
                accumulateGrad);
    }

    /**
     * A copy that adds up the gradients of micro-batches or does not.
     *
     * @param accumulateGrad whether {@code accumulate()} adds gradients to accumulators
     * @return changed options
     */
    public StepOptions withAccumulateGrad(boolean accumulateGrad) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor,
                accumulateGrad);
    }
}
