package dev.isobit.harness.verify;

import dev.isobit.DType;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.Slab.Operand;
import dev.isobit.math.NarrowFloats;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How the parameters of an optimizer are kept in problems that mix types: some of 16 bits have a master or remainders, and in
 * half of the problems those of BF16 without are rounded stochastically. Of a parameter that has a master, its value is meant.
 */
final class Masters {
    private final float[] param;
    private final int shift;
    /** Of the parameters. */
    private final List<DType> stored = new ArrayList<>();
    /** Of each parameter; null for none. */
    private final List<@Nullable DType> masters = new ArrayList<>();
    private final @Nullable StochasticRounding rounding;

    /**
     * Draws them, and gives parameters that have masters their values back.
     *
     * @param seed of the problem
     * @param sizes of the parameters, which lie behind each other
     * @param types of each parameter, the first of which is its own
     * @param before the parameters before they were rounded to these
     * @param param the same after
     * @param shift of misaligned operands
     */
    Masters(boolean mixed, long seed, List<Integer> sizes, List<DType[]> types, Rng rng, float[] before, float[] param,
            int shift) {
        this.param = param;
        this.shift = shift;
        rounding = mixed && seed % 2 == 0 ? new StochasticRounding(seed) : null;
        int start = 0;
        for (int p = 0; p < sizes.size(); p++) {
            DType dtype = types.get(p)[0];
            DType master = switch (dtype) {
                case BF16 -> new @Nullable DType[] {null, DType.F32, DType.I16}[rng.nextInt(3)];
                case F16 -> rng.nextInt(2) == 0 ? null : DType.F32;
                default -> null;
            };
            stored.add(dtype);
            masters.add(master);
            if (master != null) {
                System.arraycopy(before, start, param, start, sizes.get(p));
            }
            start += sizes.get(p);
        }
    }

    /** What an optimizer is told; null for rounding to nearest. */
    @Nullable
    StochasticRounding rounding() {
        return rounding;
    }

    /** The type that a parameter's value has. */
    DType valueType(int parameter) {
        return masters.get(parameter) == null ? stored.get(parameter) : DType.F32;
    }

    /** In units of that type, what storing may cost. */
    double storing(int parameter) {
        return rounding != null && valueType(parameter) == DType.BF16 ? 1 : 0.5;
    }

    /** A parameter as it is stored. */
    Operand place(Slab slab, Form form, int parameter, int start, int size) {
        float[] values = Arrays.copyOfRange(param, start, start + size);
        if (masters.get(parameter) == DType.I16) {
            for (int i = 0; i < size; i++) {
                values[i] = NarrowFloats.fromBf16(NarrowFloats.beforeRemainder(values[i]));
            }
        }
        Operand operand = slab.place(stored.get(parameter), form.placement(), shift, size);
        operand.set(values);
        operand.upload();
        return operand;
    }

    /** Its master or remainders, if it has any. */
    @Nullable
    Operand placeMaster(Slab slab, Form form, int parameter, int start, int size) {
        DType master = masters.get(parameter);
        if (master == null) {
            return null;
        }
        Operand operand = slab.place(master, form.placement(), shift, size);
        if (master == DType.F32) {
            operand.set(Arrays.copyOfRange(param, start, start + size));
        } else {
            long[] remainders = new long[size];
            for (int i = 0; i < size; i++) {
                remainders[i] = NarrowFloats.remainder(param[start + i]);
            }
            operand.set(remainders);
        }
        operand.upload();
        return operand;
    }

    /** The tensor of an operand that may not be there. */
    static @Nullable Tensor tensor(@Nullable Operand operand) {
        return operand == null ? null : operand.tensor();
    }

    /** The bits of the values that were written; where there is a master, the parameter must be what it rounds to. */
    static int[] written(Results results, Operand p, @Nullable Operand master) {
        int[] written = results.written("param", p);
        if (master == null) {
            return written;
        }
        master.download();
        results.guards("master", master);
        boolean rebuilt = master.tensor().dtype() == DType.I16;
        int[] bits = rebuilt ? new int[written.length] : results.written("master", master);
        for (int i = 0; i < bits.length; i++) {
            if (rebuilt) {
                bits[i] = Float.floatToRawIntBits(NarrowFloats.withRemainder(p.shortBits(i), master.shortBits(i)));
            }
            float value = Float.intBitsToFloat(bits[i]);
            float nearest = rebuilt
                    ? NarrowFloats.fromBf16(NarrowFloats.beforeRemainder(value))
                    : Slab.rounded(p.tensor().dtype(), value);
            if (Float.floatToRawIntBits(nearest) != written[i]) {
                results.fault("param[" + i + "] is not what its master rounds to");
                break;
            }
        }
        return bits;
    }
}
