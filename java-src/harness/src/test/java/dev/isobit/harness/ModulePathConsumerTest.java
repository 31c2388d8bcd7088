package dev.isobit.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A stranger's module that needs {@code dev.isobit} and nothing else compiles and runs with no flag. */
class ModulePathConsumerTest {
    private static final String MODULE = """
            module consumer {
                requires dev.isobit;
            }
            """;

    private static final String MAIN = """
            package consumer;

            import dev.isobit.Backend;
            import dev.isobit.CrossEntropy;
            import dev.isobit.CrossEntropyOptions;
            import dev.isobit.Tensor;

            public class Main {
                public static void main(String[] args) {
                    for (var probe : Backend.probes()) {
                        System.out.println(probe.name() + " " + probe.available());
                    }
                    var loss = new float[1];
                    try (var backend = Backend.best();
                            var crossEntropy = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
                        crossEntropy.loss(Tensor.of(new float[] {3, 3, 3, 3}, 2, 2), Tensor.of(new long[] {0, 1}, 2),
                                Tensor.of(loss));
                        System.out.println("best " + backend.name());
                    }
                    System.out.println("loss " + loss[0]);
                }
            }
            """;

    @TempDir
    Path scratch;

    @Test
    void compilesAndRunsWithNoFlag() throws Exception {
        Path source = Files.createDirectories(scratch.resolve("source/consumer")).getParent();
        Files.writeString(source.resolve("module-info.java"), MODULE);
        Files.writeString(source.resolve("consumer/Main.java"), MAIN);
        String core = Path.of(Backend.class.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
        String classes = scratch.resolve("classes").toString();

        run("javac", "-Xlint:all,-requires-automatic", "-Werror", "--release", "25", "-p", core, "-d", classes,
                source.resolve("module-info.java").toString(), source.resolve("consumer/Main.java").toString());
        List<String> said = run("java", "-p", core + ":" + classes, "-m", "consumer/consumer.Main").lines().toList();

        assertTrue(said.contains("reference true"), said.toString());
        assertTrue(said.contains("cpu true"), said.toString());
        assertTrue(said.contains("best cpu"), said.toString());
        assertTrue(said.contains("loss " + (float) Math.log(2)), said.toString());
    }

    private String run(String tool, String... arguments) throws IOException, InterruptedException {
        String path = Path.of(System.getProperty("java.home"), "bin", tool).toString();
        var command = new ProcessBuilder(Stream.concat(Stream.of(path), Stream.of(arguments)).toList());
        command.environment().remove("JAVA_TOOL_OPTIONS");
        command.environment().remove("JDK_JAVA_OPTIONS");
        command.redirectErrorStream(true);
        Process process = command.start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, process.waitFor(), () -> String.join(" ", command.command()) + "\n" + said);
        assertFalse(said.contains("Exception"), said);
        return said;
    }
}
