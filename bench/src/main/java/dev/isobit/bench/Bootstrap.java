package dev.isobit.bench;

import dev.isobit.harness.Rng;
import java.util.Arrays;

/** Median of a sample, and its 95 % interval by the percentile bootstrap. */
public final class Bootstrap {
    private static final int RESAMPLES = 10_000;
    private static final int RATIO_RESAMPLES = 2_000;
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
    public record Interval(double median, double low, double high) {}

    static Interval median(double[] sample) {
        return median(new double[][] {sample});
    }

    /**
     * The median of what several forks found: forks are drawn, then as many values from each.
     *
     * @param forks one sample or more, none empty
     * @return the median of all values
     */
    public static Interval median(double[][] forks) {
        var rng = new Rng(SEED);
        double[] medians = new double[RESAMPLES];
        for (int i = 0; i < RESAMPLES; i++) {
            medians[i] = middle(draw(forks, rng));
        }
        return interval(middle(Arrays.stream(forks).flatMapToDouble(Arrays::stream).toArray()), medians);
    }

    /**
     * The least of one sample by that of another.
     *
     * @param numerator forks of values above 0
     * @param denominator forks of values above 0
     * @return the ratio; resampled on both sides
     */
    public static Interval ratioOfLeast(double[][] numerator, double[][] denominator) {
        var rng = new Rng(SEED);
        double[] ratios = new double[RATIO_RESAMPLES];
        for (int i = 0; i < ratios.length; i++) {
            ratios[i] = least(new double[][] {draw(numerator, rng)}) / least(new double[][] {draw(denominator, rng)});
        }
        return interval(least(numerator) / least(denominator), ratios);
    }

    /**
     * The least.
     *
     * @param forks one value or more
     * @return the smallest
     */
    public static double least(double[][] forks) {
        return Arrays.stream(forks).flatMapToDouble(Arrays::stream).min().orElseThrow();
    }

    private static double[] draw(double[][] forks, Rng rng) {
        double[][] drawn = new double[forks.length][];
        for (int i = 0; i < forks.length; i++) {
            double[] fork = forks[forks.length == 1 ? 0 : rng.nextInt(forks.length)];
            drawn[i] = new double[fork.length];
            for (int j = 0; j < fork.length; j++) {
                drawn[i][j] = fork[rng.nextInt(fork.length)];
            }
        }
        return forks.length == 1 ? drawn[0] : Arrays.stream(drawn).flatMapToDouble(Arrays::stream).toArray();
    }

    private static Interval interval(double median, double[] resampled) {
        Arrays.sort(resampled);
        int cut = (int) (TAIL * resampled.length);
        return new Interval(median, resampled[cut], resampled[resampled.length - 1 - cut]);
    }

    /**
     * The median.
     *
     * @param values one or more; they are sorted
     * @return the middle one, or the mean of the two in the middle
     */
    public static double middle(double[] values) {
        if (values.length == 0) {
            throw new IllegalArgumentException("no median of no values");
        }
        Arrays.sort(values);
        int half = values.length / 2;
        return values.length % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
    }
}
