package dev.isobit;

import dev.isobit.math.StepMath;
import java.util.Objects;

/**
 * How a learning rate changes with the steps: a factor in [0, 1] that it is multiplied by, of {@link AdamOptions} and
 * {@link SgdOptions}. Immutable and range-checked.
 *
 * <p>The step count of the group decides, with no host: the factor is computed where the count is, on a device too, in the
 * same exactly rounded float64 operations. A step that {@link StepOptions} skip does not count; a run that is resumed goes
 * on where it was. With {@code done = step - 1}, {@code W = warmupSteps}, {@code T = decaySteps} and
 * {@code passed = min(done - W, T)}:
 * <pre>
 * done &lt; W     warmupStart + (1 - warmupStart)·done/W
 * CONSTANT     1
 * LINEAR       decay + (1 - decay)·(T - passed)/T
 * COSINE       decay + (1 - decay)·(1 + cos(pi·passed/T))/2
 * STEP         decay^floor((done - W)/T)
 * lr of the step = lr·factor                                     in float64, one rounding
 * </pre>
 *
 * <p>It belongs to the options of a group, beside the {@code lr} that it multiplies: groups keep learning rates of their
 * own, and may have schedules of their own, where PyTorch has one for all. {@code setLr} sets what is multiplied: with
 * {@link #constant} that is the learning rate itself, written from the host.
 *
 * <p>PyTorch's schedulers, stepped after every step that is done, agree ({@code last_epoch = done}): warm-up is
 * {@code LinearLR(start_factor=warmupStart, total_iters=W)}, then with {@code SequentialLR} at milestone W
 * {@code LinearLR(start_factor=1, end_factor=decay, total_iters=T)}, {@code StepLR(step_size=T, gamma=decay)}, or
 * {@code CosineAnnealingLR(T_max=T, eta_min=decay·lr)} up to {@code T}, after which PyTorch's rises again and this one
 * stays. PyTorch multiplies the learning rate of the step before, and so drifts from the formula.
 *
 * @param shape what comes after the warm-up
 * @param decaySteps steps until the decay ends; with {@code STEP} between two of its steps; at least 1. {@code CONSTANT}
 *     does not look at it
 * @param decay the factor at the end of the decay; with {@code STEP} that of each of its steps; in [0, 1]. {@code CONSTANT}
 *     does not look at it
 * @param warmupSteps steps of the warm-up, at least 0
 * @param warmupStart factor of its first step, in [0, 1]; 0 leaves the parameters where they are in that step
 */
public record LrSchedule(Shape shape, long decaySteps, double decay, long warmupSteps, double warmupStart) {
    /** What comes after the warm-up. */
    public enum Shape {
        /** The learning rate stays. */
        CONSTANT,
        /** It falls along a straight line. */
        LINEAR,
        /** It falls along half a cosine. */
        COSINE,
        /** It is multiplied by a factor after every so many steps. */
        STEP
    }

    private static final LrSchedule CONSTANT = new LrSchedule(Shape.CONSTANT, 1, 1, 0, 1);

    /** Checks the ranges. */
    public LrSchedule {
        Objects.requireNonNull(shape, "shape");
        if (decaySteps < 1) {
            throw new IllegalArgumentException("LrSchedule: decaySteps = " + decaySteps + " is less than 1");
        }
        factor("decay", decay);
        if (warmupSteps < 0) {
            throw new IllegalArgumentException("LrSchedule: warmupSteps = " + warmupSteps + " is less than 0");
        }
        factor("warmupStart", warmupStart);
    }

    private static void factor(String name, double value) {
        if (!(value >= 0 && value <= 1)) {
            throw new IllegalArgumentException("LrSchedule: " + name + " = " + value + " is not in [0, 1]");
        }
    }

    /**
     * A learning rate that stays as the host sets it.
     *
     * @return the default
     */
    public static LrSchedule constant() {
        return CONSTANT;
    }

    /**
     * Linear decay.
     *
     * @param decaySteps steps until it ends, at least 1
     * @param decay factor from there on, in [0, 1]
     * @return a schedule without warm-up
     */
    public static LrSchedule linear(long decaySteps, double decay) {
        return new LrSchedule(Shape.LINEAR, decaySteps, decay, 0, 1);
    }

    /**
     * Cosine decay.
     *
     * @param decaySteps steps until it ends, at least 1
     * @param decay factor from there on, in [0, 1]
     * @return a schedule without warm-up
     */
    public static LrSchedule cosine(long decaySteps, double decay) {
        return new LrSchedule(Shape.COSINE, decaySteps, decay, 0, 1);
    }

    /**
     * Step decay.
     *
     * @param decaySteps steps with one factor, at least 1
     * @param decay what it is multiplied by after them, in [0, 1]
     * @return a schedule without warm-up
     */
    public static LrSchedule step(long decaySteps, double decay) {
        return new LrSchedule(Shape.STEP, decaySteps, decay, 0, 1);
    }

    /**
     * A copy that begins with a linear warm-up; the decay comes after it.
     *
     * @param warmupSteps steps until the factor is 1, at least 0
     * @param warmupStart factor of the first step, in [0, 1]
     * @return changed schedule
     */
    public LrSchedule withWarmup(long warmupSteps, double warmupStart) {
        return new LrSchedule(shape, decaySteps, decay, warmupSteps, warmupStart);
    }

    /**
     * The factor of a step.
     *
     * @param step from 1
     * @return what the learning rate is multiplied by, in [0, 1]
     */
    public double factor(long step) {
        if (step < 1) {
            throw new IllegalArgumentException("LrSchedule.factor: step = " + step + " is less than 1");
        }
        long done = step - 1;
        if (done < warmupSteps) {
            return between(warmupStart, (double) done / warmupSteps);
        }
        long after = done - warmupSteps;
        long passed = Math.min(after, decaySteps);
        return switch (shape) {
            case CONSTANT -> 1;
            case LINEAR -> between(decay, (double) (decaySteps - passed) / decaySteps);
            case COSINE -> between(decay, StepMath.halfCosine(passed, decaySteps - passed));
            case STEP -> StepMath.power(decay, after / decaySteps);
        };
    }

    /** From a factor to 1. */
    private static double between(double from, double share) {
        return from + (1 - from) * share;
    }
}
