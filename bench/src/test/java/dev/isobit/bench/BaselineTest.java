package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A baseline that computes something else would be a baseline for something else. */
class BaselineTest {
    @BeforeAll
    static void needsGccAndVectors() throws IOException {
        assumeTrue(System.getProperty("os.arch").equals("amd64") && System.getProperty("os.name").equals("Linux"),
                "skipped: the baseline is for Linux on x86-64");
        String flags = Files.readString(Path.of("/proc/cpuinfo"));
        assumeTrue(flags.contains(" fma ") && flags.contains(" avx2 "),
                "skipped: the baseline needs AVX2 with FMA, or AVX-512");
        String path = System.getenv().getOrDefault("PATH", "");
        assumeTrue(Path.of("/usr/bin/gcc").toFile().exists()
                || Stream.of(path.split(":"))
                        .anyMatch(folder -> Path.of(folder, "gcc").toFile().exists()),
                "skipped: gcc was not found");
    }

    /** Below, at and beyond a vector, four vectors, a block, several blocks; fewer rows than threads. */
    @ParameterizedTest
    @CsvSource({"1,1,1", "3,5,2", "2,16,1", "5,17,2", "3,64,1", "4,1000,2", "2,4095,1", "2,4096,2", "3,4097,1",
        "1,8192,2", "3,10007,2"})
    void everyVariantAgreesWithTheReference(long rows, long classes, int threads) {
        try (var operands = new CrossEntropyCase(rows, classes, threads, false)) {
            for (Baseline.Variant variant : Baseline.Variant.values()) {
                operands.poison();
                operands.baseline(variant);
                operands.check(true);
            }
            operands.poison();
            operands.isobit();
            operands.check(false);
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,1", "1,1003,2", "3,16,2", "100,64,2", "5,17,1"})
    void adamWAgreesWithTheReference(long tensors, long size, int threads) {
        try (var operands = new AdamCase(tensors, size, threads)) {
            for (int i = 0; i < 3; i++) {
                operands.check(true);
                operands.check(false);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1", "15,2", "16,1", "1003,2"})
    void streamsReachEveryElement(int count, int threads) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment x = arena.allocate(4L * count, 64);
            MemorySegment y = arena.allocate(4L * count, 64);
            Baseline.stream(x, count, threads);
            Baseline.stream(x, count, threads);
            Baseline.copy(y, x, count, threads);
            for (int i = 0; i < count; i++) {
                assertEquals(2, x.getAtIndex(ValueLayout.JAVA_FLOAT, i), "element " + i);
                assertEquals(2, y.getAtIndex(ValueLayout.JAVA_FLOAT, i), "copy of element " + i);
            }
        }
    }

    @Test
    void saysWhatItIs() {
        assertEquals("C", Baseline.description().substring(0, 1));
    }
}
