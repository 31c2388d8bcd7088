package dev.isobit;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One parameter of an optimizer: a tensor, its gradient and its moments, all of one element count. The moments are
 * allocated, zeroed, by the optimizer where they are not given: F32 for a parameter of 16 bits.
 *
 * @param name for messages and saved state
 * @param param the parameter, updated in place
 * @param grad its gradient, read only, but where {@link StepOptions#zeroGrad} zeroes it
 * @param expAvg first moment, updated in place; null to have it allocated
 * @param expAvgSq second moment, updated in place; null to have it allocated
 * @param maxExpAvgSq largest second moment so far, updated in place, with {@code amsgrad} only; null to have it allocated
 */
public record AdamParameter(String name, Tensor param, Tensor grad, @Nullable Tensor expAvg,
        @Nullable Tensor expAvgSq, @Nullable Tensor maxExpAvgSq) {
    /** Checks for null. */
    public AdamParameter {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(param, "param");
        Objects.requireNonNull(grad, "grad");
    }

    /**
     * A parameter whose largest second moment, where there is one, the optimizer allocates.
     *
     * @param name for messages and saved state
     * @param param the parameter
     * @param grad its gradient
     * @param expAvg first moment; null to have it allocated
     * @param expAvgSq second moment; null to have it allocated
     */
    public AdamParameter(String name, Tensor param, Tensor grad, @Nullable Tensor expAvg, @Nullable Tensor expAvgSq) {
        this(name, param, grad, expAvg, expAvgSq, null);
    }

    /**
     * A parameter whose moments the optimizer allocates.
     *
     * @param name for messages and saved state
     * @param param the parameter
     * @param grad its gradient
     * @return the parameter
     */
    public static AdamParameter of(String name, Tensor param, Tensor grad) {
        return new AdamParameter(name, param, grad, null, null, null);
    }
}
