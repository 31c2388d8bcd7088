package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** Without JMH's annotation processor the build is green and no benchmark is found. */
class BenchmarkListTest {
    @Test
    void benchmarksAreListed() throws IOException {
        try (var in = BenchmarkListTest.class.getResourceAsStream("/META-INF/BenchmarkList")) {
            assertNotNull(in, "META-INF/BenchmarkList is missing: JMH's annotation processor did not run");
            var list = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            assertTrue(list.contains(StreamBandwidth.class.getName()), list);
        }
    }
}
