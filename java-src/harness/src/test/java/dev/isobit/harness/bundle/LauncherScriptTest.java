package dev.isobit.harness.bundle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The bundle's bin/isobit with a runtime that only says how it was called. */
class LauncherScriptTest {
    @TempDir
    Path scratch;

    private Path home;
    private Path elsewhere;

    @BeforeEach
    void unpack() throws IOException {
        assumeTrue(Files.isExecutable(Path.of("/bin/sh")), "skipped: /bin/sh is not there");
        home = scratch.toRealPath().resolve("a folder/isobit-1");
        elsewhere = Files.createDirectory(scratch.toRealPath().resolve("else where"));
        Files.createDirectories(home.resolve("runtime/bin"));
        Files.createDirectories(home.resolve("bin"));
        Files.createDirectories(home.resolve("test-lib"));
        for (String module : List.of("core", "cuda")) {
            Files.createFile(home.resolve("test-lib/isobit-" + module + "-1-tests.jar"));
        }
        Path java = home.resolve("runtime/bin/java");
        Files.writeString(java, "#!/bin/sh\nfor a in \"$@\"; do echo \"$a\"; done\nexit 7\n");
        assertTrue(java.toFile().setExecutable(true));
        BundleCommand.copyLauncher(home.resolve("bin/isobit"));
    }

    @Test
    void argumentsArriveFromAnyFolderWithNothingInTheEnvironment() throws Exception {
        var arguments = List.of("verify", "--json", "with space", "");
        List<String> expected = Stream.of(List.of("--add-modules", "jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED", "-Disobit.home=" + home, "-cp", home + "/lib/*",
                "dev.isobit.harness.Main"), arguments).flatMap(List::stream).toList();
        assertEquals(expected, run(elsewhere, home.resolve("bin/isobit").toString(), arguments));
        assertEquals(expected, run(home.resolve("bin"), "./isobit", arguments));
        assertEquals(expected, run(home, "bin/isobit", arguments));
        Path link = Files.createSymbolicLink(elsewhere.resolve("link"), home.resolve("bin/isobit"));
        Path linkToLink = Files.createSymbolicLink(elsewhere.resolve("iso"), Path.of("link"));
        assertEquals(expected, run(home, linkToLink.toString(), arguments));
        assertEquals(expected, run(elsewhere, "./" + elsewhere.relativize(link), arguments));
    }

    @Test
    void gpuTestsRunInTheConsole() throws Exception {
        List<String> said =
                run(elsewhere, home.resolve("bin/isobit").toString(), List.of("test-gpu", "--details=flat"));
        assertTrue(said.contains("org.junit.platform.console.ConsoleLauncher"), said.toString());
        assertTrue(said.contains("--include-tag=gpu"), said.toString());
        String tests = home + "/test-lib/isobit-core-1-tests.jar:" + home + "/test-lib/isobit-cuda-1-tests.jar";
        assertTrue(said.contains("--scan-classpath=" + tests), said.toString());
        assertEquals("--details=flat", said.getLast());
    }

    @Test
    void flagsOfTheJvmAreWords() throws Exception {
        var command = new ProcessBuilder(home.resolve("bin/isobit").toString());
        command.environment().clear();
        command.environment().putAll(Map.of("ISOBIT_JAVA_OPTS", "-Xmx1g -Done=1"));
        List<String> said = lines(command);
        assertTrue(said.containsAll(List.of("-Xmx1g", "-Done=1")), said.toString());
    }

    private static List<String> run(Path folder, String launcher, List<String> arguments) throws Exception {
        var command = new ProcessBuilder(Stream.concat(Stream.of(launcher), arguments.stream()).toList());
        command.environment().clear();
        command.directory(folder.toFile());
        return lines(command);
    }

    private static List<String> lines(ProcessBuilder command) throws Exception {
        command.redirectErrorStream(true);
        Process process = command.start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(7, process.waitFor(), said);
        return List.of(said.substring(0, said.length() - 1).split("\n", -1));
    }
}
