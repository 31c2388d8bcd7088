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
 */
public record SgdParameter(String name, Tensor param, Tensor grad, @Nullable Tensor momentumBuffer) {
    /** Checks for null. */
    public SgdParameter {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(param, "param");
        Objects.requireNonNull(grad, "grad");
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
