package dev.isobit.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against the values of all patterns, which arithmetic gives, and a search of the nearest. */
class NarrowFloatsTest {
    private static float widen(boolean f16, int bits) {
        return f16 ? NarrowFloats.fromF16((short) bits) : NarrowFloats.fromBf16((short) bits);
    }

    private static int narrow(boolean f16, float x) {
        return (f16 ? NarrowFloats.toF16(x) : NarrowFloats.toBf16(x)) & 0xffff;
    }

    private static int infinity(boolean f16) {
        return f16 ? 0x7c00 : 0x7f80;
    }

    /** Values of non-negative finite patterns, rising, and what would follow. */
    private static double[] table(boolean f16) {
        double[] values = new double[infinity(f16) + 1];
        for (int i = 0; i < infinity(f16); i++) {
            values[i] = NarrowInputs.value(f16, i);
        }
        values[infinity(f16)] = f16 ? 0x1p16 : 0x1p128;
        return values;
    }

    /** The nearest, ties to even. */
    private static int expected(boolean f16, double[] table, double x) {
        if (Double.isNaN(x)) {
            return f16 ? 0x7e00 : 0x7fc0;
        }
        double magnitude = Math.min(Math.abs(x), table[infinity(f16)]);
        int found = Arrays.binarySearch(table, magnitude);
        int below = found >= 0 ? found : -found - 2;
        boolean up = found < 0 && (magnitude - table[below] > table[below + 1] - magnitude
                || magnitude - table[below] == table[below + 1] - magnitude && below % 2 == 1);
        int sign = Double.doubleToRawLongBits(x) < 0 ? 0x8000 : 0;
        return (up ? below + 1 : below) | sign;
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void everyPatternHasItsValue(boolean f16) {
        for (int bits = 0; bits < 1 << 16; bits++) {
            int magnitude = bits & 0x7fff;
            float actual = widen(f16, bits);
            if (magnitude > infinity(f16)) {
                assertTrue(Float.isNaN(actual), "0x" + Integer.toHexString(bits));
                assertEquals(f16 ? 0x7e00 : 0x7fc0, narrow(f16, actual));
                continue;
            }
            double value = magnitude == infinity(f16)
                    ? Double.POSITIVE_INFINITY
                    : NarrowInputs.value(f16, magnitude);
            assertEquals(Math.copySign(value, bits > 0x7fff ? -1 : 1), actual);
            assertEquals(bits, narrow(f16, actual), "there and back");
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void roundsToTheNearest(boolean f16) {
        double[] table = table(f16);
        for (float x : NarrowInputs.of(f16)) {
            int expected = expected(f16, table, x);
            if (expected != narrow(f16, x)) {
                fail("%a is %04x, not %04x".formatted(x, narrow(f16, x), expected));
            }
        }
        assertEquals(infinity(f16), narrow(f16, Float.POSITIVE_INFINITY));
        assertEquals(infinity(f16), narrow(f16, Float.MAX_VALUE));
        assertEquals(0x8000, narrow(f16, -Float.MIN_VALUE));
        assertEquals(0x7bff, narrow(true, 65519.996f));
        assertEquals(0x7c00, narrow(true, 65520));
        assertEquals(f16 ? 0x7e00 : 0x7fc0, narrow(f16, Float.intBitsToFloat(0xff812345)));
    }

    /** Some minutes: {@code -Disobit.all=true}. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    @EnabledIfSystemProperty(named = "isobit.all", matches = "true",
            disabledReason = "all 2^32 floats: -Disobit.all=true")
    void allFloats(boolean f16) {
        double[] table = table(f16);
        for (long bits = 0; bits < 1L << 32; bits++) {
            float x = Float.intBitsToFloat((int) bits);
            if (expected(f16, table, x) != narrow(f16, x)) {
                fail("%a is %04x".formatted(x, narrow(f16, x)));
            }
        }
    }

    /** A float64 is rounded once, where rounding by way of the nearest float32 would round twice. */
    @Test
    void roundedToOdd() {
        for (boolean f16 : new boolean[] {false, true}) {
            double[] table = table(f16);
            int twice = 0;
            for (float x : NarrowInputs.of(f16)) {
                for (double y : new double[] {x, Math.nextUp((double) x), Math.nextDown((double) x),
                    x * (1 + 0x1p-26)}) {
                    int expected = expected(f16, table, y);
                    assertEquals(expected, narrow(f16, NarrowFloats.roundedToOdd(y)), () -> Double.toHexString(y));
                    twice += expected == narrow(f16, (float) y) ? 0 : 1;
                }
            }
            assertTrue(twice > 1000, "only " + twice + " could go wrong");
        }
        assertEquals(0x7c00, narrow(true, NarrowFloats.roundedToOdd(1e300)));
        assertEquals(0xff80, narrow(false, NarrowFloats.roundedToOdd(-1e300)));
        assertEquals(0x7fc0, narrow(false, NarrowFloats.roundedToOdd(Double.NaN)));
        assertEquals(0x8000, narrow(false, NarrowFloats.roundedToOdd(-1e-300)));
    }
}
