package dev.isobit.harness.verify;

import dev.isobit.harness.verify.VerifyReport.Accuracy;
import dev.isobit.harness.verify.VerifyReport.Agreement;
import dev.isobit.harness.verify.VerifyReport.FormAgreement;
import dev.isobit.harness.verify.VerifyReport.SubjectEntry;
import java.io.PrintWriter;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** The report for a terminal. */
final class VerifyTable {
    private final VerifyReport report;
    private final PrintWriter out;

    private VerifyTable(VerifyReport report, PrintWriter out) {
        this.report = report;
        this.out = out;
    }

    static void print(VerifyReport report, PrintWriter out) {
        var table = new VerifyTable(report, out);
        table.rightBits();
        table.sameBits();
        table.edges();
        table.verdict();
        out.flush();
    }

    private void say(String format, Object... values) {
        out.printf(Locale.ROOT, format + "%n", values);
    }

    private void rightBits() {
        say("Right bits: units in the last place (ULP) from float64, largest and root mean square");
        for (String backend : distinct(report.accuracy().stream().map(Accuracy::backend).toList())) {
            for (String operation : distinct(report.accuracy().stream().map(Accuracy::operation).toList())) {
                List<Accuracy> rows = report.accuracy().stream()
                        .filter(a -> a.backend().equals(backend) && a.operation().equals(operation)).toList();
                Set<String> outputs = distinct(rows.stream().map(Accuracy::output).toList());
                var head = new StringBuilder(String.format(Locale.ROOT, "  %-26s", backend + " " + operation));
                outputs.forEach(output -> head.append(String.format(Locale.ROOT, " %17s", output + " "
                        + budget(rows, output))));
                say("%s %14s", head, "elements");
                for (String inputs : distinct(rows.stream().map(Accuracy::inputs).toList())) {
                    var line = new StringBuilder(String.format(Locale.ROOT, "    %-24s", inputs));
                    for (String output : outputs) {
                        line.append(rows.stream()
                                .filter(a -> a.output().equals(output) && a.inputs().equals(inputs)).findFirst()
                                .map(a -> String.format(Locale.ROOT, " %8.3f %6.3f%s%s", a.maxUlp(), a.rmsUlp(),
                                        a.over() > 0 ? "!" : " ", " "))
                                .orElse(" ".repeat(18)));
                    }
                    say("%s %,13d", line, rows.stream().filter(a -> a.inputs().equals(inputs))
                            .mapToLong(Accuracy::elements).sum());
                }
            }
        }
    }

    private static String budget(List<Accuracy> rows, String output) {
        var budgets = rows.stream().filter(a -> a.output().equals(output)).mapToDouble(Accuracy::budget)
                .summaryStatistics();
        return String.format(Locale.ROOT, "(%.3g)", budgets.getMax());
    }

    private void sameBits() {
        say("");
        say("Same bits: %d float32 paths", report.subjects().size());
        for (SubjectEntry subject : report.subjects()) {
            say("    %-24s %s", subject.name(), subject.description());
        }
        report.absent().forEach(absent -> say("    not here: %s", absent));
        long differing = report.agreement().stream().filter(a -> a.differingOutputs() > 0).count();
        if (!report.agreement().isEmpty()) {
            Agreement most = report.agreement().getFirst();
            say("  every pair, over %,d outputs of %,d elements: %s", most.outputs(), most.elements(), differing == 0
                    ? "0 bits differ"
                    : differing + " of " + report.agreement().size() + " pairs DIFFER");
        }
        for (String form : distinct(report.forms().stream().map(FormAgreement::form).toList())) {
            List<FormAgreement> rows = report.forms().stream().filter(f -> f.form().equals(form)).toList();
            long apart = rows.stream().mapToLong(FormAgreement::differingOutputs).sum();
            say("  %-26s %,9d outputs, %,13d elements: %s", form,
                    rows.stream().mapToLong(FormAgreement::outputs).sum(),
                    rows.stream().mapToLong(FormAgreement::elements).sum(),
                    apart == 0 ? "0 bits differ" : apart + " outputs DIFFER");
        }
    }

    private void edges() {
        say("");
        long kept = report.edges().stream().filter(VerifyReport.Edge::kept).count();
        say("Written edges: %d of %d results are the documented ones; %s", kept, report.edges().size(),
                report.faults().isEmpty()
                        ? "nothing was written out of bounds, left unwritten or a NaN of other bits"
                        : report.faults().size() + " faults");
    }

    private void verdict() {
        say("");
        Map<String, Integer> operations = report.operations();
        if (operations != null) {
            say("Problems: %s", operations.entrySet().stream()
                    .map(e -> String.format(Locale.ROOT, "%s %,d", e.getKey(), e.getValue()))
                    .collect(Collectors.joining("; ")));
        }
        if (report.passed()) {
            say("All promises kept: %,d problems in %.0f s.", report.problems(), report.seconds());
        } else {
            say("BROKEN, over %,d problems in %.0f s:", report.problems(), report.seconds());
            report.failures().stream().limit(20).forEach(failure -> say("  %s", failure));
            if (report.failures().size() > 20) {
                say("  and %d more, see the JSON report", report.failures().size() - 20);
            }
        }
    }

    private static Set<String> distinct(List<String> values) {
        return values.stream().collect(Collectors.toCollection(LinkedHashSet::new));
    }
}
