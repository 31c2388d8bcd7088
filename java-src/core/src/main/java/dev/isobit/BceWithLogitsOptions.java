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
 * @param focalGamma the focal loss's exponent, a multiple of 1/2 from 0, none, to 8
 * @param focalAlpha the focal loss's weight of positives, in [0, 1], where negatives weigh 1 - focalAlpha; NaN: all weigh 1
 */
public record BceWithLogitsOptions(Reduction reduction, boolean weightedMean, double labelSmoothing,
        double ignoreValue, double focalGamma, double focalAlpha) {
    private static final BceWithLogitsOptions DEFAULTS =
            new BceWithLogitsOptions(Reduction.MEAN, false, 0, Double.NaN);
    private static final double MOST_FOCAL_GAMMA = 8;

    /** Checks the options. */
    public BceWithLogitsOptions {
        Objects.requireNonNull(reduction, "reduction");
        if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
            throw new IllegalArgumentException(
                    "BceWithLogitsOptions: labelSmoothing " + labelSmoothing + " is outside [0, 1]");
        }
        if (!(focalGamma >= 0 && focalGamma <= MOST_FOCAL_GAMMA && 2 * focalGamma == Math.rint(2 * focalGamma))) {
            throw new IllegalArgumentException("BceWithLogitsOptions: focalGamma " + focalGamma
                    + " is no multiple of 1/2 from 0 to 8");
        }
        if (focalAlpha < 0 || focalAlpha > 1) {
            throw new IllegalArgumentException(
                    "BceWithLogitsOptions: focalAlpha " + focalAlpha + " is outside [0, 1], and not NaN");
        }
    }

    /**
     * Options without a focal loss.
     *
     * @param reduction how the elements' losses become the loss
     * @param weightedMean whether {@code MEAN} divides by the sum of the weights
     * @param labelSmoothing in [0, 1]
     * @param ignoreValue the target value whose elements are skipped; NaN: none
     */
    public BceWithLogitsOptions(Reduction reduction, boolean weightedMean, double labelSmoothing,
            double ignoreValue) {
        this(reduction, weightedMean, labelSmoothing, ignoreValue, 0, Double.NaN);
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
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue, focalGamma, focalAlpha);
    }

    /**
     * A copy with another divisor of {@code MEAN}.
     *
     * @param weightedMean whether it is the sum of the weights
     * @return changed options
     */
    public BceWithLogitsOptions withWeightedMean(boolean weightedMean) {
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue, focalGamma, focalAlpha);
    }

    /**
     * A copy with other label smoothing.
     *
     * @param labelSmoothing in [0, 1]
     * @return changed options
     */
    public BceWithLogitsOptions withLabelSmoothing(double labelSmoothing) {
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue, focalGamma, focalAlpha);
    }

    /**
     * A copy with a target value that is skipped.
     *
     * @param ignoreValue the value; NaN: none
     * @return changed options
     */
    public BceWithLogitsOptions withIgnoreValue(double ignoreValue) {
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue, focalGamma, focalAlpha);
    }

    /**
     * A copy of the focal loss: what an element costs is multiplied by {@code (1 - p)^gamma}, p the probability of its true
     * side, so that elements that are right already count for little; and by alpha or 1 - alpha, as its side is.
     *
     * @param gamma a multiple of 1/2 from 0 to 8; 2 in the paper
     * @param alpha the weight of positives, in [0, 1]; negatives weigh 1 - alpha; NaN: all weigh 1; 0.25 in the paper
     * @return changed options
     */
    public BceWithLogitsOptions withFocal(double gamma, double alpha) {
        return new BceWithLogitsOptions(reduction, weightedMean, labelSmoothing, ignoreValue, gamma, alpha);
    }

    /**
     * Whether the loss is a focal one.
     *
     * @return false if {@code focalGamma} is 0 and {@code focalAlpha} is NaN
     */
    public boolean isFocal() {
        return focalGamma != 0 || !Double.isNaN(focalAlpha);
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
