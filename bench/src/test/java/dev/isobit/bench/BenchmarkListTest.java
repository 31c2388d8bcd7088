package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Without JMH's annotation processor the build is green and no benchmark is found. */
class BenchmarkListTest {
    @Test
    void benchmarksAreListed() throws IOException {
        try (var in = BenchmarkListTest.class.getResourceAsStream("/META-INF/BenchmarkList")) {
            assertNotNull(in, "META-INF/BenchmarkList is missing: JMH's annotation processor did not run");
            var list = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(list.contains(StreamBandwidth.class.getName()), list);
            assertTrue(list.contains(OperationBenchmark.class.getName()), list);
        }
    }

    /** What JMH is told to measure is what the text of a case says; all else is refused. */
    @Test
    void casesAreReadFromTheirText() {
        for (String text : List.of("cross-entropy 163x50257 BF16", "bce 16384x64 F16", "adamw 10000x64 F32",
                "adamw-clipped 1x64 F32",
                "adamw 1x1048576 BF16")) {
            assertEquals(text + ", 2 threads", OperationBenchmark.parse(text, 2).toString());
        }
        for (String text : List.of("", "sgd 1x8 BF16", "softmax 1x8 F32", "bce 8 F32", "bce 1x8 F64", "bce 1x8")) {
            assertThrows(IllegalArgumentException.class, () -> OperationBenchmark.parse(text, 1), text);
        }
    }
}
