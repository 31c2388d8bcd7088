package dev.isobit.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class UlpTest {
    @Test
    void between() {
        assertEquals(0, Ulp.between(0f, -0f));
        assertEquals(1, Ulp.between(1, Math.nextUp(1f)));
        assertEquals(2, Ulp.between(Float.MIN_VALUE, -Float.MIN_VALUE));
        assertEquals(0, Ulp.between(Float.NaN, Float.intBitsToFloat(0x7fc00001)));
        assertEquals(Long.MAX_VALUE, Ulp.between(Float.NaN, 1));
        assertEquals(1, Ulp.between(Float.MAX_VALUE, Float.POSITIVE_INFINITY));
        assertEquals(2 * (long) Float.floatToRawIntBits(Float.MAX_VALUE),
                Ulp.between(-Float.MAX_VALUE, Float.MAX_VALUE));
    }

    @Test
    void ofFloatAt() {
        assertEquals(Math.ulp(1f), Ulp.ofFloatAt(1));
        assertEquals(Math.ulp(0.75f), Ulp.ofFloatAt(Math.nextDown(1.0)));
        assertEquals(Math.ulp(3f), Ulp.ofFloatAt(-3));
        assertEquals(Float.MIN_VALUE, Ulp.ofFloatAt(0));
        assertEquals(Float.MIN_VALUE, Ulp.ofFloatAt(1e-300));
        assertEquals(Math.ulp(Float.MAX_VALUE), Ulp.ofFloatAt(Double.POSITIVE_INFINITY));
        assertEquals(Double.NaN, Ulp.ofFloatAt(Double.NaN));
    }
}
