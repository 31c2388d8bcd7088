package dev.isobit.harness.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.harness.CommandLineRun;
import dev.isobit.harness.math.MathCheck.Finding;
import dev.isobit.harness.math.MathCheck.Function;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MathCheckTest {
    /** Every 997th float, and all around the powers of two, where algorithms change their branch. */
    @ParameterizedTest
    @EnumSource
    void atMostOneUlp(Function function) {
        var told = new AtomicLong();
        Finding finding = MathCheck.run(function, 997, 2, told::addAndGet);
        assertTrue(finding.isKept(), () -> finding + " at " + Float.intBitsToFloat(finding.worstBits()));
        assertEquals(finding.inputs(), told.get());
        assertEquals(Math.ceilDiv(MathCheck.ALL, 997), finding.inputs());
        for (long power = 0; power < MathCheck.ALL; power += 1 << 23) {
            for (int near = -64; near <= 64; near++) {
                float x = Float.intBitsToFloat((int) (power + near));
                assertTrue(MathCheck.error(function, x) <= 1, () -> function + " of " + x);
            }
        }
    }

    @Test
    void nothingMeasuredIsNotKept() {
        assertFalse(new Finding(Function.EXP, 0, 0, 0, 0).isKept());
        assertFalse(new Finding(Function.EXP, 1, Double.NaN, 0, 0).isKept());
        assertFalse(new Finding(Function.EXP, 1, Math.nextUp(1.0), 0, 0).isKept());
    }

    @Test
    void theCommandDocumentsItsExitCodes() {
        assertTrue(CommandLineRun.of("math", "--help").out().contains("an error is above 1 ULP"));
    }
}
