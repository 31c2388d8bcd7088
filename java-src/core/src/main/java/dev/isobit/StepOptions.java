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
 * and {@code g} is the gradient of the update. Gradients of several micro-batches are added up in the gradient tensors, which may be
 * F32 beside parameters of 16 bits, and divided once, here; {@code zeroGrad} makes them ready for the next. No host waits for any of this: {@code stepState()} and
 * {@code stepCount()} of an optimizer with such options do.
 *
 * @param maxNorm the norm that gradients are clipped to, more than 0; infinity: they are not
 * @param clipValue the magnitude that each element of a gradient is clipped to, more than 0; infinity: it is not. A NaN
 *     stays
 * @param skipNonFinite whether a step whose gradients are not finite is skipped; it is with maxNorm or gradScaling, too
 * @param zeroGrad whether the gradients of enabled groups are zero after the step, skipped or not
 * @param gradScaling dynamic loss scaling; null for none
 * @param gradDivisor what gradients are divided by besides, before they are clipped: how many micro-batches, devices or tokens
 *     they are a sum over; a normal positive float. {@code setGradDivisor} of an optimizer changes it
 */
public record StepOptions(double maxNorm, double clipValue, boolean skipNonFinite, boolean zeroGrad,
        @Nullable GradScaling gradScaling, float gradDivisor) {
    private static final StepOptions DEFAULTS =
            new StepOptions(Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY, false, false, null, 1);

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
     * A copy that clips by norm.
     *
     * @param maxNorm the norm that gradients are clipped to
     * @return changed options
     */
    public StepOptions withMaxNorm(double maxNorm) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor);
    }

    /**
     * A copy that clips by value.
     *
     * @param clipValue the magnitude that elements are clipped to
     * @return changed options
     */
    public StepOptions withClipValue(double clipValue) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor);
    }

    /**
     * A copy that skips steps or does not.
     *
     * @param skipNonFinite whether a step whose gradients are not finite is skipped
     * @return changed options
     */
    public StepOptions withSkipNonFinite(boolean skipNonFinite) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor);
    }

    /**
     * A copy that leaves gradients at zero or as they are.
     *
     * @param zeroGrad whether gradients are zero after the step
     * @return changed options
     */
    public StepOptions withZeroGrad(boolean zeroGrad) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor);
    }

    /**
     * A copy with loss scaling or without.
     *
     * @param gradScaling dynamic loss scaling; null for none
     * @return changed options
     */
    public StepOptions withGradScaling(@Nullable GradScaling gradScaling) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor);
    }

    /**
     * A copy that divides gradients by another number.
     *
     * @param gradDivisor what gradients are divided by, beside the loss scale
     * @return changed options
     */
    public StepOptions withGradDivisor(float gradDivisor) {
        return new StepOptions(maxNorm, clipValue, skipNonFinite, zeroGrad, gradScaling, gradDivisor);
    }
}
