package dev.isobit;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a call of {@link NllLoss} takes beside loss and gradient; immutable, made once and used for many calls.
 *
 * @param logProbabilities [N, C] or [N, C, d1..dk]
 * @param targets class indices, [N] or [N, d1..dk]
 * @param classWeights [C]; null means 1
 * @param gradLoss upstream gradient: a scalar, or the shape of the targets for {@code NONE}; null means 1
 */
public record NllLossOperands(Tensor logProbabilities, Tensor targets, @Nullable Tensor classWeights,
        @Nullable Tensor gradLoss) {
    /** Checks that what is needed is there. */
    public NllLossOperands {
        Objects.requireNonNull(logProbabilities, "logProbabilities");
        Objects.requireNonNull(targets, "targets");
    }

    /**
     * Log-probabilities and targets alone.
     *
     * @param logProbabilities [N, C] or [N, C, d1..dk]
     * @param targets [N] or [N, d1..dk]
     * @return operands
     */
    public static NllLossOperands of(Tensor logProbabilities, Tensor targets) {
        return new NllLossOperands(logProbabilities, targets, null, null);
    }

    /**
     * A copy with class weights.
     *
     * @param classWeights [C]
     * @return changed operands
     */
    public NllLossOperands withClassWeights(Tensor classWeights) {
        return new NllLossOperands(logProbabilities, targets, Objects.requireNonNull(classWeights, "classWeights"),
                gradLoss);
    }

    /**
     * A copy with an upstream gradient.
     *
     * @param gradLoss a scalar, or the shape of the targets for {@code NONE}
     * @return changed operands
     */
    public NllLossOperands withGradLoss(Tensor gradLoss) {
        return new NllLossOperands(logProbabilities, targets, classWeights,
                Objects.requireNonNull(gradLoss, "gradLoss"));
    }
}
