package dev.isobit.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class RngTest {
    @Test
    void isSplitMix64() {
        // The first outputs for this seed, as published for the algorithm.
        var rng = new Rng(1234567);
        assertEquals(6457827717110365317L, rng.nextLong());
        assertEquals(3203168211198807973L, rng.nextLong());
        assertEquals(-8629252141511181193L, rng.nextLong());
    }

    @Test
    void ranges() {
        var rng = new Rng(3);
        double sum = 0;
        double squares = 0;
        int n = 20_000;
        for (int i = 0; i < n; i++) {
            int k = rng.nextInt(7);
            float f = rng.nextFloat();
            float z = rng.nextNormal();
            assertTrue(k >= 0 && k < 7 && f >= 0 && f < 1 && Math.abs(z) <= 6);
            sum += z;
            squares += z * z;
        }
        assertEquals(0, sum / n, 0.03);
        assertEquals(1, squares / n, 0.04);
    }

    @Test
    void shuffleKeepsAll() {
        int[] values = IntStream.range(0, 100).toArray();
        new Rng(1).shuffle(values);
        assertEquals(100, IntStream.of(values).distinct().count());
        assertTrue(IntStream.range(0, 100).filter(i -> values[i] == i).count() < 10);
    }
}
