package dev.isobit.contract;

import dev.isobit.LrSchedule;
import java.math.BigDecimal;
import java.math.MathContext;

/** Learning-rate schedules as kernels/NUMERICS.md defines them to the bit, written from its text. */
public final class ScheduleDefinition {
    /** Of the sine of a quarter turn's part: (pi/2)^(2i + 1)/(2i + 1)!, signs alternating, rounded. */
    private static final double[] COEFFICIENTS = coefficients();

    private ScheduleDefinition() {}

    private static double[] coefficients() {
        BigDecimal quarter =
                new BigDecimal("3.14159265358979323846264338327950288419716939937510582").divide(BigDecimal.TWO);
        double[] coefficients = new double[9];
        BigDecimal term = quarter;
        for (int i = 0; i < coefficients.length; i++) {
            coefficients[i] = term.doubleValue();
            term = term.multiply(quarter).multiply(quarter).negate()
                    .divide(BigDecimal.valueOf((2L * i + 2) * (2L * i + 3)), new MathContext(50));
        }
        return coefficients;
    }

    /**
     * The factor of a step.
     *
     * @param schedule the schedule
     * @param step from 1
     * @return what the learning rate is multiplied by
     */
    public static double factor(LrSchedule schedule, long step) {
        long done = step - 1;
        long w = schedule.warmupSteps();
        double t = schedule.decaySteps();
        if (done < w) {
            double ratio = (double) done / (double) w;
            return schedule.warmupStart() + (1 - schedule.warmupStart()) * ratio;
        }
        long passed = Math.min(done - w, schedule.decaySteps());
        long left = schedule.decaySteps() - passed;
        double end = schedule.decay();
        return switch (schedule.shape()) {
            case CONSTANT -> 1;
            case LINEAR -> end + (1 - end) * (left / t);
            case COSINE -> end + (1 - end) * (passed <= left ? 1 - sineSquared(passed / t) : sineSquared(left / t));
            case STEP -> {
                double result = 1;
                for (long e = (done - w) / schedule.decaySteps(); e > 0; e /= 2) {
                    if (e % 2 == 1) {
                        result = result * end;
                    }
                    end = end * end;
                }
                yield result;
            }
        };
    }

    private static double sineSquared(double x) {
        double p = COEFFICIENTS[8];
        for (int i = 7; i >= 0; i--) {
            p = p * (x * x) + COEFFICIENTS[i];
        }
        return (p * x) * (p * x);
    }
}
