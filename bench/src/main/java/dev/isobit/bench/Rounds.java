package dev.isobit.bench;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * Some sides in one process, in turn: what disturbs one disturbs the others, so that the ratios of one round tell more
 * than the times. Used by one thread.
 */
final class Rounds {
    /** Compilers have been idle this long before measuring starts. */
    private static final long QUIET_NANOS = 1_000_000_000L;
    /** And in as many turns of all sides: what is not compiled yet may take most of that second for one turn. */
    private static final int QUIET_TURNS = 5;
    /** A machine with other work on it compiles late, and what is not compiled is a thousand times slower. */
    private static final int LONGEST_WARM_UP = 10;
    private static final int MOST_RUNS = 1 << 20;
    /** Of /proc/self/task/N/stat, after the name: user time, then system time. */
    private static final int USER_TIME = 11;

    private final int rounds;
    private final long warmUpNanos;
    private final long batchNanos;

    /**
     * Sets how long things take.
     *
     * @param rounds how many
     * @param warmUpSeconds for all sides together, at least; up to ten times that while something is compiled
     * @param batchMillis one measurement of one side, about
     */
    Rounds(int rounds, double warmUpSeconds, double batchMillis) {
        this.rounds = rounds;
        this.warmUpNanos = (long) (warmUpSeconds * 1e9);
        this.batchNanos = (long) (batchMillis * 1e6);
    }

    /**
     * Measures.
     *
     * @return seconds of one run, by side and round
     */
    double[][] measure(List<Side> sides) {
        int[] runs = warmUp(sides);
        double[][] seconds = new double[sides.size()][rounds];
        for (int round = 0; round < rounds; round++) {
            for (int i = 0; i < sides.size(); i++) {
                // Who comes first changes as well.
                int side = (round + i) % sides.size();
                seconds[side][round] = measure(sides.get(side), runs[side]);
            }
        }
        return seconds;
    }

    /** Runs all in turn until the JIT has nothing left to do; returns how many runs make a batch of each. */
    int[] warmUp(List<Side> sides) {
        int[] runs = new int[sides.size()];
        Arrays.fill(runs, 1);
        long start = System.nanoTime();
        long compiling = compilersWork();
        long quietSince = start;
        long now = start;
        int quietTurns = 0;
        while (now - start < warmUpNanos || (now - quietSince < QUIET_NANOS || quietTurns < QUIET_TURNS)
                && now - start < LONGEST_WARM_UP * warmUpNanos) {
            for (int i = 0; i < runs.length; i++) {
                runs[i] = runsOf(measure(sides.get(i), runs[i]));
            }
            now = System.nanoTime();
            long compiled = compilersWork();
            quietTurns++;
            if (compiled != compiling) {
                compiling = compiled;
                quietSince = now;
                quietTurns = 0;
            }
        }
        return runs;
    }

    /**
     * Changes while compilers work. Their bean counts a compilation when it has ended, and one of a long loop takes seconds;
     * so the processor time of their threads is in it, where the system tells it.
     */
    private static long compilersWork() {
        long work = ManagementFactory.getCompilationMXBean().getTotalCompilationTime();
        try (DirectoryStream<Path> threads = Files.newDirectoryStream(Path.of("/proc/self/task"))) {
            for (Path thread : threads) {
                String stat = Files.readString(thread.resolve("stat"));
                if (stat.contains("(C1 Compiler") || stat.contains("(C2 Compiler")) {
                    String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
                    work += Long.parseLong(fields[USER_TIME]) + Long.parseLong(fields[USER_TIME + 1]);
                }
            }
        } catch (IOException e) {
            // another system, or a thread that has just ended
        }
        return work;
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
