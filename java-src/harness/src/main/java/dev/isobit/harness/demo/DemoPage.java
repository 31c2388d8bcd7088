package dev.isobit.harness.demo;

import dev.isobit.harness.Html;
import dev.isobit.harness.LineChart;
import dev.isobit.harness.LineChart.Scale;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** The demo's report as a page. */
final class DemoPage {
    /** How many misclassified digits are drawn. */
    private static final int DRAWN = 24;
    /** A chart does not show more points than it has pixels. */
    private static final int MOST_POINTS = 200;
    /** How many kinds of mistakes are listed. */
    private static final int LISTED = 8;

    private DemoPage() {}

    static String html(DemoReport report, Digits digits) {
        return Html.page("Isobit demo", head(report) + runs(report) + learning(report) + float64(report)
                + confusion(report) + mistakes(report, digits) + foot(report));
    }

    private static String head(DemoReport report) {
        var accuracies = report.splits().stream().mapToDouble(DemoReport.Split::heldOutAccuracy).summaryStatistics();
        long same = report.runs().stream().filter(Agreement::sameBits).count();
        double seconds = report.splits().stream().mapToDouble(DemoReport.Split::seconds).average().orElseThrow();
        return text(
                """
                        <h1>Isobit demo</h1>
                        <p class="lead">A network with one hidden layer of %d learned to read handwritten digits. Its loss and \
                        its optimizer steps ran as fused kernels on <b>%s</b> (%s).</p>
                        <div class="tiles">
                        <div class="tile"><b>%.2f&nbsp;%%</b><span>held-out accuracy, mean of %d splits \
                        (%.1f to %.1f&nbsp;%%)</span></div>
                        <div class="tile"><b>%d of %d</b><span>other runs gave the same bits</span></div>
                        <div class="tile"><b>%,d</b><span>optimizer steps compared in each run, and %,d final weights</span></div>
                        <div class="tile"><b>%.1f&nbsp;s</b><span>to train one split, %,d steps</span></div>
                        </div>
                        """,
                report.training().hidden(), Html.escape(report.backend()),
                Html.escape(report.backendDescription()), 100 * report.meanHeldOutAccuracy(), report.splits().size(),
                100 * accuracies.getMin(), 100 * accuracies.getMax(), same, report.runs().size(),
                report.reference().steps(), report.reference().weights(), seconds, report.reference().steps());
    }

    private static String runs(DemoReport report) {
        var rows = new StringBuilder();
        for (Agreement run : report.runs()) {
            String verdict = run.sameBits()
                    ? "<span class=\"same\">✓ same bits</span>"
                    : "<span class=\"parts\">✗ parts at " + Html.escape(String.valueOf(run.firstDifference()))
                            + "; " + run.differingWeights() + " final weights differ</span>";
            rows.append(text("<tr><td>%s</td><td>%s</td><td>%s</td><td class=\"number\">%.2f&nbsp;%%</td>"
                    + "<td class=\"number\">%.1f</td></tr>%n", Html.escape(run.run()), verdict,
                    Html.escape(run.description()), 100 * run.heldOutAccuracy(), run.seconds()));
        }
        return text(
                """
                        <section><h2>Same bits</h2>
                        <p class="lead">Split %d was trained again on every other path. Compared with the first run, at each of \
                        %,d steps: the bits of the loss and of every weight.</p>
                        <div class="scroll"><table class="runs">
                        <tr><th>run</th><th>losses and weights</th><th>what ran</th><th class="number">accuracy</th>\
                        <th class="number">seconds</th></tr>
                        %s</table></div></section>
                        """,
                report.comparedSplit(), report.reference().steps(), rows);
    }

    private static String learning(DemoReport report) {
        List<double[]> train = report.splits().stream()
                .map(split -> split.trainLoss().stream().mapToDouble(Double::doubleValue).toArray()).toList();
        List<double[]> heldOut = report.splits().stream().map(split -> IntStream.range(0, split.heldOutLoss().length)
                .mapToDouble(i -> split.heldOutLoss()[i]).toArray()).toList();
        List<double[]> accuracy = report.splits().stream()
                .map(split -> Arrays.stream(split.accuracies()).map(a -> 100 * a).toArray()).toList();
        return text("""
                <section><h2>Learning</h2>
                <p class="lead">Mean of %d splits; the bands reach from the least to the greatest of them.</p>
                <div class="charts">
                %s%s</div></section>
                """, report.splits().size(),
                new LineChart("Loss (nats)", "epoch", 1, Scale.LOG, value -> text("%.3g", value))
                        .meanAndRange("training", train).meanAndRange("held out", heldOut).html(),
                new LineChart("Held-out accuracy (%)", "epoch", 1, Scale.LINEAR, value -> text("%.2f %%", value))
                        .meanAndRange("mean and range", accuracy).html());
    }

    private static String float64(DemoReport report) {
        Agreement reference = report.reference();
        long[] distances = report.referenceLossUlp();
        return text("""
                <section><h2>Against float64</h2>
                <div class="beside">
                <div style="flex: 1 1 300px">%s</div>
                <div style="flex: 1 1 260px"><p>The reference computes loss, gradient and optimizer in float64 and \
                rounds once at the end of each. Its run of split %d is not the same bits: one float32 rounding in the \
                last place makes the next step's inputs differ, and training spreads that.</p>
                <p class="lead">Distance of its loss from the float32 loss, in units in the last place (ULP): \
                %,d at the first step, %,d at most. At the end the weights are %,d ULP apart (median); its held-out \
                accuracy is %.2f&nbsp;%%.</p></div></div></section>
                """,
                new LineChart("Loss: ULP between float64 and float32", "step",
                        Math.ceilDiv(distances.length, MOST_POINTS), Scale.LOG_FROM_ZERO,
                        value -> text("%,.0f", value))
                        .binned("mean and range",
                                Arrays.stream(distances).asDoubleStream().toArray())
                        .html(),
                report.comparedSplit(), distances[0], reference.largestLossUlp(), reference.medianWeightUlp(),
                100 * reference.heldOutAccuracy());
    }

    private static String confusion(DemoReport report) {
        int[][] counts = report.confusion();
        int mostMissed = 1;
        for (int i = 0; i < counts.length; i++) {
            for (int j = 0; j < counts.length; j++) {
                mostMissed = i == j ? mostMissed : Math.max(mostMissed, counts[i][j]);
            }
        }
        var table = new StringBuilder("<tr><th></th>");
        for (int j = 0; j < counts.length; j++) {
            table.append("<th scope=\"col\">").append(j).append("</th>");
        }
        table.append("<th scope=\"col\" style=\"width:70px\">right</th></tr>\n");
        for (int i = 0; i < counts.length; i++) {
            int total = Arrays.stream(counts[i]).sum();
            table.append("<tr><th scope=\"row\">").append(i).append("</th>");
            for (int j = 0; j < counts.length; j++) {
                int count = counts[i][j];
                String color = i == j
                        ? text("rgba(var(--heat), %.2f)", 0.28 * count / Math.max(1, total))
                        : text("rgba(var(--miss), %.2f)", 0.15 + 0.55 * count / mostMissed);
                table.append(count == 0
                        ? "<td class=\"none\">·</td>"
                        : "<td style=\"background:" + color + "\">" + count + "</td>");
            }
            table.append(text("<th>%.1f&nbsp;%%</th></tr>%n", 100.0 * counts[i][i] / Math.max(1, total)));
        }
        return text("""
                <section><h2>Confusion</h2>
                <p class="lead">Held-out digits of all splits: a row for what they are, a column for what the network \
                read.</p>
                <div class="beside"><div class="scroll"><table class="confusion">%s</table></div>
                <table class="runs" style="width: auto"><tr><th>most often</th><th class="number">times</th></tr>
                %s</table></div></section>
                """, table, mostOften(counts));
    }

    private static String mostOften(int[][] counts) {
        record Cell(int actual, int predicted, int count) {}
        return IntStream.range(0, counts.length * counts.length)
                .mapToObj(i -> new Cell(i / counts.length, i % counts.length,
                        counts[i / counts.length][i % counts.length]))
                .filter(cell -> cell.actual != cell.predicted && cell.count > 0)
                .sorted(Comparator.comparingInt(Cell::count).reversed()).limit(LISTED)
                .map(cell -> text("<tr><td>%d read as %d</td><td class=\"number\">%d</td></tr>%n", cell.actual,
                        cell.predicted, cell.count))
                .collect(Collectors.joining());
    }

    private static String mistakes(DemoReport report, Digits digits) {
        if (report.mistakes().isEmpty()) {
            return "<section><h2>Misread</h2><p class=\"lead\">None.</p></section>\n";
        }
        Map<Integer, DemoReport.Mistake> distinct = new LinkedHashMap<>();
        report.mistakes().stream().sorted(Comparator.comparingDouble(DemoReport.Mistake::confidence).reversed())
                .forEach(mistake -> distinct.putIfAbsent(mistake.digit(), mistake));
        var drawn = new StringBuilder();
        distinct.values().stream().limit(DRAWN).forEach(mistake -> drawn.append(text("""
                <figure>%s<figcaption><b>%d</b> read as <b>%d</b><br>%.0f&nbsp;%% sure</figcaption></figure>
                """, drawing(digits.pixels()[mistake.digit()]), mistake.actual(), mistake.predicted(),
                100 * mistake.confidence())));
        return text("""
                <section><h2>Misread</h2>
                <p class="lead">%s</p>
                <div class="digits">
                %s</div></section>
                """, distinct.size() > DRAWN
                ? "The " + DRAWN + " mistakes of which the network was surest, of " + distinct.size()
                        + " digits misread in any split."
                : "All digits that were misread in any split, surest first.", drawn);
    }

    /** Black ink on white paper, as it was scanned. */
    private static String drawing(int[] pixels) {
        var svg = new StringBuilder("<svg viewBox=\"0 0 8 8\" shape-rendering=\"crispEdges\" aria-hidden=\"true\">");
        for (int i = 0; i < pixels.length; i++) {
            if (pixels[i] > 0) {
                int grey = 255 - 255 * pixels[i] / Digits.WHITE;
                svg.append(text("<rect x=\"%d\" y=\"%d\" width=\"1\" height=\"1\" fill=\"#%02x%02x%02x\"/>",
                        i % Digits.SIDE, i / Digits.SIDE, grey, grey, grey));
            }
        }
        return svg.append("</svg>").toString();
    }

    private static String foot(DemoReport report) {
        Training training = report.training();
        return text("""
                <footer><p>%s. Each split holds out a fifth of every class. AdamW with learning rate %s falling to 0, \
                weight decay %s, %d epochs of batches of %d, seed %d.</p>
                <p>%s; %s, %d processors; Java %s; Isobit %s.</p>
                <p>Data: UCI "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak; CC BY 4.0), in the \
                form that scikit-learn ships.</p></footer>
                """, Html.escape(report.data()), training.lr(), training.weightDecay(), training.epochs(),
                training.batch(), training.seed(), Html.escape(report.machine().cpu()),
                Html.escape(report.machine().os()), report.machine().processors(),
                Html.escape(report.machine().java()), Html.escape(report.machine().isobit()));
    }

    private static String text(String format, Object... values) {
        return String.format(Locale.ROOT, format, values);
    }
}
