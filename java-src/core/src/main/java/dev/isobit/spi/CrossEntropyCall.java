package dev.isobit.spi;

import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One checked call of cross-entropy, filled by {@link dev.isobit.CrossEntropy} and reused from call to call: a kernel
 * must not keep it. All tensors have the right shapes, types and memory.
 */
public final class CrossEntropyCall {
    /** Makes an empty call. */
    public CrossEntropyCall() {}

    /** Rows, N. */
    public long rows;
    /** Classes, C, at least 1. */
    public long classes;
    /** Logits [N, C]. */
    public @Nullable Tensor logits;
    /** Class indices [N], I64 or I32. */
    public @Nullable Tensor targets;
    /** Upstream gradient: a scalar, or [N]; null means 1. */
    public @Nullable Tensor gradLoss;
    /** Where the loss goes: [N] for {@code NONE}, else a scalar; null if it is not asked for. */
    public @Nullable Tensor loss;
    /** Where the gradient of the logits goes, [N, C], maybe the logits themselves; null if it is not asked for. */
    public @Nullable Tensor gradLogits;
}
