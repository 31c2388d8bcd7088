package dev.isobit.harness.bundle;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TarGzipTest {
    private static final String LONG = "a-folder-with-a-rather-long-name/".repeat(4);

    @TempDir
    Path scratch;

    @Test
    void whatWasPackedComesBack() throws IOException, InterruptedException {
        assumeTrue(Files.isExecutable(Path.of("/bin/tar")), "skipped: /bin/tar is not there");
        Path folder = sample("one");
        Path archive = scratch.resolve("one.tar.gz");
        TarGzip.write(folder, "name-1.0", archive);

        Path back = Files.createDirectory(scratch.resolve("back"));
        var tar = new ProcessBuilder("/bin/tar", "-xzf", archive.toString(), "-C", back.toString()).inheritIO();
        assertEquals(0, tar.start().waitFor());

        Path unpacked = back.resolve("name-1.0");
        for (int size : new int[] {0, 1, 511, 512, 513, 100_000}) {
            String file = LONG + size + ".bin";
            assertArrayEquals(Files.readAllBytes(folder.resolve(file)), Files.readAllBytes(unpacked.resolve(file)),
                    file);
        }
        assertTrue(Files.isExecutable(unpacked.resolve("run")));
        assertTrue(!Files.isExecutable(unpacked.resolve(LONG + "1.bin")));
        assertEquals(Path.of("run"), Files.readSymbolicLink(unpacked.resolve("link")));
    }

    @Test
    void sameFilesGiveTheSameBytes() throws IOException {
        Path one = sample("one");
        Path two = sample("two");
        Files.setLastModifiedTime(two.resolve("run"), FileTime.fromMillis(1));
        TarGzip.write(one, "name", scratch.resolve("one.tar.gz"));
        TarGzip.write(two, "name", scratch.resolve("two.tar.gz"));
        assertEquals(-1, Files.mismatch(scratch.resolve("one.tar.gz"), scratch.resolve("two.tar.gz")));
    }

    @Test
    void tooLongANameIsRefused() throws IOException {
        Path folder = Files.createDirectory(scratch.resolve("long"));
        Files.createFile(folder.resolve("x".repeat(101)));
        var e = assertThrows(IllegalArgumentException.class,
                () -> TarGzip.write(folder, "name", scratch.resolve("long.tar.gz")));
        assertTrue(e.getMessage().contains("xxx"), e.getMessage());
    }

    private Path sample(String name) throws IOException {
        Path folder = Files.createDirectory(scratch.resolve(name));
        Files.createDirectories(folder.resolve(LONG));
        var random = new Random(7);
        for (int size : new int[] {0, 1, 511, 512, 513, 100_000}) {
            var bytes = new byte[size];
            random.nextBytes(bytes);
            Files.write(folder.resolve(LONG + size + ".bin"), bytes);
        }
        Files.writeString(folder.resolve("run"), "#!/bin/sh\n");
        assertTrue(folder.resolve("run").toFile().setExecutable(true));
        Files.createSymbolicLink(folder.resolve("link"), Path.of("run"));
        return folder;
    }
}
