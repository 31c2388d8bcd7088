package dev.isobit;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One parameter of {@link Sgd}: a tensor, its gradient and, with momentum, its momentum buffer, all of one element count.
 * The buffer is allocated, zeroed, by the optimizer where it is not given: F32 for a parameter of 16 bits.
 *
 * @param name for messages and saved state
 * @param param the parameter, updated in place
 * @param grad its gradient, read only, but where {@link StepOptions#zeroGrad} zeroes it
 * @param momentumBuffer momentum, updated in place, with {@code momentum} other than 0 only; null to have it allocated
 * @param master what the update works on in place of a parameter of 16 bits, see {@link AdamParameter#withMaster}; null for
 *     none
 * @param gradAccumulator sum of gradients, updated in place, with {@link StepOptions#accumulateGrad} only, F32; null to have it
 *     allocated
 */
public record SgdParameter(String name, Tensor param, Tensor grad, @Nullable Tensor momentumBuffer,
        @Nullable Tensor master, @Nullable Tensor gradAccumulator) {
    /** Checks for null. */
    public SgdParameter {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(param, "param");
        Objects.requireNonNull(grad, "grad");
    }

    /**
     * A parameter without a master.
     *
     * @param name for messages and saved state
     * @param param the parameter
     * @param grad its gradient
     * @param momentumBuffer momentum; null to have it allocated
     */
    public SgdParameter(String name, Tensor param, Tensor grad, @Nullable Tensor momentumBuffer) {
        this(name, param, grad, momentumBuffer, null, null);
    }

    /**
     * A copy whose updates are those of a float32 parameter: {@link AdamParameter#withMaster}.
     *
     * @param master F32, or for BF16 remainders, I16, of as many elements, updated in place; null for none
     * @return changed parameter
     */
    public SgdParameter withMaster(@Nullable Tensor master) {
        return new SgdParameter(name, param, grad, momentumBuffer, master, gradAccumulator);
    }

    /**
     * A copy with an accumulator of its gradients, for {@link StepOptions#accumulateGrad}.
     *
     * @param accumulator F32, of as many elements, updated in place; null to have it allocated, zeroed
     * @return changed parameter
     */
    public SgdParameter withGradAccumulator(@Nullable Tensor accumulator) {
        return new SgdParameter(name, param, grad, momentumBuffer, master, accumulator);
    }

    /**
     * What a step takes for the gradient.
     *
     * @return the accumulator if there is one, else the gradient
     */
    public Tensor stepGrad() {
        return gradAccumulator == null ? grad : gradAccumulator;
    }

    /**
     * A parameter whose momentum buffer, where there is one, the optimizer allocates.
     *
     * @param name for messages and saved state
     * @param param the parameter
     * @param grad its gradient
     * @return the parameter
     */
    public static SgdParameter of(String name, Tensor param, Tensor grad) {
        return new SgdParameter(name, param, grad, null);
    }
}
