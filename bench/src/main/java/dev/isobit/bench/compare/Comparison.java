package dev.isobit.bench.compare;

import dev.isobit.bench.BenchReport;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.SideResult;
import dev.isobit.bench.Bootstrap;
import dev.isobit.bench.Bootstrap.Interval;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A new run against an old one. What disturbs a machine only ever makes it slower, for seconds or minutes; so the fastest
 * batches are compared, and only of cases that were measured in three JVMs, some time apart. A case is slower if its time
 * has grown beyond a threshold, and if it has grown as much by the fastest batch of what ran beside it (the C baseline, else a copy):
 * a machine that has become slower as a whole is in the first only.
 *
 * @param speeds of cases in both runs
 * @param sameMachine whether times can be compared; if not, there are no speeds
 * @param lessAccurate errors that have grown, a line each
 * @param otherBits results whose bits have changed
 * @param accuracies how many errors were compared
 * @param missing cases of the old run that the new one lacks
 */
record Comparison(List<Speed> speeds, boolean sameMachine, List<String> lessAccurate, List<String> otherBits,
        int accuracies, List<String> missing) {
    /** Of ten quick runs on a machine that was not quiet, few pairs differ by more (RepeatedRunsTest). */
    static final double QUICK_THRESHOLD = 0.21;
    static final double FULL_THRESHOLD = 0.09;
    /** A case that was measured in fewer may have met one bad moment. */
    static final int FORKS = 3;

    /** An error grows by less when the sample is the same and the code is. */
    private static final double MAX_ULP_SLACK = 0.5;
    private static final double RMS_SLACK = 1.1;
    private static final List<String> OURS = List.of("cpu", "cuda", "sim");
    private static final List<String> BESIDE = List.of("C", "copy");

    /**
     * A case in both runs.
     *
     * @param name the case
     * @param time of the new by the old
     * @param beside the same, by what ran in the same rounds; null if nothing did
     * @param slower the verdict; false where there were too few JVMs to tell
     * @param faster the opposite verdict
     */
    record Speed(String name, Interval time, @Nullable Interval beside, boolean slower, boolean faster) {}

    static double threshold(BenchReport before, BenchReport after) {
        return before.settings().quick() || after.settings().quick() ? QUICK_THRESHOLD : FULL_THRESHOLD;
    }

    static Comparison of(BenchReport before, BenchReport after, double threshold) {
        boolean sameMachine = before.machine().cpu().equals(after.machine().cpu())
                && before.machine().processors() == after.machine().processors();
        Map<String, Measurement> old = cases(before);
        Map<String, Measurement> found = cases(after);
        List<Speed> speeds = new ArrayList<>();
        List<String> missing = new ArrayList<>();
        old.forEach((name, was) -> {
            Measurement is = found.get(name);
            if (is == null) {
                missing.add(name);
            } else if (sameMachine) {
                speeds.add(speed(name, was, is, threshold));
            }
        });
        List<String> worse = new ArrayList<>();
        List<String> otherBits = new ArrayList<>();
        Map<String, Accuracy> errors = accuracy(after);
        int compared = 0;
        for (Map.Entry<String, Accuracy> each : accuracy(before).entrySet()) {
            Accuracy was = each.getValue();
            Accuracy is = errors.get(each.getKey());
            if (is == null) {
                missing.add(each.getKey());
                continue;
            }
            compared++;
            // Written so that a NaN is worse.
            if (!(is.maxUlp() <= was.maxUlp() + MAX_ULP_SLACK) || !(is.rmsUlp() <= was.rmsUlp() * RMS_SLACK)) {
                worse.add(each.getKey() + ": " + was.maxUlp() + " ULP, now " + is.maxUlp() + " (root mean square "
                        + was.rmsUlp() + ", now " + is.rmsUlp() + ")");
            }
            if (!was.digest().equals(is.digest())) {
                otherBits.add(each.getKey());
            }
        }
        return new Comparison(speeds, sameMachine, worse, otherBits, compared, missing);
    }

    private static Map<String, Measurement> cases(BenchReport report) {
        Map<String, Measurement> cases = new LinkedHashMap<>();
        for (Measurement found : report.measurements()) {
            if (!found.clock().equals("simulated") && found.peer().isEmpty() && OURS.contains(found.backend())) {
                cases.put(found.backend() + " " + found.what() + (found.clock().equals("wall")
                        ? ""
                        : ", " + found.clock()), found);
            }
        }
        return cases;
    }

    private static Map<String, Accuracy> accuracy(BenchReport report) {
        Map<String, Accuracy> found = new LinkedHashMap<>();
        for (Accuracy each : report.accuracy()) {
            if (OURS.stream().anyMatch(each.runner()::startsWith)) {
                found.put(
                        String.join(", ", each.runner(), each.operation(), each.dtype(), each.inputs(), each.output()),
                        each);
            }
        }
        return found;
    }

    private static Speed speed(String name, Measurement was, Measurement is, double threshold) {
        String beside = beside(was, is);
        Interval time = Bootstrap.ratioOfLeast(is.own().seconds(), was.own().seconds());
        return new Speed(name, time, beside == null ? null : steadied(was, is, beside, time),
                isSlower(was, is, threshold), isSlower(is, was, threshold));
    }

    /** The interval of the time, moved by what the other side did meanwhile. */
    private static Interval steadied(Measurement was, Measurement is, String beside, Interval time) {
        double other = besideGrowth(was, is, beside);
        return new Interval(time.median() / other, time.low() / other, time.high() / other);
    }

    /** The verdict. */
    static boolean isSlower(Measurement was, Measurement is, double threshold) {
        if (was.own().seconds().length < FORKS || is.own().seconds().length < FORKS) {
            return false;
        }
        double growth = Bootstrap.least(is.own().seconds()) / Bootstrap.least(was.own().seconds());
        String beside = beside(was, is);
        return growth > 1 + threshold
                && (beside == null || growth / besideGrowth(was, is, beside) > 1 + threshold);
    }

    private static double besideGrowth(Measurement was, Measurement is, String beside) {
        return Bootstrap.least(seconds(is, beside)) / Bootstrap.least(seconds(was, beside));
    }

    private static double[][] seconds(Measurement found, String runner) {
        SideResult side = found.side(runner);
        if (side == null) {
            throw new IllegalArgumentException("no " + runner + " beside " + found.what());
        }
        return side.seconds();
    }

    private static @Nullable String beside(Measurement was, Measurement is) {
        return BESIDE.stream().filter(name -> was.side(name) != null && is.side(name) != null).findFirst()
                .orElse(null);
    }

    /** Cases that got slower. */
    List<Speed> slower() {
        return speeds.stream().filter(Speed::slower).toList();
    }

    /** Whether a user has to look: slower, less accurate, other bits where none may change, or nothing compared. */
    boolean failed(boolean bitsMayChange) {
        return !slower().isEmpty() || !lessAccurate.isEmpty() || !bitsMayChange && !otherBits.isEmpty()
                || speeds.isEmpty() && accuracies == 0;
    }
}
