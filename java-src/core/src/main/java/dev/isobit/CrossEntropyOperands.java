package dev.isobit;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a call of {@link CrossEntropy} takes beside loss and gradient, where it takes more than logits and targets;
 * immutable, made once and used for many calls. Rows are the elements of targets that are class indices: [N] or
 * [N, d1, .., dk]; "per row" means that shape.
 *
 * @param logits [N, C] or [N, C, d1, .., dk]
 * @param targets class indices per row, I64, I32, I16 or U8; or class probabilities, F32, the shape of the logits
 * @param classWeights [C]; null means 1
 * @param weights weight of each row; null means 1
 * @param gradLoss upstream gradient: a scalar, or per row for {@code NONE}; null means 1
 * @param gradLossScale what the upstream gradient is multiplied by
 * @param denominator the scalar that {@code MEAN} divides by, for
 *     {@link CrossEntropyOptions.Denominator#OPERAND} only
 * @param lse where the log-sum-exp of each row goes; null if it is not wanted
 * @param entropy where the entropy of each row's probabilities goes, in nats; null if it is not wanted
 * @param argmax where the lowest class with the highest logit goes per row, I64; null if it is not wanted
 * @param hits where the number of rows goes whose target is their argmax, an I64 scalar; null if it is not wanted
 * @param logProbabilities where the log-probabilities of all classes go, the shape of the logits; null if they are not
 *     wanted
 * @param states where the states of the rows' segments go, {@link CrossEntropy#stateShape}; null if they are not wanted
 * @param targetLogits where the targets' logits go, per row; null if they are not wanted
 * @param savedStates what earlier calls wrote as states; null: there are none
 * @param savedTargetLogits what earlier calls wrote as logits of the targets; null: there are none
 * @param shard which classes logits are; null: all
 */
public record CrossEntropyOperands(Tensor logits, Tensor targets, @Nullable Tensor classWeights,
        @Nullable Tensor weights, @Nullable Tensor gradLoss, float gradLossScale, @Nullable Tensor denominator,
        @Nullable Tensor lse, @Nullable Tensor entropy, @Nullable Tensor argmax, @Nullable Tensor hits,
        @Nullable Tensor logProbabilities, @Nullable Tensor states, @Nullable Tensor targetLogits,
        @Nullable Tensor savedStates, @Nullable Tensor savedTargetLogits, @Nullable Shard shard) {
    /**
     * Which classes logits are, where they are not all of a row's.
     *
     * @param firstClass the class that stands first in logits, a multiple of 8192
     * @param classes C, of whole rows
     */
    public record Shard(long firstClass, long classes) {}

    /** Checks that what is needed is there. */
    public CrossEntropyOperands {
        Objects.requireNonNull(logits, "logits");
        Objects.requireNonNull(targets, "targets");
    }

    /**
     * Logits and targets alone.
     *
     * @param logits [N, C] or [N, C, d1, .., dk]
     * @param targets class indices per row, or class probabilities, the shape of the logits
     * @return operands
     */
    public static CrossEntropyOperands of(Tensor logits, Tensor targets) {
        return new CrossEntropyOperands(logits, targets, null, null, null, 1, null, null, null, null, null, null, null,
                null, null, null, null);
    }

    /**
     * A copy with class weights.
     *
     * @param classWeights [C]
     * @return changed operands
     */
    public CrossEntropyOperands withClassWeights(Tensor classWeights) {
        return new CrossEntropyOperands(logits, targets, Objects.requireNonNull(classWeights, "classWeights"), weights,
                gradLoss, gradLossScale, denominator, lse, entropy, argmax, hits, logProbabilities, states,
                targetLogits, savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy with weights of rows.
     *
     * @param weights per row
     * @return changed operands
     */
    public CrossEntropyOperands withWeights(Tensor weights) {
        return new CrossEntropyOperands(logits, targets, classWeights, Objects.requireNonNull(weights, "weights"),
                gradLoss, gradLossScale, denominator, lse, entropy, argmax, hits, logProbabilities, states,
                targetLogits, savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy with an upstream gradient.
     *
     * @param gradLoss a scalar, or per row for {@code NONE}
     * @return changed operands
     */
    public CrossEntropyOperands withGradLoss(Tensor gradLoss) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights,
                Objects.requireNonNull(gradLoss, "gradLoss"), gradLossScale, denominator, lse, entropy, argmax, hits,
                logProbabilities, states, targetLogits, savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy whose upstream gradient is multiplied by a number of the host.
     *
     * @param gradLossScale the factor
     * @return changed operands
     */
    public CrossEntropyOperands withGradLossScale(float gradLossScale) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, argmax, hits, logProbabilities, states, targetLogits, savedStates, savedTargetLogits,
                shard);
    }

    /**
     * A copy with a divisor of {@code MEAN}.
     *
     * @param denominator a scalar
     * @return changed operands
     */
    public CrossEntropyOperands withDenominator(Tensor denominator) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale,
                Objects.requireNonNull(denominator, "denominator"), lse, entropy, argmax, hits, logProbabilities,
                states, targetLogits, savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy that asks for the log-sum-exp.
     *
     * @param lse where it goes, per row
     * @return changed operands
     */
    public CrossEntropyOperands withLse(Tensor lse) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                Objects.requireNonNull(lse, "lse"), entropy, argmax, hits, logProbabilities, states, targetLogits,
                savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy that asks for the entropy.
     *
     * @param entropy where it goes, per row
     * @return changed operands
     */
    public CrossEntropyOperands withEntropy(Tensor entropy) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, Objects.requireNonNull(entropy, "entropy"), argmax, hits, logProbabilities, states, targetLogits,
                savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy that asks for the predicted classes.
     *
     * @param argmax where they go, per row, I64
     * @return changed operands
     */
    public CrossEntropyOperands withArgmax(Tensor argmax) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, Objects.requireNonNull(argmax, "argmax"), hits, logProbabilities, states, targetLogits,
                savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy that asks for the number of rows that are predicted right.
     *
     * @param hits where it goes, an I64 scalar
     * @return changed operands
     */
    public CrossEntropyOperands withHits(Tensor hits) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, argmax, Objects.requireNonNull(hits, "hits"), logProbabilities, states, targetLogits,
                savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy that asks for the log-probabilities.
     *
     * @param logProbabilities where they go, the shape of the logits
     * @return changed operands
     */
    public CrossEntropyOperands withLogProbabilities(Tensor logProbabilities) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, argmax, hits, Objects.requireNonNull(logProbabilities, "logProbabilities"), states,
                targetLogits, savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy that asks for the states of the rows, which spare a later gradient the sums.
     *
     * @param states where they go, the shape that {@link CrossEntropy#stateShape} says
     * @return changed operands
     */
    public CrossEntropyOperands withStates(Tensor states) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, argmax, hits, logProbabilities, Objects.requireNonNull(states, "states"), targetLogits,
                savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy that asks for the logits of the targets, after scale and softcap: what a loss takes beside states.
     *
     * @param targetLogits where they go, per row; +0 where a row is ignored, or its target in another shard, so that
     *     the sum over shards is the logit
     * @return changed operands
     */
    public CrossEntropyOperands withTargetLogits(Tensor targetLogits) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, argmax, hits, logProbabilities, states,
                Objects.requireNonNull(targetLogits, "targetLogits"), savedStates, savedTargetLogits, shard);
    }

    /**
     * A copy for calls that sum nothing again: the states of the same logits, class weights, targets and options have been
     * saved. All has the bits that it has without; an entropy, argmax or hits if one was asked for with the states, else
     * the entropy lacks its terms, argmax is -1 and hits are 0. Gradient and log-probabilities read the logits once each;
     * what else is computed reads the target's logit alone.
     *
     * @param savedStates what a call with {@link #withStates} wrote; of a shard, those of all shards, one after the other
     *     in the order of the classes
     * @return changed operands
     */
    public CrossEntropyOperands withSavedStates(Tensor savedStates) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, argmax, hits, logProbabilities, states, targetLogits,
                Objects.requireNonNull(savedStates, "savedStates"), savedTargetLogits, shard);
    }

    /**
     * A copy with the logits of the targets, for the loss from states of shards.
     *
     * @param savedTargetLogits the sum of what the calls with {@link #withTargetLogits} wrote, of all shards
     * @return changed operands
     */
    public CrossEntropyOperands withSavedTargetLogits(Tensor savedTargetLogits) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, argmax, hits, logProbabilities, states, targetLogits, savedStates,
                Objects.requireNonNull(savedTargetLogits, "savedTargetLogits"), shard);
    }

    /**
     * A copy of which the logits, their gradient and probabilities are a shard: the classes from {@code firstClass} on of
     * rows that have {@code classes}. Index targets and class weights are those of whole rows. If logits reach beyond
     * {@code classes}, what is there is padding. See {@link CrossEntropy} for what to do with shards.
     *
     * @param firstClass a multiple of 8192, as {@link CrossEntropy#shardBoundaries} gives them
     * @param classes C, of whole rows
     * @return changed operands
     */
    public CrossEntropyOperands withShard(long firstClass, long classes) {
        return new CrossEntropyOperands(logits, targets, classWeights, weights, gradLoss, gradLossScale, denominator,
                lse, entropy, argmax, hits, logProbabilities, states, targetLogits, savedStates, savedTargetLogits,
                new Shard(firstClass, classes));
    }

    /** Whether there is nothing but what the plain loss takes. */
    boolean isPlain() {
        return classWeights == null && weights == null && gradLossScale == 1 && denominator == null && lse == null
                && entropy == null && argmax == null && hits == null && logProbabilities == null && states == null
                && targetLogits == null && savedStates == null && savedTargetLogits == null && shard == null;
    }
}
