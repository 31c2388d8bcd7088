package dev.isobit.harness.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.DType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JudgeTest {
    private static final Problem PROBLEM = Grid.of(Grid.SMALL).problems().getFirst();

    private static Judge judge(double expected, float actual, double magnitude, double upstream, double budget) {
        var judge = new Judge();
        judge.add(PROBLEM, 0, expected, Float.floatToRawIntBits(actual), magnitude, upstream, budget);
        return judge;
    }

    @ParameterizedTest
    @CsvSource({"1, 1, 0", "1, 1.0000001, 1", "2, 1.9999999, 0.5", "NaN, NaN, 0", "NaN, 1, Infinity",
        "1, NaN, Infinity", "Infinity, Infinity, 0", "Infinity, -Infinity, Infinity", "1, Infinity, Infinity",
        "1e39, Infinity, 0", "1e39, 3.4028235e38, Infinity", "0, -0.0, 0"})
    void errors(double expected, float actual, double ulp) {
        assertEquals(ulp, Judge.error(expected, actual, expected, 0), 0.05);
    }

    @Test
    void theUnitIsTakenAtTheLargestAddend() {
        assertEquals(0.5, Judge.error(1, Math.nextUp(1f), 2, 0));
        assertEquals(0x1p23, Judge.error(0, 1, 1, 0));
    }

    @Test
    void resultsBelowTheNormalRangeAreNotChased() {
        assertTrue(judge(0, 0.9e-38f, 0, 1, 0).isKept());
        assertFalse(judge(0, 1.1e-38f, 0, 1, 0).isKept());
        assertTrue(judge(0, 0.9e-8f, 0, -1e30, 0).isKept());
        assertTrue(judge(0, 0.9e-38f, 0, 1e-30, 0).isKept());
    }

    @Test
    void whatIsNotWithinBudgetIsOver() {
        assertTrue(judge(1, Math.nextUp(1f), 1, 1, 1).isKept());
        assertFalse(judge(1, Math.nextUp(1f), 1, 1, 0.99).isKept());
        assertFalse(judge(1, 1, 1, 1, Double.NaN).isKept());
        assertFalse(judge(1, 2, Double.NaN, 1, 4).isKept());
        assertFalse(judge(1, Float.NaN, 1, 1, 1e300).isKept());
    }

    @ParameterizedTest
    @CsvSource({"BF16, 1, 1.0078125, 1", "BF16, 1.00390625, 1, 0.5", "F16, 1, 1.0009765625, 1", "F16, NaN, NaN, 0",
        "F16, 65519, Infinity, 0.53", "F16, 1e9, Infinity, 0", "F16, 65504, -Infinity, 4095", "F16, NaN, 1, Infinity",
        "BF16, 1e39, Infinity, 0", "F16, 0, 5.9604645e-8, 1", "F16, 1, NaN, Infinity"})
    void errorsOf16Bits(DType dtype, double expected, float actual, double ulp) {
        assertEquals(ulp, Judge.narrowError(dtype, expected, actual, expected, 0), 0.05);
        assertEquals(0, Judge.narrowError(dtype, Double.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY,
                Double.POSITIVE_INFINITY, 0));
    }

    /** One in a thousand may be the other neighbour, none farther away. */
    @Test
    void nearlyAllOf16BitsAreTheNearest() {
        for (int elements : new int[] {999, 2001}) {
            var judge = new Judge();
            for (int i = 0; i < elements; i++) {
                judge.addNarrow(DType.BF16, PROBLEM, i, i % 1000 == 0 ? 1.003 : 1,
                        Float.floatToRawIntBits(i % 1000 == 0 ? 1.0078125f : 1), 1, 1);
            }
            assertTrue(judge.isKept());
            judge.addNarrow(DType.BF16, PROBLEM, 0, 1.003, Float.floatToRawIntBits(1.0078125f), 1, 1);
            assertEquals(1, judge.over());
        }
        var loose = new Judge();
        for (int i = 0; i < 100; i++) {
            assertTrue(loose.isKept() || i == 0);
            loose.addNarrow(DType.BF16, PROBLEM, 0, i == 0 ? 1.003 : 1,
                    Float.floatToRawIntBits(i == 0 ? 1.0078125f : 1),
                    1, 1, true);
        }
        loose.addNarrow(DType.BF16, PROBLEM, 0, 1.003, Float.floatToRawIntBits(1.0078125f), 1, 1, true);
        assertTrue(loose.isKept(), "2 of 101");
        loose.addNarrow(DType.BF16, PROBLEM, 0, 1.003, Float.floatToRawIntBits(1.0078125f), 1, 1, true);
        assertEquals(1, loose.over());
        var far = new Judge();
        far.addNarrow(DType.BF16, PROBLEM, 0, 1, Float.floatToRawIntBits(1.015625f), 1, 1);
        assertFalse(far.isKept());
    }

    @Test
    void nothingMeasuredIsNotKept() {
        var judge = new Judge();
        assertFalse(judge.isKept());
        assertTrue(Double.isNaN(judge.rms()));
    }

    @Test
    void keepsTheWorst() {
        var judge = new Judge();
        float[] actual = {1, Math.nextUp(Math.nextUp(1f)), Math.nextUp(1f)};
        for (int i = 0; i < actual.length; i++) {
            judge.add(PROBLEM, i, 1, Float.floatToRawIntBits(actual[i]), 1, 1, 1);
        }
        assertEquals(3, judge.elements());
        assertEquals(1, judge.over());
        assertEquals(2, judge.max());
        assertEquals(Math.sqrt(5 / 3.0), judge.rms(), 1e-15);
        assertEquals(1, judge.worst().index());
    }
}
