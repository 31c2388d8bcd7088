package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

import dev.isobit.math.ExactMath;

/** How far a case's results are from float64's, in ULP of the largest addend; NONE only. */
final class GeneralDistance {
    /** From the logits after scale and softcap on. */
    private static final double LOG_PROBABILITIES_BUDGET = 4;

    private final GeneralCase test;
    private final GeneralCase.Outcome found;
    private final double[][] exact;
    private final double budget;
    private final float scale;
    private final float cap;
    private final float rate;

    GeneralDistance(GeneralCase test, GeneralCase.Outcome found, double[][] exact) {
        this.test = test;
        this.found = found;
        this.exact = exact;
        budget = test.options.softcap() == 0 ? 8 : 64;
        scale = (float) test.options.scale();
        cap = (float) test.options.softcap();
        rate = cap == 0 ? 0 : (float) (2 / test.options.softcap());
    }

    /** Fails beyond the budget; returns how many elements were compared. */
    long judge() {
        long compared = 0;
        for (int row = 0; row < test.rows; row++) {
            compared += row(row);
        }
        return compared;
    }

    private long row(int row) {
        int classes = test.classes;
        double smooth = test.options.labelSmoothing() / classes;
        double keep = 1 - test.options.labelSmoothing();
        double zLoss = test.options.zLoss();
        double[] z = new double[classes];
        double max = Double.NEGATIVE_INFINITY;
        for (int k = 0; k < classes; k++) {
            float y = test.logits[test.at(row, k)] * scale;
            z[k] = cap == 0 ? y : ExactMath.softcap(y, cap, rate, ExactMath.softcapDecay(y, rate));
            max = Math.max(max, z[k]);
        }
        double lse = exact[2][row];
        double largest = Math.max(Math.abs(max), Math.abs(lse - max));
        double weight = test.weights == null ? 1 : test.weights[row];
        within(found.lse(), row, exact[2][row], largest, 1, "lse");
        within(found.entropy(), row, exact[3][row], exact[3][row], 1, "entropy");
        within(found.loss(), row, exact[0][row], Math.max(Math.abs(exact[0][row]),
                Math.abs(weight * zLoss * lse * largest)), 1, "loss");
        for (int k = 0; k < classes; k++) {
            int at = test.at(row, k);
            within(found.logProbabilities(), at, exact[4][at], exact[4][at], 1, LOG_PROBABILITIES_BUDGET,
                    "log-probability");
        }
        if (found.gradLogits().length == 0) {
            return found.lse().length + found.loss().length;
        }
        double a = (test.gradLoss == null ? 1 : test.gradLoss[test.gradLossPerRow ? row : 0]) * test.gradLossScale;
        double mass = 0;
        for (int k = 0; k < classes; k++) {
            mass += weight(k) * (test.probabilities == null
                    ? smooth
                    : test.probabilities[test.at(row, k)] * keep
                            + smooth);
        }
        for (int k = 0; k < classes; k++) {
            int at = test.at(row, k);
            double p = Math.exp(z[k] - lse);
            boolean isTarget = test.probabilities == null && k == test.targets[row];
            double hard = test.probabilities != null ? 0 : keep * weight((int) Math.max(0, test.targets[row]));
            double label = test.probabilities == null
                    ? weight(k) * smooth
                    : weight(k) * (test.probabilities[at] * keep + smooth);
            double addend = Math.max(Math.max(mass * p, label), Math.max(hard * (isTarget ? 1 - p : p),
                    2 * zLoss * largest * p));
            double y = Math.abs(test.logits[at] * scale);
            double u = Math.exp(-y * rate);
            double slope = scale * (cap == 0 ? 1 : 4 * u / ((1 + u) * (1 + u)));
            double size = Math.abs(a * weight * addend * slope);
            within(found.gradLogits(), at, exact[1][at], Math.max(size, Math.abs(exact[1][at])), Math.max(1,
                    Math.abs(a)), "gradient");
        }
        return classes;
    }

    private double weight(int k) {
        return test.classWeights == null ? 1 : test.classWeights[k];
    }

    private void within(float[] values, int i, double expected, double size, double upstream, String what) {
        within(values, i, expected, size, upstream, budget, what);
    }

    private void within(float[] values, int i, double expected, double size, double upstream, double budget,
            String what) {
        if (values.length == 0) {
            return;
        }
        String where = test + " " + what + " " + i;
        if (Double.isNaN(expected) || Math.abs(expected) > Float.MAX_VALUE) {
            assertEquals((float) expected, values[i], where);
            return;
        }
        double ulp = Math.max(Math.scalb(1.0, Math.getExponent(size) - 23), Float.MIN_VALUE);
        double error = Math.abs(values[i] - expected);
        if (!(error <= budget * ulp + 1e-38 * upstream)) {
            fail(where + ": " + values[i] + " is " + error / ulp + " ULP from " + expected);
        }
    }
}
