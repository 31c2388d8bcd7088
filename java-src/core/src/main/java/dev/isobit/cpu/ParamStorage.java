package dev.isobit.cpu;

import dev.isobit.DType;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import org.jspecify.annotations.Nullable;

/** A parameter as it is kept: itself, and what makes a float32 of it, or 16 bits of a float32. */
final class ParamStorage {
    final FloatOperand param;
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
        this.param = new FloatOperand();
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

    /** Scratch memory that stands for a parameter. */
    ParamStorage(FloatOperand floats, CpuKernels kernels) {
        param = floats;
        hasRemainders = false;
        hasMaster = false;
        isRoundedStochastically = false;
        seed = 0;
        number = 0;
        bf16 = kernels.bf16Block(remainders);
    }

    /** Whether the update takes the parameter as it stands in memory. */
    boolean isDirect(CpuKernels kernels) {
        return !isRoundedStochastically && kernels.reaches(param) && kernels.reaches(remainders);
    }

    /** Whether the parameter is all there is. */
    boolean isAlone() {
        return !hasMaster && !hasRemainders;
    }

    /** The parameter, or its float32 master. */
    FloatOperand first() {
        return hasMaster ? master : param;
    }

    /** The parameter beside its float32 master, or the remainders beside a parameter; else empty. */
    FloatOperand beside() {
        return hasMaster ? param : remainders;
    }

    /** An element as float32. */
    float get(long element) {
        return hasRemainders
                ? NarrowFloats.withRemainder(param.bits(element), remainders.bits(element))
                : first().get(element);
    }

    /** Writes an element, to nearest. */
    void set(long element, float value) {
        if (hasRemainders) {
            param.setBits(element, NarrowFloats.beforeRemainder(value));
            remainders.setBits(element, NarrowFloats.remainder(value));
            return;
        }
        param.set(element, value);
        if (hasMaster) {
            master.set(element, value);
        }
    }

    /** Whether another parameter's memory is right behind the first so many elements of this one. */
    boolean isFollowedBy(ParamStorage next, long count) {
        return !isRoundedStochastically && !next.isRoundedStochastically && hasMaster == next.hasMaster
                && hasRemainders == next.hasRemainders && param.isFollowedBy(next.param, count)
                && (!hasMaster || master.isFollowedBy(next.master, count))
                && (!hasRemainders || remainders.isFollowedBy(next.remainders, count));
    }
}
