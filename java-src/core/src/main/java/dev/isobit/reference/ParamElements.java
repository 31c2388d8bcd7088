package dev.isobit.reference;

import dev.isobit.DType;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import dev.isobit.math.RoundingNoise;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** The elements of a parameter in a step: itself, or the master that it is rounded from. */
final class ParamElements {
    private final Elements param;
    private final @Nullable Elements master;
    private final @Nullable MemorySegment remainders;
    private final MemorySegment bits;
    private final @Nullable StochasticRounding rounding;
    private final int number;
    private final long step;

    /** @param number of the parameter in the optimizer */
    ParamElements(Tensor param, @Nullable Tensor master, @Nullable StochasticRounding rounding, int number,
            long step) {
        this.param = Elements.of(param);
        this.bits = param.segment();
        boolean isRemainder = master != null && master.dtype() == DType.I16;
        this.master = master == null || isRemainder ? null : Elements.of(master);
        this.remainders = master != null && isRemainder ? master.segment() : null;
        this.rounding = param.dtype() == DType.BF16 && master == null ? rounding : null;
        this.number = number;
        this.step = step;
    }

    double get(long index) {
        if (remainders != null) {
            return NarrowFloats.withRemainder(bits.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2),
                    remainders.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2));
        }
        return master != null ? master.get(index) : param.get(index);
    }

    void set(long index, double value) {
        if (remainders != null) {
            float x = canonical((float) value);
            bits.set(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2, NarrowFloats.beforeRemainder(x));
            remainders.set(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2, NarrowFloats.remainder(x));
        } else if (master != null) {
            master.set(index, value);
            param.set(index, master.get(index));
        } else if (rounding != null) {
            long key = RoundingNoise.atStep(RoundingNoise.key(rounding.seed(), number, index), step);
            param.set(index, RoundingNoise.round(canonical((float) value), RoundingNoise.of(key, (int) index)));
        } else {
            param.set(index, value);
        }
    }

    private static float canonical(float x) {
        return x != x ? Float.NaN : x;
    }
}
