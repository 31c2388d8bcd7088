package dev.isobit.math;

/**
 * What the scalars of an optimizer's step are made of, in exactly rounded float64 operations without fma: the same bits on
 * every CPU and GPU. This is the definition; {@code kernels/schedule.cuh} is its twin.
 *
 * <p>Thread-safe: no state.
 */
public final class StepMath {
    private StepMath() {}

    /**
     * {@code base^exponent} by repeated squaring, lowest bit first.
     *
     * @param base any number
     * @param exponent at least 0
     * @return the power; each of its multiplications is rounded
     */
    public static double power(double base, long exponent) {
        double result = 1;
        double square = base;
        for (long e = exponent; e != 0; e >>>= 1) {
            if ((e & 1) != 0) {
                result *= square;
            }
            square *= square;
        }
        return result;
    }

    /**
     * {@code (1 + cos(pi·passed/(passed + left)))/2}, from 1 to 0. It is computed from the nearer end, as 1 less a sine's
     * square or as one, so that nothing cancels.
     *
     * @param passed at least 0
     * @param left at least 0; not 0 where passed is
     * @return half a cosine's way
     */
    public static double halfCosine(long passed, long left) {
        double whole = passed + left;
        return passed <= left ? 1 - sineSquared(passed / whole) : sineSquared(left / whole);
    }

    /** {@code sin²(x·pi/2)} for x in [0, 1/2]: the sine's Taylor polynomial, whose error is far below its rounding. */
    private static double sineSquared(double x) {
        double square = x * x;
        double p = 6.0669357311061955e-12;
        p = p * square - 6.688035109811468e-10;
        p = p * square + 5.692172921967927e-08;
        p = p * square - 3.598843235212085e-06;
        p = p * square + 0.00016044118478735983;
        p = p * square - 0.004681754135318688;
        p = p * square + 0.07969262624616705;
        p = p * square - 0.6459640975062463;
        p = p * square + 1.5707963267948966;
        double sine = p * x;
        return sine * sine;
    }
}
