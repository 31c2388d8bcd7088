package dev.isobit.ptx;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The example of the package's documentation, line by line. */
class ExampleTest {
    private static final String AXPY = """
            .version 7.0
            .target sm_75
            .address_size 64
            .visible .entry axpy(.param .align 8 .b8 params[16]) {
                .reg .pred %p;
                .reg .f32 %f<3>;
                .reg .b32 %r<4>;
                .reg .b64 %rd<3>;
                ld.param.u64 %rd0, [params];
                ld.param.f32 %f0, [params+8];
                ld.param.u32 %r0, [params+12];
                mov.u32 %r1, %ctaid.x;
                mov.u32 %r2, %ntid.x;
                mov.u32 %r3, %tid.x;
                mad.lo.s32 %r1, %r1, %r2, %r3;
                setp.ge.s32 %p, %r1, %r0;
                @%p bra done;
                mul.wide.s32 %rd1, %r1, 4;
                add.s64 %rd2, %rd0, %rd1;
                ld.global.f32 %f1, [%rd2];
                fma.rn.f32 %f2, %f0, %f1, %f1;
                st.global.f32 [%rd2], %f2;
            done:
                ret;
            }
            """;

    @Test
    void runsAsDocumented(@TempDir Path folder) throws IOException {
        Path file = Files.writeString(folder.resolve("axpy.sm_75.ptx"), AXPY);
        PtxModule module = PtxModule.parse(Files.readString(file));
        try (Device device = new Device(); Arena arena = Arena.ofConfined()) {
            MemorySegment x = arena.allocateFrom(ValueLayout.JAVA_FLOAT, 1f, 2f, 3f);
            MemorySegment arguments = arena.allocate(16, 8); // struct { float* x; float a; int n; }, by value
            arguments.set(ValueLayout.JAVA_LONG, 0, device.map(x));
            arguments.set(ValueLayout.JAVA_FLOAT, 8, 0.5f);
            arguments.set(ValueLayout.JAVA_INT, 12, 3);
            LaunchReport report = device.launch(module.entry("axpy"), Launch.of(1, 128), arguments);
            assertArrayEquals(new float[] {1.5f, 3, 4.5f}, x.toArray(ValueLayout.JAVA_FLOAT));
            // 8 instructions of 128 threads, the branch of the 125 that take it, 5 more of the others, and a return each.
            assertEquals(128 * 8 + 125 + 3 * 5 + 128, report.threadInstructions());
        }
    }

    /** Every statement of the documentation stands in the test above. */
    @Test
    void isTheOneOfTheDocumentation() throws IOException {
        Path sources = Path.of("src");
        String documented = Files.readString(sources.resolve("main/java/dev/isobit/ptx/package-info.java"));
        String tested = Files.readString(sources.resolve("test/java/dev/isobit/ptx/ExampleTest.java"));
        String snippet = documented.substring(documented.indexOf("{@snippet :"), documented.indexOf("\n * }\n *\n"));
        var missing = snippet.lines().skip(1).map(line -> line.replaceFirst("^ \\* ", "").strip())
                .filter(line -> !line.equals("}") && !line.startsWith("System.out") && !line.contains("Path.of"))
                .filter(line -> !tested.contains(line)).collect(Collectors.toList());
        assertTrue(snippet.lines().count() > 8, snippet);
        assertTrue(missing.isEmpty(), missing + " is documented, not tested");
    }
}
