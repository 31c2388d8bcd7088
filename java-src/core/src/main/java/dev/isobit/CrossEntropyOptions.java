package dev.isobit;

import java.util.Objects;

/**
 * Options of {@link CrossEntropy}; immutable.
 *
 * @param reduction how row losses become the loss
 * @param ignoreIndex the target value whose rows are skipped (loss 0, gradient 0, not counted by {@code MEAN}); any
 *     long, also a valid class; class probabilities have none
 * @param labelSmoothing in [0, 1]: this share of a row's label is spread evenly over the classes
 * @param zLoss at least 0: each row's loss grows by {@code zLoss·lse^2}, which no class weight multiplies
 * @param softcap logits become {@code softcap·tanh(logit/softcap)}; above 0, and 0 for none
 * @param scale above 0: what logits are multiplied by first, the inverse of a temperature
 * @param denominator what {@code MEAN} divides by
 * @param allIgnored what becomes of a denominator of 0
 * @param accumulate whether the gradient is added to what {@code gradLogits} holds
 * @param classes how many of the classes along axis 1 are real, those behind are padding, neither read nor given a
 *     gradient but 0; 0: all are
 */
public record CrossEntropyOptions(Reduction reduction, long ignoreIndex, double labelSmoothing, double zLoss,
        double softcap, double scale, Denominator denominator, AllIgnored allIgnored, boolean accumulate,
        long classes) {
    /** The default {@code ignoreIndex}, as in PyTorch. */
    public static final long DEFAULT_IGNORE_INDEX = -100;

    private static final CrossEntropyOptions DEFAULTS = new CrossEntropyOptions(Reduction.MEAN, DEFAULT_IGNORE_INDEX);

    /** What {@code MEAN} divides by. */
    public enum Denominator {
        /**
         * The sum of the weights of rows that are not ignored: a row's weight times its target's class weight, which
         * without weights counts them. With class probabilities the number of rows.
         */
        WEIGHTS,
        /** The number of rows, ignored ones too. */
        ROWS,
        /** The scalar {@link CrossEntropyOperands#denominator}. */
        OPERAND
    }

    /** What {@code MEAN} is where the denominator is 0. */
    public enum AllIgnored {
        /** NaN, as is the gradient of rows that are not ignored. */
        NAN,
        /** 0, as are the gradients of all rows that have a softmax. */
        ZERO
    }

    /** Checks the options. */
    public CrossEntropyOptions {
        Objects.requireNonNull(reduction, "reduction");
        Objects.requireNonNull(denominator, "denominator");
        Objects.requireNonNull(allIgnored, "allIgnored");
        require(labelSmoothing >= 0 && labelSmoothing <= 1, "labelSmoothing", labelSmoothing, "outside [0, 1]");
        require(isFloat(zLoss), "zLoss", zLoss, "negative or not a finite float");
        require(isFloat(softcap) && isFloat(2 / (softcap == 0 ? 1 : softcap)), "softcap", softcap,
                "neither 0 nor a normal float above");
        require(isFloat(scale) && (float) scale > 0, "scale", scale, "not a finite float above 0");
        if (classes < 0) {
            throw new IllegalArgumentException("CrossEntropyOptions: classes " + classes + " is negative");
        }
    }

    /**
     * Options of the plain loss.
     *
     * @param reduction how row losses become the loss
     * @param ignoreIndex the target value whose rows are skipped
     */
    public CrossEntropyOptions(Reduction reduction, long ignoreIndex) {
        this(reduction, ignoreIndex, 0, 0, 0, 1, Denominator.WEIGHTS, AllIgnored.NAN, false, 0);
    }

    private static boolean isFloat(double value) {
        return value >= 0 && (float) value < Float.POSITIVE_INFINITY;
    }

    private static void require(boolean condition, String name, double value, String fault) {
        if (!condition) {
            throw new IllegalArgumentException("CrossEntropyOptions: " + name + " " + value + " is " + fault);
        }
    }

    /**
     * The defaults: {@code MEAN}, ignore index -100, nothing else.
     *
     * @return default options
     */
    public static CrossEntropyOptions defaults() {
        return DEFAULTS;
    }

    /**
     * A copy with another reduction.
     *
     * @param reduction how row losses become the loss
     * @return changed options
     */
    public CrossEntropyOptions withReduction(Reduction reduction) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy with another ignore index.
     *
     * @param ignoreIndex the target value whose rows are skipped
     * @return changed options
     */
    public CrossEntropyOptions withIgnoreIndex(long ignoreIndex) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy with other label smoothing.
     *
     * @param labelSmoothing in [0, 1]
     * @return changed options
     */
    public CrossEntropyOptions withLabelSmoothing(double labelSmoothing) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy with another z-loss.
     *
     * @param zLoss at least 0; 0: none
     * @return changed options
     */
    public CrossEntropyOptions withZLoss(double zLoss) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy with another cap of the logits.
     *
     * @param softcap above 0; 0: none
     * @return changed options
     */
    public CrossEntropyOptions withSoftcap(double softcap) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy with another scale.
     *
     * @param scale what logits are multiplied by, above 0
     * @return changed options
     */
    public CrossEntropyOptions withScale(double scale) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy with another divisor of {@code MEAN}.
     *
     * @param denominator what it is
     * @return changed options
     */
    public CrossEntropyOptions withDenominator(Denominator denominator) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy with another answer to a denominator of 0.
     *
     * @param allIgnored what {@code MEAN} is then
     * @return changed options
     */
    public CrossEntropyOptions withAllIgnored(AllIgnored allIgnored) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy that adds gradients to what is there, or does not.
     *
     * @param accumulate whether it adds
     * @return changed options
     */
    public CrossEntropyOptions withAccumulate(boolean accumulate) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /**
     * A copy with another number of classes.
     *
     * @param classes how many along axis 1 are real; 0: all
     * @return changed options
     */
    public CrossEntropyOptions withClasses(long classes) {
        return new CrossEntropyOptions(reduction, ignoreIndex, labelSmoothing, zLoss, softcap, scale, denominator,
                allIgnored, accumulate, classes);
    }

    /** Whether nothing but reduction and ignore index is other than the default. */
    boolean isPlain() {
        return labelSmoothing == 0 && zLoss == 0 && softcap == 0 && scale == 1 && denominator == Denominator.WEIGHTS
                && allIgnored == AllIgnored.NAN && !accumulate && classes == 0;
    }
}
