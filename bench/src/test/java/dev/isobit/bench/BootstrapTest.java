package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.harness.Rng;
import org.junit.jupiter.api.Test;

class BootstrapTest {
    @Test
    void medianOfOddAndEvenCounts() {
        assertEquals(2, Bootstrap.middle(new double[] {3, 1, 2}));
        assertEquals(2.5, Bootstrap.middle(new double[] {4, 1, 3, 2}));
        assertThrows(IllegalArgumentException.class, () -> Bootstrap.middle(new double[0]));
    }

    @Test
    void sampleIsLeftInItsOrder() {
        double[] sample = {3, 1, 2};
        Bootstrap.median(sample);
        assertEquals(3, sample[0]);
    }

    @Test
    void equalValuesHaveNoWidth() {
        assertEquals(new Bootstrap.Interval(0.7, 0.7, 0.7), Bootstrap.median(new double[] {0.7, 0.7, 0.7, 0.7}));
    }

    /** Of many samples about 95 % of the intervals must hold the true median; never all, never few. */
    @Test
    void intervalHoldsTheMedianNineteenTimesInTwenty() {
        var rng = new Rng(1);
        int held = 0;
        int samples = 200;
        for (int i = 0; i < samples; i++) {
            double[] sample = new double[25];
            for (int j = 0; j < sample.length; j++) {
                sample[j] = rng.nextNormal();
            }
            Bootstrap.Interval interval = Bootstrap.median(sample);
            assertTrue(interval.low() <= interval.median() && interval.median() <= interval.high());
            held += interval.low() <= 0 && 0 <= interval.high() ? 1 : 0;
        }
        assertTrue(held >= 0.88 * samples && held < samples, held + " of " + samples);
    }
}
