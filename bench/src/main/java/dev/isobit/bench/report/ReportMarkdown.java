package dev.isobit.bench.report;

import dev.isobit.bench.BenchReport;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.SideResult;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** Runs as text for a pull request. */
final class ReportMarkdown {
    private ReportMarkdown() {}

    static String of(Runs runs) {
        var text = new StringBuilder("## Isobit benchmarks\n\n");
        text.append(String.join(" ", Summary.sentences(runs))).append("\n\n");
        Summary.warnings(runs).forEach(warning -> text.append("**").append(warning).append("**\n\n"));
        List<String> peers = new ArrayList<>(runs.peersInRows());
        List<String> head = new ArrayList<>(List.of("case", "µs", "95 %", "G elements/s", "GB/s", "of copy",
                "of stream"));
        peers.forEach(peer -> head.add("of " + peer));
        head.add("B/call");
        row(text, head);
        row(text, head.stream().map(name -> name.equals("case") ? "---" : "---:").toList());
        for (Runs.Row row : runs.rows()) {
            Measurement found = row.found();
            SideResult own = found.own();
            List<String> cells = new ArrayList<>(List.of(name(found),
                    Summary.text("%.1f", own.microseconds().median()),
                    Summary.text("%.1f to %.1f", own.microseconds().low(), own.microseconds().high()),
                    Summary.text("%.2f", own.gigaElements()), Summary.text("%.1f", own.gigaBytes()),
                    Summary.fraction(found.side("copy")), Summary.fraction(found.stream())));
            peers.forEach(peer -> cells.add(Summary.fraction(found.side(peer))));
            cells.add(found.allocatedBytesPerCall() < 0 ? "" : Summary.text("%.0f", found.allocatedBytesPerCall()));
            row(text, cells);
        }
        String clipping = Summary.clipping(runs);
        if (!clipping.isEmpty()) {
            text.append('\n').append(clipping).append('\n');
        }
        beside(text, runs);
        text.append("\nErrors in ULP against float64, largest (root mean square):\n\n");
        List<String> runners = runs.accuracy().stream().map(Accuracy::runner).distinct().toList();
        List<String> problems = runs.accuracy().stream().map(ReportMarkdown::problem).distinct().toList();
        row(text, concat("output", runners));
        row(text, concat("---", runners.stream().map(name -> "---:").toList()));
        for (String problem : problems) {
            row(text, concat(problem, runners.stream()
                    .map(runner -> runs.accuracy().stream()
                            .filter(each -> each.runner().equals(runner) && problem(each).equals(problem)).findFirst()
                            .map(each -> Summary.error(each.maxUlp()) + " (" + Summary.error(each.rmsUlp()) + ")")
                            .orElse(""))
                    .toList()));
        }
        text.append('\n');
        for (BenchReport report : runs.reports()) {
            text.append(Summary.text("%s, %s%s; Java %s; commit %s, %s; %d fork(s) of %d rounds; load average %.1f.%n",
                    report.machine().cpu(), report.machine().os(),
                    report.device() == null ? "" : "; " + report.device(), report.machine().java(), report.commit(),
                    report.started(), report.settings().forks(), report.settings().rounds(),
                    report.loadAverageBefore()));
        }
        return text.toString().replace(System.lineSeparator(), "\n");
    }

    /** Peers that were not in the rounds of the rows above, each with the backend's time beside it. */
    private static void beside(StringBuilder text, Runs runs) {
        List<Runs.Beside> others = runs.besideElsewhere();
        if (others.isEmpty()) {
            return;
        }
        text.append(
                "\nBeside others, each in JVMs of its own with the backend's time in the same rounds, or in another run:\n\n");
        row(text, List.of("case", "beside", "µs", "µs of it", "times its speed", "95 %", "rounds"));
        row(text, List.of("---", "---", "---:", "---:", "---:", "---:", "---"));
        others.forEach(each -> row(text, List.of(ChartData.name(each), each.other().runner(),
                Summary.text("%.1f", each.own().microseconds().median()),
                Summary.text("%.1f", each.other().microseconds().median()),
                Summary.text("%.2f", each.times().median()),
                Summary.text("%.2f to %.2f", each.times().low(), each.times().high()),
                each.sameRounds() ? "the same" : "of two runs")));
    }

    static String name(Measurement found) {
        return found.backend() + " " + found.what()
                + (found.clock().startsWith("events, ") ? ", " + found.clock().substring("events, ".length()) : "");
    }

    private static String problem(Accuracy each) {
        return ChartData.operation(each) + ", " + each.inputs() + ", " + each.output();
    }

    private static List<String> concat(String first, List<String> rest) {
        List<String> all = new ArrayList<>(List.of(first));
        all.addAll(rest);
        return all;
    }

    private static void row(StringBuilder text, List<String> cells) {
        text.append(cells.stream().collect(Collectors.joining(" | ", "| ", " |\n")));
    }
}
