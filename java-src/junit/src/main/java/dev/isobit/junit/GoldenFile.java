package dev.isobit.junit;

import dev.isobit.DType;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;
import org.opentest4j.AssertionFailedError;

/**
 * A golden trace on disk. Its text:
 * <pre>
 * isobit golden trace 1
 * recorded on DESCRIPTION
 * SHA-256 of the other file's content, or "hashes only"
 * step, op, name, dtype, shape, and =bit patterns or #hash, with tabs between
 * SHA-256 of all lines before
 * </pre>
 *
 * @param recordedOn what it was recorded on
 * @param snapshots what was recorded
 */
record GoldenFile(String recordedOn, List<Snapshot> snapshots) {
    static final String SUFFIX = ".golden";
    static final String BITS_SUFFIX = ".golden.gz";

    private static final String FORMAT = "isobit golden trace 1";
    private static final String ORIGIN = "recorded on ";
    private static final String HASHES_ONLY = "hashes only";
    private static final String SCALAR = "scalar";
    /** Tensors of so few elements stand in the text with all their bits. */
    private static final int FEW = 4;
    private static final int COLUMNS = 6;

    /** Writes both files, each whole or not at all; the text last, for it vouches for the other. */
    void write(Path folder, String name, GoldenTrace.Detail detail) {
        var lines = new ArrayList<String>();
        var bits = new ByteArrayOutputStream();
        for (Snapshot snapshot : snapshots) {
            byte[] elements = snapshot.bits();
            if (elements != null && !isInText(snapshot)) {
                bits.writeBytes(elements);
            }
            lines.add(String.join("\t", Integer.toString(snapshot.step()), snapshot.op(), snapshot.name(),
                    snapshot.dtype().name(), text(snapshot.shape()), isInText(snapshot) && elements != null
                            ? "=" + Elements.patterns(elements, snapshot.dtype())
                            : "#" + snapshot.hash()));
        }
        boolean keeps = detail == GoldenTrace.Detail.ELEMENTS;
        lines.addAll(0, List.of(FORMAT, ORIGIN + recordedOn.replaceAll("\\R", " "),
                keeps ? Elements.hex(Elements.sha256(bits.toByteArray())) : HASHES_ONLY));
        String text = String.join("\n", lines) + "\n";
        try {
            Files.createDirectories(folder);
            if (keeps) {
                write(folder.resolve(name + BITS_SUFFIX), compressed(bits.toByteArray()));
            } else {
                Files.deleteIfExists(folder.resolve(name + BITS_SUFFIX));
            }
            write(folder.resolve(name + SUFFIX),
                    (text + Elements.hex(Elements.sha256(text)) + "\n").getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write the golden trace " + name + " to " + folder + ": " + e, e);
        }
    }

    private static boolean isInText(Snapshot snapshot) {
        return count(snapshot.shape()) <= FEW;
    }

    private static long count(long[] shape) {
        return Arrays.stream(shape).reduce(1, Math::multiplyExact);
    }

    private static String text(long[] shape) {
        return shape.length == 0
                ? SCALAR
                : Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining("x"));
    }

    private static byte[] compressed(byte[] content) throws IOException {
        var bytes = new ByteArrayOutputStream();
        try (var gzip = new GZIPOutputStream(bytes)) {
            gzip.write(content);
        }
        return bytes.toByteArray();
    }

    private static void write(Path file, byte[] content) throws IOException {
        Path beside = file.resolveSibling("." + file.getFileName() + "." + ProcessHandle.current().pid());
        try {
            Files.write(beside, content);
            Files.move(beside, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(beside);
        }
    }

    /**
     * Reads a trace from the class path, beside a class.
     *
     * @return the trace; null if there is none
     * @throws AssertionFailedError if it is damaged
     */
    static @Nullable GoldenFile read(Class<?> test, String name) {
        try {
            byte[] text = content(test, name + SUFFIX);
            if (text == null) {
                return null;
            }
            byte[] bits = content(test, name + BITS_SUFFIX);
            return parse(new String(text, StandardCharsets.UTF_8), bits == null ? null : inflated(bits));
        } catch (IOException | IllegalArgumentException | IndexOutOfBoundsException | ArithmeticException e) {
            throw new AssertionFailedError("the golden trace " + name + " is damaged: " + e.getMessage()
                    + GoldenTraceExtension.RECORD, e);
        }
    }

    private static byte @Nullable [] content(Class<?> test, String name) throws IOException {
        try (InputStream in = test.getResourceAsStream(name)) {
            return in == null ? null : in.readAllBytes();
        }
    }

    private static byte[] inflated(byte[] bits) throws IOException {
        try (var gzip = new GZIPInputStream(new ByteArrayInputStream(bits))) {
            return gzip.readAllBytes();
        }
    }

    private static GoldenFile parse(String text, byte @Nullable [] bits) {
        List<String> lines = text.lines().toList();
        // What a checkout makes of line ends is no damage.
        String signed = String.join("\n", lines.subList(0, Math.max(0, lines.size() - 1))) + "\n";
        require(lines.size() > 4 && lines.getFirst().equals(FORMAT), "it does not begin with \"" + FORMAT + "\"");
        require(lines.getLast().equals(Elements.hex(Elements.sha256(signed))), "its text was changed");
        boolean keeps = !lines.get(2).equals(HASHES_ONLY);
        require(!keeps || bits != null, "its bits, " + BITS_SUFFIX + ", are not there");
        require(!keeps || lines.get(2).equals(Elements.hex(Elements.sha256(bits))), BITS_SUFFIX + " is another's");
        List<Snapshot> snapshots = new ArrayList<>();
        int at = 0;
        for (String line : lines.subList(3, lines.size() - 1)) {
            String[] cells = line.split("\t", -1);
            require(cells.length == COLUMNS, "a line has " + cells.length + " columns: " + line);
            DType dtype = DType.valueOf(cells[3]);
            long[] shape = cells[4].equals(SCALAR)
                    ? new long[0]
                    : Arrays.stream(cells[4].split("x")).mapToLong(Long::parseLong).toArray();
            byte[] elements = null;
            String value = cells[5].substring(1);
            if (cells[5].startsWith("=")) {
                elements = Elements.parse(value, dtype);
                value = Elements.hash(elements);
            } else if (keeps) {
                int size = Math.toIntExact(Math.multiplyExact(count(shape), dtype.byteSize()));
                elements = Arrays.copyOfRange(bits, at, at + size);
                at += size;
            }
            snapshots.add(new Snapshot(Integer.parseInt(cells[0]), cells[1], cells[2], dtype, shape, value, elements));
        }
        return new GoldenFile(lines.get(1).substring(ORIGIN.length()), snapshots);
    }

    private static void require(boolean sound, String wrong) {
        if (!sound) {
            throw new IllegalArgumentException(wrong);
        }
    }
}
