package dev.isobit;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * What a call of {@link BceWithLogits} takes beside loss and gradient, where it takes more than logits and targets;
 * immutable, made once and used for many calls.
 *
 * @param logits any shape
 * @param targets the shape of the logits; as bits one axis of an eighth of their elements, rounded up
 * @param posWeight weight of positives, broadcast against the logits; null means 1
 * @param weights weight of each element, broadcast against the logits; null means 1
 * @param mask U8, broadcast against the logits: where it is 0, elements are skipped (loss 0, gradient 0, not counted by
 *     {@code MEAN}); null: none
 * @param gradLoss upstream gradient: a scalar, or the shape of the logits for {@code NONE}; null means 1
 * @param sigmoid where the probabilities go: the shape of the logits; null if they are not wanted
 * @param targetBits whether targets are bits, eight a U8: element i, by its flat index, is bit i mod 8, the lowest first,
 *     of byte i / 8
 */
public record BceWithLogitsOperands(Tensor logits, Tensor targets, @Nullable Tensor posWeight, @Nullable Tensor weights,
        @Nullable Tensor mask, @Nullable Tensor gradLoss, @Nullable Tensor sigmoid, boolean targetBits) {
    /** Checks that what is needed is there. */
    public BceWithLogitsOperands {
        Objects.requireNonNull(logits, "logits");
        Objects.requireNonNull(targets, "targets");
    }

    /**
     * Operands whose targets are no bits.
     *
     * @param logits any shape
     * @param targets the shape of the logits
     * @param posWeight weight of positives
     * @param weights weight of each element
     * @param mask where it is 0, elements are skipped
     * @param gradLoss upstream gradient
     * @param sigmoid where the probabilities go
     */
    public BceWithLogitsOperands(Tensor logits, Tensor targets, @Nullable Tensor posWeight, @Nullable Tensor weights,
            @Nullable Tensor mask, @Nullable Tensor gradLoss, @Nullable Tensor sigmoid) {
        this(logits, targets, posWeight, weights, mask, gradLoss, sigmoid, false);
    }

    /**
     * Logits and targets alone.
     *
     * @param logits any shape
     * @param targets the shape of the logits
     * @return operands
     */
    public static BceWithLogitsOperands of(Tensor logits, Tensor targets) {
        return new BceWithLogitsOperands(logits, targets, null, null, null, null, null, false);
    }

    /**
     * Logits, and targets as bits.
     *
     * @param logits any shape
     * @param targetBits U8, one axis of an eighth of the logits' elements, rounded up: element i, by its flat index, is
     *     bit i mod 8, the lowest first, of byte i / 8
     * @return operands
     */
    public static BceWithLogitsOperands ofBits(Tensor logits, Tensor targetBits) {
        return new BceWithLogitsOperands(logits, targetBits, null, null, null, null, null, true);
    }

    /**
     * A copy with a weight of positives.
     *
     * @param posWeight broadcast against the logits
     * @return changed operands
     */
    public BceWithLogitsOperands withPosWeight(Tensor posWeight) {
        return new BceWithLogitsOperands(logits, targets, Objects.requireNonNull(posWeight, "posWeight"), weights,
                mask, gradLoss, sigmoid, targetBits);
    }

    /**
     * A copy with weights.
     *
     * @param weights broadcast against the logits
     * @return changed operands
     */
    public BceWithLogitsOperands withWeights(Tensor weights) {
        return new BceWithLogitsOperands(logits, targets, posWeight, Objects.requireNonNull(weights, "weights"),
                mask, gradLoss, sigmoid, targetBits);
    }

    /**
     * A copy with a mask.
     *
     * @param mask U8, broadcast against the logits: where it is 0, elements are skipped
     * @return changed operands
     */
    public BceWithLogitsOperands withMask(Tensor mask) {
        return new BceWithLogitsOperands(logits, targets, posWeight, weights, Objects.requireNonNull(mask, "mask"),
                gradLoss, sigmoid, targetBits);
    }

    /**
     * A copy with an upstream gradient.
     *
     * @param gradLoss a scalar, or the shape of the logits for {@code NONE}
     * @return changed operands
     */
    public BceWithLogitsOperands withGradLoss(Tensor gradLoss) {
        return new BceWithLogitsOperands(logits, targets, posWeight, weights, mask,
                Objects.requireNonNull(gradLoss, "gradLoss"), sigmoid, targetBits);
    }

    /**
     * A copy that asks for the probabilities.
     *
     * @param sigmoid where they go: the shape of the logits
     * @return changed operands
     */
    public BceWithLogitsOperands withSigmoid(Tensor sigmoid) {
        return new BceWithLogitsOperands(logits, targets, posWeight, weights, mask, gradLoss,
                Objects.requireNonNull(sigmoid, "sigmoid"), targetBits);
    }
}
