package dev.isobit.harness.demo;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class DigitsTest {
    private final Digits digits = Digits.load();

    @Test
    void allDigits() {
        assertEquals(1797, digits.size());
        assertTrue(Arrays.stream(digits.pixels()).flatMapToInt(Arrays::stream).allMatch(p -> p >= 0 && p <= 16));
        assertEquals(10, Arrays.stream(digits.classes()).distinct().count());
    }

    @Test
    void splitsAreStratified() {
        Digits.Split split = digits.split(1);
        assertEquals(1797, IntStream.concat(Arrays.stream(split.train()), Arrays.stream(split.heldOut())).distinct()
                .count());
        for (int c = 0; c < Digits.CLASSES; c++) {
            int wanted = c;
            long all = Arrays.stream(digits.classes()).filter(d -> d == wanted).count();
            long held = Arrays.stream(split.heldOut()).filter(i -> digits.classes()[i] == wanted).count();
            assertEquals(all / 5.0, held, 0.5);
        }
        assertArrayEquals(split.heldOut(), digits.split(1).heldOut());
        assertFalse(Arrays.equals(split.heldOut(), digits.split(2).heldOut()));
    }
}
