package dev.isobit;

import java.util.Objects;

/**
 * Options of {@link CrossEntropy}; immutable.
 *
 * @param reduction how row losses become the loss
 * @param ignoreIndex the target value whose rows are skipped (loss 0, gradient 0, not counted by {@code MEAN}); any
 *     long, also a valid class
 */
public record CrossEntropyOptions(Reduction reduction, long ignoreIndex) {
    /** The default {@code ignoreIndex}, as in PyTorch. */
    public static final long DEFAULT_IGNORE_INDEX = -100;

    private static final CrossEntropyOptions DEFAULTS = new CrossEntropyOptions(Reduction.MEAN, DEFAULT_IGNORE_INDEX);

    /** Checks the options. */
    public CrossEntropyOptions {
        Objects.requireNonNull(reduction, "reduction");
    }

    /**
     * The defaults: {@code MEAN}, ignore index -100.
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
        return new CrossEntropyOptions(reduction, ignoreIndex);
    }

    /**
     * A copy with another ignore index.
     *
     * @param ignoreIndex the target value whose rows are skipped
     * @return changed options
     */
    public CrossEntropyOptions withIgnoreIndex(long ignoreIndex) {
        return new CrossEntropyOptions(reduction, ignoreIndex);
    }
}
