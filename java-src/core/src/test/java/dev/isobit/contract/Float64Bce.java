package dev.isobit.contract;

/**
 * Binary cross-entropy in float64 by the textbook's formula, element by element, for what is finite; the limits at
 * infinity. What a float32 result is measured with.
 *
 * @param loss losses
 * @param gradLogits gradients
 * @param scale the larger of a gradient's two addends, where they have opposite signs
 * @param sigmoid probabilities
 */
record Float64Bce(double[] loss, double[] gradLogits, double[] scale, double[] sigmoid) {
    /** For NONE, with an upstream gradient per element, targets in [0, 1]. */
    static Float64Bce of(BceCase test) {
        float[] x = test.logits();
        float[] t = test.targetValues();
        float[] p = test.posWeights();
        float[] w = test.weightValues();
        float[] a = test.gradLoss();
        double keep = (float) (1 - test.options().labelSmoothing());
        double half = (float) (test.options().labelSmoothing() / 2);
        var result = new Float64Bce(new double[x.length], new double[x.length], new double[x.length],
                new double[x.length]);
        for (int i = 0; i < x.length; i++) {
            double c0 = w[i] * ((1.0 - t[i]) * keep + half);
            double c1 = w[i] * p[i] * (t[i] * keep + half);
            double up = logistic(x[i]);
            double down = logistic(-(double) x[i]);
            result.loss[i] = (c0 == 0 && !Double.isNaN(x[i]) ? 0 : c0 * softplus(x[i]))
                    + (c1 == 0 && !Double.isNaN(x[i]) ? 0 : c1 * softplus(-(double) x[i]));
            result.gradLogits[i] = a[i] * (c0 * up - c1 * down);
            result.scale[i] = Math.abs(a[i]) * Math.max(c0 * up, c1 * down);
            result.sigmoid[i] = up;
            if (test.options().isFocal()) {
                focal(test, i, x[i], (1.0 - t[i]) * keep + half, t[i] * keep + half, w[i], a[i], result);
            }
        }
        return result;
    }

    /** As in torchvision: the loss times (1 - p_t)^gamma and alpha_t, and the derivative of that. */
    private static void focal(BceCase test, int i, double x, double k0, double k1, double w, double a,
            Float64Bce result) {
        double gamma = test.options().focalGamma();
        double alpha = (float) test.options().focalAlpha();
        double alphaOf = Double.isNaN(alpha) ? 1 : k1 * alpha + k0 * (float) (1 - test.options().focalAlpha());
        double up = logistic(x);
        double down = logistic(-x);
        double loss = (k0 == 0 ? 0 : k0 * softplus(x)) + (k1 == 0 ? 0 : k1 * softplus(-x));
        double miss = k0 * up + k1 * down;
        double h = w * alphaOf * Math.pow(miss, gamma);
        // d/dx of the power and of the loss; each of both has two addends of opposite sign.
        double change = miss == 0 || Double.isInfinite(x) ? 0 : gamma * (up / miss * down) * loss;
        result.loss[i] = h == 0 ? 0 : h * loss;
        result.gradLogits[i] = h == 0 ? 0 : a * h * (k0 * up - k1 * down + change * (k0 - k1));
        result.scale[i] = Math.abs(a) * h * Math.max(Math.max(k0 * up, k1 * down), change * Math.max(k0, k1));
        if (Double.isNaN(x)) {
            result.loss[i] = Double.NaN;
            result.gradLogits[i] = Double.NaN;
        }
    }

    /** For large x the one in the exponential's shadow is left out. */
    private static double softplus(double x) {
        return x > 40 ? x + Math.exp(-x) : Math.log1p(Math.exp(x));
    }

    private static double logistic(double x) {
        return x < -40 ? Math.exp(x) : 1 / (1 + Math.exp(-x));
    }
}
