package dev.isobit;

import java.util.Objects;
import java.util.function.ToDoubleFunction;

/**
 * Compares a gradient with central differences in float64, for a loss of one's own: {@code (f(x + h) - f(x - h))/2h} with
 * h about the cube root of float64's precision, at which truncation and rounding are equally small. For a loss that is
 * smooth around x and computed in float64, such as one on the {@code reference} backend, the two agree to about 1e-9; a
 * loss in float32 has too few digits for this.
 *
 * <p>A NaN or an infinity on either side agrees with nothing. Thread-safe: no state, if the loss has none.
 *
 * @param largestError the largest distance, as a share of the larger of 1 and both values; infinite if one is not a number
 * @param worstIndex where it was found
 * @param expected the difference quotient there
 * @param actual the gradient there
 * @param elements how many elements were compared
 */
public record GradientCheck(double largestError, int worstIndex, double expected, double actual, int elements) {
    private static final double STEP = Math.cbrt(Math.ulp(1.0));

    /**
     * Compares all elements.
     *
     * @param loss the loss at an x; it must not keep or change the array
     * @param x where
     * @param gradient what is to be checked, one per element of x
     * @return the comparison
     * @throws IllegalArgumentException if x is empty, or the gradient has another length
     */
    public static GradientCheck of(ToDoubleFunction<double[]> loss, double[] x, double[] gradient) {
        Objects.requireNonNull(loss, "loss");
        if (x.length == 0 || x.length != gradient.length) {
            throw new IllegalArgumentException("GradientCheck.of: x has " + x.length + " elements, the gradient "
                    + gradient.length);
        }
        double[] moved = x.clone();
        double largest = -1;
        int worst = 0;
        double expected = 0;
        for (int i = 0; i < x.length; i++) {
            double step = STEP * Math.max(1, Math.abs(x[i]));
            double up = x[i] + step;
            double down = x[i] - step;
            moved[i] = up;
            double above = loss.applyAsDouble(moved);
            moved[i] = down;
            double below = loss.applyAsDouble(moved);
            moved[i] = x[i];
            // The step that was taken, which is not quite the one that was wanted.
            double slope = (above - below) / (up - down);
            double error = Math.abs(slope - gradient[i])
                    / Math.max(1, Math.max(Math.abs(slope), Math.abs(gradient[i])));
            error = Double.isFinite(error) ? error : Double.POSITIVE_INFINITY;
            if (error > largest) {
                largest = error;
                worst = i;
                expected = slope;
            }
        }
        return new GradientCheck(largest, worst, expected, gradient[worst], x.length);
    }

    /**
     * Whether the gradient is that of the loss.
     *
     * @param tolerance the largest error that is taken; 1e-6 tells every mistake but the smallest
     * @return false, too, where something is not a number
     */
    public boolean passes(double tolerance) {
        return largestError <= tolerance;
    }
}
