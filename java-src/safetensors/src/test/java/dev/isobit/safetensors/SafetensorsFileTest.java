package dev.isobit.safetensors;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsFileTest {
    @TempDir
    private Path folder;

    @Test
    void readsBytesWrittenByHand() throws IOException {
        byte[] data = ByteBuffer.allocate(15).put(Bytes.floats(1.5f, -2)).put(new byte[] {7, 8, 9}).put((byte) 1)
                .put(new byte[] {0, 0x3c, 0}).array();
        Path file = Files.write(folder.resolve("hand.safetensors"), Bytes.file("""
                {"__metadata__":{"format":"pt","naïve":"\\u00e9 \\ud83d\\ude00"},
                 "späť.weight" : {"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
                 "bytes":{"shape":[3],"data_offsets":[8,11],"dtype":"U8"},
                 "flag":{"dtype":"BOOL","shape":[],"data_offsets":[11,12]},
                 "none":{"dtype":"F64","shape":[0,5],"data_offsets":[12,12]},
                 "odd":{"dtype":"F16","shape":[1],"data_offsets":[12,14]},
                 "last":{"dtype":"I8","shape":[1,1,1],"data_offsets":[14,15]}}   \
                """, data));
        try (var saved = SafetensorsFile.open(file)) {
            assertEquals(List.of("späť.weight", "bytes", "flag", "none", "odd", "last"), List.copyOf(saved.names()));
            assertEquals(Map.of("format", "pt", "naïve", "é 😀"), saved.metadata());
            StoredTensor weight = saved.tensor("späť.weight");
            assertEquals(StoredType.F32, weight.dtype());
            assertArrayEquals(new long[] {2, 1}, weight.shape());
            assertArrayEquals(new float[] {1.5f, -2}, weight.bytes().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED));
            assertArrayEquals(new byte[] {7, 8, 9}, saved.tensor("bytes").bytes().toArray(ValueLayout.JAVA_BYTE));
            assertArrayEquals(new long[0], saved.tensor("flag").shape());
            assertEquals(0, saved.tensor("none").bytes().byteSize());
            assertArrayEquals(new byte[] {0, 0x3c}, saved.tensor("odd").bytes().toArray(ValueLayout.JAVA_BYTE));
            assertTrue(weight.bytes().isReadOnly() && weight.bytes().isMapped());
            assertNull(saved.find("other"));
            var e = assertThrows(SafetensorsException.class, () -> saved.tensor("other"));
            assertEquals(file + ": tensor \"other\": it is not there", e.getMessage());
        }
    }

    /** The bytes are compared with ones that are put together here, checksum and all. */
    @Test
    void writesTheBytesOfTheFormat() throws IOException {
        Path file = folder.resolve("state.safetensors");
        SafetensorsFile.write(file, Map.of("format", "pt"), List.of(
                new StoredTensor("b", StoredType.U8, new long[] {3}, MemorySegment.ofArray(new byte[] {1, 2, 3})),
                new StoredTensor("w\"\n", StoredType.F32, new long[] {1, 2},
                        MemorySegment.ofArray(new float[] {3, -0f})),
                new StoredTensor("step", StoredType.I64, new long[] {},
                        MemorySegment.ofArray(new long[] {0x1234}))));
        String header =
                "{\"__metadata__\":{\"isobit.crc32c\":\"00000000\",\"isobit.checksum\":\"crc32c\",\"format\":\"pt\"},"
                        + "\"step\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                        + "\"w\\\"\\n\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[8,16]},"
                        + "\"b\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[16,19]}}";
        header += " ".repeat(Math.floorMod(-(header.length() + 8), 64));
        byte[] data = {0x34, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0x40, 0, 0, 0, (byte) 0x80, 1, 2, 3};
        byte[] expected = Bytes.file(header, data);
        var crc = new CRC32C();
        crc.update(expected);
        int place = new String(expected, StandardCharsets.US_ASCII).indexOf("00000000");
        byte[] digits = "%08x".formatted(crc.getValue()).getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(digits, 0, expected, place, digits.length);
        assertArrayEquals(expected, Files.readAllBytes(file));
        try (var saved = SafetensorsFile.open(file)) {
            assertEquals(Map.of("format", "pt"), saved.metadata());
            assertEquals(List.of("step", "w\"\n", "b"), List.copyOf(saved.names()));
            saved.names().forEach(name -> {
                StoredTensor tensor = saved.tensor(name);
                assertEquals(0, tensor.bytes().address() % tensor.dtype().byteSize(), name);
            });
        }
    }

    @Test
    void aFileOfNothingIsAFile() {
        Path file = folder.resolve("nothing.safetensors");
        SafetensorsFile.write(file, Map.of(), List.of());
        try (var saved = SafetensorsFile.open(file)) {
            assertEquals(0, saved.names().size());
        }
    }

    @Test
    void largerThanTheBuffer() {
        long[] values = new long[300_001];
        Arrays.setAll(values, i -> i * 0x9e3779b97f4a7c15L);
        Path file = folder.resolve("large.safetensors");
        SafetensorsFile.write(file, Map.of(),
                List.of(new StoredTensor("x", StoredType.U64, new long[] {values.length},
                        MemorySegment.ofArray(values))));
        try (var saved = SafetensorsFile.open(file)) {
            assertArrayEquals(values, saved.tensor("x").bytes().toArray(ValueLayout.JAVA_LONG));
        }
    }

    @Test
    void anOpenFileOutlivesItsReplacement() {
        Path file = folder.resolve("state.safetensors");
        write(file, 1);
        try (var before = SafetensorsFile.open(file)) {
            write(file, 2);
            assertEquals(1, before.tensor("x").bytes().get(ValueLayout.JAVA_INT, 0));
            try (var after = SafetensorsFile.open(file)) {
                assertEquals(2, after.tensor("x").bytes().get(ValueLayout.JAVA_INT, 0));
            }
        }
    }

    private static void write(Path file, int value) {
        SafetensorsFile.write(file, Map.of(), List.of(new StoredTensor("x", StoredType.I32, new long[0],
                MemorySegment.ofArray(new int[] {value}))));
    }

    @Test
    void afterCloseNothingIsRead() {
        Path file = folder.resolve("state.safetensors");
        write(file, 1);
        SafetensorsFile saved = SafetensorsFile.open(file);
        MemorySegment bytes = saved.tensor("x").bytes();
        saved.close();
        saved.close();
        assertThrows(IllegalStateException.class, () -> bytes.get(ValueLayout.JAVA_INT, 0));
    }

    @Test
    void whatCannotBeWrittenIsRefused() {
        MemorySegment four = MemorySegment.ofArray(new int[1]);
        long[] scalar = {};
        var wrong = new LinkedHashMap<String, String>();
        refused("has 8 bytes, 4 are given", () -> new StoredTensor("x", StoredType.F32, new long[] {2}, four));
        refused("is larger than 2^63", () -> new StoredTensor("x", StoredType.F32, new long[] {1L << 62, 4}, four));
        refused("is larger than 2^63", () -> new StoredTensor("x", StoredType.F32, new long[] {-1}, four));
        refused("the name \"\" cannot", () -> new StoredTensor("", StoredType.F32, scalar, four));
        refused("the name \"__metadata__\" cannot",
                () -> new StoredTensor("__metadata__", StoredType.F32, scalar, four));
        refused("the name \"\\ud800\" cannot", () -> new StoredTensor("\ud800", StoredType.F32, scalar, four));
        var x = new StoredTensor("x", StoredType.F32, scalar, four);
        Path file = folder.resolve("refused.safetensors");
        refused("two tensors \"x\"", () -> SafetensorsFile.write(file, Map.of(), List.of(x, x)));
        wrong.put("isobit.crc32c", "1");
        refused("metadata \"isobit.crc32c\" cannot", () -> SafetensorsFile.write(file, wrong, List.of(x)));
        refused("metadata \"k\" cannot", () -> SafetensorsFile.write(file, Map.of("k", "\udc00"), List.of(x)));
        assertArrayEquals(new String[0], folder.toFile().list());
    }

    private static void refused(String message, Runnable action) {
        var e = assertThrows(IllegalArgumentException.class, action::run);
        assertTrue(e.getMessage().contains(message), e.getMessage());
    }

    @Test
    void whatTheSystemRefusesIsSaid() throws IOException {
        Path missing = folder.resolve("missing.safetensors");
        var read = assertThrows(UncheckedIOException.class, () -> SafetensorsFile.open(missing));
        assertTrue(read.getMessage().contains(missing.toString()), read.getMessage());
        Path nowhere = folder.resolve("no folder/state.safetensors");
        var write = assertThrows(UncheckedIOException.class, () -> write(nowhere, 1));
        assertTrue(write.getMessage().contains(nowhere.toString()), write.getMessage());
        Path taken = Files.createDirectories(folder.resolve("taken/x")).getParent();
        assertThrows(UncheckedIOException.class, () -> write(taken, 1));
        assertThrows(SafetensorsException.class, () -> SafetensorsFile.open(taken));
        assertArrayEquals(new String[] {"taken"}, folder.toFile().list());
    }
}
