package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

/** Comparison of bits: every stored NaN is one NaN, so bits alone decide. */
public final class Bits {
    private Bits() {}

    /**
     * Fails at the first difference.
     *
     * @param what for the message
     * @param expected expected elements
     * @param actual elements found
     * @return how many were compared
     */
    public static long assertSame(Object what, float[] expected, float[] actual) {
        assertEquals(expected.length, actual.length, () -> what + ": number of elements");
        for (int i = 0; i < expected.length; i++) {
            int wanted = Float.floatToRawIntBits(expected[i]);
            int got = Float.floatToRawIntBits(actual[i]);
            if (wanted != got) {
                fail("%s: element %d is %s (0x%08x), not %s (0x%08x)".formatted(what, i, actual[i], got, expected[i],
                        wanted));
            }
        }
        return expected.length;
    }
}
