package dev.isobit;

/**
 * Dynamic loss scaling, as PyTorch's {@code GradScaler} does it: the loss is multiplied by a scale, the gradients are
 * divided by it. A step whose gradients are not finite is skipped, and the scale multiplied by {@code backoffFactor};
 * after {@code growthInterval} steps without, it is multiplied by {@code growthFactor}. Products are of float32; one that
 * is no normal number leaves the scale as it was. Immutable and range-checked.
 *
 * @param initialScale the first scale, a normal float
 * @param growthFactor finite, at least 1
 * @param backoffFactor in (0, 1]
 * @param growthInterval steps, at least 1
 */
public record GradScaling(float initialScale, float growthFactor, float backoffFactor, long growthInterval) {
    private static final GradScaling DEFAULTS = new GradScaling(65_536, 2, 0.5f, 2000);

    /** Checks the ranges. */
    public GradScaling {
        StepState.checkScale("initialScale", initialScale);
        if (!(growthFactor >= 1 && growthFactor <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(
                    "GradScaling: growthFactor = " + growthFactor + " is not finite and at least 1");
        }
        if (!(backoffFactor > 0 && backoffFactor <= 1)) {
            throw new IllegalArgumentException("GradScaling: backoffFactor = " + backoffFactor + " is not in (0, 1]");
        }
        if (growthInterval < 1) {
            throw new IllegalArgumentException("GradScaling: growthInterval = " + growthInterval + " is less than 1");
        }
    }

    /**
     * PyTorch's defaults: 65536, doubled after 2000 steps, halved after a step that is skipped.
     *
     * @return default options
     */
    public static GradScaling defaults() {
        return DEFAULTS;
    }

    /**
     * A scale that stays as it is.
     *
     * @param scale the scale, a normal float
     * @return options
     */
    public static GradScaling constant(float scale) {
        return new GradScaling(scale, 1, 1, 1);
    }
}
