package dev.isobit.harness.cases;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads a directory of cases: {@code cases.tsv}, {@code attrs.tsv}, {@code tensors.tsv} and the files that the last names,
 * which are mapped. An {@link IllegalArgumentException} names file, line and value. Used by one thread.
 */
final class CaseDirectory {
    static final String CASES = "cases.tsv";
    static final String ATTRS = "attrs.tsv";
    static final String TENSORS = "tensors.tsv";
    static final List<String> CASE_COLUMNS =
            List.of("id", "op", "dtype", "provenance", "rtol", "atol", "source", "path", "notes");
    static final List<String> ATTR_COLUMNS = List.of("id", "key", "value");
    static final List<String> TENSOR_COLUMNS =
            List.of("id", "role", "name", "dtype", "shape", "file", "offset", "nbytes");
    static final String INPUTS = "inputs";
    static final String EXPECTED = "expected";
    /** What somebody's run wrote: not read. */
    static final String ACTUAL = "actual";

    private final Path folder;
    private final Arena arena;
    private final Map<String, MemorySegment> files = new HashMap<>();

    private CaseDirectory(Path folder, Arena arena) {
        this.folder = folder;
        this.arena = arena;
    }

    /** One line of a table, by column; for messages, where it stands. */
    private record Line(Map<String, String> cells, String place) {
        String get(String column) {
            return String.valueOf(cells.get(column));
        }

        IllegalArgumentException refuse(String wrong) {
            return new IllegalArgumentException(place + ": " + wrong);
        }
    }

    /** All cases, in the order of their table; their tensors end with the arena. */
    static List<Case> read(Path folder, Arena arena) {
        var directory = new CaseDirectory(folder, arena);
        Map<String, Case> cases = new LinkedHashMap<>();
        for (Line line : directory.table(CASES, CASE_COLUMNS)) {
            Case read = directory.caseOf(line);
            if (cases.putIfAbsent(read.id(), read) != null) {
                throw line.refuse("there are two cases " + read.id());
            }
        }
        for (Line line : directory.table(ATTRS, ATTR_COLUMNS)) {
            Case of = of(cases, line);
            if (of.attrs().putIfAbsent(line.get("key"), line.get("value")) != null) {
                throw line.refuse("there are two values of " + line.get("key") + " of " + of.id());
            }
        }
        for (Line line : directory.table(TENSORS, TENSOR_COLUMNS)) {
            directory.addTensor(of(cases, line), line);
        }
        return List.copyOf(cases.values());
    }

    private static Case of(Map<String, Case> cases, Line line) {
        Case found = cases.get(line.get("id"));
        if (found == null) {
            throw line.refuse("there is no case " + line.get("id"));
        }
        return found;
    }

    private List<Line> table(String name, List<String> columns) {
        Path file = folder.resolve(name);
        List<String> text;
        try {
            text = Files.readAllLines(file);
        } catch (IOException e) {
            throw new IllegalArgumentException(folder + " is no directory of cases: cannot read " + name + ": " + e, e);
        }
        if (text.isEmpty() || !List.of(text.getFirst().split("\t", -1)).equals(columns)) {
            throw new IllegalArgumentException(file + ": the first line is not " + String.join(" ", columns));
        }
        List<Line> lines = new ArrayList<>();
        for (int i = 1; i < text.size(); i++) {
            String[] cells = text.get(i).split("\t", -1);
            String place = file + " line " + (i + 1);
            if (cells.length != columns.size()) {
                throw new IllegalArgumentException(place + ": " + cells.length + " columns, not " + columns.size());
            }
            Map<String, String> byColumn = new LinkedHashMap<>();
            for (int c = 0; c < cells.length; c++) {
                byColumn.put(columns.get(c), cells[c]);
            }
            lines.add(new Line(byColumn, place));
        }
        return lines;
    }

    private Case caseOf(Line line) {
        try {
            double rtol = Double.parseDouble(line.get("rtol"));
            double atol = Double.parseDouble(line.get("atol"));
            if (!(rtol >= 0 && atol >= 0)) {
                throw new IllegalArgumentException("rtol and atol have to be at least 0");
            }
            return new Case(line.get("id"), line.get("op"), CaseType.named(line.get("dtype")), rtol, atol, line.cells,
                    new LinkedHashMap<>(), new LinkedHashMap<>(), new LinkedHashMap<>());
        } catch (IllegalArgumentException e) {
            throw line.refuse(String.valueOf(e.getMessage()));
        }
    }

    private void addTensor(Case of, Line line) {
        Map<String, CaseTensor> into = switch (line.get("role")) {
            case INPUTS -> of.inputs();
            case EXPECTED -> of.expected();
            case ACTUAL -> new LinkedHashMap<>();
            default -> throw line.refuse("role " + line.get("role") + " is none of inputs, expected, actual");
        };
        try {
            CaseTensor tensor = new CaseTensor(CaseType.named(line.get("dtype")), CaseTensor.shape(line.get("shape")),
                    file(line.get("file")).asSlice(Long.parseLong(line.get("offset")),
                            Long.parseLong(line.get("nbytes"))));
            if (into.putIfAbsent(line.get("name"), tensor) != null) {
                throw new IllegalArgumentException("there are two " + line.get("role") + " " + line.get("name"));
            }
        } catch (IndexOutOfBoundsException | ArithmeticException | IllegalArgumentException e) {
            throw line.refuse(String.valueOf(e.getMessage()));
        } catch (IOException e) {
            throw line.refuse("cannot read " + line.get("file") + ": " + e);
        }
    }

    private MemorySegment file(String name) throws IOException {
        Path file = folder.resolve(name).normalize();
        if (!file.startsWith(folder.normalize())) {
            throw new IOException("it is not in the directory");
        }
        MemorySegment known = files.get(name);
        if (known != null) {
            return known;
        }
        try (FileChannel channel = FileChannel.open(file)) {
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
            files.put(name, mapped);
            return mapped;
        }
    }
}
