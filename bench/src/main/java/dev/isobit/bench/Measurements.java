package dev.isobit.bench;

import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.SideResult;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleUnaryOperator;

/** Makes {@link Measurement}s of seconds. */
final class Measurements {
    private Measurements() {}

    /**
     * One fork's.
     *
     * @param seconds by side and round
     */
    static Measurement of(BenchCase what, String backend, String clock, double allocated, List<Side> sides,
            double[][] seconds) {
        List<SideResult> results = new ArrayList<>();
        for (int i = 0; i < sides.size(); i++) {
            Side side = sides.get(i);
            results.add(result(side.name(), side.bytes(), side.elements(), new double[][] {seconds[i]},
                    i == 0 ? null : new double[][] {seconds[0]}, sides.getFirst().bytes()));
        }
        Side own = sides.getFirst();
        return new Measurement(what, backend, clock, own.elements(), own.bytes(), allocated, results, "");
    }

    private static SideResult result(String name, long bytes, long elements, double[][] seconds, double[][] own,
            long ownBytes) {
        double[][] micros = map(seconds, s -> s * 1e6);
        var interval = Bootstrap.median(micros);
        double median = interval.median() * 1e-6;
        Bootstrap.Interval fraction = null;
        if (own != null) {
            double[][] ratios = new double[own.length][];
            for (int fork = 0; fork < own.length; fork++) {
                double[] mine = own[fork];
                double[] theirs = seconds[fork];
                ratios[fork] = new double[Math.min(mine.length, theirs.length)];
                Arrays.setAll(ratios[fork], i -> ownBytes / mine[i] / (bytes / theirs[i]));
            }
            fraction = Bootstrap.median(ratios);
        }
        return new SideResult(name, bytes, interval, bytes / median * 1e-9, elements / median * 1e-9, fraction,
                seconds);
    }

    private static double[][] map(double[][] values, DoubleUnaryOperator by) {
        return Arrays.stream(values).map(fork -> Arrays.stream(fork).map(by).toArray()).toArray(double[][]::new);
    }

    /** The same case measured in one more fork; sides that are not in both are left out. */
    static Measurement join(Measurement first, Measurement second) {
        List<SideResult> sides = new ArrayList<>();
        double[][] own = concat(first.own().seconds(), second.own().seconds());
        for (SideResult side : first.sides()) {
            SideResult other = second.side(side.runner());
            if (other != null) {
                long elements = Math.round(side.gigaElements() / side.gigaBytes() * side.bytes());
                sides.add(result(side.runner(), side.bytes(), elements, concat(side.seconds(), other.seconds()),
                        side == first.own() ? null : own, first.own().bytes()));
            }
        }
        return new Measurement(first.what(), first.backend(), first.clock(), first.elements(), first.bytes(),
                Math.max(first.allocatedBytesPerCall(), second.allocatedBytesPerCall()), sides, first.peer());
    }

    private static double[][] concat(double[][] a, double[][] b) {
        double[][] all = Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, all, a.length, b.length);
        return all;
    }
}
