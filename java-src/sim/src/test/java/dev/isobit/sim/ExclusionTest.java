package dev.isobit.sim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a JVM decides once, in child JVMs: sim and cuda exclude each other, and nothing is left in the temp folder. */
class ExclusionTest {
    private static final String EXCLUDE = "exclude each other in a JVM";

    private static String run(List<String> flags, String... names) throws IOException, InterruptedException {
        List<String> command =
                new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "--add-modules=jdk.incubator.vector", "--enable-native-access=ALL-UNNAMED"));
        command.addAll(flags);
        command.addAll(List.of("-cp",
                System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
                ExclusionMain.class.getName()));
        command.addAll(List.of(names));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), output);
        return output;
    }

    @Test
    void cudaAfterSimIsRefused(@TempDir Path temp) throws IOException, InterruptedException {
        String output = run(List.of("-Djava.io.tmpdir=" + temp), "sim", "cuda", "sim");
        assertTrue(output.contains("sim: the cpu's bits\ncuda: backend cuda cannot run here: "), output);
        assertTrue(output.contains("(backends cuda and sim " + EXCLUDE), output);
        assertTrue(output.contains(")\nsim: the cpu's bits\nlibrary: " + temp), output);
        try (var files = Files.list(temp)) {
            assertEquals(List.of(), files.map(file -> file.getFileName().toString())
                    .filter(name -> !name.startsWith("hsperfdata")).toList());
        }
    }

    /** Stands in for a real driver: the library whose functions nobody wrote. */
    @Test
    void simAfterCudaIsRefused(@TempDir Path folder) throws IOException, InterruptedException {
        Path library = folder.resolve("libcuda.so.1");
        try (var in = StandIn.class.getResourceAsStream("libcuda.so.1")) {
            Files.copy(in, library);
        }
        String output = run(List.of("-Disobit.cuda.library=" + library), "cuda", "sim");
        assertTrue(output.contains("sim: backend sim cannot run here: this JVM has loaded " + library), output);
        assertTrue(output.contains("cuda: backend cuda cannot run here: "), output);
        assertTrue(output.contains(EXCLUDE), output);
    }

    /** With no driver at all, or one that has no device, the best backend is the cpu. */
    @Test
    void theBestBackendIsNeverSim() throws IOException, InterruptedException {
        String output = run(List.of("-Disobit.cuda.library=/nowhere/libcuda.so.1"), "best", "sim");
        assertTrue(output.contains("best: cpu\nsim: the cpu's bits"), output);
        assertFalse(output.contains("best: sim"), output);
    }

    /** JCuda holds arrays while the driver works; with this collector nothing could be allocated meanwhile. */
    @Test
    void noCallIsMadeWithAnArray() throws IOException, InterruptedException {
        assertTrue(run(List.of("-XX:+UseParallelGC", "-Xmx128m", "-Xmn2m"), "sim").contains("sim: the cpu's bits"));
    }
}
