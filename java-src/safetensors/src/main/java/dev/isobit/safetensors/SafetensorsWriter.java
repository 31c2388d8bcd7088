package dev.isobit.safetensors;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Lays a file out and writes it. */
final class SafetensorsWriter {
    /** Tensors start at a multiple of this in the file: a line of the cache. */
    private static final int ALIGNMENT = 64;

    private static final int BUFFER = 1 << 20;

    private SafetensorsWriter() {}

    static void write(Path file, Map<String, String> metadata, List<StoredTensor> tensors) {
        List<StoredTensor> ordered = new ArrayList<>(tensors);
        ordered.sort(Comparator.comparingInt((StoredTensor tensor) -> tensor.dtype().byteSize()).reversed());
        check(metadata, ordered);
        byte[] header = header(metadata, ordered);
        try (var temporary = TemporaryFile.beside(file)) {
            fill(temporary.channel(), header, ordered);
            temporary.moveIntoPlace();
        } catch (IOException e) {
            throw new UncheckedIOException("cannot write " + file + ": " + e, e);
        }
    }

    private static void check(Map<String, String> metadata, List<StoredTensor> tensors) {
        Set<String> names = new HashSet<>();
        for (StoredTensor tensor : tensors) {
            if (!names.add(tensor.name())) {
                throw new IllegalArgumentException("write: there are two tensors " + Shown.text(tensor.name()));
            }
        }
        var encoder = StandardCharsets.UTF_8.newEncoder();
        metadata.forEach((key, value) -> {
            if (key.equals(Checksum.KEY) || key.equals(Checksum.KIND_KEY) || !encoder.canEncode(key)
                    || !encoder.canEncode(value)) {
                throw new IllegalArgumentException("write: metadata " + Shown.text(key) + " cannot be stored");
            }
        });
    }

    /** Length and JSON, with spaces at the end, where the format allows them. */
    private static byte[] header(Map<String, String> metadata, List<StoredTensor> tensors) {
        var bytes = new ByteArrayOutputStream();
        bytes.writeBytes(new byte[Long.BYTES]);
        try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
            json.writeStartObject();
            json.writeObjectFieldStart(StoredTensor.METADATA);
            json.writeStringField(Checksum.KEY, Checksum.NO_DIGITS);
            json.writeStringField(Checksum.KIND_KEY, Checksum.KIND);
            for (Map.Entry<String, String> entry : metadata.entrySet()) {
                json.writeStringField(entry.getKey(), entry.getValue());
            }
            json.writeEndObject();
            long offset = 0;
            for (StoredTensor tensor : tensors) {
                json.writeObjectFieldStart(tensor.name());
                json.writeStringField("dtype", tensor.dtype().name());
                json.writeFieldName("shape");
                json.writeArray(tensor.shape(), 0, tensor.shape().length);
                json.writeFieldName("data_offsets");
                long end = Math.addExact(offset, tensor.bytes().byteSize());
                json.writeArray(new long[] {offset, end}, 0, 2);
                offset = end;
                json.writeEndObject();
            }
            json.writeEndObject();
        } catch (IOException e) {
            throw new UncheckedIOException("writing to memory", e);
        }
        int size = bytes.size();
        byte[] header = Arrays.copyOf(bytes.toByteArray(), Math.ceilDiv(size, ALIGNMENT) * ALIGNMENT);
        Arrays.fill(header, size, header.length, (byte) ' ');
        if (header.length - Long.BYTES > Header.LIMIT) {
            throw new IllegalArgumentException("write: the header has " + header.length + " bytes, " + Header.LIMIT
                    + " are the most");
        }
        ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(0, header.length - Long.BYTES);
        return header;
    }

    private static void fill(FileChannel channel, byte[] header, List<StoredTensor> tensors) throws IOException {
        var checksum = new Checksum();
        ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
        append(MemorySegment.ofArray(header), buffer, checksum, channel);
        for (StoredTensor tensor : tensors) {
            append(tensor.bytes(), buffer, checksum, channel);
        }
        ByteBuffer digits = StandardCharsets.US_ASCII.encode(checksum.digits());
        for (int at = Checksum.PLACE; digits.hasRemaining();) {
            at += channel.write(digits, at);
        }
    }

    private static void append(MemorySegment bytes, ByteBuffer buffer, Checksum checksum, FileChannel channel)
            throws IOException {
        MemorySegment window = MemorySegment.ofBuffer(buffer.clear());
        for (long at = 0; at < bytes.byteSize(); at += BUFFER) {
            long count = Math.min(BUFFER, bytes.byteSize() - at);
            MemorySegment.copy(bytes, at, window, 0, count);
            buffer.clear().limit((int) count);
            checksum.add(buffer.duplicate());
            while (buffer.hasRemaining()) {
                channel.write(buffer);
            }
        }
    }
}
