package dev.isobit.safetensors;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Whatever a file holds: tensors inside it that do not overlap, or an error that names file, tensor and value. */
class HostileFileTest {
    /** What a refusal may allocate: buffers of the reader and the parser, messages. */
    private static final long ALLOCATED = 400_000;

    /** How many mutants of each kind; -Disobit.fuzz=100000 in its JVM makes more. */
    private static final int TRIALS = Integer.getInteger("isobit.fuzz", 2500);

    @TempDir
    private Path folder;

    /** What is loaded once is not counted. */
    @BeforeAll
    static void load(@TempDir Path scratch) throws IOException {
        Path file = Files.write(scratch.resolve("first.safetensors"), Bytes.file(one("x", "F33", "[1,-1]", "[0,4]")));
        assertThrows(SafetensorsException.class, () -> SafetensorsFile.open(file));
        Files.write(file, Bytes.file("{\"x\":"));
        assertThrows(SafetensorsException.class, () -> SafetensorsFile.open(file));
    }

    static Stream<Arguments> headers() {
        return Stream.of(
                // JSON
                arguments("", null, "does not start with {"),
                arguments(" {}", null, "does not start with {"),
                arguments("[]", null, "does not start with {"),
                arguments("{", null, "no JSON that is understood"),
                arguments("{}{}", null, "something follows"),
                arguments("{} x", null, "no JSON that is understood"),
                arguments("{\"x\":}", null, "no JSON that is understood"),
                arguments("{\"x\":" + "[".repeat(100_000), "x", "no JSON object"),
                arguments("{\"x\":" + "{\"dtype\":".repeat(100_000), "x", "dtype is no text"),
                arguments("{\"x\":{\"shape\":" + "[".repeat(100_000), "x", "maximum allowed"),
                arguments("{\"__metadata__\":{\"k\":" + "[".repeat(100_000), null, "value of \"k\" is no text"),
                // metadata
                arguments("{\"__metadata__\":1}", null, "__metadata__ is no JSON object"),
                arguments("{\"__metadata__\":{\"k\":1}}", null, "value of \"k\" is no text"),
                arguments("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", null, "two values of \"k\""),
                arguments("{\"__metadata__\":{},\"__metadata__\":{}}", null, "__metadata__ is there twice"),
                // names
                arguments(one("x", "F32", "[1]", "[0,4]") + "," + one("x", "F32", "[1]", "[4,8]"), "x",
                        "there are two of this name"),
                arguments(one("x", "F32", "[1]", "[0,4]") + "," + one("\\u0078", "F32", "[1]", "[4,8]"), "x",
                        "there are two of this name"),
                arguments(one("", "F32", "[2]", "[0,8]"), "", "cannot be stored"),
                arguments(one("\\ud800", "F32", "[2]", "[0,8]"), "\ud800", "cannot be stored"),
                // fields
                arguments("{\"x\":[]}", "x", "no JSON object"),
                arguments("{\"x\":{}}", "x", "has no dtype"),
                arguments("{\"x\":{\"dtype\":\"F32\",\"shape\":[2]}}", "x", "has no data_offsets"),
                arguments("{\"x\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", "x", "has no shape"),
                arguments("{\"x\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", "x", "two of dtype"),
                arguments("{\"x\":{\"shape\":[2],\"shape\":[2]}}", "x", "two of shape"),
                arguments("{\"x\":{\"color\":\"F32\"}}", "x", "unknown \"color\""),
                arguments(one("x", "F33", "[2]", "[0,8]"), "x", "dtype \"F33\" is none of [BOOL"),
                arguments(one("x", "f32", "[2]", "[0,8]"), "x", "dtype \"f32\" is none of"),
                arguments(one("x", "", "[2]", "[0,8]"), "x", "dtype \"\" is none of"),
                arguments(one("x", "F".repeat(1_000_000), "[2]", "[0,8]"), "x", "FFFF...\" is none of"),
                arguments("{\"x\":{\"dtype\":null}}", "x", "dtype is no text"),
                // numbers
                arguments(one("x", "F32", "2", "[0,8]"), "x", "shape is no array"),
                arguments(one("x", "F32", "[2.0]", "[0,8]"), "x", "shape has \"2.0\""),
                arguments(one("x", "F32", "[\"2\"]", "[0,8]"), "x", "shape has \"2\""),
                arguments(one("x", "F32", "[null]", "[0,8]"), "x", "shape has \"null\""),
                arguments(one("x", "F32", "[-2]", "[0,8]"), "x", "shape has \"-2\""),
                arguments(one("x", "F32", "[2]", "[-0,8]"), "x", "data_offsets has \"-0\""),
                arguments(one("x", "F32", "[-9223372036854775808]", "[0,8]"), "x",
                        "shape has \"-9223372036854775808\""),
                arguments(one("x", "F32", "[18446744073709551617]", "[0,8]"), "x",
                        "shape has \"18446744073709551617\""),
                arguments(one("x", "F32", "[2]", "[0,1e1]"), "x", "data_offsets has \"1e1\""),
                arguments(one("x", "F32", "[" + "9".repeat(10_000) + "]", "[0,8]"), "x", "no JSON that is understood"),
                // shapes
                arguments(one("x", "F32", "[4611686018427387904]", "[0,8]"), "x", "larger than 2^63"),
                arguments(one("x", "F32", "[2147483648,2147483648,2]", "[0,8]"), "x", "larger than 2^63"),
                arguments(one("x", "F32", "[4294967296,4294967296,4294967296]", "[0,0]"), "x", "larger than 2^63"),
                arguments(one("x", "U8", "[9223372036854775807]", "[0,8]"), "x", "takes 9223372036854775807 bytes"),
                arguments(one("x", "F32", "[1]", "[0,8]"), "x", "takes 4 bytes, data_offsets [0, 8] hold 8"),
                arguments(one("x", "F32", "[1," + "1,".repeat(100_000) + "1]", "[0,8]"), "x", "shape has more than 64"),
                // places
                arguments(one("x", "F32", "[2]", "[0]"), "x", "data_offsets [0] are no part"),
                arguments(one("x", "F32", "[2]", "[0,8,8]"), "x", "data_offsets [0, 8, 8] are no part"),
                arguments(one("x", "F32", "[2]", "[8,0]"), "x", "data_offsets [8, 0] are no part"),
                arguments(one("x", "F32", "[2]", "[1,9]"), "x", "data_offsets [1, 9] are no part of the 8 bytes"),
                arguments(one("x", "F32", "[2]", "[9223372036854775800,9223372036854775807]"), "x", "are no part of"),
                arguments(one("x", "F32", "[1]", "[4,8]"), "x", "starts at byte 4, bytes before it belong to no"),
                arguments(one("x", "F32", "[1]", "[0,4]"), null, "end at byte 4, but 8 follow"),
                arguments("{}", null, "end at byte 0, but 8 follow"),
                arguments(one("x", "F32", "[1]", "[0,4]") + "," + one("y", "F32", "[1]", "[2,6]"), "y",
                        "starts at byte 2, in the midst of another that ends at 4"),
                arguments(one("x", "F32", "[2]", "[0,8]") + "," + one("y", "F32", "[2]", "[0,8]"), "y",
                        "starts at byte 0, in the midst of another that ends at 8"));
    }

    /** A tensor's description; two with a comma between them are joined. */
    private static String one(String name, String dtype, String shape, String offsets) {
        return "{\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets
                + "}}";
    }

    @ParameterizedTest
    @MethodSource("headers")
    void headersThatLie(String header, String tensor, String message) throws IOException {
        refused(Bytes.file(header.replace("}},{", "},"), new byte[8]), tensor, message);
    }

    @Test
    void lengthsThatLie() throws IOException {
        byte[] header = one("x", "F32", "[2]", "[0,8]").getBytes(StandardCharsets.UTF_8);
        for (long length : new long[] {0, header.length - 1, header.length + 1, header.length + 8, header.length + 9,
            100_000_001, Integer.MAX_VALUE, 1L << 32, Long.MAX_VALUE, Long.MIN_VALUE, -1}) {
            refused(Bytes.file(length, header, new byte[8]), null, "");
        }
        refused(Bytes.file(-1, header, new byte[8]), null, "the header's length is 18446744073709551615, but 62 bytes");
    }

    @Test
    void aHeaderOfHundredMegabytesIsRefusedUnread() throws IOException {
        Path file = Files.write(folder.resolve("sparse.safetensors"), Bytes.file(100_000_001, new byte[] {'{'}));
        try (var channel = Files.newByteChannel(file, StandardOpenOption.WRITE)) {
            channel.position(200_000_000).write(ByteBuffer.wrap(new byte[1]));
        }
        refused(file, null, "100000000 are the most");
    }

    /** As many tensors as a header of its size may hold, all of them empty. */
    @Test
    void manyTensors() throws IOException {
        var header = new StringBuilder("{");
        int count = 50_000;
        for (int i = 0; i < count; i++) {
            header.append(i == 0 ? "" : ",").append('"').append(i)
                    .append("\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}");
        }
        Path file = Files.write(folder.resolve("many.safetensors"), Bytes.file(header + "}"));
        long before = allocated();
        try (var saved = SafetensorsFile.open(file)) {
            assertEquals(count, saved.names().size());
        }
        long used = allocated() - before;
        assertTrue(used < 20 * Files.size(file), used + " bytes were allocated");
    }

    @Test
    void noTruncationPasses() throws IOException {
        byte[] ours = Files.readAllBytes(written());
        byte[] theirs = theirs();
        for (byte[] whole : List.of(ours, theirs)) {
            for (int length = 0; length < whole.length; length++) {
                refused(Arrays.copyOf(whole, length), null, "");
            }
            refused(Arrays.copyOf(whole, whole.length + 1), null, "");
        }
    }

    @Test
    void textThatIsNotUtf8() throws IOException {
        for (int[] wrong : new int[][] {{0xff}, {0xc0, 0x80}, {0xed, 0xa0, 0x80}, {0xf5, 0x80, 0x80, 0x80},
            {0xe2, 0x82}}) {
            byte[] header = one("?".repeat(wrong.length), "F32", "[2]", "[0,8]").getBytes(StandardCharsets.ISO_8859_1);
            for (int i = 0; i < wrong.length; i++) {
                header[2 + i] = (byte) wrong[i];
            }
            refused(Bytes.file(header.length, header, new byte[8]), null, "not UTF-8");
        }
    }

    /** Every single flipped bit of a file that was written here is found: header, checksum, padding, data. */
    @Test
    void noFlippedBitPasses() throws IOException {
        byte[] whole = Files.readAllBytes(written());
        Path file = folder.resolve("flipped.safetensors");
        for (int bit = 0; bit < 8 * whole.length; bit++) {
            byte[] flipped = whole.clone();
            flipped[bit / 8] ^= (byte) (1 << bit % 8);
            Files.write(file, flipped);
            int place = bit;
            assertThrows(SafetensorsException.class, () -> SafetensorsFile.open(file).close(), () -> "bit " + place);
        }
    }

    /** Files of others have no checksum: what is read lies inside the file, has its size, and overlaps nothing. */
    @Test
    void whateverIsReadLiesInTheFile() throws IOException {
        var random = new Random(20251122);
        byte[] whole = theirs();
        Path file = folder.resolve("mutated.safetensors");
        int read = 0;
        int refused = 0;
        for (int trial = 0; trial < TRIALS; trial++) {
            byte[] mutated = whole.clone();
            for (int i = random.nextInt(3); i >= 0; i--) {
                mutate(mutated, random);
            }
            Files.write(file, mutated);
            long before = allocated();
            try (var saved = SafetensorsFile.open(file)) {
                long bytes = 0;
                for (String name : saved.names()) {
                    StoredTensor tensor = saved.tensor(name);
                    assertEquals(StoredTensor.byteSize(tensor.dtype(), tensor.shape()), tensor.bytes().byteSize());
                    bytes += tensor.bytes().byteSize();
                    for (long at = 0; at < tensor.bytes().byteSize(); at++) {
                        tensor.bytes().get(ValueLayout.JAVA_BYTE, at);
                    }
                }
                assertTrue(bytes < mutated.length, () -> new String(mutated, StandardCharsets.ISO_8859_1));
                read++;
            } catch (SafetensorsException e) {
                assertEquals(file, e.file());
                assertTrue(e.getMessage().startsWith(file + ": "), e.getMessage());
                refused++;
            }
            long used = allocated() - before;
            assertTrue(used < ALLOCATED, used + " bytes were allocated");
        }
        assertTrue(read > TRIALS / 40 && refused > TRIALS / 4, read + " read, " + refused + " refused");
    }

    private static void mutate(byte[] bytes, Random random) {
        int at = random.nextInt(bytes.length);
        switch (random.nextInt(4)) {
            case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
            case 1 -> bytes[at] = (byte) random.nextInt(256);
            case 2 -> bytes[at] = (byte) "0123456789[]{},:\"".charAt(random.nextInt(17));
            default -> {
                int from = random.nextInt(bytes.length);
                int count = Math.min(1 + random.nextInt(20), bytes.length - Math.max(at, from));
                System.arraycopy(bytes.clone(), from, bytes, at, count);
            }
        }
    }

    /** Parts of a header; a mutant is made of these, so that it is understood a long way. */
    private static final Pattern PARTS = Pattern.compile("\"[^\"]*\"|[0-9]+|.");

    private static final List<String> NUMBERS = List.of("0", "1", "2", "4", "8", "24", "32", "40", "41", "-1", "-0",
            "00",
            "0.0", "1e0", "65536", "2147483647", "2147483648", "4294967296", "1099511627776", "4611686018427387904",
            "9223372036854775807", "9223372036854775808", "18446744073709551616", "1" + "0".repeat(400), "null", "true",
            "NaN", "\"4\"", "[]", "[[0]]", "{}");
    private static final List<String> TEXTS = List.of("\"a\"", "\"b.c\"", "\"step\"", "\"\"", "\"dtype\"",
            "\"shape\"", "\"data_offsets\"", "\"__metadata__\"", "\"F32\"", "\"F16\"", "\"I64\"", "\"F8_E4M3\"",
            "\"BOOL\"", "\"f32\"", "\"\\u0061\"", "\"\\ud800\"", "\"\\u0000\"", "\"isobit.crc32c\"",
            "\"isobit.checksum\"", "1", "null", "{", "[");

    /** Headers whose parts were exchanged, doubled, dropped or moved; their length is right, and sometimes the data's. */
    @Test
    void mutantsOfAHeader() throws IOException {
        var random = new Random(20261123);
        byte[] theirs = theirs();
        String header = new String(theirs, Long.BYTES, theirs.length - Long.BYTES - 40, StandardCharsets.UTF_8);
        List<String> parts = PARTS.matcher(header).results().map(MatchResult::group).toList();
        Path file = folder.resolve("mutant.safetensors");
        int read = 0;
        Set<String> faults = new HashSet<>();
        for (int trial = 0; trial < TRIALS; trial++) {
            List<String> mutant = new ArrayList<>(parts);
            for (int i = random.nextInt(2); i >= 0 && !mutant.isEmpty(); i--) {
                mutatePart(mutant, random);
            }
            byte[] text = String.join("", mutant).getBytes(StandardCharsets.UTF_8);
            byte[] bytes = Bytes.file(text.length, text,
                    new byte[random.nextInt(4) == 0 ? random.nextInt(64) : 40]);
            Files.write(file, bytes);
            long before = allocated();
            try (var saved = SafetensorsFile.open(file)) {
                long end = 0;
                for (String name : saved.names()) {
                    StoredTensor tensor = saved.tensor(name);
                    assertEquals(StoredTensor.byteSize(tensor.dtype(), tensor.shape()), tensor.bytes().byteSize());
                    end += tensor.bytes().toArray(ValueLayout.JAVA_BYTE).length;
                }
                assertEquals(bytes.length - Long.BYTES - text.length, end, () -> String.join("", mutant));
                read++;
            } catch (SafetensorsException e) {
                assertTrue(e.getMessage().startsWith(file + ": ") && e.getMessage().length() < 1500, e.getMessage());
                faults.add(e.getMessage().substring(file.toString().length()).replaceAll("[0-9]+|\"[^\"]*\"", "_"));
            }
            long used = allocated() - before;
            assertTrue(used < ALLOCATED, () -> used + " bytes were allocated: " + String.join("", mutant));
        }
        assertTrue(read > TRIALS / 100 && read < TRIALS / 2, read + " were read");
        assertTrue(faults.size() > 25, faults.toString());
    }

    private static void mutatePart(List<String> parts, Random random) {
        int at = random.nextInt(parts.size());
        String part = parts.get(at);
        boolean isText = part.startsWith("\"");
        boolean isNumber = Character.isDigit(part.charAt(0));
        switch (isText || isNumber ? random.nextInt(6) : 2 + random.nextInt(4)) {
            case 0, 1 -> {
                List<String> others = isNumber ? NUMBERS : TEXTS;
                parts.set(at, others.get(random.nextInt(others.size())));
            }
            case 2 -> parts.remove(at);
            case 3 -> parts.add(at, parts.get(random.nextInt(parts.size())));
            case 4 -> Collections.swap(parts, at, random.nextInt(parts.size()));
            default -> {
                // A run of them once more, elsewhere: a tensor, a field, an array.
                int end = Math.min(parts.size(), at + 1 + random.nextInt(30));
                parts.addAll(random.nextInt(parts.size()), List.copyOf(parts.subList(at, end)));
            }
        }
    }

    /** Metadata that others took over from a file of ours is no reason to believe or to crash. */
    @Test
    void checksumsInTheWrongPlace() throws IOException {
        String digits = "\"isobit.crc32c\":\"00000000\"";
        String kind = "\"isobit.checksum\":\"crc32c\"";
        for (String metadata : List.of(digits, kind, kind + "," + digits, digits + "," + kind,
                digits + "," + kind.replace("crc32c", "md5"))) {
            refused(Bytes.file("{\"__metadata__\":{" + metadata + "}}"), null, "was changed after it was written");
        }
    }

    private static byte[] theirs() {
        return Bytes.file("{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],"
                + "\"data_offsets\":[0,24]},\"b.c\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[24,32]},"
                + "\"step\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[32,40]}}  ", new byte[40]);
    }

    private Path written() {
        Path file = folder.resolve("written.safetensors");
        SafetensorsFile.write(file, Map.of("format", "pt"), List.of(
                new StoredTensor("a", StoredType.F32, new long[] {2, 3}, MemorySegment.ofArray(new float[6])),
                new StoredTensor("b", StoredType.U8, new long[] {2}, MemorySegment.ofArray(new byte[] {1, 2}))));
        return file;
    }

    private void refused(byte[] bytes, String tensor, String message) throws IOException {
        refused(Files.write(folder.resolve("hostile.safetensors"), bytes), tensor, message);
        assertEquals(-1, Arrays.mismatch(bytes, Files.readAllBytes(folder.resolve("hostile.safetensors"))));
    }

    private static void refused(Path file, String tensor, String message) throws IOException {
        long size = Files.size(file);
        long before = allocated();
        SafetensorsException e = null;
        try (var saved = SafetensorsFile.open(file)) {
            assertNotNull(saved);
        } catch (SafetensorsException expected) {
            e = expected;
        }
        long used = allocated() - before;
        assertNotNull(e, "it was read");
        assertTrue(e.getMessage().contains(message), e.getMessage());
        assertTrue(e.getMessage().startsWith(file + ": ") && e.getMessage().length() < file.toString().length() + 800,
                e.getMessage());
        assertTrue(message.isEmpty() || Objects.equals(tensor, e.tensor()), "tensor " + e.tensor());
        // A header's own text may be kept: a name as long as the file.
        assertTrue(used < ALLOCATED + 10 * Math.min(size, 2_000_000), used + " bytes were allocated");
    }

    private static long allocated() {
        return ((ThreadMXBean) ManagementFactory.getThreadMXBean()).getCurrentThreadAllocatedBytes();
    }
}
