package dev.isobit;

import java.util.Objects;

/**
 * Options of {@link NllLoss}; immutable.
 *
 * @param reduction how row losses become the loss
 * @param ignoreIndex the target value whose rows are skipped (loss 0, gradient 0, not counted by {@code MEAN}); any
 *     long, also a valid class
 */
public record NllLossOptions(Reduction reduction, long ignoreIndex) {
    private static final NllLossOptions DEFAULTS =
            new NllLossOptions(Reduction.MEAN, CrossEntropyOptions.DEFAULT_IGNORE_INDEX);

    /** Checks the options. */
    public NllLossOptions {
        Objects.requireNonNull(reduction, "reduction");
    }

    /**
     * The defaults: {@code MEAN}, ignore index -100.
     *
     * @return default options
     */
    public static NllLossOptions defaults() {
        return DEFAULTS;
    }

    /**
     * A copy with another reduction.
     *
     * @param reduction how row losses become the loss
     * @return changed options
     */
    public NllLossOptions withReduction(Reduction reduction) {
        return new NllLossOptions(reduction, ignoreIndex);
    }

    /**
     * A copy with another ignore index.
     *
     * @param ignoreIndex the target value whose rows are skipped
     * @return changed options
     */
    public NllLossOptions withIgnoreIndex(long ignoreIndex) {
        return new NllLossOptions(reduction, ignoreIndex);
    }
}
