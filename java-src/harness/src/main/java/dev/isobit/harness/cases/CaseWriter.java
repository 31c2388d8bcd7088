package dev.isobit.harness.cases;

import dev.isobit.harness.Workspace;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeMap;

/**
 * Writes cases as a directory of its own: inputs and expectations as they were, and what was computed as {@code actual}.
 * The table of cases comes last: without it there is no directory of cases. Used by one thread.
 */
final class CaseWriter implements AutoCloseable {
    private static final String DATA = "tensors.bin";
    private static final int ALIGNMENT = 8;

    private final Path folder;
    private final Workspace workspace;
    private final FileChannel data;
    private final StringBuilder cases = new StringBuilder(line(CaseDirectory.CASE_COLUMNS));
    private final StringBuilder attrs = new StringBuilder(line(CaseDirectory.ATTR_COLUMNS));
    private final StringBuilder tensors = new StringBuilder(line(CaseDirectory.TENSOR_COLUMNS));

    /** Into an empty folder. */
    CaseWriter(Path folder, Workspace workspace) {
        this.folder = folder;
        this.workspace = workspace;
        try {
            data = FileChannel.open(folder.resolve(DATA), StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                    StandardOpenOption.TRUNCATE_EXISTING);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write to " + folder + ": " + e, e);
        }
    }

    void add(Case computed, Map<String, CaseTensor> actual) {
        cases.append(line(CaseDirectory.CASE_COLUMNS.stream().map(column -> computed.row().get(column)).toList()));
        computed.attrs().forEach((key, value) -> attrs.append(line(List.of(computed.id(), key, value))));
        addAll(computed, CaseDirectory.INPUTS, computed.inputs());
        addAll(computed, CaseDirectory.EXPECTED, computed.expected());
        addAll(computed, CaseDirectory.ACTUAL, new TreeMap<>(actual)); // in one order on every run
    }

    private void addAll(Case of, String role, Map<String, CaseTensor> named) {
        named.forEach((name, tensor) -> {
            try {
                long offset = Math.ceilDiv(data.size(), ALIGNMENT) * ALIGNMENT;
                write(tensor.bytes(), offset);
                tensors.append(line(List.of(of.id(), role, name, tensor.type().toString(),
                        CaseTensor.text(tensor.shape()), DATA, Long.toString(offset),
                        Long.toString(tensor.bytes().byteSize()))));
            } catch (IOException e) {
                throw new UncheckedIOException("cannot write to " + folder + ": " + e, e);
            }
        });
    }

    private void write(MemorySegment bytes, long offset) throws IOException {
        for (long at = 0; at < bytes.byteSize();) {
            ByteBuffer part = bytes.asSlice(at, Math.min(1 << 30, bytes.byteSize() - at)).asByteBuffer();
            at += data.write(part, offset + at);
        }
    }

    private static String line(List<String> cells) {
        var line = new StringJoiner("\t", "", "\n");
        cells.forEach(line::add);
        return line.toString();
    }

    /** Writes the tables. */
    void finish() {
        workspace.write(folder.resolve(CaseDirectory.ATTRS), attrs.toString());
        workspace.write(folder.resolve(CaseDirectory.TENSORS), tensors.toString());
        workspace.write(folder.resolve(CaseDirectory.CASES), cases.toString());
    }

    @Override
    public void close() {
        try {
            data.close();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write to " + folder + ": " + e, e);
        }
    }
}
