package dev.isobit.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import dev.isobit.bench.BenchReport;
import dev.isobit.harness.Json;
import dev.isobit.harness.Main;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportPageTest {
    /**
     * Texts that are hard to read: contrast to what lies behind them below 4.5, WCAG's AA. A background that is not opaque
     * counts for none.
     */
    private static final String UNREADABLE =
            """
                    (() => {
                      const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
                      const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
                      const behind = element => {
                        for (let e = element; e; e = e.parentElement) {
                          const color = parse(getComputedStyle(e).backgroundColor);
                          if (color.length === 3 || color[3] === 1) return color;
                        }
                        return [255, 255, 255];
                      };
                      const found = [];
                      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                      let seen = 0;
                      while (walker.nextNode()) {
                        const parent = walker.currentNode.parentElement;
                        if (!walker.currentNode.data.trim() || parent.closest("script, style") || parent.getClientRects().length === 0) continue;
                        seen++;
                        const style = getComputedStyle(parent);
                        const front = light(parse(parent.closest("svg") ? style.fill : style.color));
                        const back = light(behind(parent));
                        const contrast = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
                        if (!(contrast >= 4.5)) found.push(walker.currentNode.data.trim() + " " + contrast);
                      }
                      return seen < 100 ? ["only " + seen + " texts"] : found;
                    })()
                    """;
    private static final String CHARTS =
            """
                    [...document.querySelectorAll(".chart")].map(box => ({
                      name: box.dataset.chart,
                      drawings: [...box.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect()).map(r => ({width: r.width, height: r.height, right: r.right})),
                      marks: box.querySelectorAll("svg circle").length,
                    }))
                    """;

    @TempDir
    private Path folder;

    private Path write(BenchReport... reports) throws Exception {
        return Files.writeString(folder.resolve("report.html"), ReportPage.of(new Runs(List.of(reports))));
    }

    @Test
    void thePageLoadsNothing() throws Exception {
        String page = Files.readString(write(Examples.host(), Examples.device()));
        for (String word : List.of(" src=", " href=", "@import", "url(", "<link", "<iframe")) {
            // url(#name) is an element of the page itself.
            assertFalse(page.replaceAll("(?s)<script>.*</script>", "").replace("url(#", "(").contains(word),
                    () -> "the page contains " + word);
        }
        assertTrue(page.startsWith("<!DOCTYPE html>"));
        assertFalse(page.contains("<libtorch>"), "a name is not escaped");
        assertTrue(page.contains("Copyright 2020-2025 Observable"), "the library's licence is not named");
    }

    /** The picture of {@code isobit trajectories}, whose SGD goes where anyone can work out. */
    @Test
    void thePageShowsWhereTheOptimizersGo() throws Exception {
        String page = Files.readString(write(Examples.host()));
        Path file = folder.resolve("trajectories.svg");
        assertEquals(0, Main.commandLine().setOut(new PrintWriter(new StringWriter())).execute("trajectories",
                "--backend", "cpu", "--out", file.toString()));
        assertTrue(page.contains(Files.readString(file)), "the page has another picture than the command");
        List<String> ways = Pattern.compile("<polyline class=\"way\"[^>]* points=\"([^\"]*)\"").matcher(page).results()
                .map(found -> found.group(1)).toList();
        assertEquals(4, ways.size());
        assertEquals(4, Set.copyOf(ways).size(), "two optimizers go the same way");
        var origin = Pattern.compile("<ellipse class=\"contour\" cx=\"([^\"]*)\" cy=\"([^\"]*)\"").matcher(page);
        assertTrue(origin.find());
        List<double[]> sgd = Stream.of(ways.getFirst().split(" ")).map(point -> point.split(","))
                .map(at -> new double[] {Double.parseDouble(at[0]) - Double.parseDouble(origin.group(1)),
                    Double.parseDouble(at[1]) - Double.parseDouble(origin.group(2))})
                .toList();
        assertEquals(61, sgd.size());
        for (int i = 0; i < sgd.size(); i++) {
            // The origin is written with one digit behind the point.
            assertEquals(sgd.getFirst()[0] * Math.pow(1 - 0.08, i), sgd.get(i)[0], 0.12);
            assertEquals(sgd.getFirst()[1] * Math.pow(1 - 0.08 * 24, i), sgd.get(i)[1], 0.12);
        }
    }

    @Test
    void rawFiguresAreInThePage() throws Exception {
        String page = Files.readString(write(Examples.host()));
        String opening = "<script type=\"application/json\" id=\"run-1\">";
        int begin = page.indexOf(opening) + opening.length();
        Path raw = Files.writeString(folder.resolve("bench.json"),
                page.substring(begin, page.indexOf("</script>", begin)));
        assertEquals(Json.write(Examples.host()), Json.write(dev.isobit.bench.BenchFiles.read(raw)));
    }

    @Test
    void theSummaryHasThreeSentencesAndWarnings() {
        var runs = new Runs(List.of(Examples.host(), Examples.device()));
        List<String> sentences = Summary.sentences(runs);
        assertEquals(3, sentences.size());
        assertTrue(sentences.get(0).contains("Some GPU") && sentences.get(0).contains("A & B processor (2 processors)"),
                sentences.get(0));
        assertTrue(sentences.get(1).contains("hand-written C") && sentences.get(1).contains("<libtorch>"),
                sentences.get(1));
        assertTrue(sentences.get(2).contains("2.10 ULP") && sentences.get(2).contains("<libtorch>: no number")
                && sentences.get(2).contains("0 bits differ between cpu; sim and cuda (100 results)"),
                sentences.get(2));
        assertEquals(2, Summary.warnings(runs).size());
        assertEquals(List.of(), Summary.warnings(new Runs(List.of(Examples.host()))));
    }

    @Test
    void otherBitsAreSaid() {
        BenchReport host = Examples.host();
        List<BenchReport.Accuracy> parted = new ArrayList<>(host.accuracy());
        parted.add(Examples.accuracy("cuda", "ordinary", 2.1, "other"));
        var runs = new Runs(List.of(host, new BenchReport(host.format(), host.commit(), host.started(), 1, true,
                host.settings(), host.machine(), null, 0, 0, List.of(), List.of(), List.of(), parted, List.of(),
                List.of())));
        assertEquals(List.of("cross-entropy/F32/ordinary/loss"), runs.agreement().differing());
        assertTrue(Summary.sentences(runs).get(2).contains("1 of 2 outputs DIFFER"), Summary.sentences(runs).get(2));
    }

    @Test
    void aPeerStandsBesideTheBackendOfItsOwnRounds() {
        var runs = new Runs(List.of(Examples.host()));
        assertEquals(12, runs.rows().size());
        List<Runs.Beside> all = runs.beside();
        assertEquals(List.of("C", "<libtorch>", "djl", "nd4j"), List.copyOf(runs.peers()));
        assertEquals(List.of("C", "<libtorch>"), List.copyOf(runs.peersInRows()));
        // C stands beside each row, and is not counted again where it stands beside a peer.
        assertEquals(12, all.stream().filter(each -> each.other().runner().equals("C")).count());
        List<Runs.Beside> elsewhere = runs.besideElsewhere();
        assertEquals(List.of("djl", "nd4j"), elsewhere.stream().map(each -> each.other().runner()).toList());
        for (Runs.Beside each : elsewhere) {
            assertTrue(each.sameRounds());
            assertEquals(2, each.times().median(), 0.1);
            assertEquals(512, each.own().microseconds().median(), 20);
        }
        assertTrue(Summary.sentences(runs).get(1).startsWith("Measured in the same rounds, the middle case"));
        assertTrue(Summary.sentences(runs).get(1).contains("2.0 times that of djl (2.0 to 2.0 in 1 cases)"),
                Summary.sentences(runs).get(1));
        String markdown = ReportMarkdown.of(runs);
        assertTrue(markdown.contains("| cross-entropy 512x1000, 2 threads | djl | 5"), markdown);
    }

    /** They are what memory gives and less of the operation, and nobody that could be faster. */
    @Test
    void aStreamOfADeviceAndABareStepAreToldAndAreNoPeers() throws Exception {
        var runs = new Runs(List.of(Examples.device()));
        assertEquals(List.of(), List.copyOf(runs.peers()));
        String markdown = ReportMarkdown.of(runs);
        assertTrue(markdown.lines().anyMatch(line -> line.matches(
                "\\| cuda adamw 1x134217728 F32, warm cache (\\| [^|]* ){5}\\| 0\\.9\\d \\|.*")), markdown);
        for (String text : List.of(markdown, Files.readString(write(Examples.device())))) {
            assertTrue(Pattern.compile(
                    "by the time of a bare step: 1\\.[01]\\d \\(cuda adamw-clipped 1x134217728 F32, warm cache\\)\\.")
                    .matcher(text).find(), text);
        }
    }

    /** A script has no rounds with us: the device is the same, and the interval that of both. */
    @Test
    void aScriptsRunStandsBesideThatOfItsDevice() {
        var runs = new Runs(List.of(Examples.device(), Examples.script()));
        Runs.Beside only = runs.beside().getLast();
        assertEquals("PyTorch eager", only.other().runner());
        assertEquals("cuda", only.row().found().backend());
        assertFalse(only.sameRounds());
        assertEquals(3, only.times().median(), 0.1);
        assertTrue(only.times().low() < only.times().median() && only.times().median() < only.times().high());
        assertTrue(Summary.sentences(runs).get(1).startsWith("The middle case"), Summary.sentences(runs).get(1));
        assertTrue(ReportMarkdown.of(runs).contains("of two runs"));
        assertEquals(List.of(), new Runs(List.of(Examples.host(), Examples.script())).besideElsewhere().stream()
                .filter(each -> !each.sameRounds()).toList());
    }

    @Test
    void theCrossoverTakesTransfersIn() {
        var points = ChartData.crossover(new Runs(List.of(Examples.host(), Examples.device())));
        assertEquals(6, points.size());
        for (int i = 0; i < points.size(); i += 2) {
            assertTrue(points.get(i).times() > 40, points.toString());
            assertTrue(points.get(i + 1).times() < points.get(i).times() && points.get(i + 1).times() > 1,
                    points.toString());
        }
    }

    @Test
    void chromiumFindsNothingToComplainOf() throws Exception {
        var program = Chromium.find();
        assumeTrue(program.isPresent(), "skipped: chromium was not found (Debian: the package chromium)");
        Path page = write(Examples.host(), Examples.device(), Examples.script());
        try (var chromium = new Chromium(program.orElseThrow(), Files.createDirectory(folder.resolve("profile")))) {
            for (int width : new int[] {1280, 390}) {
                for (boolean dark : new boolean[] {false, true}) {
                    check(chromium, page, width, dark, "screen");
                }
            }
            check(chromium, page, 794, false, "print");
            tablesAreSorted(chromium, page);
        }
    }

    private static void check(Chromium chromium, Path page, int width, boolean dark, String media) throws Exception {
        String where = width + (dark ? " dark " : " light ") + media;
        chromium.open(page, width, 900, dark, media);
        JsonNode charts = chromium.evaluate(CHARTS);
        assertEquals(List.of("roofline", "classes", "parameters", "crossover", "peers", "accuracy"),
                charts.findValuesAsText("name"), where);
        for (JsonNode chart : charts) {
            assertFalse(chart.get("drawings").isEmpty(), where + ": " + chart);
            assertTrue(chart.get("marks").asInt() > 2, where + ": " + chart);
            for (JsonNode drawing : chart.get("drawings")) {
                assertTrue(drawing.get("width").asDouble() > 200 && drawing.get("height").asDouble() > 60
                        && drawing.get("right").asDouble() <= width, where + ": " + chart);
            }
        }
        assertEquals(width, chromium.evaluate("document.documentElement.scrollWidth").asInt(), where);
        assertEquals("[]", chromium.evaluate(UNREADABLE).toString(), where);
        assertEquals(dark, chromium.evaluate("matchMedia('(prefers-color-scheme: dark)').matches").asBoolean());
        assertEquals(List.of(), chromium.complaints(), where);
        assertEquals(List.of(page.toUri().toString()), chromium.requests(), where);
    }

    private static void tablesAreSorted(Chromium chromium, Path page) throws Exception {
        chromium.open(page, 1280, 900, false, "screen");
        String column =
                "[...document.querySelector('table.sortable').tBodies[0].rows].map(row => Number(row.cells[3].dataset.value))";
        chromium.evaluate("document.querySelectorAll('table.sortable th button')[3].click()");
        List<Double> up = doubles(chromium.evaluate(column));
        assertEquals(up.stream().sorted().toList(), up);
        assertTrue(up.size() > 10 && up.getFirst() < up.getLast(), up.toString());
        chromium.evaluate("document.querySelectorAll('table.sortable th button')[3].click()");
        assertEquals(up.reversed(), doubles(chromium.evaluate(column)));
    }

    private static List<Double> doubles(JsonNode values) {
        List<Double> all = new ArrayList<>();
        values.forEach(value -> all.add(value.asDouble()));
        return all;
    }

    @Test
    void theCommandTakesFoldersAndFiles() throws Exception {
        Path runs = Files.createDirectories(folder.resolve("runs/one"));
        Files.writeString(runs.resolve("bench.json"), Json.write(Examples.host()));
        Path other = Files.writeString(folder.resolve("gpu.json"), Json.write(Examples.device()));
        var out = new StringWriter();
        assertEquals(0, Main.commandLine().setOut(new PrintWriter(out)).execute("report", runs.getParent().toString(),
                other.toString(), "--out", folder.resolve("page").toString()));
        String text = Files.readString(folder.resolve("page/report.md"));
        assertTrue(text.contains("| cpu cross-entropy 512x1000 F32, 1 thread |") && text.contains("Some GPU"), text);
        assertTrue(Files.size(folder.resolve("page/report.html")) > 400_000);
        var err = new StringWriter();
        assertEquals(Main.EXIT_FAILED, Main.commandLine().setErr(new PrintWriter(err)).execute("report",
                folder.resolve("page").toString()));
        assertTrue(err.toString().contains("no run of isobit bench in"), err.toString());
    }
}
