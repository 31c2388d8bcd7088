package dev.isobit.bench.report;

import dev.isobit.bench.BenchReport;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.Measurement;
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
    /** Sides that are no implementation of an operation. */
    static final Set<String> STREAMS = Set.of("copy", "in-place stream");

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

    /** Measurements that are timings, in the order measured. */
    List<Row> rows() {
        Map<String, Row> rows = new LinkedHashMap<>();
        for (int run = 0; run < reports.size(); run++) {
            BenchReport report = reports.get(run);
            for (Measurement found : report.measurements()) {
                if (!found.clock().equals("simulated")) {
                    String place = report.device() == null ? report.machine().cpu() : report.device();
                    rows.put(place + found.backend() + found.what() + found.clock(), new Row(run, found));
                }
            }
        }
        return List.copyOf(rows.values());
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
        rows().forEach(row -> backends.add(row.found().backend()));
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

    /** All that stood beside a backend, but for streams, in order of appearance. */
    Set<String> peers() {
        return rows().stream().flatMap(row -> row.found().sides().stream().skip(1)).map(BenchReport.SideResult::runner)
                .filter(name -> !STREAMS.contains(name)).collect(Collectors.toCollection(LinkedHashSet::new));
    }
}
