package dev.isobit.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Runs the scripts of {@code native-build} that compile a library and print its path. */
final class NativeBuild {
    private NativeBuild() {}

    static Path run(String name, String... arguments) {
        String home = System.getProperty("isobit.home");
        if (home == null) {
            throw new IllegalStateException(
                    name + " runs in the project's folder: set the system property isobit.home to it");
        }
        Path script = Path.of(home, "native-build", name);
        List<String> command = new ArrayList<>(List.of(script.toString()));
        command.addAll(List.of(arguments));
        try {
            Path log = Files.createTempFile("isobit-" + name, ".log");
            Process process = new ProcessBuilder(command).redirectError(log.toFile()).start();
            String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            int code = process.waitFor();
            String errors = Files.readString(log);
            Files.delete(log);
            if (code != 0) {
                throw new IllegalStateException(script + " ended with code " + code + ": " + errors);
            }
            return Path.of(printed);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot run " + script, e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while " + script + " ran", e);
        }
    }
}
