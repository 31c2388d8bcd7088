package dev.isobit.harness.bundle;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;

/**
 * Writes a folder as {@code .tar.gz}, the same bytes for the same files: sorted names, one time, no owner, modes 755 and
 * 644 only. The format is ustar (POSIX.1-1988).
 */
final class TarGzip {
    private static final int BLOCK = 512;
    /** 2025-01-01T00:00:00Z, the time in all other archives of the build. */
    private static final long TIME = 1_735_689_600L;

    private TarGzip() {}

    /**
     * Writes the archive.
     *
     * @param folder what to pack
     * @param name the folder's name in the archive
     * @param archive the file to write
     */
    static void write(Path folder, String name, Path archive) throws IOException {
        List<Path> paths;
        try (var walk = Files.walk(folder)) {
            paths = walk.sorted().toList();
        }
        try (var out = new BestGzip(new BufferedOutputStream(Files.newOutputStream(archive), 1 << 16))) {
            for (Path path : paths) {
                String relative = folder.relativize(path).toString().replace('\\', '/');
                writeEntry(out, path, relative.isEmpty() ? name : name + "/" + relative);
            }
            out.write(new byte[2 * BLOCK]);
        }
    }

    private static void writeEntry(OutputStream out, Path path, String name) throws IOException {
        if (Files.isSymbolicLink(path)) {
            out.write(header(name, 0777, 0, '2', Files.readSymbolicLink(path).toString()));
        } else if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) {
            out.write(header(name + "/", 0755, 0, '5', ""));
        } else {
            long size = Files.size(path);
            out.write(header(name, Files.isExecutable(path) ? 0755 : 0644, size, '0', ""));
            long copied = Files.copy(path, out);
            if (copied != size) {
                throw new IOException(path + " changed while it was packed: " + size + " bytes, then " + copied);
            }
            out.write(new byte[(int) (-size & BLOCK - 1)]);
        }
    }

    private static byte[] header(String name, int mode, long size, char type, String link) {
        var block = new byte[BLOCK];
        byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
        int split = 0;
        if (bytes.length > 100) {
            // The name's head goes into the prefix field; they meet at a slash that neither holds.
            split = name.indexOf('/', bytes.length - 101);
            if (split < 0 || split > 155 || bytes.length != name.length()) {
                throw new IllegalArgumentException("too long a name for ustar: " + name);
            }
            put(block, 345, 155, name.substring(0, split));
            split++;
        }
        put(block, 0, 100, name.substring(split));
        octal(block, 100, 8, mode);
        octal(block, 108, 8, 0);
        octal(block, 116, 8, 0);
        octal(block, 124, 12, size);
        octal(block, 136, 12, TIME);
        block[156] = (byte) type;
        put(block, 157, 100, link);
        put(block, 257, 6, "ustar");
        put(block, 263, 2, "00");
        // The checksum counts itself as spaces.
        Arrays.fill(block, 148, 156, (byte) ' ');
        int sum = 0;
        for (byte b : block) {
            sum += b & 0xff;
        }
        octal(block, 148, 7, sum);
        return block;
    }

    private static void put(byte[] block, int at, int width, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length > width) {
            throw new IllegalArgumentException("too long for a field of " + width + " bytes: " + text);
        }
        System.arraycopy(bytes, 0, block, at, bytes.length);
    }

    private static void octal(byte[] block, int at, int width, long value) {
        String digits = Long.toOctalString(value);
        if (digits.length() >= width) {
            throw new IllegalArgumentException("too large for a field of " + width + " bytes: " + value);
        }
        put(block, at, width - 1, "0".repeat(width - 1 - digits.length()) + digits);
        block[at + width - 1] = 0;
    }

    private static final class BestGzip extends GZIPOutputStream {
        BestGzip(OutputStream out) throws IOException {
            super(out, 1 << 16);
            def.setLevel(Deflater.BEST_COMPRESSION);
        }
    }
}
