package dev.isobit.contract;

import dev.isobit.AdamOptions;
import dev.isobit.GradScaling;
import dev.isobit.SgdOptions;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import java.util.Arrays;
import java.util.List;

/** Guarded steps as kernels/NUMERICS.md defines them to the bit, written from its text. One group or several. */
public final class GuardDefinition {
    private final StepOptions options;
    private final long[] steps;
    private float scale;
    private long growthTracker;
    private long skippedSteps;
    private double norm = Double.NaN;
    private boolean foundInf;
    private float divisor;

    /**
     * Before the first step.
     *
     * @param options options
     * @param groups how many
     */
    public GuardDefinition(StepOptions options, int groups) {
        this.options = options;
        this.divisor = options.gradDivisor();
        this.steps = new long[groups];
        GradScaling scaling = options.gradScaling();
        scale = scaling == null ? 1 : scaling.initialScale();
    }

    /**
     * Changes what gradients are divided by beside the scale.
     *
     * @param gradDivisor from the next step on
     */
    public void setGradDivisor(float gradDivisor) {
        divisor = gradDivisor;
    }

    /** Does a step of one parameter. */
    private interface Update {
        void step(int group, long step, AdamArrays arrays, float[] grad);
    }

    /**
     * A step of Adam.
     *
     * @param adam of each group
     * @param lrs of each group
     * @param enabled of each group
     * @param groups of each group, its parameters
     */
    public void adam(List<AdamOptions> adam, double[] lrs, boolean[] enabled, List<List<AdamArrays>> groups) {
        step(enabled, groups, (group, step, a, grad) -> AdamDefinition.step(adam.get(group), lrs[group], step,
                a.param(), grad, a.expAvg(), a.expAvgSq(), a.maxExpAvgSq()));
    }

    /**
     * A step of SGD, with the first moment for its momentum buffer.
     *
     * @param sgd of each group
     * @param lrs of each group
     * @param enabled of each group
     * @param groups of each group, its parameters
     */
    public void sgd(List<SgdOptions> sgd, double[] lrs, boolean[] enabled, List<List<AdamArrays>> groups) {
        step(enabled, groups, (group, step, a, grad) -> SgdDefinition.step(sgd.get(group), lrs[group], step, a.param(),
                grad, a.expAvg()));
    }

    private void step(boolean[] enabled, List<List<AdamArrays>> groups, Update update) {
        norm = Double.NaN;
        foundInf = false;
        double coefficient = 1;
        if (options.checksGrad()) {
            norm = Math.sqrt(sumOfSquares(row(enabled, groups))) / ((double) scale * divisor);
            foundInf = !Double.isFinite(norm);
            coefficient = Math.min(1, options.maxNorm() / (norm + 1e-6));
        }
        float factor = (float) (coefficient / ((double) scale * divisor));
        float clip = (float) options.clipValue();
        for (int g = 0; g < groups.size(); g++) {
            if (!enabled[g]) {
                continue;
            }
            if (!foundInf) {
                steps[g]++;
            }
            for (AdamArrays a : groups.get(g)) {
                if (!foundInf) {
                    float[] grad = new float[a.grad().length];
                    for (int i = 0; i < grad.length; i++) {
                        // Math.max and min keep a NaN, and the sign of a zero does not matter between them.
                        float x = a.grad()[i] * factor;
                        grad[i] = Float.isNaN(x) ? x : Math.max(-clip, Math.min(clip, x));
                    }
                    update.step(g, steps[g], a, grad);
                }
                if (options.zeroGrad()) {
                    Arrays.fill(a.grad(), 0);
                }
            }
        }
        GradScaling scaling = options.gradScaling();
        if (foundInf) {
            skippedSteps++;
        }
        if (scaling == null) {
            return;
        }
        growthTracker = foundInf ? 0 : growthTracker + 1;
        float by = foundInf ? scaling.backoffFactor() : 1;
        if (growthTracker == scaling.growthInterval()) {
            by = scaling.growthFactor();
            growthTracker = 0;
        }
        float next = scale * by;
        if (Float.isFinite(next) && next >= Float.MIN_NORMAL) {
            scale = next;
        }
    }

    private static float[] row(boolean[] enabled, List<List<AdamArrays>> groups) {
        int size = groups.stream().flatMap(List::stream).mapToInt(a -> a.grad().length).sum();
        float[] row = new float[size];
        int at = 0;
        for (int g = 0; g < groups.size(); g++) {
            for (AdamArrays a : groups.get(g)) {
                if (enabled[g]) {
                    System.arraycopy(a.grad(), 0, row, at, a.grad().length);
                }
                at += a.grad().length;
            }
        }
        return row;
    }

    /**
     * The sum of the squares of a row.
     *
     * @param row elements
     * @return squares in float32, lanes, segments; the segments by lanes in float64
     */
    public static double sumOfSquares(float[] row) {
        double[] lanes = new double[1024];
        for (int from = 0, segment = 0; from < row.length; from += 8192, segment++) {
            float[] sums = new float[1024];
            for (int i = from; i < Math.min(row.length, from + 8192); i++) {
                float square = row[i] * row[i];
                sums[i % 1024] += square;
            }
            for (int half = 512; half > 0; half /= 2) {
                for (int i = 0; i < half; i++) {
                    sums[i] += sums[i + half];
                }
            }
            lanes[segment % 1024] += sums[0];
        }
        for (int half = 512; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }

    /**
     * Steps done.
     *
     * @param group index of the group
     * @return their number
     */
    public long steps(int group) {
        return steps[group];
    }

    /**
     * What a backend reports.
     *
     * @return the state after the last step
     */
    public StepState state() {
        return new StepState(scale, growthTracker, skippedSteps, norm, foundInf);
    }
}
