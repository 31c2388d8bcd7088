package dev.isobit.harness.verify;

import dev.isobit.DType;
import dev.isobit.harness.Rng;
import java.util.List;

/** The types of an optimizer's operands in problems that mix them. */
final class MixedTypes {
    private static final DType[] VALUES = {DType.F32, DType.BF16, DType.F16};
    private static final DType[] MOMENTS = {DType.F32, DType.BF16};

    private MixedTypes() {}

    /**
     * Types of one parameter's operands: parameter, gradient, then moments.
     *
     * @param mixed false for F32 alone
     * @param operands how many
     * @param rng where they come from, if they are mixed
     */
    private static DType[] of(boolean mixed, int operands, Rng rng) {
        DType[] types = new DType[operands];
        for (int i = 0; i < operands; i++) {
            DType[] all = i < 2 ? VALUES : MOMENTS;
            types[i] = mixed ? all[rng.nextInt(all.length)] : DType.F32;
        }
        return types;
    }

    /**
     * Draws types for each parameter, and rounds its operands to them.
     *
     * @param sizes of the parameters, which lie behind each other
     * @param types takes those of each parameter
     * @param operands all of them, in the order of the types
     */
    static void round(boolean mixed, List<Integer> sizes, List<DType[]> types, Rng rng, float[]... operands) {
        int start = 0;
        for (int size : sizes) {
            DType[] own = of(mixed, operands.length, rng);
            types.add(own);
            for (int role = 0; role < operands.length; role++) {
                round(own[role], operands[role], start, start + size);
            }
            start += size;
        }
    }

    /** Rounds elements [from, to). */
    static void round(DType dtype, float[] values, int from, int to) {
        for (int i = from; i < to; i++) {
            values[i] = Slab.rounded(dtype, values[i]);
        }
    }
}
