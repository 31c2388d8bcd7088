package dev.isobit.bench.report;

import dev.isobit.bench.BenchReport;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.SideResult;
import dev.isobit.bench.Bootstrap;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/** Three sentences that say what runs where, how fast, and how right. */
final class Summary {
    private Summary() {}

    static List<String> sentences(Runs runs) {
        List<String> sentences = new ArrayList<>();
        sentences.add(where(runs));
        sentences.add(beside(runs));
        sentences.add(right(runs));
        return sentences;
    }

    /** What clipping costs a step of AdamW, where it was measured beside a bare one; else empty. */
    static String clipping(Runs runs) {
        String cases = runs.rows().stream().map(Runs.Row::found).filter(found -> found.timesBareStep().isPresent())
                .map(found -> text("%.2f (%s)", found.timesBareStep().getAsDouble(), ReportMarkdown.name(found)))
                .collect(Collectors.joining(", "));
        return cases.isEmpty()
                ? ""
                : "A step of AdamW with a loss scale, a check for non-finite gradients and clipping takes, by the time of a bare "
                        + "step: " + cases + ".";
    }

    /** The figures for who reads nothing else: what they are, and the figure. */
    static Map<String, String> tiles(Runs runs) {
        Map<String, String> tiles = new LinkedHashMap<>();
        for (String backend : List.of("cuda", "cpu")) {
            best(runs, backend, "cross-entropy").ifPresent(row -> tiles.put(
                    "logits a second, cross-entropy with gradient, " + backend + ", at best", giga(row.found())));
            best(runs, backend, "adamw").ifPresent(row -> tiles.put(
                    "parameters a second, AdamW, " + backend + ", at best", giga(row.found())));
        }
        if (!runs.accuracy().isEmpty()) {
            tiles.put("ULP from float64, the largest error on any input", error(runs.largestError(Runs::isOurs)));
        }
        Runs.Agreement agreement = runs.agreement();
        if (agreement.outputs() > 0) {
            tiles.put(text("outputs with other bits on another path, of %d", agreement.outputs()),
                    String.valueOf(agreement.differing().size()));
        }
        return tiles;
    }

    /** What a reader has to know before the figures; empty if there is nothing. */
    static List<String> warnings(Runs runs) {
        List<String> warnings = new ArrayList<>();
        for (BenchReport report : runs.reports()) {
            String run = "The run of " + report.started().substring(0, Math.min(10, report.started().length()));
            double load = report.loadAverageBefore();
            if (load > 0.5 * report.machine().processors()) {
                warnings.add(
                        text("%s began on a busy machine (load average %.1f on %d processors): its figures are hints.",
                                run, load, report.machine().processors()));
            }
            if (!report.complete()) {
                warnings.add(run + " was interrupted: some cases are missing.");
            }
        }
        return warnings;
    }

    private static String where(Runs runs) {
        List<String> parts = new ArrayList<>();
        for (String backend : List.of("cuda", "cpu")) {
            Optional<Runs.Row> loss = best(runs, backend, "cross-entropy");
            Optional<Runs.Row> step = best(runs, backend, "adamw");
            Optional<Runs.Row> any = loss.or(() -> step).or(() -> runs.rows().stream()
                    .filter(row -> row.found().backend().equals(backend)).findFirst());
            if (any.isPresent()) {
                BenchReport report = runs.reports().get(any.get().run());
                String place = backend.equals("cuda") && report.device() != null
                        ? Runs.chip(report.device())
                        : report.machine().cpu() + " (" + report.machine().processors() + " processors)";
                List<String> speeds = new ArrayList<>();
                loss.ifPresent(
                        row -> speeds.add(text("cross-entropy with its gradient runs at up to %s logits a second",
                                giga(row.found()))));
                step.ifPresent(row -> speeds.add(text("AdamW at up to %s parameters a second", giga(row.found()))));
                parts.add(text("on %s, backend %s: %s", place, backend,
                        speeds.isEmpty()
                                ? any.get().found().what().operation() + " was measured"
                                : String.join(", ", speeds)));
            }
        }
        return parts.isEmpty() ? "Nothing was timed." : capital(String.join("; ", parts)) + ".";
    }

    private static Optional<Runs.Row> best(Runs runs, String backend, String operation) {
        return runs.rows().stream()
                .filter(row -> row.found().backend().equals(backend)
                        && row.found().what().operation().equals(operation))
                .max(Comparator.comparingDouble(row -> row.found().own().gigaElements()));
    }

    private static String giga(Measurement found) {
        return text("%.2f G", found.own().gigaElements());
    }

    private static String beside(Runs runs) {
        List<String> parts = new ArrayList<>();
        List<String> order = new ArrayList<>(List.of("copy"));
        order.addAll(runs.peers());
        for (String runner : order) {
            double[] values = runner.equals("copy")
                    ? runs.rows().stream().filter(row -> Runs.isOurs(row.found().backend()))
                            .map(row -> row.found().side(runner))
                            .filter(side -> side != null && side.fraction() != null)
                            .mapToDouble(side -> side.fraction().median()).toArray()
                    : runs.beside().stream().filter(each -> each.other().runner().equals(runner))
                            .mapToDouble(each -> each.times().median()).toArray();
            if (values.length > 0) {
                double middle = Bootstrap.middle(values);
                String range = text("(%s to %s in %d cases)", number(values[0]), number(values[values.length - 1]),
                        values.length);
                boolean first = parts.isEmpty() || parts.getLast().startsWith("moves");
                parts.add(switch (runner) {
                    case "copy" -> text("moves bytes at %s of the speed of a copy %s", number(middle), range);
                    default -> text(first ? "runs at %s times the speed of %s %s" : "%s times that of %s %s",
                            number(middle), runner.equals("C") ? "hand-written C" : runner, range);
                });
            }
        }
        return parts.isEmpty()
                ? "Nothing was measured beside it."
                : (runs.beside().stream().allMatch(Runs.Beside::sameRounds)
                        ? "Measured in the same rounds, the"
                        : "The")
                        + " middle case " + join(parts) + ".";
    }

    private static String right(Runs runs) {
        Runs.Agreement agreement = runs.agreement();
        String bits = agreement.outputs() == 0
                ? "no two paths were compared"
                : agreement.differing().isEmpty()
                        ? text("0 bits differ between %s (%,d results)", join(agreement.paths()), agreement.elements())
                        : text("%d of %d outputs DIFFER between %s", agreement.differing().size(), agreement.outputs(),
                                join(agreement.paths()));
        if (runs.accuracy().isEmpty()) {
            return "Errors were not measured.";
        }
        String others = runs.accuracy().stream().map(BenchReport.Accuracy::runner).filter(name -> !Runs.isOurs(name))
                .distinct().map(name -> text("%s: %s", name, error(runs.largestError(name::equals))))
                .collect(Collectors.joining(", "));
        return text("On ordinary and hard inputs the largest error against float64 is %s ULP%s, and %s.",
                error(runs.largestError(Runs::isOurs)), others.isEmpty() ? "" : " (" + others + ")", bits);
    }

    private static String join(java.util.Collection<String> names) {
        List<String> quoted = new ArrayList<>(names);
        String last = quoted.removeLast();
        return quoted.isEmpty() ? last : String.join("; ", quoted) + " and " + last;
    }

    /** An error as people read it. */
    static String error(double ulp) {
        return Double.isInfinite(ulp) ? "no number" : ulp < 100 ? text("%.2f", ulp) : text("%.1e", ulp);
    }

    /** Two digits, or as many as an integer has. */
    static String number(double value) {
        return value >= 9.95 ? text("%,.0f", value) : value >= 0.995 ? text("%.1f", value) : text("%.2f", value);
    }

    /** A fraction with its interval. */
    static String fraction(SideResult side) {
        return side == null || side.fraction() == null ? "" : text("%.2f", side.fraction().median());
    }

    private static String capital(String sentence) {
        return sentence.substring(0, 1).toUpperCase(Locale.ROOT) + sentence.substring(1);
    }

    static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
