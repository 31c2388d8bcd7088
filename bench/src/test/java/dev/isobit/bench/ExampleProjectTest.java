package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.junit.GoldenTrace;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The example project of {@code isobit-junit}, compiled and run as its user would: with the jars of a build, outside of it. */
class ExampleProjectTest {
    private static final Path PROJECT = Path.of(System.getProperty("isobit.home"), "java-src/junit/example");
    private static final Path SOURCE = PROJECT.resolve("src/test/java/example/TrainingTest.java");

    @TempDir
    private Path scratch;

    @ParameterizedTest
    @ValueSource(strings = {"vector", "scalar"})
    void itsTestsPass(String path) throws Exception {
        Run run = run(Files.readString(SOURCE), path);
        assertEquals(0, run.code, run.said);
        assertTrue(run.said.contains("4 tests successful"), run.said);
        assertTrue(run.said.contains("0 tests aborted"), run.said);
    }

    @Test
    void anotherLearningRateIsFoundAtItsFirstStep() throws Exception {
        String source = Files.readString(SOURCE);
        String changed = source.replace("withLr(0.1)", "withLr(0.1000001)");
        assertNotEquals(source, changed);
        Run run = run(changed, "vector");
        assertEquals(1, run.code, run.said);
        assertTrue(run.said.contains("the golden trace TrainingTest.trains (recorded on "), run.said);
        assertTrue(run.said.contains("part at step 1, AdamW, logits F32[8, 10], element [0, "), run.said);
        assertTrue(run.said.contains(" ULP apart"), run.said);
    }

    @Test
    void itsBuildNamesThisVersion() throws IOException {
        String version = Files.readString(Path.of(System.getProperty("isobit.home"), "java-src/bom/pom.xml"))
                .replaceFirst("(?s).*?<version>([^<]+)</version>.*", "$1");
        assertTrue(Files.readString(PROJECT.resolve("pom.xml")).contains("<version>" + version + "</version>"),
                version);
    }

    private record Run(int code, String said) {}

    private Run run(String source, String path) throws Exception {
        Path file = Files.writeString(
                Files.createDirectories(scratch.resolve("source/example")).resolve("TrainingTest.java"), source);
        Path classes = scratch.resolve("classes");
        List<String> jars = new ArrayList<>(List.of(locationOf(Backend.class), locationOf(GoldenTrace.class)));
        Arrays.stream(System.getProperty("java.class.path").split(File.pathSeparator))
                .filter(entry -> Path.of(entry).getFileName().toString().matches(
                        "(junit-(jupiter|platform)|opentest4j|open-test-reporting|apiguardian).*\\.jar"))
                .forEach(jars::add);
        String classPath = String.join(File.pathSeparator, jars);
        Run compiled = start("javac", "-Xlint:all,-path", "-Werror", "--release", "25", "-cp", classPath, "-d",
                classes.toString(), file.toString());
        assertEquals(0, compiled.code, compiled.said);
        return start("java", "--add-modules", "jdk.incubator.vector", "-Disobit.cpu.path=" + path, "-cp",
                String.join(File.pathSeparator, classes.toString(), PROJECT.resolve("src/test/resources").toString(),
                        classPath),
                "org.junit.platform.console.ConsoleLauncher", "execute", "--scan-classpath=" + classes,
                "--disable-banner", "--disable-ansi-colors", "--details=tree");
    }

    private static String locationOf(Class<?> type) {
        return Path.of(URI.create(type.getProtectionDomain().getCodeSource().getLocation().toString())).toString();
    }

    private Run start(String tool, String... arguments) throws IOException, InterruptedException {
        String program = Path.of(System.getProperty("java.home"), "bin", tool).toString();
        Process process = new ProcessBuilder(Stream.concat(Stream.of(program), Stream.of(arguments)).toList())
                .directory(scratch.toFile()).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Run(process.waitFor(), said);
    }
}
