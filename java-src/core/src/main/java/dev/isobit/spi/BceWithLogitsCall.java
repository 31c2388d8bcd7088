package dev.isobit.spi;

import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One checked call of binary cross-entropy, filled by {@link dev.isobit.BceWithLogits} and reused from call to call: a
 * kernel must not keep it. All tensors have the right shapes, types and memory.
 */
public final class BceWithLogitsCall {
    /** Makes an empty call. */
    public BceWithLogitsCall() {}

    /** Elements. */
    public long count;
    /** Logits, any shape. */
    public @Nullable Tensor logits;
    /** Targets, the shape of the logits; U8, or floats. */
    public @Nullable Tensor targets;
    /** Whether targets are bits, eight a U8, the lowest first. */
    public boolean targetBits;
    /** Weight of positives; null means 1. */
    public @Nullable Tensor posWeight;
    /** How {@link #posWeight} spreads over the logits; of one element where it is null. */
    public final Broadcast posWeightBroadcast = new Broadcast();
    /** Weights; null means 1. */
    public @Nullable Tensor weights;
    /** How {@link #weights} spread over the logits; of one element where they are null. */
    public final Broadcast weightsBroadcast = new Broadcast();
    /** Where elements are kept, U8; null: everywhere. */
    public @Nullable Tensor mask;
    /** How {@link #mask} spreads over the logits; of one element where it is null. */
    public final Broadcast maskBroadcast = new Broadcast();
    /** Upstream gradient: a scalar, or per element; null means 1. */
    public @Nullable Tensor gradLoss;
    /** Whether {@link #gradLoss} has the shape of the logits and is used per element. */
    public boolean gradLossPerElement;
    /** Where the loss goes: the shape of the logits for {@code NONE}, else a scalar; null if it is not asked for. */
    public @Nullable Tensor loss;
    /** Where the gradient goes, the shape of the logits, maybe the logits themselves; null if it is not asked for. */
    public @Nullable Tensor gradLogits;
    /** Where the probabilities go, the shape of the logits; null if they are not asked for. */
    public @Nullable Tensor sigmoid;

    /** Drops the operands, so that an idle operation keeps nobody's memory. */
    public void clear() {
        logits = null;
        targets = null;
        posWeight = null;
        weights = null;
        mask = null;
        gradLoss = null;
        loss = null;
        gradLogits = null;
        sigmoid = null;
    }
}
