package dev.isobit.spi;

import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One checked call of negative log-likelihood, filled by {@link dev.isobit.NllLoss} and reused from call to call: a kernel
 * must not keep it. Log-probabilities are [outer, classes, inner], rows [outer, inner]. All tensors have the right
 * shapes, types and memory.
 */
public final class NllLossCall {
    /** Makes an empty call. */
    public NllLossCall() {}

    /** Size of the first axis, N. */
    public long outer;
    /** Classes, C, at least 1. */
    public long classes;
    /** Product of the sizes of the axes behind that of the classes. */
    public long inner;
    /** Log-probabilities. */
    public @Nullable Tensor logProbabilities;
    /** Class indices of the rows, I64, I32, I16 or U8. */
    public @Nullable Tensor targets;
    /** [C]; null means 1. */
    public @Nullable Tensor classWeights;
    /** Upstream gradient: a scalar, or one per row; null means 1. */
    public @Nullable Tensor gradLoss;
    /** Whether {@link #gradLoss} is used per row. */
    public boolean gradLossPerRow;
    /** Where the loss goes: one per row for {@code NONE}, else a scalar; null if it is not asked for. */
    public @Nullable Tensor loss;
    /** Where the gradient goes, maybe the log-probabilities themselves; null if it is not asked for. */
    public @Nullable Tensor gradLogProbabilities;

    /** Drops the operands, so that an idle operation keeps nobody's memory. */
    public void clear() {
        logProbabilities = null;
        targets = null;
        classWeights = null;
        gradLoss = null;
        loss = null;
        gradLogProbabilities = null;
    }
}
