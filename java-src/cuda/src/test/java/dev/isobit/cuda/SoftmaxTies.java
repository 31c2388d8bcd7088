package dev.isobit.cuda;

import dev.isobit.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * Rows of softmax whose results of 16 bits depend on single roundings of float32, which else show in one element of
 * thousands: probabilities that lie on a tie, gradients of what cancels.
 */
final class SoftmaxTies {
    private final DType dtype;
    private final Random random;

    SoftmaxTies(DType dtype, Random random) {
        this.dtype = dtype;
        this.random = random;
    }

    private float narrow(double x) {
        return RoundedLogits.narrow(dtype, x);
    }

    private SoftmaxCase rows(int rows, int classes, boolean columns, boolean logarithm, boolean gradient) {
        return new SoftmaxCase(columns ? 1 : rows, classes, columns ? rows : 1, logarithm, gradient, random);
    }

    /** Rows of one maximum, two elements that put the others' probabilities on ties, and these. */
    SoftmaxCase probabilities(int classes, boolean columns, List<RoundedLogits.Decided> decided) {
        SoftmaxCase c = rows(decided.size(), classes, columns, false, false);
        for (int row = 0; row < decided.size(); row++) {
            float[] logits = RoundedLogits.probabilityTie(decided.get(row), dtype, classes, random);
            for (int k = 0; k < classes; k++) {
                c.input[c.at(row, k)] = logits[k];
            }
        }
        return c;
    }

    /**
     * Elements whose gradient a rounding decides.
     *
     * @param y what forward wrote
     * @param g the upstream gradient
     * @param sum of the row
     */
    record Element(float y, float g, float sum) {}

    /** Of log-softmax, for each of these log-probabilities: the last bit of the exponential is all that is left. */
    List<Element> cancelling(List<Float> logProbabilities) {
        List<Element> all = new ArrayList<>();
        for (float y : logProbabilities) {
            float g = narrow(Math.exp(y) * (1 + random.nextFloat()) * 0x1p12);
            all.add(new Element(y, g, (float) (g / Math.exp(y))));
        }
        return all;
    }

    /** Of softmax: the difference to the sum, or its product, is rounded up to a tie or over it. */
    List<Element> onTies(int count) {
        List<Element> all = new ArrayList<>();
        while (all.size() < count) {
            float y = narrow(0.1 + random.nextFloat());
            float g = narrow(random.nextGaussian());
            float sum = 2 + random.nextFloat();
            float difference = g - sum;
            float product = y * difference;
            float cut = all.size() % 2 == 0
                    ? towardsZero(product, (double) y * difference)
                    : y * towardsZero(difference, (double) g - sum);
            if (cut != product && narrow(cut) != narrow(product)) {
                all.add(new Element(y, g, sum));
            }
        }
        return all;
    }

    private static float towardsZero(float rounded, double exact) {
        return Math.abs((double) rounded) <= Math.abs(exact) ? rounded : Math.nextAfter(rounded, 0);
    }

    /**
     * Rows of such elements in every other half of the lanes, of their opposites in the other half, and three that make
     * the sum what it has to be. Twice, so that each place has them once.
     *
     * @param classes a power of two
     */
    SoftmaxCase gradients(int classes, boolean columns, boolean logarithm, List<Element> elements) {
        SoftmaxCase c = rows(2 * elements.size(), classes, columns, logarithm, true);
        int half = Math.min(classes, 1024) / 2;
        for (int row = 0; row < 2 * elements.size(); row++) {
            Element element = elements.get(row / 2);
            for (int k = 0; k < classes; k++) {
                c.input[c.at(row, k)] = element.y;
                c.gradOutput[c.at(row, k)] = (k & half) == 0 == (row % 2 == 0) ? element.g : -element.g;
            }
            int first = random.nextInt(half);
            double rest = element.sum;
            for (int part = 0; part < 3; part++) {
                int place = (first + part) % half;
                for (int k = place; k < classes; k += half) {
                    c.gradOutput[c.at(row, k)] = 0;
                }
                float upper = narrow(rest);
                c.input[c.at(row, place)] = logarithm ? element.y : 1;
                c.gradOutput[c.at(row, place)] = upper;
                rest -= upper;
            }
        }
        return c;
    }

    /** Rows in which the sum's last bit decides a gradient; of more than 1024 classes all lanes but one are 0. */
    SoftmaxCase sums(int rows, int classes, boolean columns) {
        SoftmaxCase c = rows(rows, classes, columns, true, true);
        int half = Math.min(classes, 1024) / 2;
        for (int row = 0; row < rows; row++) {
            int lane = random.nextInt(half);
            int test = (lane + 1 + random.nextInt(half - 1)) % half;
            float[] terms = new float[classes];
            for (int k = 0; k < classes; k++) {
                boolean counts = classes <= 1024 ? k % half != test : k % 1024 == lane;
                boolean isLarge = classes <= 1024 ? random.nextBoolean() : k < 1024;
                terms[k] = counts ? narrow((1 + random.nextFloat()) * (isLarge ? 0x1p9 : 0x1p-9)) : 0;
            }
            float sum = RoundedLogits.laneSum(terms);
            float y = 0;
            float g = 0;
            for (boolean shows = false; !shows;) {
                y = narrow(-4 * random.nextFloat());
                float p = (float) Math.exp(y);
                g = narrow(p * sum);
                float right = narrow(Math.fma(-p, sum, g));
                shows = right != narrow(Math.fma(-p, Math.nextUp(sum), g))
                        && right != narrow(Math.fma(-p, Math.nextDown(sum), g));
            }
            terms[test] = g;
            terms[test + half] = -g;
            for (int k = 0; k < classes; k++) {
                c.input[c.at(row, k)] = y;
                c.gradOutput[c.at(row, k)] = terms[k];
            }
        }
        return c;
    }
}
