package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.DType;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.Main;
import dev.isobit.harness.Workspace;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Children, files, versions. */
class BenchRunTest {
    @TempDir
    private Path folder;

    @Test
    void aSimulatedRunLeavesItsFile() {
        var out = new StringWriter();
        var err = new StringWriter();
        int code = Main.commandLine().setOut(new PrintWriter(out)).setErr(new PrintWriter(err, true)).execute("bench",
                "--quick", "--backend", "sim", "--ops", "adamw,sgd", "--out", folder.toString());
        assertEquals(0, code, out + "\n" + err);
        List<Path> files = BenchFiles.find(folder);
        assertEquals(1, files.size());
        BenchReport report = BenchFiles.read(files.getFirst());
        assertTrue(report.complete());
        assertEquals("quick", report.settings().mode());
        assertEquals(2, report.measurements().size());
        assertTrue(report.measurements().stream().allMatch(found -> found.clock().equals("simulated")));
        assertEquals(3 * 2 * 3 + 2 * 2, report.accuracy().size());
        assertEquals(2 * 3 + 1, report.hostCosts().size());
        assertEquals(4, report.transfers().size());
        assertTrue(out.toString().contains(files.getFirst().toAbsolutePath().toString()), out.toString());
    }

    /** What is measured is in the file before the next case begins. */
    @Test
    void aChildWritesAfterEachCase() {
        var settings = new BenchSettings("quick", 1, 3, 0.01, 0.1);
        var plan = new BenchPlan("cpu", settings, List.of(BenchCase.of("sgd", DType.F32, 1, 1, 100),
                BenchCase.of("sgd", DType.F32, 1, 2, 100)), "cpu", List.of("sgd"), "");
        List<Integer> seen = new ArrayList<>();
        try (var workspace = new Workspace()) {
            Path in = workspace.temporary("plan.json");
            Path results = workspace.temporary("results.json");
            workspace.write(in, Json.write(plan));
            new ChildJvm(workspace, List.of(), BenchInChild.class, List.of(in.toString(), results.toString()))
                    .run(done -> seen.add(Json.read(results, BenchFragment.class).measurements().size()));
            assertEquals(2, Json.read(results, BenchFragment.class).measurements().size());
        }
        assertEquals(3, seen.size());
        assertEquals(plan.steps(), seen.size());
    }

    @Test
    void filesOfTheFirstVersionStayReadable() throws Exception {
        Path file = Path.of(BenchRunTest.class.getResource("bench-version-1.json").toURI());
        BenchReport report = BenchFiles.read(file);
        assertEquals("isobit-bench/1", report.format());
        var found = report.measurements().getFirst();
        assertEquals("sgd 1x1048576 F32, 2 threads", found.what().toString());
        assertEquals(3, found.sides().size());
        assertTrue(found.own().microseconds().median() > 0);
        assertFalse(report.accuracy().isEmpty());
        assertEquals(List.of(), report.transfers());
    }

    @Test
    void othersFilesAndNewerOnesAreRefused() throws Exception {
        Path other = Files.writeString(folder.resolve("verify.json"), "{\"format\": \"isobit-verify/1\"}");
        assertTrue(assertThrows(IllegalArgumentException.class, () -> BenchFiles.read(other)).getMessage()
                .contains("isobit-verify/1"));
        Path newer = Files.writeString(folder.resolve("bench.json"), "{\"format\": \"isobit-bench/99\"}");
        assertTrue(assertThrows(IllegalArgumentException.class, () -> BenchFiles.read(newer)).getMessage()
                .contains("isobit-bench/99"));
    }
}
