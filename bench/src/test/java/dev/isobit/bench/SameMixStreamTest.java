package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import dev.isobit.cuda.CudaBackend;
import dev.isobit.ptx.Device;
import dev.isobit.ptx.Launch;
import dev.isobit.ptx.LaunchReport;
import dev.isobit.ptx.PtxModule;
import dev.isobit.ptx.Space;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A stream that moved less, or something else, would be no measure of AdamW. */
class SameMixStreamTest {
    private static final int FLOATS = SameMixStream.PACK_BYTES / Float.BYTES;

    private static void fill(MemorySegment array, int factor) {
        for (long i = 0; i < array.byteSize() / Float.BYTES; i++) {
            array.setAtIndex(ValueLayout.JAVA_FLOAT, i, factor * i + 1);
        }
    }

    private static void assertFilled(MemorySegment array, int factor, int constant, String name) {
        for (long i = 0; i < array.byteSize() / Float.BYTES; i++) {
            assertEquals(factor * i + constant, array.getAtIndex(ValueLayout.JAVA_FLOAT, i), name + " " + i);
        }
    }

    /** Fewer packs than threads, as many, more; 16 bytes of an element read and 12 written, as AdamW's step does. */
    @ParameterizedTest
    @CsvSource({"1,1", "255,1", "256,2", "257,1", "257,2", "1000,3", "2051,2"})
    void eachElementOfFourArraysIsReadAndOfThreeWrittenOnce(int packs, int blocks) {
        PtxModule module = PtxModule.parse(new String(SameMixStream.text(), StandardCharsets.US_ASCII));
        try (Device device = Device.sanitizing(); Arena arena = Arena.ofConfined()) {
            MemorySegment[] arrays = new MemorySegment[4];
            long[] at = new long[4];
            for (int i = 0; i < 4; i++) {
                arrays[i] = arena.allocate((long) SameMixStream.PACK_BYTES * packs, 16);
                fill(arrays[i], i + 1);
                at[i] = device.map(arrays[i]);
            }
            LaunchReport report = device.launch(module.entry(SameMixStream.ENTRY),
                    Launch.of(blocks, SameMixStream.THREADS),
                    MemorySegment.ofBuffer(SameMixStream.arguments(at[0], at[1], at[2], at[3], packs).flip()));
            assertEquals(List.of(), report.findings());
            assertEquals(16L * FLOATS * packs, report.bytesRead().get(Space.GLOBAL));
            assertEquals(12L * FLOATS * packs, report.bytesWritten().get(Space.GLOBAL));
            assertFilled(arrays[0], 3, 2, "a");
            assertFilled(arrays[1], 2, 1, "b");
            assertFilled(arrays[2], 5, 2, "c");
            assertFilled(arrays[3], 6, 2, "d");
        }
    }

    @Test
    void theDriverRunsItOverTwoPiecesOfMemory() {
        int packs = 1003;
        long bytes = 2L * SameMixStream.PACK_BYTES * packs;
        try (var backend = (CudaBackend) Backend.open("sim");
                Memory first = backend.allocate(bytes);
                Memory second = backend.allocate(bytes);
                var stream = new SameMixStream(backend, first, second);
                Arena arena = Arena.ofConfined()) {
            MemorySegment host = arena.allocate(bytes, 16);
            fill(host, 1);
            Tensor floats = Tensor.of(DType.F32, HostMemory.of(host), 0, bytes / Float.BYTES);
            Tensor[] there = {Tensor.of(DType.F32, first, 0, bytes / Float.BYTES),
                Tensor.of(DType.F32, second, 0, bytes / Float.BYTES)};
            backend.copy(floats, there[0]);
            backend.copy(floats, there[1]);
            Side side = stream.side();
            assertEquals(4L * packs, side.elements());
            assertEquals(28 * side.elements(), side.bytes());
            side.run().run();
            // b begins at 4 * packs + 1.
            int b = 4 * packs + 2;
            backend.copy(there[0], floats);
            assertFilled(host.asSlice(0, bytes / 2), 2, b, "a");
            assertFilled(host.asSlice(bytes / 2), 1, b - 1, "b");
            backend.copy(there[1], floats);
            assertFilled(host.asSlice(0, bytes / 2), 2, b, "c");
            assertFilled(host.asSlice(bytes / 2), 2, 2 * b - 2, "d");
        }
    }

    @Test
    @DisabledOnOs(value = OS.WINDOWS, disabledReason = "build-ptx is a bash script")
    void itKeepsTheRulesForPtx(@TempDir Path folder) throws Exception {
        Path file = Files.write(folder.resolve("stream.ptx"), SameMixStream.text());
        Process lint = new ProcessBuilder(
                Path.of(System.getProperty("isobit.home"), "native-build", "build-ptx").toString(), "--lint",
                file.toString()).redirectErrorStream(true).start();
        String said = new String(lint.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertEquals(0, lint.waitFor(), said);
    }
}
