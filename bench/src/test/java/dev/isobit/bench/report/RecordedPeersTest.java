package dev.isobit.bench.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.bench.BenchFiles;
import dev.isobit.bench.BenchReport;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.Measurement;
import dev.isobit.bench.BenchReport.SideResult;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Recorded files: some cases of a quick run beside four peers, and a run of the script that measures PyTorch. */
class RecordedPeersTest {
    private static final List<String> PEERS = List.of("libtorch", "djl", "nd4j", "tensorflow");

    private static BenchReport read(String name) throws Exception {
        return BenchFiles.read(Path.of(RecordedPeersTest.class.getResource(name).toURI()));
    }

    @Test
    void eachPeerHasMeasurementsOfItsOwn() throws Exception {
        BenchReport report = read("bench-peers.json");
        for (String peer : PEERS) {
            List<Measurement> found = report.measurements().stream().filter(each -> each.peer().equals(peer)).toList();
            assertEquals(Set.of(1, 2),
                    found.stream().map(each -> each.what().threads()).collect(Collectors.toSet()), peer);
            for (Measurement each : found) {
                assertEquals("cpu", each.own().runner());
                Set<String> others = each.sides().stream().map(SideResult::runner).filter(PEERS::contains)
                        .collect(Collectors.toSet());
                assertEquals(Set.of(peer), others);
                assertEquals(each.own().seconds()[0].length, each.side(peer).seconds()[0].length);
            }
            assertTrue(report.runners().stream()
                    .anyMatch(each -> each.name().equals(peer) && each.description().matches(".*\\d\\.\\d.*")), peer);
        }
        assertTrue(report.absent().contains("nd4j has no bce"), report.absent().toString());
    }

    @Test
    void theReportTellsThemApart() throws Exception {
        var runs = new Runs(List.of(read("bench-peers.json")));
        assertTrue(runs.rows().stream().allMatch(row -> row.found().peer().isEmpty()));
        assertEquals(PEERS, runs.besideElsewhere().stream().map(each -> each.other().runner()).distinct().toList());
        for (Runs.Beside each : runs.besideElsewhere()) {
            assertTrue(each.sameRounds());
            assertEquals(each.other().fraction(), each.times());
            assertEquals(each.row().found().own(), each.own());
        }
        String page = ReportPage.of(runs);
        for (String peer : PEERS) {
            assertTrue(page.contains("<dt>" + peer + "</dt>") && page.contains("<td>" + peer + "</td>"), peer);
            assertTrue(Summary.sentences(runs).get(1).contains(" times that of " + peer + " ("), peer);
        }
    }

    /** What the issue of accuracy is about: of 24 bits they lose all in a saturated BCE, and we none. */
    @Test
    void hardInputsAreHardForPeers() throws Exception {
        var runs = new Runs(List.of(read("bench-peers.json")));
        assertTrue(runs.largestError(Runs::isOurs) < 6);
        for (String peer : List.of("libtorch", "djl", "tensorflow")) {
            double largest = runs.accuracy().stream()
                    .filter(each -> each.runner().equals(peer) && each.inputs().equals("saturated"))
                    .mapToDouble(Accuracy::maxUlp).max().orElse(0);
            assertTrue(largest > 1e6, peer + ": " + largest);
        }
    }

    @Test
    void theScriptsFileIsReadAndStandsBesideARunOfTheSameMachine() throws Exception {
        BenchReport script = read("bench-torch-cpu.json");
        assertTrue(script.complete());
        assertEquals(List.of(), script.absent());
        Measurement found = script.measurements().getFirst();
        assertEquals("bce 16384x64 F32, 2 threads", found.what().toString());
        assertEquals("PyTorch eager", found.backend());
        assertEquals(12L << 20, found.bytes());
        assertEquals(List.of("PyTorch eager", "copy"), found.sides().stream().map(SideResult::runner).toList());
        double fraction = found.side("copy").fraction().median();
        assertTrue(fraction > 0 && fraction < 2, "by a copy: " + fraction);
        assertEquals(8, script.accuracy().size());
        assertTrue(script.accuracy().stream().allMatch(each -> each.rmsUlp() <= each.maxUlp() && each.maxUlp() > 0));

        var runs = new Runs(List.of(read("bench-peers.json"), script));
        Set<String> beside = runs.besideElsewhere().stream().filter(each -> !each.sameRounds())
                .map(each -> each.row().found().what() + " " + each.other().runner()).collect(Collectors.toSet());
        assertEquals(
                Set.of("bce 16384x64 F32, 2 threads PyTorch eager", "bce 16384x64 F32, 2 threads PyTorch compiled"),
                beside);
    }
}
