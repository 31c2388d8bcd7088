package dev.isobit.cpu;

import dev.isobit.math.ExactMath;

/**
 * Constants of a loop that are to stay in registers: the JIT repeats a broadcast on every turn, but not a load. To be
 * loaded by the Vector API itself, which the JIT always inlines. A method of ours between them would return a boxed vector
 * where the JIT takes its call for a rare one.
 *
 * <p>Only for what a loop uses early. C2 parses 18,000 nodes, about forty vector operations, and inlines the calls behind
 * them in a later pass. A vector from before the loop on which such a call is made leaves its lanes on the heap, 64 bytes
 * and a header each time the loop begins: the receiver of an operation there, or the argument of the one operation in
 * which the limit is reached. So from there on constants are arguments, broadcast where they are used. See bench/NOTES.md.
 */
final class Kept {
    /** Each constant as many times as a vector has lanes. */
    static final float[] TABLE = VectorMath.table(1, 0, ExactMath.LOG2E, VectorMath.MAGIC_0, -ExactMath.LN2_HI,
            -ExactMath.LN2_LO, ExactMath.EXP_C5, ExactMath.EXP_C4, ExactMath.EXP_C3,
            ExactMath.EXP_C2);
    private static final int WIDTH = VectorMath.SPECIES.length();
    /** Where each begins; those of exp in the order of their use, which begins with one that is no argument: broadcast. */
    static final int ONE = 0;
    static final int ZERO = WIDTH;
    static final int LOG2E = 2 * WIDTH;
    static final int MAGIC = 3 * WIDTH;
    static final int MINUS_LN2_HI = 4 * WIDTH;
    static final int MINUS_LN2_LO = 5 * WIDTH;
    static final int C5 = 6 * WIDTH;
    static final int C4 = 7 * WIDTH;
    static final int C3 = 8 * WIDTH;
    static final int C2 = 9 * WIDTH;

    /** Masks in the same way. */
    static final int[] MASKS = masks(0xffff0000, 0x8fffe000);
    /** The upper 16 bits; of those, moved down by 3 with their sign, the sign and the rest. */
    static final int UPPER = 0;
    static final int F16_BITS = WIDTH;

    private Kept() {}

    private static int[] masks(int... values) {
        int[] masks = new int[values.length * WIDTH];
        for (int i = 0; i < masks.length; i++) {
            masks[i] = values[i / WIDTH];
        }
        return masks;
    }
}
