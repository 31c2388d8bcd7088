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
 * @param master what the update works on in place of a parameter of 16 bits, see {@link #withMaster}; null for none
 * @param gradAccumulator sum of gradients, updated in place, with {@link StepOptions#accumulateGrad} only, F32; null to have it
 *     allocated
 */
public record AdamParameter(String name, Tensor param, Tensor grad, @Nullable Tensor expAvg,
        @Nullable Tensor expAvgSq, @Nullable Tensor maxExpAvgSq, @Nullable Tensor master,
        @Nullable Tensor gradAccumulator) {
    /** Checks for null. */
    public AdamParameter {
        Objects.requireNonNull(name, "name");
        Objects.requireNonNull(param, "param");
        Objects.requireNonNull(grad, "grad");
    }

    /**
     * A parameter whose accumulator, where there is one, the optimizer allocates.
     *
     * @param name for messages and saved state
     * @param param the parameter
     * @param grad its gradient
     * @param expAvg first moment; null to have it allocated
     * @param expAvgSq second moment; null to have it allocated
     * @param maxExpAvgSq largest second moment so far; null to have it allocated
     * @param master what the update works on in place of a parameter of 16 bits; null for none
     */
    public AdamParameter(String name, Tensor param, Tensor grad, @Nullable Tensor expAvg, @Nullable Tensor expAvgSq,
            @Nullable Tensor maxExpAvgSq, @Nullable Tensor master) {
        this(name, param, grad, expAvg, expAvgSq, maxExpAvgSq, master, null);
    }

    /**
     * A parameter without a master.
     *
     * @param name for messages and saved state
     * @param param the parameter
     * @param grad its gradient
     * @param expAvg first moment; null to have it allocated
     * @param expAvgSq second moment; null to have it allocated
     * @param maxExpAvgSq largest second moment so far; null to have it allocated
     */
    public AdamParameter(String name, Tensor param, Tensor grad, @Nullable Tensor expAvg, @Nullable Tensor expAvgSq,
            @Nullable Tensor maxExpAvgSq) {
        this(name, param, grad, expAvg, expAvgSq, maxExpAvgSq, null);
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
        this(name, param, grad, expAvg, expAvgSq, null, null);
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
        return new AdamParameter(name, param, grad, null, null, null, null);
    }

    /**
     * A copy whose updates are those of a float32 parameter. Either
     * <ul>
     * <li>the float32 values themselves, F32, for a parameter of BF16 or F16: the update reads and writes them, and the
     * parameter becomes the nearest of its type, ties to even. The caller fills them before the first step;
     * <li>remainders, I16, for a parameter of BF16: what is missing between its bits and those of the float32 value. Zeros
     * make a value of the parameter itself. Parameter and remainder together are the value, exactly, in 32 bits where F32
     * values take 48: {@code bits = (param << 16) + remainder}. For that the parameter is the value rounded to nearest, ties
     * away from zero: a remainder of 16 bits with a sign reaches from -32768 to 32767, so that a tie has to lie below its
     * parameter, whatever that is. Whoever writes the parameter by other means sets the remainders to zero.
     * </ul>
     * The steps are the same with both, to the bit of the float32 values.
     *
     * @param master F32 or I16, of as many elements, updated in place; null for none
     * @return changed parameter
     */
    public AdamParameter withMaster(@Nullable Tensor master) {
        return new AdamParameter(name, param, grad, expAvg, expAvgSq, maxExpAvgSq, master, gradAccumulator);
    }

    /**
     * A copy with an accumulator of its gradients, for {@link StepOptions#accumulateGrad}.
     *
     * @param accumulator F32, of as many elements, updated in place; null to have it allocated, zeroed
     * @return changed parameter
     */
    public AdamParameter withGradAccumulator(@Nullable Tensor accumulator) {
        return new AdamParameter(name, param, grad, expAvg, expAvgSq, maxExpAvgSq, master, accumulator);
    }

    /**
     * What a step takes for the gradient.
     *
     * @return the accumulator if there is one, else the gradient
     */
    public Tensor stepGrad() {
        return gradAccumulator == null ? grad : gradAccumulator;
    }
}
