package dev.isobit.harness.verify;

import dev.isobit.DType;
import dev.isobit.harness.Ulp;
import org.jspecify.annotations.Nullable;

/**
 * Errors in ULP against float64, and whether they are within budget. A NaN must match a NaN, an infinity its own; what
 * is not within budget is over it; nothing measured is not kept. Of results of 16 bits one in a thousand may be another
 * than the nearest, or one in a hundred where float32 is promised to 64 ULP only. Used by one thread.
 */
final class Judge {
    /** Results below the normal range are not chased. */
    private static final double SLACK = 1e-38;

    private long elements;
    private long over;
    /** Of 16 bits, not the nearest. */
    private long misrounded;
    /** How many thousand may be so. */
    private long mayMisround;
    private double max;
    private double squares;
    private double largestBudget;
    private @Nullable Worst worst;

    /**
     * Where the error was largest.
     *
     * @param problem name of the problem
     * @param index of the element
     * @param expected by the reference
     * @param actual what the backend wrote
     * @param ulp the error
     */
    record Worst(String problem, long index, double expected, float actual, double ulp) {}

    /**
     * Measures one element.
     *
     * @param problem for the report
     * @param index of the element
     * @param expected by the reference, in float64
     * @param bits what the backend wrote
     * @param magnitude where the unit in the last place is taken: the result itself, or the largest addend where addends
     *     of opposite sign meet
     * @param upstream the upstream gradient: the absolute slack grows with it
     * @param budget the most units
     */
    void add(Problem problem, long index, double expected, int bits, double magnitude, double upstream,
            double budget) {
        float actual = Float.intBitsToFloat(bits);
        double error = error(expected, actual, magnitude, SLACK * Math.max(1, Math.abs(upstream)));
        count(problem, index, expected, actual, error, budget);
    }

    private void count(Problem problem, long index, double expected, float actual, double error, double budget) {
        elements++;
        squares += error * error;
        largestBudget = Math.max(largestBudget, budget);
        if (!(error <= budget)) {
            over++;
        }
        if (worst == null || !(error <= max)) {
            max = error;
            worst = new Worst(problem.name(), index, expected, actual, error);
        }
    }

    /**
     * Measures one element of BF16 or F16, whose budget is one unit.
     *
     * @param dtype its type
     * @param bits what the backend wrote, as a float
     */
    void addNarrow(DType dtype, Problem problem, long index, double expected, int bits, double magnitude,
            double upstream) {
        addNarrow(dtype, problem, index, expected, bits, magnitude, upstream, false);
    }

    /** The same; {@code loose} where float32 is promised to 64 ULP only. */
    void addNarrow(DType dtype, Problem problem, long index, double expected, int bits, double magnitude,
            double upstream, boolean loose) {
        float actual = Float.intBitsToFloat(bits);
        double error = narrowError(dtype, expected, actual, magnitude, SLACK * Math.max(1, Math.abs(upstream)));
        misrounded += error <= 0.5 ? 0 : 1;
        mayMisround += loose ? 10 : 1;
        count(problem, index, expected, actual, error, 1);
    }

    /**
     * Measures one element of a result that is computed in float32, within a budget of its units, and stored in another type
     * by one rounding more.
     *
     * @param dtype of the result
     * @param rounding how far that may go, in units of the type: half of one to nearest
     * @param bits what the backend wrote, as a float
     */
    void addRounded(DType dtype, double rounding, Problem problem, long index, double expected, int bits,
            double magnitude,
            double upstream, double budget) {
        float actual = Float.intBitsToFloat(bits);
        double slack = SLACK * Math.max(1, Math.abs(upstream));
        if (dtype == DType.F32 || Double.isNaN(expected) || Float.isNaN(actual)) {
            count(problem, index, expected, actual, error(expected, actual, magnitude, slack), budget);
            return;
        }
        // An infinity is the number that would follow the largest.
        double end = dtype == DType.F16 ? 0x1p16 : 0x1p128;
        double wanted = Math.clamp(expected, -end, end);
        double found = Math.clamp(actual, -end, end);
        double rounded = rounding * Ulp.at(dtype, Math.max(Math.abs(wanted), Math.abs(found)));
        double over = Math.max(0, Math.abs(found - wanted) - rounded - slack);
        count(problem, index, expected, actual, over == 0 ? 0 : over / Ulp.ofFloatAt(Math.min(magnitude, end)),
                budget);
    }

    /** As {@link #error}; an infinity is measured as the number that would follow the largest. */
    static double narrowError(DType dtype, double expected, float actual, double magnitude, double slack) {
        if (Double.isNaN(expected) || Float.isNaN(actual)) {
            return error(expected, actual, magnitude, slack);
        }
        double end = dtype == DType.F16 ? 0x1p16 : 0x1p128;
        double wanted = Math.clamp(expected, -end, end);
        double found = Math.clamp(actual, -end, end);
        double distance = Math.max(0, Math.abs(found - wanted) - slack);
        double error = distance == 0 ? 0 : distance / Ulp.at(dtype, magnitude);
        return Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
    }

    static double error(double expected, float actual, double magnitude, double slack) {
        if (Double.isNaN(expected) || Float.isNaN(actual)) {
            return Double.isNaN(expected) && Float.isNaN(actual) ? 0 : Double.POSITIVE_INFINITY;
        }
        float rounded = (float) expected;
        if (Float.isInfinite(rounded) || Float.isInfinite(actual)) {
            return rounded == actual ? 0 : Double.POSITIVE_INFINITY;
        }
        double error = Math.max(0, Math.abs(actual - expected) - slack) / Ulp.ofFloatAt(magnitude);
        return Double.isNaN(error) ? Double.POSITIVE_INFINITY : error;
    }

    /** How many elements were measured. */
    long elements() {
        return elements;
    }

    /** How many were not within budget; of 16 bits also how many too many are not the nearest. */
    long over() {
        return over + Math.max(0, misrounded - Math.ceilDiv(mayMisround, 1000));
    }

    /** The largest error. */
    double max() {
        return max;
    }

    /** The root of the mean of the squared errors; NaN if nothing was measured. */
    double rms() {
        return Math.sqrt(squares / elements);
    }

    /** The largest budget of an element. */
    double budget() {
        return largestBudget;
    }

    /** The largest error's place; null if nothing was measured. */
    @Nullable
    Worst worst() {
        return worst;
    }

    /** Whether something was measured and all of it was within budget. */
    boolean isKept() {
        return elements > 0 && over() == 0;
    }
}
