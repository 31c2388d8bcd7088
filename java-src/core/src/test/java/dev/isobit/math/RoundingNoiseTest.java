package dev.isobit.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.contract.RoundingDefinition;
import java.util.SplittableRandom;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RoundingNoiseTest {
    private static int noise(long seed, long step, int parameter, long element) {
        return RoundingNoise.of(RoundingNoise.atStep(RoundingNoise.key(seed, parameter, element), step), (int) element);
    }

    @Test
    void asDefined() {
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 1_000_000; i++) {
            float x = Float.intBitsToFloat(random.nextInt());
            x = x != x ? Float.NaN : x;
            long seed = random.nextLong();
            long step = i % 2 == 0 ? random.nextInt(100) : random.nextLong() >>> 1;
            int parameter = random.nextInt(1000);
            long element = i % 3 == 0 ? random.nextLong() >>> 20 : random.nextInt(10_000);
            float found = RoundingNoise.round(x, noise(seed, step, parameter, element));
            float expected = RoundingDefinition.stochastic(x, seed, step, parameter, element);
            assertEquals(Float.floatToRawIntBits(expected), Float.floatToRawIntBits(found));
        }
    }

    /** Infinities, NaN and what BF16 has stay; everything else becomes one of the two around it. */
    @Test
    void oneOfTheTwoAround() {
        for (int noise : new int[] {0, 1, 0x8000, 0xffff}) {
            for (int upper = 0; upper < 1 << 16; upper++) {
                float exact = Float.intBitsToFloat(upper << 16);
                if (exact == exact || upper == 0x7fc0) {
                    assertEquals(upper << 16, Float.floatToRawIntBits(RoundingNoise.round(exact, noise)));
                }
                if (Float.isFinite(exact)) {
                    int bits = upper << 16 | 0x1234;
                    int expected = upper + (0x1234 + noise > 0xffff ? 1 : 0) << 16;
                    assertEquals(expected,
                            Float.floatToRawIntBits(RoundingNoise.round(Float.intBitsToFloat(bits), noise)));
                }
            }
        }
    }

    /**
     * The mean of draws along elements, steps, parameters and seeds is right: of n independent draws of probability p its
     * standard deviation is sqrt(p(1 - p)/n), and five of them are exceeded once in two million. So are the means over one
     * bit of the noise, and of the product of neighbours.
     */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3})
    void unbiased(int along) {
        int n = 1 << 20;
        IntUnaryOperator draw = i -> switch (along) {
            case 0 -> noise(5, 17, 3, i);
            case 1 -> noise(5, i + 1, 3, 70);
            case 2 -> noise(5, 17, i, 70);
            default -> noise(i, 17, 3, 70);
        };
        for (int fraction : new int[] {1 << 6, 0x1999, 0x8000, 0xc000, 0xff00}) {
            double p = fraction / 65536.0;
            float x = Float.intBitsToFloat(0x3f80_0000 | fraction);
            long up = 0;
            for (int i = 0; i < n; i++) {
                up += RoundingNoise.round(x, draw.applyAsInt(i)) > 1 ? 1 : 0;
            }
            assertEquals(p, up / (double) n, 5 * Math.sqrt(p * (1 - p) / n), "fraction " + fraction);
        }
        for (int distance : new int[] {1, 2, 16, 1024}) {
            double product = 0;
            for (int i = 0; i < n; i++) {
                product += (draw.applyAsInt(i) / 65535.0 - 0.5) * (draw.applyAsInt(i + distance) / 65535.0 - 0.5);
            }
            // Of two independent draws, uniform around 0, the product's variance is 1/144.
            assertEquals(0, product / n, 5 / 12.0 / Math.sqrt(n), "distance " + distance);
        }
        int[] counts = new int[256];
        for (int i = 0; i < n; i++) {
            counts[draw.applyAsInt(i) >>> 8]++;
        }
        double chiSquare = 0;
        for (int count : counts) {
            chiSquare += Math.pow(count - n / 256.0, 2) / (n / 256.0);
        }
        // 255 degrees of freedom: mean 255, variance 510.
        assertEquals(255, chiSquare, 5 * Math.sqrt(510));
    }

    /** The noise of one step is not that of another, shifted or permuted by an xor. */
    @Test
    void stepsAreIndependent() {
        int n = 1 << 12;
        int equal = 0;
        for (int mask = 0; mask < n; mask++) {
            for (int i = 0; i < 64; i++) {
                equal += noise(5, 1, 0, i) == noise(5, 2, 0, i ^ mask) ? 1 : 0;
            }
        }
        // 64·2^12 pairs, of which one in 2^16 is equal: 4, with a deviation of 2.
        assertTrue(equal <= 14, equal + " pairs are equal");
    }

    /** Each float is rebuilt from its two halves. */
    @Test
    void remainders() {
        SplittableRandom random = new SplittableRandom(2);
        for (int i = 0; i < 4_000_000; i++) {
            int bits = i < 1 << 20 ? i >> 4 << 16 | (0x7ff8 + (i & 15)) : random.nextInt();
            float x = Float.intBitsToFloat(bits);
            x = x != x ? Float.NaN : x;
            short upper = NarrowFloats.beforeRemainder(x);
            short remainder = NarrowFloats.remainder(x);
            assertEquals(Float.floatToRawIntBits(x),
                    Float.floatToRawIntBits(NarrowFloats.withRemainder(upper, remainder)));
            assertEquals(Float.floatToRawIntBits(RoundingDefinition.beside(x)), upper << 16);
            assertEquals(RoundingDefinition.remainder(x), remainder);
        }
    }
}
