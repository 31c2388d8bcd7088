package dev.isobit.bench;

import com.sun.management.ThreadMXBean;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;

/**
 * Two sides in one process, alternating: what disturbs one disturbs the other. Each pair gives a ratio of speeds, and the
 * median of the ratios is the result. Used by one thread.
 */
final class PairedComparison {
    /** Compilers have been idle this long before measuring starts. */
    private static final long QUIET_NANOS = 1_000_000_000L;
    private static final int LONGEST_WARM_UP = 5;
    private static final int MOST_RUNS = 1 << 20;
    private static final int ALLOCATION_RUNS = 200;

    private final int pairs;
    private final long warmUpNanos;
    private final long batchNanos;

    /**
     * Sets how long things take.
     *
     * @param pairs how many pairs
     * @param warmUpSeconds for the two sides together, at least; up to five times that while something is compiled
     * @param batchMillis one measurement of one side, about
     */
    PairedComparison(int pairs, double warmUpSeconds, double batchMillis) {
        this.pairs = pairs;
        this.warmUpNanos = (long) (warmUpSeconds * 1e9);
        this.batchNanos = (long) (batchMillis * 1e6);
    }

    /** Compares the speed of one side with that of the other, both in bytes a second. */
    PairedResult compare(String name, Side side, Side peer) {
        int[] runs = warmUp(side, peer);
        double[] sideSeconds = new double[pairs];
        double[] peerSeconds = new double[pairs];
        for (int i = 0; i < pairs; i++) {
            // Who comes first alternates as well.
            if (i % 2 == 0) {
                sideSeconds[i] = measure(side, runs[0]);
                peerSeconds[i] = measure(peer, runs[1]);
            } else {
                peerSeconds[i] = measure(peer, runs[1]);
                sideSeconds[i] = measure(side, runs[0]);
            }
        }
        double[] ratios = new double[pairs];
        Arrays.setAll(ratios, i -> side.bytes() / sideSeconds[i] / (peer.bytes() / peerSeconds[i]));
        return new PairedResult(name, Bootstrap.median(ratios), speed(side, sideSeconds), speed(peer, peerSeconds),
                allocatedPerRun(side), ratios);
    }

    private static PairedResult.Speed speed(Side side, double[] seconds) {
        double median = Bootstrap.middle(seconds.clone());
        double best = Arrays.stream(seconds).min().orElseThrow();
        return new PairedResult.Speed(side.name(), median * 1e6, side.elements() / median * 1e-9,
                side.bytes() / median * 1e-9, side.bytes() / best * 1e-9, seconds);
    }

    /** Runs both in turn until the JIT has nothing left to do; returns how many runs make a batch of each. */
    private int[] warmUp(Side side, Side peer) {
        CompilationMXBean compiler = ManagementFactory.getCompilationMXBean();
        int[] runs = {1, 1};
        long start = System.nanoTime();
        long compiling = compiler.getTotalCompilationTime();
        long quietSince = start;
        long now = start;
        while (now - start < warmUpNanos
                || now - quietSince < QUIET_NANOS && now - start < LONGEST_WARM_UP * warmUpNanos) {
            runs[0] = runsOf(measure(side, runs[0]));
            runs[1] = runsOf(measure(peer, runs[1]));
            now = System.nanoTime();
            long compiled = compiler.getTotalCompilationTime();
            if (compiled != compiling) {
                compiling = compiled;
                quietSince = now;
            }
        }
        return runs;
    }

    private int runsOf(double seconds) {
        return (int) Math.clamp(Math.ceil(batchNanos * 1e-9 / seconds), 1, MOST_RUNS);
    }

    /** Seconds of one run in a batch. The other side's threads fall asleep first, and the caches change hands. */
    private static double measure(Side side, int runs) {
        try {
            Thread.sleep(2);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
        side.run().run();
        long start = System.nanoTime();
        for (int i = 0; i < runs; i++) {
            side.run().run();
        }
        return (System.nanoTime() - start) * 1e-9 / runs;
    }

    /** Bytes that all threads of the JVM allocate per run. */
    static double allocatedPerRun(Side side) {
        var threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long least = Long.MAX_VALUE;
        for (int turn = 0; turn < 3; turn++) {
            threads.getTotalThreadAllocatedBytes();
            long start = threads.getTotalThreadAllocatedBytes();
            long asking = threads.getTotalThreadAllocatedBytes() - start;
            long before = threads.getTotalThreadAllocatedBytes();
            for (int i = 0; i < ALLOCATION_RUNS; i++) {
                side.run().run();
            }
            least = Math.min(least, threads.getTotalThreadAllocatedBytes() - before - asking);
        }
        return Math.max(0, least) / (double) ALLOCATION_RUNS;
    }

    /** The fastest of some sides, by the medians of a few alternating measurements. */
    Side fastest(Side... sides) {
        int turns = 5;
        double[][] seconds = new double[sides.length][turns];
        int[] runs = new int[sides.length];
        Arrays.setAll(runs, i -> runsOf(measure(sides[i], 1)));
        for (int turn = 0; turn < turns; turn++) {
            for (int i = 0; i < sides.length; i++) {
                seconds[i][turn] = measure(sides[i], runs[i]);
            }
        }
        int best = 0;
        for (int i = 1; i < sides.length; i++) {
            if (Bootstrap.middle(seconds[i]) < Bootstrap.middle(seconds[best])) {
                best = i;
            }
        }
        return sides[best];
    }
}
