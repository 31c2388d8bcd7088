package dev.isobit.junit;

import dev.isobit.DType;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A tensor as it was recorded.
 *
 * @param step the step, 0 before the first
 * @param op what had written it
 * @param name its name
 * @param dtype element type
 * @param shape sizes, outermost first
 * @param hash of its bits
 * @param bits its elements, each NaN the same; null if only the hash is known
 */
record Snapshot(int step, String op, String name, DType dtype, long[] shape, String hash, byte @Nullable [] bits) {
    /** Whether both are the same tensor at the same moment, whatever it holds. */
    boolean isSame(Snapshot other) {
        return step == other.step && op.equals(other.op) && name.equals(other.name) && dtype == other.dtype
                && Arrays.equals(shape, other.shape);
    }

    /** Where and what it is. */
    String place() {
        return "step " + step + ", " + op + ", " + name + " " + dtype + Arrays.toString(shape);
    }
}
