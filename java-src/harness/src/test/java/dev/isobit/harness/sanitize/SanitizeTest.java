package dev.isobit.harness.sanitize;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.harness.CommandLineRun;
import dev.isobit.harness.Json;
import dev.isobit.harness.Workspace;
import dev.isobit.sim.SimProvider;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SanitizeTest {
    @TempDir
    private Path folder;

    @BeforeEach
    void needsASimulator() {
        assumeTrue(SimProvider.probeOwnJvm().available(), SimProvider.probeOwnJvm().detail());
    }

    @Test
    void everyKernelRunsAndNothingIsFound() {
        Path json = folder.resolve("sanitize.json");
        var run = CommandLineRun.of("sanitize", "--json", json.toString());
        assertEquals(0, run.code(), run.out() + run.err());
        assertTrue(run.out().contains("Nothing was found: "), run.out());
        SanitizeReport report = Json.read(json, SanitizeReport.class);
        assertEquals(SanitizeReport.FORMAT, report.format());
        assertEquals(List.of(), report.missed());
        assertTrue(report.launches().size() >= 18, report.launches().toString());
        assertTrue(report.threadInstructions() > 100_000_000, "" + report.threadInstructions());
    }

    /** The kernels without their barriers, or with an access that goes too far: what is found says where. */
    @Test
    void whatIsWrongIsFoundWithItsPlace() {
        CompletableFuture<SanitizeReport> ofAdam = CompletableFuture.supplyAsync(() -> broken("adam.sm_75.ptx",
                "(?m)^(\\s*ld\\.global\\S*\\s+[^\\[]*\\[%rd\\d+)\\]", "$1+65536]"));
        SanitizeReport races = broken("cross_entropy.sm_90.ptx", "(?m)^\\s*bar\\.sync.*$", "");
        SanitizeReport.Finding race = races.findings().stream().filter(f -> f.kind().equals("RACE")).findFirst()
                .orElseThrow();
        assertEquals("sm_90", race.device());
        assertTrue(race.kernel().startsWith("cross_entropy_"), race.kernel());
        assertTrue(race.source().matches("kernels/.*\\.cuh?:\\d+.*PTX line \\d+"), race.source());
        assertFalse(race.other().isEmpty());

        SanitizeReport far = ofAdam.join();
        SanitizeReport.Finding access = far.findings().getFirst();
        assertEquals("OUT_OF_BOUNDS", access.kind());
        // The fault is in every kernel of the file, and nowhere else.
        assertTrue(far.findings().stream()
                .allMatch(f -> f.device().equals("sm_75") && f.kernel().startsWith("adam_step_f32")),
                far.findings().toString());
        assertTrue(access.address().matches("0x[0-9a-f]{6,}"), access.address());
        assertTrue(access.block().equals("(0, 0, 0)") && access.thread().startsWith("("), access.toString());
        var text = new StringWriter();
        SanitizeCommand.print(far, new PrintWriter(text));
        assertTrue(text.toString().contains("OUT_OF_BOUNDS: ") && text.toString().contains("thread " + access.thread()),
                text.toString());
    }

    /** A run with another PTX: what the boot class path is given comes before the jars. */
    private SanitizeReport broken(String file, String pattern, String replacement) {
        Path resources = folder.resolve(file);
        try {
            String ptx = Files.readString(Path.of(System.getProperty("isobit.home"), "kernels", "ptx", file));
            String changed = ptx.replaceAll(pattern, replacement);
            assertNotEquals(ptx, changed);
            Files.writeString(Files.createDirectories(resources.resolve("dev/isobit/cuda/ptx")).resolve(file), changed);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        try (var workspace = new Workspace()) {
            SanitizeReport report =
                    SanitizeCommand.run(workspace, List.of("-Xbootclasspath/a:" + resources), 4);
            assertFalse(report.clean());
            return report;
        }
    }
}
