package dev.isobit.bench;

import dev.isobit.DType;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Somebody else's implementation of the operations that are measured, found by {@link java.util.ServiceLoader}. It is
 * called as its users call it, on operands of its own with the same values. Used by one thread.
 */
public interface Peer extends AutoCloseable {
    /** The name in tables. */
    String name();

    /** Version, and what it runs: fused or not, which semantics. */
    String description();

    /** Whether operands may be of a type; targets, weights and losses are F32 in any case. */
    default boolean takes(DType dtype) {
        return dtype == DType.F32;
    }

    /**
     * Prepares an operation.
     *
     * @param problem operands in native memory, which outlive the call
     * @return the call; null if this peer does not have the operation
     */
    @Nullable
    Call prepare(Problem problem);

    /** Releases what the peer holds. */
    @Override
    void close();

    /**
     * An operation with its operands.
     *
     * @param operation as in {@link BenchCase}: loss and gradient for losses, AdamW and SGD with momentum for optimizers
     * @param dtype of logits and their gradients, or of parameters and gradients, which is of those that the peer takes
     * @param mean whether a loss is the mean of the elements' or rows' losses, not each of them
     * @param shape as in {@link BenchCase}
     * @param threads how many threads the peer may use
     * @param inputs {@code logits}, {@code targets} (64-bit class indices, or floats for {@code bce}),
     *     {@code posWeight}, one for each label; {@code param}, {@code grad}, {@code expAvg}, {@code expAvgSq},
     *     {@code momentumBuffer}
     * @param scalars {@code lr}, {@code beta1}, {@code beta2}, {@code eps}, {@code weightDecay}, {@code momentum}, {@code step}:
     *     number of the first step; of a clipped one {@code gradScale}, {@code maxNorm}
     */
    record Problem(String operation, DType dtype, boolean mean, List<Long> shape, int threads,
            Map<String, MemorySegment> inputs, Map<String, Double> scalars) {
        /** Elements of logits or parameters. */
        public long elements() {
            return shape.stream().reduce(1L, Math::multiplyExact);
        }
    }

    /** An operation ready to run. */
    interface Call extends AutoCloseable {
        /** Does it once; a step of an optimizer goes on from the step before. */
        void run();

        /**
         * Reads what the last run wrote.
         *
         * @param output {@code loss}, {@code gradLogits}; for optimizers the operands that they update
         * @param to as many elements of its type
         * @return false if this peer keeps no such output
         */
        boolean read(String output, MemorySegment to);

        /** Releases its operands. */
        @Override
        void close();
    }
}
