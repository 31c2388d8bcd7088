package dev.isobit.harness;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher {@code isobit} of a checkout, with a Maven and a JDK that only say how they were called. */
class CheckoutLauncherTest {
    @TempDir
    Path scratch;

    private Path root;
    private Path source;
    private Path jdk;

    private record Run(int code, List<String> said) {}

    @BeforeEach
    void checkOut() throws IOException {
        Path launcher = Path.of(System.getProperty("isobit.home"), "isobit");
        assumeTrue(Files.isExecutable(Path.of("/bin/bash")), "skipped: /bin/bash is not there");
        root = Files.createDirectories(scratch.toRealPath().resolve("a folder/isobit"));
        Files.copy(launcher, root.resolve("isobit"));
        assertTrue(root.resolve("isobit").toFile().setExecutable(true));
        Files.writeString(root.resolve("pom.xml"), "");
        source = Files.createDirectories(root.resolve("java-src/harness/src/main/java")).resolve("One.java");
        Files.writeString(source, "");
        Files.writeString(root.resolve("java-src/harness/pom.xml"), "");
        // A Maven that counts its runs and takes its time, so that two first uses meet.
        script(scratch.resolve("bin/mvn"), """
                echo run >>"%1$s/maven-runs"
                [ ! -e "%1$s/broken" ] || { echo "what went wrong"; exit 1; }
                sleep 0.5
                mkdir -p "%2$s/bench/target"
                echo jar >"%2$s/bench/target/isobit-bench-1.jar"
                """.formatted(scratch, root));
        jdk = jdk("jdk", "25.0.1");
    }

    @Test
    void buildsOnceThenRuns() throws Exception {
        Run first = run("demo", "with space", "");
        assertEquals(List.of("demo", "with space", ""), arguments(first));
        assertTrue(first.said().stream().anyMatch(line -> line.startsWith("isobit: building")), first.toString());
        assertTrue(first.said().contains("-Disobit.home=" + root), first.toString());
        assertEquals(7, first.code());

        Run second = run("demo");
        assertFalse(second.said().stream().anyMatch(line -> line.startsWith("isobit: building")), second.toString());
        assertEquals(1, mavenRuns());
        String classPath = second.said().get(second.said().indexOf("-cp") + 1);
        Path lib = Path.of(classPath.substring(0, classPath.length() - 2));
        assertTrue(Files.exists(lib.resolve("isobit-bench-1.jar")), classPath);
    }

    @Test
    void buildsAgainWhenASourceIsNewerComesOrGoes() throws Exception {
        run();
        Files.writeString(source, "changed");
        run();
        assertEquals(2, mavenRuns());
        Path other = source.resolveSibling("Two.java");
        Files.writeString(other, "");
        run();
        assertEquals(3, mavenRuns());
        Files.delete(other);
        run();
        assertEquals(4, mavenRuns());
        run();
        assertEquals(4, mavenRuns());
    }

    @Test
    void firstUsesAtOnceBuildOnce() throws Exception {
        var processes = new ArrayList<Process>();
        for (int i = 0; i < 3; i++) {
            processes.add(command("--version").start());
        }
        int waited = 0;
        for (Process process : processes) {
            Run run = finish(process);
            assertEquals(7, run.code());
            waited += run.said().contains("isobit: waiting for another build of this checkout") ? 1 : 0;
        }
        assertEquals(1, mavenRuns());
        assertTrue(waited > 0, "nobody said that it waits");
    }

    @Test
    void anInterruptedBuildLeavesNothingAndIsNoFailure() throws Exception {
        Process process = command("--version").start();
        while (mavenRuns() == 0) {
            Thread.sleep(20);
        }
        process.toHandle().destroy();
        Run run = finish(process);
        assertEquals(128 + 15, run.code(), run.toString());
        assertFalse(run.said().stream().anyMatch(line -> line.contains("failed")), run.toString());
        try (Stream<Path> builds = Files.list(root.resolve("target/isobit"))) {
            assertEquals(List.of(), builds.toList());
        }
        assertEquals(7, run().code());
    }

    @Test
    void aFailedBuildShowsItsLogAndIsTriedAgain() throws Exception {
        Files.createFile(scratch.resolve("broken"));
        Run broken = run();
        assertEquals(1, broken.code());
        assertTrue(broken.said().contains("what went wrong"), broken.toString());
        Files.delete(scratch.resolve("broken"));
        assertEquals(7, run().code());
        assertEquals(2, mavenRuns());
    }

    @Test
    void runsThroughALinkFromElsewhere() throws Exception {
        Path link = Files.createSymbolicLink(scratch.resolve("iso"), root.resolve("isobit"));
        var command = command("--help");
        command.command().set(0, link.toString());
        assertEquals(List.of("--help"), arguments(finish(command)));
    }

    @Test
    void anOldJdkIsNamed() throws Exception {
        Path old = jdk("old", "17.0.2");
        var command = command();
        command.environment().put("ISOBIT_JAVA_HOME", old.toString());
        Run run = finish(command);
        assertEquals(1, run.code());
        assertTrue(run.said().getFirst().contains(old + " is no JDK 25 or newer (found: 17)"), run.toString());
        assertEquals(0, mavenRuns());
    }

    @Test
    void javaHomeIsTakenWhereItWillDo() throws Exception {
        var command = command();
        command.environment().remove("ISOBIT_JAVA_HOME");
        command.environment().put("JAVA_HOME", jdk("other", "26").toString());
        Run run = finish(command);
        assertTrue(run.said().contains("java of other"), run.toString());
    }

    private Path jdk(String name, String version) throws IOException {
        Path home = scratch.resolve(name);
        script(home.resolve("bin/javac"), "");
        script(home.resolve("bin/java"), "echo java of " + name + "\nfor a in \"$@\"; do echo \"$a\"; done\nexit 7\n");
        Files.writeString(home.resolve("release"), "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"" + version + "\"\n");
        return home;
    }

    private static void script(Path path, String body) throws IOException {
        Files.createDirectories(path.getParent());
        Files.writeString(path, "#!/bin/sh\n" + body);
        assertTrue(path.toFile().setExecutable(true));
    }

    private Run run(String... arguments) throws Exception {
        return finish(command(arguments));
    }

    private ProcessBuilder command(String... arguments) {
        var command = new ProcessBuilder();
        command.command().add(root.resolve("isobit").toString());
        command.command().addAll(List.of(arguments));
        command.directory(scratch.toFile());
        command.environment().clear();
        command.environment().putAll(Map.of("PATH", scratch.resolve("bin") + ":/usr/bin:/bin", "HOME",
                scratch.toString(), "ISOBIT_JAVA_HOME", jdk.toString()));
        return command.redirectErrorStream(true);
    }

    private static Run finish(ProcessBuilder command) throws Exception {
        return finish(command.start());
    }

    private static Run finish(Process process) throws Exception {
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Run(process.waitFor(), List.of(said.split("\n", -1)));
    }

    /** What came after the main class; the last line is empty for it ends the output. */
    private static List<String> arguments(Run run) {
        return run.said().subList(run.said().indexOf("dev.isobit.harness.Main") + 1, run.said().size() - 1);
    }

    private int mavenRuns() throws IOException {
        Path runs = scratch.resolve("maven-runs");
        if (!Files.exists(runs)) {
            return 0;
        }
        try (Stream<String> lines = Files.lines(runs)) {
            return (int) lines.count();
        }
    }
}
