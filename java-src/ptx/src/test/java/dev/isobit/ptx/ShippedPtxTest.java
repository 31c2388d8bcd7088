package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The kernels that Isobit ships can be loaded, and tell their source lines. */
class ShippedPtxTest {
    @Test
    void loads() throws IOException {
        Path folder = Path.of(System.getProperty("isobit.home", "../.."), "kernels", "ptx");
        List<Path> files;
        try (Stream<Path> all = Files.list(folder)) {
            files = all.filter(f -> f.toString().endsWith(".ptx")).toList();
        }
        assertFalse(files.isEmpty(), folder + " holds no PTX");
        for (Path file : files) {
            PtxModule module = PtxModule.parse(Files.readString(file));
            assertFalse(module.entries().isEmpty(), file.toString());
            for (Entry entry : module.entries()) {
                assertTrue(entry.parameterBytes() > 0, entry + " takes no arguments");
                assertNotNull(entry.program().code[0].location.file(), entry + " has no source lines");
            }
        }
    }
}
