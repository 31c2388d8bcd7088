package dev.isobit.bench.report;

import dev.isobit.Backend;
import dev.isobit.bench.BenchReport;
import dev.isobit.bench.BenchReport.HostCost;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.SideResult;
import dev.isobit.bench.BenchReport.Transfer;
import dev.isobit.harness.Html;
import dev.isobit.harness.Json;
import dev.isobit.harness.trajectories.TrajectoryPicture;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Runs as one HTML file that loads nothing. Tables are in the file as they are; charts are drawn in the browser by
 * Observable Plot, which is in the file too.
 */
final class ReportPage {
    private final Runs runs;
    private final StringBuilder body = new StringBuilder();

    private ReportPage(Runs runs) {
        this.runs = runs;
    }

    static String of(Runs runs) {
        return new ReportPage(runs).page();
    }

    private String page() {
        head();
        speed();
        classes();
        device();
        peers();
        accuracy();
        agreement();
        optimizers();
        method();
        var scripts = new StringBuilder();
        for (String name : List.of("d3-7.9.0.min.js", "plot-0.6.17.umd.min.js", "report.js")) {
            scripts.append(Html.resource(ReportPage.class, name)).append('\n');
        }
        return Html.page("Isobit benchmarks", body.toString(), Html.resource(ReportPage.class, "report.css"),
                scripts.toString());
    }

    private void say(String format, Object... values) {
        body.append(Summary.text(format, values)).append('\n');
    }

    private void head() {
        say("<h1>Isobit benchmarks</h1>");
        say("<p class=\"summary\">%s</p>", Html.escape(String.join(" ", Summary.sentences(runs))));
        Summary.warnings(runs).forEach(warning -> say("<p class=\"warning\">%s</p>", Html.escape(warning)));
        say("<div class=\"tiles\">%s</div>", Summary.tiles(runs).entrySet().stream()
                .map(tile -> "<div class=\"tile\"><b>" + Html.escape(tile.getValue()) + "</b><span>"
                        + Html.escape(tile.getKey()) + "</span></div>")
                .collect(Collectors.joining()));
    }

    private void speed() {
        if (runs.rows().isEmpty()) {
            return;
        }
        say("<section><h2>Speed by what memory allows</h2>");
        say("<p class=\"lead\">Each dot is a case, with its 95 %% interval: bytes that have to move, by the time of a call. The "
                + "upright marks are a copy and a stream, measured in the same rounds: in place over 128 MB; for AdamW on a device a "
                + "kernel that reads four arrays and writes three, as its step does. What stays in a cache can be faster.</p>");
        String clipping = Summary.clipping(runs);
        if (!clipping.isEmpty()) {
            say("<p>%s</p>", Html.escape(clipping));
        }
        say("<div class=\"chart\" data-chart=\"roofline\"></div>");
        say("<details open><summary>All figures</summary>");
        List<String> peers = new ArrayList<>(runs.peersInRows());
        List<String> head = new ArrayList<>(List.of("case", "threads", "backend", "µs", "95 % interval", "G elements/s",
                "GB/s", "of copy", "of stream"));
        peers.forEach(peer -> head.add("of " + peer));
        head.add("B/call");
        table(head, runs.rows().stream().map(row -> cells(row.found(), peers)).toList());
        say("</details></section>");
    }

    private static List<Cell> cells(Measurement found, List<String> peers) {
        SideResult own = found.own();
        var micros = own.microseconds();
        List<Cell> cells = new ArrayList<>();
        cells.add(Cell.text(found.what().operation() + " " + found.what().shapeText() + " " + found.what().dtype()));
        cells.add(found.what().threads() == 0 ? Cell.EMPTY : Cell.number(found.what().threads(), "%.0f"));
        cells.add(Cell.text(found.backend()
                + (found.clock().startsWith("events") ? found.clock().substring("events".length()) : "")));
        cells.add(Cell.number(micros.median(), "%,.1f"));
        cells.add(new Cell(Summary.text("%,.1f to %,.1f", micros.low(), micros.high()),
                String.valueOf((micros.high() - micros.low()) / micros.median()), true));
        cells.add(Cell.number(own.gigaElements(), "%.2f"));
        cells.add(Cell.number(own.gigaBytes(), "%.1f"));
        List<@Nullable SideResult> others = new ArrayList<>();
        others.add(found.side("copy"));
        others.add(found.stream());
        peers.forEach(peer -> others.add(found.side(peer)));
        for (SideResult side : others) {
            cells.add(side == null || side.fraction() == null
                    ? Cell.EMPTY
                    : Cell.number(side.fraction().median(), "%.2f"));
        }
        cells.add(found.allocatedBytesPerCall() < 0 ? Cell.EMPTY : Cell.number(found.allocatedBytesPerCall(), "%.0f"));
        return cells;
    }

    private void classes() {
        boolean sweep = runs.rows().stream().filter(row -> ChartData.sweep(row.found()).equals("classes")).count() > 2;
        boolean parameters = runs.rows().stream().map(Runs.Row::found)
                .filter(found -> ChartData.sweep(found).equals("parameters")
                        && found.what().operation().equals("adamw"))
                .map(found -> found.elements()).distinct().count() > 2;
        if (sweep) {
            say("<section><h2>Speed by number of classes</h2>");
            say("<p class=\"lead\">Cross-entropy with its gradient over as many logits each time, in fewer and longer rows. All "
                    + "threads.</p><div class=\"chart\" data-chart=\"classes\"></div></section>");
        }
        if (parameters) {
            say("<section><h2>Speed by number of parameters</h2><p class=\"lead\">One tensor, all threads.</p>"
                    + "<div class=\"chart\" data-chart=\"parameters\"></div></section>");
        }
    }

    private void device() {
        say("<section><h2>GPU against CPU</h2>");
        if (runs.rows().stream().noneMatch(Runs.Row::onDevice)) {
            say("<p class=\"lead\">No run on a GPU is among these. On a machine that has one, <code>isobit bench --quick</code> "
                    + "measures it, in a checkout or in the bundle; <code>isobit report</code> then takes both runs' folders.</p>");
        } else {
            if (!ChartData.crossover(runs).isEmpty()) {
                say("<p class=\"lead\">Time of the host with all its threads by time of the device, second-level cache warm: above 1 "
                        + "the device is faster. With transfer: inputs carried there and results back, from pinned memory.</p>"
                        + "<div class=\"chart\" data-chart=\"crossover\"></div>");
            }
            List<HostCost> costs = runs.reports().stream().flatMap(report -> report.hostCosts().stream()).toList();
            table(List.of("call that only queues work", "launches through", "µs of the host", "95 % interval"),
                    costs.stream().map(cost -> List.of(Cell.text(cost.call()), Cell.text(cost.launcher()),
                            Cell.number(cost.microseconds().median(), "%.2f"), new Cell(Summary.text("%.2f to %.2f",
                                    cost.microseconds().low(), cost.microseconds().high()), "", true)))
                            .toList());
            List<Transfer> transfers = runs.reports().stream().flatMap(report -> report.transfers().stream()).toList();
            table(List.of("transfer", "memory", "GB/s"), transfers.stream().map(each -> List.of(
                    Cell.text(each.direction()), Cell.text(each.memory()),
                    Cell.number(each.gigaBytes().median(), "%.1f"))).toList());
        }
        say("</section>");
    }

    private void peers() {
        if (ChartData.peers(runs).isEmpty()) {
            return;
        }
        say("<section><h2>Beside others</h2>");
        say("<p class=\"lead\">How many times the speed of each, on the same data and with as many threads, round by round: right "
                + "of 1 Isobit is faster. Their results were compared with float64 first. What each runs is said at the end.</p>");
        say("<div class=\"chart\" data-chart=\"peers\"></div>");
        List<Runs.Beside> others = runs.besideElsewhere();
        if (!others.isEmpty()) {
            say("<details><summary>Figures of peers in JVMs of their own</summary><p class=\"lead\">The libraries of two peers do not "
                    + "go together, so each has JVMs of its own, in which Isobit is timed again: its time here is that of the same "
                    + "rounds, not the one in the table above. Where the rounds are those of two runs, the interval spans both.</p>");
            table(List.of("case", "beside", "Isobit, µs", "the other, µs", "times its speed", "95 % interval",
                    "rounds"),
                    others.stream().map(each -> List.of(Cell.text(ChartData.name(each)),
                            Cell.text(each.other().runner()),
                            Cell.number(each.own().microseconds().median(), "%,.1f"),
                            Cell.number(each.other().microseconds().median(), "%,.1f"),
                            Cell.number(each.times().median(), "%.2f"),
                            new Cell(Summary.text("%.2f to %.2f", each.times().low(), each.times().high()),
                                    String.valueOf((each.times().high() - each.times().low()) / each.times().median()),
                                    true),
                            Cell.text(each.sameRounds() ? "the same" : "of two runs"))).toList());
            say("</details>");
        }
        say("</section>");
    }

    private void accuracy() {
        if (runs.accuracy().isEmpty()) {
            return;
        }
        say("<section><h2>Accuracy</h2>");
        say("<p class=\"lead\">Errors against float64 in units in the last place (ULP) of the output, on ordinary inputs and on hard "
                + "ones. 0.5 is what rounding once costs; 8 million is a result without a right digit.</p>");
        say("<div class=\"chart\" data-chart=\"accuracy\"></div><details><summary>All figures</summary>");
        table(List.of("operation", "inputs", "output", "whose", "largest", "root mean square", "elements"),
                runs.accuracy().stream()
                        .map(each -> List.of(Cell.text(ChartData.operation(each)), Cell.text(each.inputs()),
                                Cell.text(each.output()), Cell.text(each.runner()),
                                new Cell(Summary.error(each.maxUlp()), String.valueOf(each.maxUlp()), true),
                                new Cell(Summary.error(each.rmsUlp()), String.valueOf(each.rmsUlp()), true),
                                Cell.number(each.elements(), "%,.0f")))
                        .toList());
        say("</details></section>");
    }

    private void agreement() {
        Runs.Agreement agreement = runs.agreement();
        say("<section><h2>Agreement</h2>");
        if (agreement.outputs() == 0) {
            say("<p class=\"lead\">No two paths were measured on the same problems.</p></section>");
            return;
        }
        say("<p class=\"%s\">%s</p>", agreement.differing().isEmpty() ? "same" : "parts",
                agreement.differing().isEmpty()
                        ? Summary.text("0 bits apart, over %d outputs of %,d elements", agreement.outputs(),
                                agreement.elements())
                        : Summary.text("%d of %d outputs have other bits: %s", agreement.differing().size(),
                                agreement.outputs(), Html.escape(String.join(", ", agreement.differing()))));
        say("<p class=\"lead\">Compared: %s. <code>isobit verify</code> compares a thousand times as much.</p></section>",
                Html.escape(String.join("; ", agreement.paths())));
    }

    private void optimizers() {
        say("<section><h2>What the optimizers do</h2>");
        say("<p class=\"lead\">SGD, momentum, Adam and AdamW from one start over the contours of 0.5 (x² + 24 y²), stepped by the "
                + "kernels of the backend <code>cpu</code> while this page was made.</p>");
        body.append("<figure class=\"scroll\">");
        try (Backend backend = Backend.open("cpu")) {
            body.append(TrajectoryPicture.of(backend));
        }
        say("</figure></section>");
    }

    private void method() {
        say("<section><h2>Method and machine</h2>");
        say("<p>A case is measured in JVMs of its own, after the compilers have gone quiet, in rounds: each round times a batch "
                + "of every side in turn, so that what disturbs one disturbs all, and fractions are taken round by round. A figure "
                + "is the median, with a 95 %% interval by the bootstrap over JVMs and rounds. Before a case is timed its results are "
                + "compared with float64; afterwards the same bits must come out. On a device the time is that between two events "
                + "around repeated calls.</p>");
        for (int i = 0; i < runs.reports().size(); i++) {
            BenchReport report = runs.reports().get(i);
            var settings = report.settings();
            Map<String, String> facts = new LinkedHashMap<>();
            facts.put("run",
                    Summary.text("%s, commit %s, %s, %.0f s", report.started(), report.commit(), settings.mode(),
                            report.seconds()));
            facts.put("machine", report.machine().cpu() + ", " + report.machine().processors() + " processors, "
                    + report.machine().os());
            if (report.device() != null) {
                facts.put("device", report.device());
            }
            facts.put("Java", report.machine().java() + "; Isobit " + report.machine().isobit());
            facts.put("measured", Summary.text(
                    "%d JVM(s) a case, %d rounds each, batches of %.0f ms, warm-up of %.1f s and more",
                    settings.forks(),
                    settings.rounds(), settings.batchMillis(), settings.warmUpSeconds()));
            facts.put("load average", Summary.text("%.1f before, %.1f after", report.loadAverageBefore(),
                    report.loadAverageAfter()));
            report.runners().forEach(runner -> facts.put(runner.name(), runner.description()));
            if (!report.absent().isEmpty()) {
                facts.put("not measured", String.join("; ", report.absent()));
            }
            say("<dl>%s</dl>", facts.entrySet().stream()
                    .map(fact -> "<dt>" + Html.escape(fact.getKey()) + "</dt><dd>" + Html.escape(fact.getValue())
                            + "</dd>")
                    .collect(Collectors.joining()));
            say("<p><button type=\"button\" class=\"raw\" data-run=\"run-%d\">Save this run's raw figures (JSON)</button></p>",
                    i + 1);
            say("<script type=\"application/json\" id=\"run-%d\">%s</script>", i + 1, script(Json.write(report)));
        }
        say("</section>");
        say("<script type=\"application/json\" id=\"data\">%s</script>", script(Json.write(ChartData.of(runs))));
        say("<footer><p>Charts: Observable Plot 0.6.17, Copyright 2020-2025 Observable, Inc., and d3 7.9.0, Copyright 2010-2023 "
                + "Mike Bostock, under the ISC licence.</p></footer>");
    }

    /** JSON that ends no script. */
    private static String script(String json) {
        return json.replace("<", "\\u003c");
    }

    /**
     * A cell of a table.
     *
     * @param text as people read it
     * @param value what it is sorted by and the raw figure; empty for the text
     * @param right whether it stands on the right
     */
    private record Cell(String text, String value, boolean right) {
        static final Cell EMPTY = new Cell("", "", true);

        static Cell text(String text) {
            return new Cell(text, "", false);
        }

        static Cell number(double value, String format) {
            return new Cell(Summary.text(format, value), String.valueOf(value), true);
        }
    }

    private void table(List<String> head, List<List<Cell>> rows) {
        if (rows.isEmpty()) {
            return;
        }
        List<Cell> kinds = rows.getFirst();
        say("<div class=\"scroll\"><table class=\"sortable\"><thead><tr>");
        for (int i = 0; i < head.size(); i++) {
            say("<th%s>%s</th>", kinds.get(i).right ? " class=\"number\"" : "", Html.escape(head.get(i)));
        }
        say("</tr></thead><tbody>");
        for (List<Cell> row : rows) {
            body.append("<tr>");
            for (Cell cell : row) {
                body.append(cell.right ? "<td class=\"number\"" : "<td");
                if (!cell.value.isEmpty()) {
                    body.append(" data-value=\"").append(Html.escape(cell.value)).append("\" title=\"")
                            .append(Html.escape(cell.value)).append('"');
                }
                body.append('>').append(Html.escape(cell.text)).append("</td>");
            }
            body.append("</tr>\n");
        }
        say("</tbody></table></div>");
    }
}
