package dev.isobit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.LrSchedule.Shape;
import dev.isobit.contract.ScheduleDefinition;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.DoubleBinaryOperator;
import org.junit.jupiter.api.Test;

/** Factors: the definition's bits, the formula's values, and PyTorch's schedulers. */
class LrScheduleTest {
    private static final LrSchedule COSINE = LrSchedule.cosine(100, 0.1);

    private static LrSchedule random(SplittableRandom random) {
        long most = 1L << random.nextInt(1, 62);
        return new LrSchedule(Shape.values()[random.nextInt(4)], random.nextLong(1, most + 1),
                random.nextInt(4) == 0 ? random.nextInt(2) : random.nextDouble(), random.nextLong(most / 2 + 1),
                random.nextInt(4) == 0 ? random.nextInt(2) : random.nextDouble());
    }

    /** A step in the warm-up, at one of its ends, in the decay, or behind it. */
    private static long step(LrSchedule schedule, SplittableRandom random) {
        long w = schedule.warmupSteps();
        long t = schedule.decaySteps();
        return 1 + switch (random.nextInt(6)) {
            case 0 -> random.nextLong(w + 1);
            case 1 -> w;
            case 2 -> w + t / 2;
            case 3 -> w + t - random.nextLong(Math.min(t, 5));
            case 4 -> w + random.nextLong(t);
            default -> w + t + random.nextLong(t + 1);
        };
    }

    /** The formula; what is left of a cosine is taken from the nearer end, where the formula itself cancels. */
    private static double formula(LrSchedule s, long step) {
        double done = step - 1;
        if (step - 1 < s.warmupSteps()) {
            return s.warmupStart() + (1 - s.warmupStart()) * (done / s.warmupSteps());
        }
        double passed = Math.min(step - 1 - s.warmupSteps(), s.decaySteps());
        double left = s.decaySteps() - Math.min(step - 1 - s.warmupSteps(), s.decaySteps());
        double rise = 1 - s.decay();
        return switch (s.shape()) {
            case CONSTANT -> 1;
            case LINEAR -> s.decay() + rise * left / s.decaySteps();
            case COSINE -> s.decay() + rise * (passed < left
                    ? (1 + Math.cos(Math.PI * passed / s.decaySteps())) / 2
                    : Math.pow(Math.sin(Math.PI / 2 * left / s.decaySteps()), 2));
            case STEP -> Math.pow(s.decay(), (step - 1 - s.warmupSteps()) / s.decaySteps());
        };
    }

    @Test
    void bitsOfTheDefinition() {
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < 200_000; i++) {
            LrSchedule schedule = random(random);
            long step = step(schedule, random);
            assertEquals(Double.doubleToRawLongBits(ScheduleDefinition.factor(schedule, step)),
                    Double.doubleToRawLongBits(schedule.factor(step)), schedule + " step " + step);
        }
    }

    @Test
    void valuesOfTheFormula() {
        SplittableRandom random = new SplittableRandom(2);
        for (int i = 0; i < 200_000; i++) {
            LrSchedule schedule = random(random);
            long step = step(schedule, random);
            double factor = schedule.factor(step);
            double exact = formula(schedule, step);
            // A power by repeated squaring errs by its number of squarings times its exponent, the others by few roundings.
            long exponent = schedule.shape() == Shape.STEP
                    ? Math.max(0, step - 1 - schedule.warmupSteps())
                            / schedule.decaySteps()
                    : 0;
            assertTrue(factor >= 0 && factor <= 1, schedule + " step " + step + ": " + factor);
            assertTrue(Math.abs(factor - exact) <= (8 + 2 * exponent) * Math.ulp(exact),
                    schedule + " step " + step + ": " + factor + ", not " + exact);
        }
    }

    @Test
    void ends() {
        for (double decay : new double[] {0, 0.1, 1.0 / 3, 0.7, 1}) {
            for (long steps : new long[] {1, 2, 3, 1000, Long.MAX_VALUE / 4}) {
                for (LrSchedule schedule : List.of(LrSchedule.cosine(steps, decay), LrSchedule.linear(steps, decay))) {
                    assertEquals(1, schedule.factor(1));
                    assertEquals(decay, schedule.factor(steps + 1));
                    assertEquals(decay, schedule.factor(2 * steps));
                    LrSchedule warm = schedule.withWarmup(steps, decay);
                    assertEquals(decay, warm.factor(1));
                    assertEquals(1, warm.factor(steps + 1));
                    assertEquals(decay, warm.factor(2 * steps + 1));
                }
            }
        }
        assertEquals(1, LrSchedule.constant().factor(Long.MAX_VALUE));
        assertEquals(0.5, LrSchedule.cosine(2, 0).factor(2), Math.ulp(0.5));
        // A decay to 0 keeps its digits to the last step but one.
        assertEquals(Math.pow(Math.PI / 2e6, 2), LrSchedule.cosine(1_000_000, 0).factor(1_000_000), 1e-23);
    }

    /** PyTorch's schedulers from the learning rate before, stepped after each step of the optimizer. */
    private static void assertSame(LrSchedule schedule, int first, int last, double start, DoubleBinaryOperator next) {
        double lr = start;
        for (int done = first; done <= last; done++) {
            if (done > first) {
                lr = next.applyAsDouble(lr, done - first);
            }
            assertEquals(lr, start / schedule.factor(first + 1) * schedule.factor(done + 1), 1e-12 * start,
                    schedule + ", last_epoch " + done);
        }
    }

    @Test
    void agreesWithPyTorch() {
        double lr = 0.05;
        double warm = 0.3;
        DoubleBinaryOperator warmup = (before, epoch) -> before * (1 + (1 - warm) / (40 * warm + (epoch - 1) * (1
                - warm)));
        DoubleBinaryOperator linear = (before, epoch) -> before * (1 + (0.1 - 1) / (100 + (epoch - 1) * (0.1 - 1)));
        DoubleBinaryOperator cosine = (before, epoch) -> (1 + Math.cos(Math.PI * epoch / 100))
                / (1 + Math.cos(Math.PI * (epoch - 1) / 100)) * (before - 0.1 * lr) + 0.1 * lr;
        DoubleBinaryOperator step = (before, epoch) -> epoch % 30 == 0 ? before * 0.1 : before;
        for (int w : new int[] {0, 40}) {
            assertSame(COSINE.withWarmup(w, warm), w, w + 100, lr, cosine);
            assertSame(LrSchedule.linear(100, 0.1).withWarmup(w, warm), w, w + 100, lr, linear);
            assertSame(LrSchedule.step(30, 0.1).withWarmup(w, warm), w, w + 100, lr, step);
        }
        assertSame(COSINE.withWarmup(40, warm), 0, 40, warm * lr, warmup);
    }

    /** Broken on purpose: what is compared must differ where a schedule does. */
    @Test
    void comparisonsSeeAnotherStep() {
        assertThrows(AssertionError.class, () -> assertSame(COSINE, 1, 100, 0.05, (before, epoch) -> before));
    }

    @Test
    void refused() {
        assertMessage("decaySteps = 0", () -> LrSchedule.cosine(0, 0));
        assertMessage("decaySteps = -5", () -> LrSchedule.step(-5, 0.1));
        assertMessage("decay = 1.5", () -> LrSchedule.step(3, 1.5));
        assertMessage("decay = -0.5", () -> LrSchedule.linear(3, -0.5));
        assertMessage("decay = NaN", () -> LrSchedule.linear(3, Double.NaN));
        assertMessage("warmupSteps = -1", () -> COSINE.withWarmup(-1, 0));
        assertMessage("warmupStart = NaN", () -> COSINE.withWarmup(1, Double.NaN));
        assertMessage("warmupStart = 2.0", () -> COSINE.withWarmup(1, 2));
        assertMessage("step = 0", () -> COSINE.factor(0));
        assertThrows(NullPointerException.class, () -> AdamOptions.adam().withSchedule(null));
        assertThrows(NullPointerException.class, () -> SgdOptions.defaults().withSchedule(null));
    }

    private static void assertMessage(String words, Runnable call) {
        String message = assertThrows(IllegalArgumentException.class, call::run).getMessage();
        assertTrue(message.contains(words), message);
    }
}
