package dev.isobit.cpu;

import dev.isobit.DType;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import org.jspecify.annotations.Nullable;

/** A parameter as it is kept: itself, and what makes a float32 of it, or a BF16 of a float32. */
final class ParamStorage {
    final FloatOperand param = new FloatOperand();
    /** Float32; empty without {@link #hasMaster}. */
    final FloatOperand master = new FloatOperand();
    /** Of 16 bits; empty without {@link #hasRemainders}. */
    final FloatOperand remainders = new FloatOperand();
    final boolean hasMaster;
    final boolean hasRemainders;
    final boolean isRoundedStochastically;
    final long seed;
    /** Of the parameter in its optimizer. */
    final int number;
    final Bf16Block bf16;

    ParamStorage(Tensor param, @Nullable Tensor master, @Nullable StochasticRounding rounding, int number,
            CpuKernels kernels) {
        this.param.set(param, kernels);
        hasRemainders = master != null && master.dtype() == DType.I16;
        hasMaster = master != null && !hasRemainders;
        if (master != null) {
            (hasMaster ? this.master : remainders).set(master);
        }
        isRoundedStochastically = rounding != null && master == null && param.dtype() == DType.BF16;
        seed = rounding == null ? 0 : rounding.seed();
        this.number = number;
        bf16 = kernels.bf16Block(remainders);
    }

    /** Whether the update takes the parameter as it stands in memory. */
    boolean isWide() {
        return !param.isNarrow();
    }

    /** Whether another parameter's memory is right behind the first so many elements of this one. */
    boolean isFollowedBy(ParamStorage next, long count) {
        return !isRoundedStochastically && !next.isRoundedStochastically && hasMaster == next.hasMaster
                && hasRemainders == next.hasRemainders && param.isFollowedBy(next.param, count)
                && (!hasMaster || master.isFollowedBy(next.master, count))
                && (!hasRemainders || remainders.isFollowedBy(next.remainders, count));
    }
}
