package dev.isobit.spi;

/** What a step does to a group of parameters, whatever the optimizer. */
public abstract sealed class GroupScalars permits AdamScalars, SgdScalars {
    /** Whether the group is updated at all. */
    public boolean enabled = true;
    /** Whether the gradient is negated. */
    public boolean maximize;
    /** What the gradient is multiplied by; 1 unless the step is guarded. */
    public float gradFactor = 1;
    /** The magnitude that the product is clipped to; infinity unless the step is guarded. */
    public float clipValue = Float.POSITIVE_INFINITY;

    GroupScalars() {}

    /**
     * Whether {@link #scaled(float)} multiplies by anything but 1.
     *
     * @return false unless the step is guarded
     */
    public final boolean scales() {
        return gradFactor != 1;
    }

    /**
     * Whether {@link #scaled(float)} clips: most steps that scale do not.
     *
     * @return false unless the step is guarded
     */
    public final boolean clips() {
        return clipValue != Float.POSITIVE_INFINITY;
    }

    /**
     * The gradient that the update takes, not yet negated.
     *
     * @param grad the gradient
     * @return the gradient times the factor, clipped; NaN for NaN
     */
    public final float scaled(float grad) {
        float g = grad * gradFactor;
        g = g > clipValue ? clipValue : g;
        return g < -clipValue ? -clipValue : g;
    }

    /**
     * The same in float64.
     *
     * @param grad the gradient
     * @return the gradient times the factor, clipped; NaN for NaN
     */
    public final double scaled(double grad) {
        double g = grad * gradFactor;
        g = g > clipValue ? clipValue : g;
        return g < -clipValue ? -clipValue : g;
    }
}
