package dev.isobit.safetensors;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A file in the safetensors format, mapped into memory: tensors are views of it, nothing is copied.
 *
 * <p>Layout: eight bytes with the header's length N (little-endian), N bytes of JSON, then the tensors, one after the
 * other with no hole. The header gives each tensor's {@code dtype}, {@code shape} and {@code data_offsets} from its own
 * end, and texts under {@code __metadata__}.
 *
 * <p>Nothing in a file is trusted: whatever its bytes, {@link #open} returns a file whose tensors lie inside it and do not
 * overlap, or throws {@link SafetensorsException}, and allocates no more than a header of this size may hold. Files
 * written here carry a checksum of all their bytes, which is verified; files of others are read without.
 *
 * <p>Threading: an open file may be shared. Ownership: who opened it closes it; the tensors' bytes end with it. A file must
 * not be shortened while it is open, as with any mapping: replace it by another, as {@link #write} does. Source: the
 * format's description at https://github.com/huggingface/safetensors.
 */
public final class SafetensorsFile implements AutoCloseable {
    private static final ValueLayout.OfLong LENGTH =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final Path file;
    private final Arena arena;
    private final Map<String, String> metadata;
    private final Map<String, StoredTensor> tensors;

    private SafetensorsFile(Path file, Arena arena, Map<String, String> metadata, Map<String, StoredTensor> tensors) {
        this.file = file;
        this.arena = arena;
        this.metadata = Collections.unmodifiableMap(metadata);
        this.tensors = Collections.unmodifiableMap(tensors);
    }

    /**
     * Maps a file and checks it.
     *
     * @param file the file
     * @return the open file, the caller's to close
     * @throws SafetensorsException if it is no safetensors file, or was changed since it was written; the message names
     *     file, tensor and value
     * @throws UncheckedIOException if it cannot be read
     */
    public static SafetensorsFile open(Path file) {
        Arena arena = Arena.ofShared();
        boolean opened = false;
        try {
            MemorySegment bytes = map(file, arena);
            MemorySegment text = header(file, bytes);
            long start = Long.BYTES + text.byteSize();
            Header header = Header.read(file, text, bytes.byteSize() - start);
            Map<String, String> metadata = header.metadata();
            Checksum.check(file, bytes, metadata);
            metadata.keySet().removeAll(List.of(Checksum.KEY, Checksum.KIND_KEY));
            var tensors = new LinkedHashMap<String, StoredTensor>();
            for (Header.Entry entry : header.entries()) {
                tensors.put(entry.name(), tensor(file, entry, bytes, start));
            }
            opened = true;
            return new SafetensorsFile(file, arena, metadata, tensors);
        } catch (IOException e) {
            throw new UncheckedIOException("cannot read " + file + ": " + e, e);
        } finally {
            if (!opened) {
                arena.close();
            }
        }
    }

    private static MemorySegment map(Path file, Arena arena) throws IOException {
        if (!Files.isRegularFile(file) && Files.exists(file)) {
            throw new SafetensorsException(file, null, "this is no regular file");
        }
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            return channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size(), arena);
        }
    }

    private static MemorySegment header(Path file, MemorySegment bytes) {
        if (bytes.byteSize() < Long.BYTES) {
            throw new SafetensorsException(file, null,
                    "the file has " + bytes.byteSize() + " bytes, too few for the length of a header");
        }
        long length = bytes.get(LENGTH, 0);
        long left = bytes.byteSize() - Long.BYTES;
        if (length < 0 || length > Math.min(left, Header.LIMIT)) {
            throw new SafetensorsException(file, null, "the header's length is " + Long.toUnsignedString(length)
                    + ", but " + left + " bytes follow, and " + Header.LIMIT + " are the most");
        }
        MemorySegment text = bytes.asSlice(Long.BYTES, length);
        if (length == 0 || text.get(ValueLayout.JAVA_BYTE, 0) != '{') {
            throw new SafetensorsException(file, null, "the header does not start with {");
        }
        return text;
    }

    private static StoredTensor tensor(Path file, Header.Entry entry, MemorySegment bytes, long start) {
        try {
            return new StoredTensor(entry.name(), entry.dtype(), entry.shape(),
                    bytes.asSlice(start + entry.begin(), entry.end() - entry.begin()));
        } catch (IllegalArgumentException e) {
            throw new SafetensorsException(file, entry.name(), String.valueOf(e.getMessage()));
        }
    }

    /**
     * Writes a file whole or not at all: beside its place under another name, forced to the disk, then renamed. Whenever
     * the process ends, even by {@code kill -9} or a loss of power, the file before or the new one is there. A failure or
     * Ctrl-C leaves nothing else behind; what a killed writer left is deleted by the next one of the same file.
     *
     * <p>Tensors are written larger element types first, so that each lies at a multiple of its element's size, else in
     * the order given.
     *
     * @param file where; its folder must be there; an older file is replaced
     * @param metadata texts, such as {@code format} = {@code pt}
     * @param tensors with names that differ; their bytes must not change meanwhile
     * @throws IllegalArgumentException if two tensors have one name, the metadata cannot be stored, or the header would
     *     be longer than a reader takes
     * @throws UncheckedIOException if it cannot be written
     */
    public static void write(Path file, Map<String, String> metadata, List<StoredTensor> tensors) {
        SafetensorsWriter.write(file, metadata, tensors);
    }

    /**
     * Where it was read.
     *
     * @return the path as given
     */
    public Path file() {
        return file;
    }

    /**
     * The texts of the header but the checksum.
     *
     * @return keys and values, unmodifiable
     */
    public Map<String, String> metadata() {
        return metadata;
    }

    /**
     * The names of the tensors.
     *
     * @return names in the order of the header, unmodifiable
     */
    public Set<String> names() {
        return tensors.keySet();
    }

    /**
     * A tensor by its name, if it is there.
     *
     * @param name its name
     * @return the tensor, a view of the file; null if there is none
     */
    public @Nullable StoredTensor find(String name) {
        return tensors.get(name);
    }

    /**
     * A tensor by its name.
     *
     * @param name its name
     * @return the tensor, a view of the file
     * @throws SafetensorsException if there is none
     */
    public StoredTensor tensor(String name) {
        StoredTensor tensor = tensors.get(name);
        if (tensor == null) {
            throw new SafetensorsException(file, name, "it is not there");
        }
        return tensor;
    }

    /** Unmaps the file. Idempotent. */
    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
