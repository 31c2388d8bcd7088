package dev.isobit.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.math.BigDecimal;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** The emulated fma against the JVM's, and both against decimal arithmetic. */
class FmaTest {
    private static final float[] SPECIAL = {0, Float.MIN_VALUE, 3 * Float.MIN_VALUE, 0x1.fffffcp-127f, Float.MIN_NORMAL,
        0x1.000002p-126f, 0x1p-75f, 0x1p-74f, 0x1.000002p-74f, 0x1.fffffep-25f, 0x1p-24f, 0.5f, 0x1.fffffep-1f, 1,
        0x1.000002p0f, 1.5f, 0x1.6a09e6p0f, 3, 0x1p24f, 0x1.000002p24f, 0x1p63f, 0x1p64f, 0x1.fffffep126f, 0x1p127f,
        0x1.fffffcp127f, Float.MAX_VALUE, Float.POSITIVE_INFINITY, Float.NaN};

    private long compared;

    private void check(float a, float b, float c) {
        float expected = Math.fma(a, b, c);
        float emulated = Fma.emulated(a, b, c);
        if (Float.floatToIntBits(expected) != Float.floatToIntBits(emulated)) {
            fail("fma(%a, %a, %a) is %a, emulated %a".formatted(a, b, c, expected, emulated));
        }
        float chosen = Fma.fma(a, b, c);
        assertEquals(Float.floatToIntBits(expected), Float.floatToIntBits(chosen));
        compared++;
    }

    private void checkSigns(float a, float b, float c) {
        for (int signs = 0; signs < 8; signs++) {
            check((signs & 1) == 0 ? a : -a, (signs & 2) == 0 ? b : -b, (signs & 4) == 0 ? c : -c);
        }
    }

    @Test
    void specialValues() {
        for (float a : SPECIAL) {
            for (float b : SPECIAL) {
                for (float c : SPECIAL) {
                    checkSigns(a, b, c);
                }
            }
        }
        assertTrue(compared > 100_000);
    }

    /** A product halfway between two floats, and an addend far below that decides. */
    @Test
    void halfway() {
        SplittableRandom random = new SplittableRandom(1);
        float[] deciders = {0, Float.MIN_VALUE, Float.MIN_NORMAL, 0x1p-100f, 0x1p-60f, 0x1p-53f, 0x1p-52f, 0x1p-49f};
        for (int i = 0; i < 100_000; i++) {
            // (2^12 + j)(2^12 + k) has up to 26 bits: with its low two bits 10 it is a tie at 24 bits.
            float a = (4096 + random.nextInt(4096)) * 0x1p-12f;
            float b = (4096 + random.nextInt(4096)) * 0x1p-12f;
            for (float c : deciders) {
                checkSigns(a, b, c);
            }
        }
    }

    /** Products and sums below the normal range, where the second rounding is at another place. */
    @Test
    void subnormalResults() {
        SplittableRandom random = new SplittableRandom(2);
        for (int i = 0; i < 300_000; i++) {
            float a = Float.intBitsToFloat(random.nextInt(1 << 23) | 127 - 60 - random.nextInt(30) << 23);
            float b = Float.intBitsToFloat(random.nextInt(1 << 23) | 127 - 60 - random.nextInt(30) << 23);
            float c = Float.intBitsToFloat(random.nextInt(1 << 24));
            checkSigns(a, b, i % 4 == 0 ? 0 : c);
        }
    }

    @Test
    void cancellation() {
        SplittableRandom random = new SplittableRandom(3);
        for (int i = 0; i < 500_000; i++) {
            float a = (1 + random.nextFloat()) * (random.nextBoolean() ? 1 : 0x1p-70f);
            float b = 1 + random.nextFloat();
            float product = a * b;
            checkSigns(a, b, product);
            checkSigns(a, b, Math.nextUp(product));
            checkSigns(a, b, product * 0.5f);
        }
    }

    @Test
    void overflow() {
        SplittableRandom random = new SplittableRandom(4);
        for (int i = 0; i < 300_000; i++) {
            float a = Float.intBitsToFloat(random.nextInt(1 << 23) | 127 + 63 << 23);
            float b = Float.intBitsToFloat(random.nextInt(1 << 23) | 127 + 62 + random.nextInt(3) << 23);
            checkSigns(a, b, Float.intBitsToFloat(random.nextInt(1 << 23) | 254 - random.nextInt(30) << 23));
        }
        checkSigns(0x1p64f, 0x1p63f, 0x1.fffffep126f);
        checkSigns(0x1p64f, 0x1p64f, Float.MAX_VALUE);
        checkSigns(Float.MAX_VALUE, 1, 0x1p103f);
        checkSigns(Float.MAX_VALUE, 1, 0x1.fffffep102f);
    }

    @Test
    void random() {
        SplittableRandom random = new SplittableRandom(5);
        for (int i = 0; i < 3_000_000; i++) {
            int bits = random.nextInt();
            float a = Float.intBitsToFloat(bits);
            float b = Float.intBitsToFloat(random.nextInt());
            // Any addend, or one whose exponent is within reach of the product's.
            float c = i % 2 == 0
                    ? Float.intBitsToFloat(random.nextInt())
                    : a * b * Math.scalb(1 + random.nextFloat(), random.nextInt(100) - 50);
            check(a, b, c);
        }
    }

    /** Independent of CPU and JVM: exact in decimals, one rounding. */
    @Test
    void decimal() {
        SplittableRandom random = new SplittableRandom(6);
        for (int i = 0; i < 40_000; i++) {
            int spread = i % 2 == 0 ? 20 : 120;
            float a = Math.scalb(1 + random.nextFloat(), random.nextInt(spread) - spread / 2);
            float b = Math.scalb(1 + random.nextFloat(), random.nextInt(spread) - spread / 2);
            float c = -Math.scalb(1 + random.nextFloat(), random.nextInt(2 * spread) - spread);
            BigDecimal exact = new BigDecimal(a).multiply(new BigDecimal(b)).add(new BigDecimal(c));
            float expected = exact.floatValue();
            assertEquals(expected, Fma.emulated(a, b, c), () -> "fma(" + a + ", " + b + ", " + c + ")");
            assertEquals(expected, Fma.fma(a, b, c));
        }
    }
}
