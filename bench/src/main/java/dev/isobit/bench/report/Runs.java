package dev.isobit.bench.report;

import dev.isobit.bench.BenchReport;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.SideResult;
import dev.isobit.bench.Bootstrap.Interval;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Some runs as one: of several figures of one thing on one machine the newest stands.
 *
 * @param reports oldest first
 */
record Runs(List<BenchReport> reports) {
    /** Sides that are no other implementation of an operation: what memory gives, and less of the operation. */
    static final Set<String> YARDSTICKS = Set.of("copy", "in-place stream", "same-mix stream", "bare step");

    /**
     * A measurement and where it was made.
     *
     * @param run index of its run
     */
    record Row(int run, Measurement found) {
        boolean onHost() {
            return found.clock().equals("wall");
        }

        boolean onDevice() {
            return found.clock().startsWith("events");
        }
    }

    /** Measurements that are timings, in the order measured, but for those made for a peer. */
    List<Row> rows() {
        return measured().stream().filter(row -> row.found().peer().isEmpty()).toList();
    }

    private List<Row> measured() {
        Map<String, Row> rows = new LinkedHashMap<>();
        for (int run = 0; run < reports.size(); run++) {
            for (Measurement found : reports.get(run).measurements()) {
                if (!found.clock().equals("simulated")) {
                    var row = new Row(run, found);
                    rows.put(String.join("/", problem(row), found.backend(), found.peer()), row);
                }
            }
        }
        return List.copyOf(rows.values());
    }

    /** What was measured where: the same for all whose times can be compared. */
    private String problem(Row row) {
        BenchReport report = reports.get(row.run);
        String device = report.device();
        return String.join("/", row.onDevice() && device != null ? chip(device) : report.machine().cpu(),
                row.found.what().toString(), row.found.clock());
    }

    /** The name in a device's description, whose temperature differs from run to run. */
    static String chip(String device) {
        return device.replaceFirst("^device \\d+: ", "").replaceFirst(",.*", "");
    }

    /**
     * A backend beside somebody else.
     *
     * @param own the backend's time
     * @param other the other's
     * @param times speed of the backend by the other's
     * @param sameRounds whether the two took turns in one JVM; else times are of two runs, and the interval spans both
     */
    record Beside(Row row, SideResult own, SideResult other, Interval times, boolean sameRounds) {}

    /** All that stood beside a backend, but for yardsticks. */
    List<Beside> beside() {
        List<Beside> found = new ArrayList<>();
        List<Row> measured = measured();
        for (Row row : measured) {
            Measurement all = row.found;
            if (!isOurs(all.backend())) {
                measured.stream().filter(ours -> ours.found.peer().isEmpty() && isOurs(ours.found.backend())
                        && problem(ours).equals(problem(row)))
                        .forEach(ours -> found.add(new Beside(ours, ours.found.own(), all.own(),
                                ratio(all.own().microseconds(), ours.found.own().microseconds()), false)));
                continue;
            }
            for (SideResult side : all.sides()) {
                Interval times = side.fraction();
                // C stands beside each peer again.
                if (times != null && !YARDSTICKS.contains(side.runner())
                        && (all.peer().isEmpty() || all.peer().equals(side.runner()))) {
                    found.add(new Beside(row, all.own(), side, times, true));
                }
            }
        }
        return found;
    }

    /** Those of them that are not in the rounds of {@link #rows}. */
    List<Beside> besideElsewhere() {
        return beside().stream().filter(each -> !each.sameRounds() || !each.row.found.peer().isEmpty()).toList();
    }

    private static Interval ratio(Interval slower, Interval faster) {
        return new Interval(slower.median() / faster.median(), slower.low() / faster.high(),
                slower.high() / faster.low());
    }

    /** Errors, one for each runner and problem. */
    List<Accuracy> accuracy() {
        Map<String, Accuracy> found = new LinkedHashMap<>();
        for (BenchReport report : reports) {
            for (Accuracy each : report.accuracy()) {
                found.put(each.runner() + problem(each), each);
            }
        }
        return List.copyOf(found.values());
    }

    private static String problem(Accuracy each) {
        return String.join("/", each.operation(), each.dtype(), each.inputs(), each.output());
    }

    /** Names of backends and their variants: who promises the same bits. */
    Set<String> ours() {
        Set<String> backends = reports.stream().flatMap(report -> report.accuracy().stream()).map(Accuracy::runner)
                .filter(Runs::isOurs).collect(Collectors.toCollection(LinkedHashSet::new));
        rows().stream().map(row -> row.found().backend()).filter(Runs::isOurs).forEach(backends::add);
        return backends;
    }

    static boolean isOurs(String runner) {
        return Stream.of("cpu", "cuda", "sim").anyMatch(name -> runner.equals(name) || runner.startsWith(name + ","));
    }

    /**
     * Bits of all paths, by problem.
     *
     * @param paths which were compared
     * @param outputs how many outputs more than one path computed
     * @param elements how many elements those have
     * @param differing names of outputs of which two paths have other bits
     */
    record Agreement(Set<String> paths, int outputs, long elements, List<String> differing) {}

    Agreement agreement() {
        Map<String, List<Accuracy>> byProblem = new LinkedHashMap<>();
        for (BenchReport report : reports) {
            report.accuracy().stream().filter(each -> isOurs(each.runner()))
                    .forEach(each -> byProblem.computeIfAbsent(problem(each), key -> new ArrayList<>()).add(each));
        }
        byProblem.values().removeIf(all -> all.size() < 2);
        List<String> differing = byProblem.entrySet().stream()
                .filter(all -> all.getValue().stream().map(Accuracy::digest).distinct().count() > 1)
                .map(Map.Entry::getKey).toList();
        Set<String> paths = byProblem.values().stream().flatMap(Collection::stream).map(Accuracy::runner)
                .collect(Collectors.toCollection(LinkedHashSet::new));
        return new Agreement(paths, byProblem.size(),
                byProblem.values().stream().mapToLong(all -> all.getFirst().elements()).sum(), differing);
    }

    /** Largest error of runners that a predicate takes, on all inputs; 0 if there is none. */
    double largestError(Predicate<String> runner) {
        return accuracy().stream().filter(each -> runner.test(each.runner())).mapToDouble(Accuracy::maxUlp).max()
                .orElse(0);
    }

    /** Names of all that stood beside a backend, but for yardsticks, in order of appearance. */
    Set<String> peers() {
        return beside().stream().map(each -> each.other().runner())
                .collect(Collectors.toCollection(LinkedHashSet::new));
    }

    /** Those of them that are in the rounds of {@link #rows}. */
    Set<String> peersInRows() {
        return rows().stream().flatMap(row -> row.found().sides().stream().skip(1)).map(SideResult::runner)
                .filter(name -> !YARDSTICKS.contains(name)).collect(Collectors.toCollection(LinkedHashSet::new));
    }
}
