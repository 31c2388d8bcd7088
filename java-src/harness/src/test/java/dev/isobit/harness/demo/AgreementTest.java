package dev.isobit.harness.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class AgreementTest {
    private static final int ONE = Float.floatToRawIntBits(1);

    private static TrainingRecord record(int[] losses, long[] hashes, int[] weights) {
        return new TrainingRecord("cpu", "test", 0, losses.length, losses, hashes, weights, new float[1],
                new double[1], new Training.Evaluation(new int[1], 0, new float[10], new int[1], 1), 0);
    }

    private static TrainingRecord sound() {
        return record(new int[] {ONE, ONE, ONE}, new long[] {1, 2, 3}, new int[] {ONE, 0});
    }

    @Test
    void sameBits() {
        Agreement agreement = Agreement.of("again", sound(), sound());
        assertTrue(agreement.sameBits());
        assertNull(agreement.firstDifference());
        assertEquals(3, agreement.steps());
        assertEquals(2, agreement.weights());
    }

    @Test
    void theFirstStepWithAnotherLoss() {
        Agreement agreement = Agreement.of("other", sound(),
                record(new int[] {ONE, ONE + 1, 0}, new long[] {1, 2, 3}, new int[] {ONE, 0}));
        assertFalse(agreement.sameBits());
        assertEquals("step 2, loss: 0x3f800000 (1.0) and 0x3f800001 (1.0000001)",
                String.valueOf(agreement.firstDifference()));
        assertEquals(ONE, agreement.largestLossUlp());
    }

    @Test
    void theFirstStepWithOtherWeights() {
        Agreement agreement = Agreement.of("other", sound(),
                record(new int[] {ONE, ONE, ONE}, new long[] {1, 7, 3}, new int[] {ONE, 0}));
        assertFalse(agreement.sameBits());
        assertEquals("step 2, hash of the weights: 0x0000000000000002 and 0x0000000000000007",
                String.valueOf(agreement.firstDifference()));
    }

    @Test
    void aFinalWeight() {
        Agreement agreement = Agreement.of("other", sound(),
                record(new int[] {ONE, ONE, ONE}, new long[] {1, 2, 3}, new int[] {ONE, 5}));
        assertFalse(agreement.sameBits());
        assertEquals(1, agreement.differingWeights());
        assertEquals(5, agreement.largestWeightUlp());
    }

    @Test
    void nothingToCompareIsNoAgreement() {
        var empty = record(new int[0], new long[0], new int[0]);
        assertThrows(IllegalArgumentException.class, () -> Agreement.of("empty", empty, empty));
        var shorter = record(new int[] {ONE}, new long[] {1}, new int[] {ONE, 0});
        assertThrows(IllegalArgumentException.class, () -> Agreement.of("shorter", sound(), shorter));
    }
}
