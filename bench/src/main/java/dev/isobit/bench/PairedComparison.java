package dev.isobit.bench;

import java.util.Arrays;
import java.util.List;

/**
 * Two sides in one process, alternating. Each pair gives a ratio of speeds, and the median of the ratios is the result.
 * Used by one thread.
 */
final class PairedComparison {
    private static final int ALLOCATION_RUNS = 200;

    private final Rounds rounds;

    /**
     * Sets how long things take.
     *
     * @param pairs how many pairs
     * @param warmUpSeconds for the two sides together, at least; up to ten times that while something is compiled
     * @param batchMillis one measurement of one side, about
     */
    PairedComparison(int pairs, double warmUpSeconds, double batchMillis) {
        this.rounds = new Rounds(pairs, warmUpSeconds, batchMillis);
    }

    /** Compares the speed of one side with that of the other, both in bytes a second. */
    PairedResult compare(String name, Side side, Side peer) {
        double[][] seconds = rounds.measure(List.of(side, peer));
        double[] ratios = new double[seconds[0].length];
        Arrays.setAll(ratios, i -> side.bytes() / seconds[0][i] / (peer.bytes() / seconds[1][i]));
        return new PairedResult(name, Bootstrap.median(ratios), speed(side, seconds[0]), speed(peer, seconds[1]),
                Allocation.perRun(side, ALLOCATION_RUNS), ratios);
    }

    private static PairedResult.Speed speed(Side side, double[] seconds) {
        double median = Bootstrap.middle(seconds.clone());
        double best = Arrays.stream(seconds).min().orElseThrow();
        return new PairedResult.Speed(side.name(), median * 1e6, side.elements() / median * 1e-9,
                side.bytes() / median * 1e-9, side.bytes() / best * 1e-9, seconds);
    }

    /** The fastest of some sides, by the medians of a few alternating measurements. */
    Side fastest(Side... sides) {
        return rounds.fastest(sides);
    }
}
