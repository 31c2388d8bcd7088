package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The vendor's assembler, where it is installed: a test program that it refuses would prove nothing about PTX. Without
 * it the tests run all the same.
 */
final class Assembler {
    private static final Path PTXAS = find();
    private static final Set<String> SEEN = ConcurrentHashMap.newKeySet();

    private Assembler() {}

    private static Path find() {
        String path = System.getenv().getOrDefault("PATH", "");
        return Arrays.stream(path.split(java.io.File.pathSeparator)).map(p -> Path.of(p, "ptxas"))
                .filter(Files::isExecutable).findFirst().orElse(null);
    }

    static boolean isPresent() {
        return PTXAS != null;
    }

    /** Parses a test program, after the assembler has accepted it. */
    static PtxModule load(String text) {
        assertAssembles(text);
        return PtxModule.parse(text);
    }

    /** Fails when the assembler is there and refuses the text. */
    static void assertAssembles(String text) {
        if (PTXAS == null || !SEEN.add(text)) {
            return;
        }
        String target = text.replaceAll("(?s).*\\.target\\s+(\\w+).*", "$1");
        try {
            Path source = Files.createTempFile("isobit", ".ptx");
            try {
                Files.writeString(source, text);
                Process process = new ProcessBuilder(PTXAS.toString(), "-O0", "-arch", target, "-o", "/dev/null",
                        source.toString()).redirectErrorStream(true).start();
                String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
                assertEquals(0, process.waitFor(), () -> explain(said, text));
            } finally {
                Files.delete(source);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    /** What the assembler said, with the lines that it names. */
    private static String explain(String said, String text) {
        String[] lines = text.split("\n");
        StringBuilder out = new StringBuilder();
        for (String message : said.split("\n")) {
            String number = message.replaceAll(".*line (\\d+);.*", "$1");
            boolean named = number.matches("\\d+") && Integer.parseInt(number) <= lines.length;
            out.append(message).append(named ? ": " + lines[Integer.parseInt(number) - 1].strip() : "").append('\n');
        }
        return out.toString();
    }
}
