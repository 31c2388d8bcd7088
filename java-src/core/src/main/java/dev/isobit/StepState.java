package dev.isobit;

/**
 * What {@link StepOptions} keep from step to step, beside the step counts, and what the last step came upon.
 *
 * @param gradScale the loss scale of the next step: its gradients are divided by it
 * @param growthTracker steps since the scale changed or a step was skipped
 * @param skippedSteps steps that were skipped
 * @param gradNorm norm of the last step's gradients, divided by their loss scale; NaN before the first step, and where
 *     no norm is asked for
 * @param foundInf whether the last step was skipped
 */
public record StepState(float gradScale, long growthTracker, long skippedSteps, double gradNorm, boolean foundInf) {
    /** Checks the ranges. */
    public StepState {
        checkScale("gradScale", gradScale);
        if (growthTracker < 0 || skippedSteps < 0) {
            throw new IllegalArgumentException("StepState: growthTracker = " + growthTracker + ", skippedSteps = "
                    + skippedSteps + ": less than 0");
        }
    }

    /** A scale that one can divide by. */
    static void checkScale(String name, float scale) {
        if (!(scale >= Float.MIN_NORMAL && scale <= Float.MAX_VALUE)) {
            throw new IllegalArgumentException(name + " = " + scale + " is no normal positive number");
        }
    }
}
