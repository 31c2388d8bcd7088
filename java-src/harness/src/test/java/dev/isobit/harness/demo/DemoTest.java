package dev.isobit.harness.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.harness.CommandLineRun;
import dev.isobit.harness.DeviceStandIn;
import dev.isobit.harness.Json;
import dev.isobit.sim.SimProvider;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoTest {
    @TempDir
    private Path folder;

    @Test
    void oneEpoch() throws Exception {
        Path out = folder.resolve("new/out");
        var run = CommandLineRun.of("demo", "--epochs", "1", "--splits", "2", "--backend", "cpu", "--out",
                out.toString());
        assertEquals(0, run.code(), run.out() + run.err());
        assertTrue(run.out().contains(out.resolve("isobit-demo.html").toAbsolutePath().toString()), run.out());
        try (var files = Files.list(out)) {
            assertEquals(List.of("isobit-demo.html", "isobit-demo.json"),
                    files.map(f -> f.getFileName().toString()).sorted().toList());
        }

        Path json = out.resolve("isobit-demo.json");
        DemoReport report = Json.read(json, DemoReport.class);
        assertEquals(DemoReport.FORMAT, report.format());
        assertTrue(report.sameBits());
        List<String> paths = new ArrayList<>(List.of("cpu, scalar code", "cpu, one thread", "cpu, 128-bit vectors"));
        // The kernels run in any case: on a device where there is one, else on the simulated one.
        if (Backend.probes().stream().anyMatch(p -> p.name().equals("cuda") && p.available())) {
            paths.addFirst("cuda");
        } else if (SimProvider.probeOwnJvm().available()) {
            paths.add("sim, one epoch");
        }
        assertEquals(paths, report.runs().stream().map(Agreement::run).toList());
        assertTrue(report.runs().get(paths.indexOf("cpu, scalar code")).description().contains("scalar code"));
        assertTrue(report.runs().get(paths.indexOf("cpu, one thread")).description().contains("1 thread"));
        assertTrue(report.runs().stream().allMatch(r -> r.steps() == 90 && r.weights() == 19210));
        assertEquals(2, report.splits().size());
        assertTrue(report.meanHeldOutAccuracy() > 0.85, "accuracy " + report.meanHeldOutAccuracy());
        assertEquals(2 * 359, Arrays.stream(report.confusion()).flatMapToInt(Arrays::stream).sum());
        assertEquals(report.mistakes().size(), 2 * 359 - diagonal(report.confusion()));
        assertEquals(90, report.referenceLossUlp().length);
        assertEquals(Files.readString(json), Json.write(report));

        selfContained(Files.readString(out.resolve("isobit-demo.html")));
    }

    private static int diagonal(int[][] counts) {
        int sum = 0;
        for (int i = 0; i < counts.length; i++) {
            sum += counts[i][i];
        }
        return sum;
    }

    private static void selfContained(String page) {
        String lower = page.toLowerCase(Locale.ROOT);
        for (String word : List.of("http:", "https:", "//cdn", " src=", " href=", "@import", "url(", "fetch(", "<link",
                "<iframe", "%s", "null")) {
            assertFalse(lower.contains(word), () -> "the page contains " + word);
        }
        assertTrue(page.startsWith("<!DOCTYPE html>"));
        assertTrue(page.contains("prefers-color-scheme: dark"));
        assertEquals(3, page.split("<figure data-chart=", -1).length - 1);
    }

    @Test
    void trainingOnADeviceGivesTheSameBits() {
        Digits digits = Digits.load();
        Training training = Training.defaults().withEpochs(1);
        try (Backend cpu = Backend.open("cpu"); Backend device = new DeviceStandIn()) {
            Agreement agreement = Agreement.of("device", training.run(cpu, digits, 0, done -> {}),
                    training.run(device, digits, 0, done -> {}));
            assertTrue(agreement.sameBits(), () -> String.valueOf(agreement.firstDifference()));
        }
    }

    @Test
    void wrongOptionsNameTheValue() {
        var run = CommandLineRun.of("demo", "--epochs", "0");
        assertEquals(2, run.code());
        assertTrue(run.err().contains("--epochs = 0"), run.err());
        run = CommandLineRun.of("demo", "--backend", "reference");
        assertEquals(2, run.code());
        assertTrue(run.err().contains("reference"), run.err());
    }
}
