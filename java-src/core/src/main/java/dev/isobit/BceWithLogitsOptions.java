package dev.isobit;

import java.util.Objects;

/**
 * Options of {@link BceWithLogits}; immutable.
 *
 * @param reduction how the elements' losses become the loss
 * @param weightedMean whether {@code MEAN} divides by the sum of the weights instead of the number of elements
 * @param labelSmoothing in [0, 1]: targets t become t·(1 - labelSmoothing) + labelSmoothing/2
 * @param ignoreValue the target value whose elements are skipped, rounded to F32 (loss 0, gradient 0, not counted by
 *     {@code MEAN}); NaN: none
 */
public record BceWithLogitsOptions(Reduction reduction, boolean weightedMean, double labelSmoothing,
        double ignoreValue) {
    private static final BceWithLogitsOptions DEFAULTS =
            new BceWithLogitsOptions(Reduction.MEAN, false, 0, Double.NaN);

    /** Checks the options. */
    public BceWithLogitsOptions {
        Objects.requireNonNull(reduction, "reduction");
        if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
            throw new IllegalArgumentException(
                    "BceWithLogitsOptions: labelSmoothing " + labelSmoothing + " is outside [0, 1]");
        }
    }

    /**
     * The defaults: {@code MEAN} over the elements, no label smoothing, nothing ignored.
     *
     * @return default options
     */
    public static BceWithLogitsOptions defaults() {
        return DEFAULTS;
    }

    /**
     * A copy with another reduction.
     *
     * @param reduction how the elements' losses become the loss
     * @return changed options
     */
    public BceWithLogitsOptions withReduction(Reduction reduction) {
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue);
    }

    /**
     * A copy with another divisor of {@code MEAN}.
     *
     * @param weightedMean whether it is the sum of the weights
     * @return changed options
     */
    public BceWithLogitsOptions withWeightedMean(boolean weightedMean) {
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue);
    }

    /**
     * A copy with other label smoothing.
     *
     * @param labelSmoothing in [0, 1]
     * @return changed options
     */
    public BceWithLogitsOptions withLabelSmoothing(double labelSmoothing) {
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue);
    }

    /**
     * A copy with a target value that is skipped.
     *
     * @param ignoreValue the value; NaN: none
     * @return changed options
     */
    public BceWithLogitsOptions withIgnoreValue(double ignoreValue) {
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue);
    }

    /**
     * Whether a target value is skipped.
     *
     * @return false if {@code ignoreValue} is NaN
     */
    public boolean ignores() {
        return !Double.isNaN(ignoreValue);
    }
}
