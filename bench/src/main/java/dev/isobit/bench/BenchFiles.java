package dev.isobit.bench;

import com.fasterxml.jackson.databind.JsonNode;
import dev.isobit.harness.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Where runs lie, and how they are read. */
public final class BenchFiles {
    /** The file of a run in the run's folder. */
    public static final String NAME = "bench.json";
    /** Where runs go and are looked for, in the working folder. */
    public static final String FOLDER = "target/isobit-bench";

    private static final String FAMILY = "isobit-bench/";
    private static final int DEPTH = 4;

    private BenchFiles() {}

    /**
     * Reads a run of this version or an older one.
     *
     * @param file its file
     * @return the run
     * @throws IllegalArgumentException if the file is something else, or newer
     */
    public static BenchReport read(Path file) {
        JsonNode tree = Json.tree(file);
        String format = tree.path("format").asText();
        if (!format.startsWith(FAMILY)) {
            throw new IllegalArgumentException(file + " is no file of isobit bench: its format is \"" + format + "\"");
        }
        if (Integer.parseInt(format.substring(FAMILY.length())) > version()) {
            throw new IllegalArgumentException(file + " is of a newer version: " + format + "; this one reads up to "
                    + BenchReport.FORMAT);
        }
        return Json.lenient(tree, BenchReport.class);
    }

    private static int version() {
        return Integer.parseInt(BenchReport.FORMAT.substring(FAMILY.length()));
    }

    /**
     * The runs in a folder and the folders in it, or the one in a file.
     *
     * @param path a folder or a file
     * @return files of runs, oldest first
     * @throws IllegalArgumentException if there is none
     */
    public static List<Path> find(Path path) {
        if (Files.isRegularFile(path)) {
            return List.of(path);
        }
        if (!Files.isDirectory(path)) {
            throw new IllegalArgumentException(path + " is neither a file nor a folder");
        }
        try (Stream<Path> files = Files.walk(path, DEPTH)) {
            List<Path> found = new ArrayList<>(files.filter(file -> file.toString().endsWith(".json"))
                    .filter(file -> Json.tree(file).path("format").asText().startsWith(FAMILY)).toList());
            if (found.isEmpty()) {
                throw new IllegalArgumentException("no run of isobit bench in " + path);
            }
            found.sort(Comparator.comparing(file -> Json.tree(file).path("started").asText()));
            return found;
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + path, e);
        }
    }

    /**
     * The newest run in the folder where runs go.
     *
     * @return its file; empty if there is none
     */
    public static Optional<Path> last() {
        Path folder = Path.of(FOLDER);
        if (!Files.isDirectory(folder)) {
            return Optional.empty();
        }
        try {
            return Optional.of(find(folder).getLast());
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }
}
