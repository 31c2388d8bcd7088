package dev.isobit.spi;

import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * One checked call of softmax or log-softmax, filled by {@link dev.isobit.Softmax} and {@link dev.isobit.LogSoftmax} and
 * reused from call to call: a kernel must not keep it. All tensors are [outer, classes, inner], with the right types and
 * memory, and have elements.
 */
public final class SoftmaxCall {
    /** Makes an empty call. */
    public SoftmaxCall() {}

    /** Product of the sizes of the axes before that of the classes. */
    public long outer;
    /** Classes, at least 1. */
    public long classes;
    /** Product of the sizes of the axes behind that of the classes. */
    public long inner;
    /** Logits; for the gradient probabilities, or log-probabilities. */
    public @Nullable Tensor input;
    /** Upstream gradient of {@link #input}; null where probabilities, or log-probabilities, are asked for. */
    public @Nullable Tensor gradOutput;
    /** Where the result goes, maybe one of the others. */
    public @Nullable Tensor result;
}
