package dev.isobit.bench;

import dev.isobit.harness.Rng;
import java.util.Arrays;

/** Median of a sample, and its 95 % interval by the percentile bootstrap. */
final class Bootstrap {
    private static final int RESAMPLES = 10_000;
    private static final double TAIL = 0.025;
    private static final long SEED = 20250103;

    private Bootstrap() {}

    /**
     * A median and where the true one lies.
     *
     * @param median of the sample
     * @param low 2.5 % of resampled medians lie below
     * @param high 2.5 % lie above
     */
    record Interval(double median, double low, double high) {}

    static Interval median(double[] sample) {
        var rng = new Rng(SEED);
        double[] medians = new double[RESAMPLES];
        double[] drawn = new double[sample.length];
        for (int i = 0; i < RESAMPLES; i++) {
            for (int j = 0; j < drawn.length; j++) {
                drawn[j] = sample[rng.nextInt(sample.length)];
            }
            medians[i] = middle(drawn);
        }
        Arrays.sort(medians);
        int cut = (int) (TAIL * RESAMPLES);
        return new Interval(middle(sample.clone()), medians[cut], medians[RESAMPLES - 1 - cut]);
    }

    /** The median; sorts its argument. */
    static double middle(double[] values) {
        if (values.length == 0) {
            throw new IllegalArgumentException("no median of no values");
        }
        Arrays.sort(values);
        int half = values.length / 2;
        return values.length % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    }
}
