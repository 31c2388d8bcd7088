package dev.isobit.harness.verify;

import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.Slab.Operand;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * The bits that one call wrote, and what it did that it must not do. Used by one thread.
 */
final class Results {
    private static final int CANONICAL_NAN = 0x7fc00000;

    private final Map<Output, int[]> bits = new EnumMap<>(Output.class);
    private final List<String> faults = new ArrayList<>();

    Map<Output, int[]> bits() {
        return bits;
    }

    /** Writes outside of operands, changed inputs, elements not written, NaNs that are not the canonical one. */
    List<String> faults() {
        return faults;
    }

    /** Takes what a call did that it must not do. */
    void fault(String what) {
        faults.add(what);
    }

    void put(Output output, int[] values) {
        bits.put(output, values);
    }

    /** Takes what was written to an operand after its download. */
    int[] written(String name, Operand operand) {
        guards(name, operand);
        int[] values = operand.bits();
        for (int i = 0; i < values.length; i++) {
            if (values[i] == Slab.POISON) {
                faults.add(name + "[" + i + "] was not written");
                break;
            }
            if (Float.isNaN(Float.intBitsToFloat(values[i])) && values[i] != CANONICAL_NAN) {
                faults.add(name + "[" + i + "] is the NaN 0x" + Integer.toHexString(values[i])
                        + ", not the canonical one");
                break;
            }
        }
        return values;
    }

    /** Checks an operand that is only read, after its download. */
    void unchanged(String name, Operand operand, float[] values) {
        guards(name, operand);
        if (!operand.holds(values)) {
            faults.add(name + " was changed");
        }
    }

    void guards(String name, Operand operand) {
        if (!operand.guardsAreWhole()) {
            faults.add("memory beside " + name + " was written");
        }
    }

    /** One number per output that tells equal bits, in the order of the outputs. */
    long[] digests() {
        return bits.values().stream().mapToLong(Results::digest).toArray();
    }

    static long digest(int[] values) {
        long hash = values.length;
        for (int value : values) {
            hash = Rng.mix(hash + value);
        }
        return hash;
    }
}
