package dev.isobit.safetensors;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The format has no checksum of its own: a flipped bit in a tensor would be read as another number. So the files that we
 * write carry one of all their bytes, as the first entry of their metadata, whose eight digits count as zeros. Others
 * may have none. Used by one thread.
 */
final class Checksum {
    /** The entry with the digits. */
    static final String KEY = "isobit.crc32c";
    /** A second entry, so that no single flipped bit hides that there is a checksum. */
    static final String KIND_KEY = "isobit.checksum";
    static final String KIND = "crc32c";
    static final String NO_DIGITS = "00000000";

    /** How a file with a checksum starts after its eight bytes of length. */
    private static final byte[] PREFIX =
            ("{\"" + StoredTensor.METADATA + "\":{\"" + KEY + "\":\"").getBytes(StandardCharsets.UTF_8);

    /** Where the digits stand in the file. */
    static final int PLACE = Long.BYTES + PREFIX.length;

    /** The most that one buffer over a segment can view. */
    private static final long CHUNK = 1 << 30;

    private final CRC32C crc = new CRC32C();

    void add(ByteBuffer bytes) {
        crc.update(bytes);
    }

    String digits() {
        return String.format(Locale.ROOT, "%08x", crc.getValue());
    }

    /** Refuses a file that has other bytes than it was written with. */
    static void check(Path file, MemorySegment bytes, Map<String, String> metadata) {
        String kind = metadata.get(KIND_KEY);
        String written = metadata.get(KEY);
        if (kind == null && written == null) {
            return;
        }
        String found = KIND.equals(kind) && written != null && startsWithPrefix(bytes) ? digitsOf(bytes) : null;
        if (found == null || !found.equals(written)) {
            throw new SafetensorsException(file, null, "the file was changed after it was written: its checksum is "
                    + found + ", it was " + shown(written));
        }
    }

    private static String shown(@Nullable String digits) {
        return digits == null ? "null" : Shown.text(digits);
    }

    private static boolean startsWithPrefix(MemorySegment bytes) {
        return bytes.byteSize() >= PLACE + NO_DIGITS.length()
                && bytes.asSlice(Long.BYTES, PREFIX.length).mismatch(MemorySegment.ofArray(PREFIX)) < 0;
    }

    private static String digitsOf(MemorySegment bytes) {
        var checksum = new Checksum();
        checksum.add(bytes.asSlice(0, PLACE));
        checksum.add(ByteBuffer.wrap(NO_DIGITS.getBytes(StandardCharsets.US_ASCII)));
        checksum.add(bytes.asSlice(PLACE + NO_DIGITS.length()));
        return checksum.digits();
    }

    private void add(MemorySegment bytes) {
        for (long at = 0; at < bytes.byteSize(); at += CHUNK) {
            add(bytes.asSlice(at, Math.min(CHUNK, bytes.byteSize() - at)).asByteBuffer());
        }
    }
}
