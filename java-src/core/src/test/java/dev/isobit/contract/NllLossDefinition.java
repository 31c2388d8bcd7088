package dev.isobit.contract;

import dev.isobit.Reduction;
import java.util.List;

/** Negative log-likelihood of rows as kernels/NUMERICS.md defines it to the bit, written from its text. */
public final class NllLossDefinition {
    private NllLossDefinition() {}

    /**
     * Loss, then gradient, for an upstream gradient of 1.
     *
     * @param reduction how row losses are reduced
     * @param logProbabilities rows behind each other
     * @param targets of each row a class; -100 is ignored
     * @param classWeights of each class
     * @return loss and gradient
     */
    public static List<float[]> of(Reduction reduction, float[] logProbabilities, long[] targets,
            float[] classWeights) {
        int classes = classWeights.length;
        float[] losses = new float[targets.length];
        float[] weights = new float[targets.length];
        for (int row = 0; row < targets.length; row++) {
            if (targets[row] != -100) {
                float gap = 0 - logProbabilities[row * classes + (int) targets[row]];
                weights[row] = classWeights[(int) targets[row]];
                boolean vanishes = weights[row] == 0 && Float.isInfinite(gap);
                losses[row] = CrossEntropyDefinition.canonical(vanishes ? 0 : weights[row] * gap);
            }
        }
        double denominator = reduction == Reduction.MEAN ? BceDefinition.denominator(weights) : 1;
        float[] gradient = new float[logProbabilities.length];
        for (int row = 0; row < targets.length; row++) {
            if (targets[row] != -100) {
                gradient[row * classes + (int) targets[row]] =
                        CrossEntropyDefinition.canonical((float) (0 - 1 / denominator * weights[row]));
            }
        }
        float total = CrossEntropyDefinition.canonical((float) (BceDefinition.sum(losses) / denominator));
        return List.of(reduction == Reduction.NONE ? losses : new float[] {total}, gradient);
    }
}
