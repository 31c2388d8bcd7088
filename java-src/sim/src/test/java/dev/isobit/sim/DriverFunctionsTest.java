package dev.isobit.sim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What another program would see of the driver: order of streams, errors, limits. */
class DriverFunctionsTest {
    private static void restart(long seed) {
        SimSession.driver().reset(SimOptions.defaults().withSeed(seed));
    }

    /** One stream writes, another reads with nothing between them: what is read depends on the seed. */
    @Test
    void aWaitThatIsMissingShows() {
        Set<Integer> withoutWait = new HashSet<>();
        Set<Integer> withWait = new HashSet<>();
        for (long seed = 0; seed < 20; seed++) {
            restart(seed);
            try (var driver = new Driver()) {
                long writing = driver.out("cuStreamCreate", 0);
                long reading = driver.out("cuStreamCreate", 0);
                long event = driver.out("cuEventCreate", 0);
                for (boolean waits : new boolean[] {false, true}) {
                    long memory = driver.device(1);
                    long copy = driver.device(0);
                    driver.check("cuMemsetD32Async", memory, 7, 1L, writing);
                    driver.check("cuEventRecord", event, writing);
                    if (waits) {
                        driver.check("cuStreamWaitEvent", reading, event, 0);
                    }
                    driver.check("cuMemcpyDtoDAsync_v2", copy, memory, 4L, reading);
                    driver.check("cuStreamSynchronize", reading);
                    (waits ? withWait : withoutWait).add(driver.read(copy, 1)[0]);
                }
            }
        }
        assertEquals(Set.of(1, 7), withoutWait);
        assertEquals(Set.of(7), withWait);
    }

    /** The legacy stream waits for streams that block, and they for it; with the others it has no order. */
    @Test
    void theLegacyStreamIsOrderedWithThoseThatBlock() {
        for (int flags = 0; flags <= 1; flags++) {
            Set<Integer> seen = new HashSet<>();
            for (long seed = 1; seed < 20; seed++) {
                restart(seed);
                try (var driver = new Driver()) {
                    long stream = driver.out("cuStreamCreate", flags);
                    long memory = driver.device(1);
                    long copy = driver.device(0);
                    driver.check("cuMemsetD32Async", memory, 7, 1L, stream);
                    driver.check("cuMemcpyDtoDAsync_v2", copy, memory, 4L, 0L);
                    driver.check("cuMemsetD32Async", memory, 9, 1L, stream);
                    driver.check("cuCtxSynchronize");
                    seen.add(driver.read(copy, 1)[0]);
                }
            }
            assertEquals(flags == 0 ? Set.of(7) : Set.of(1, 7, 9), seen, "flags " + flags);
        }
    }

    /** Nothing is done before something waits; pinned memory is read then, other memory at the call. */
    @Test
    void workIsDoneLater() {
        try (var driver = new Driver()) {
            long memory = driver.device(0, 0, 0, 0);
            MemorySegment pinned = driver.pinned(8);
            pinned.set(ValueLayout.JAVA_INT, 0, 5);
            MemorySegment plain = driver.host(5);
            driver.check("cuMemcpyHtoDAsync_v2", memory, pinned.address(), 4L, 0L);
            driver.check("cuMemcpyHtoDAsync_v2", memory + 4, plain.address(), 4L, 0L);
            pinned.set(ValueLayout.JAVA_INT, 0, 6);
            plain.set(ValueLayout.JAVA_INT, 0, 6);
            assertEquals(0, driver.launch(driver.addOne(), 2, 0, memory + 8, memory));
            driver.check("cuMemcpyDtoHAsync_v2", pinned.address() + 4, memory + 8, 4L, 0L);
            assertEquals(Map.of(), SimSession.driver().launches());
            assertTrue(pinned.get(ValueLayout.JAVA_INT, 4) != 7, "not yet copied");
            driver.check("cuStreamSynchronize", 0L);
            assertEquals(Map.of("add_one", 1L), SimSession.driver().launches());
            assertEquals(7, pinned.get(ValueLayout.JAVA_INT, 4));
            assertArrayEquals(new int[] {6, 5, 7, 6}, driver.read(memory, 4));
            driver.check("cuMemFreeHost", pinned.address());
        }
    }

    /** Who only asks gets on too. */
    @Test
    void askingPassesTime() {
        try (var driver = new Driver()) {
            long memory = driver.device(0);
            long stream = driver.out("cuStreamCreate", 0);
            long start = driver.out("cuEventCreate", 0);
            long end = driver.out("cuEventCreate", 0);
            driver.check("cuEventRecord", start, stream);
            driver.check("cuMemsetD32Async", memory, 7, 1L, stream);
            driver.check("cuEventRecord", end, stream);
            var milliseconds = driver.host(0);
            assertEquals(Result.NOT_READY.code(), driver.call("cuStreamQuery", stream));
            assertEquals(Result.NOT_READY.code(),
                    driver.call("cuEventElapsedTime", milliseconds.address(), start, end));
            int asked = 0;
            while (driver.call("cuEventQuery", end) == Result.NOT_READY.code()) {
                asked++;
                assertTrue(asked < 10, "it never ends");
            }
            driver.check("cuStreamQuery", stream);
            driver.check("cuEventElapsedTime", milliseconds.address(), start, end);
            assertTrue(milliseconds.get(ValueLayout.JAVA_FLOAT, 0) >= 0);
        }
    }

    /** A kernel that goes where it must not takes the context along; released, the device can be used again. */
    @Test
    void anIllegalAddressLosesTheContext() {
        SimulatedDriver simulated = SimSession.driver();
        try (var driver = new Driver()) {
            long function = driver.addOne();
            long good = driver.device(1, 2, 3, 4);
            long freed = driver.device(1);
            driver.check("cuMemFree_v2", freed);
            assertEquals(0, driver.launch(function, 1, 0, good, freed), "a launch is only queued");
            assertEquals(700, driver.call("cuCtxSynchronize"));
            assertEquals(700, driver.call("cuMemFree_v2", good));
            assertEquals(700, driver.launch(function, 1, 0, good, good));
            assertEquals(1, simulated.deviceFaults().size());
            String told = simulated.deviceFaults().getFirst().getMessage();
            assertTrue(told.contains("add_one") && told.contains("ld.global.u32") && told.contains("thread (0, 0, 0)"),
                    told);
            assertEquals(List.of(), simulated.violations());
        }
        assertEquals(Map.of(), simulated.live());
        try (var driver = new Driver()) {
            long past = driver.device(1, 2);
            assertEquals(0, driver.launch(driver.addOne(), 3, 0, past, past), "one thread too many");
            assertEquals(700, driver.call("cuStreamSynchronize", 0L));
        }
        try (var driver = new Driver()) {
            long odd = driver.device(1, 2);
            assertEquals(0, driver.launch(driver.addOne(), 1, 0, odd + 2, odd));
            assertEquals(Result.MISALIGNED_ADDRESS.code(), driver.call("cuStreamSynchronize", 0L));
        }
    }

    /** An interrupt of who waits is nothing to a device. */
    @Test
    void anInterruptIsKeptAndDisturbsNothing() {
        try (var driver = new Driver()) {
            long memory = driver.device(1, 2, 3);
            Thread.currentThread().interrupt();
            assertEquals(0, driver.launch(driver.addOne(), 3, 0, memory, memory));
            int[] found = driver.read(memory, 3);
            assertTrue(Thread.interrupted());
            assertArrayEquals(new int[] {2, 3, 4}, found);
        }
    }

    @Test
    void whatIsRefused() {
        try (var driver = new Driver()) {
            long memory = driver.device(1, 2);
            long host = driver.host(1, 2, 3).address();
            assertEquals(1, driver.call("cuMemcpyHtoD_v2", memory, host, 9L), "past the end");
            assertEquals(1, driver.call("cuMemcpyDtoH_v2", host, memory - 1, 4L), "before the start");
            assertEquals(1, driver.call("cuMemsetD8_v2", memory, (byte) 1, 9L));
            assertEquals(1, driver.call("cuMemAlloc_v2", host, 0L));
            assertEquals(2, driver.call("cuMemAlloc_v2", host, 1L << 40));
            assertEquals(1, driver.call("cuMemFree_v2", memory + 4));
            assertEquals(400, driver.call("cuStreamSynchronize", 0x1234L));
            assertEquals(400, driver.call("cuEventSynchronize", 0x1234L));
            assertEquals(400, driver.launch(0x1234L, 1, 0, memory, memory));
            assertEquals(801, driver.call("cuStreamSynchronize", 2L));
            assertEquals(101, driver.call("cuDeviceGet", host, 1));
            assertEquals(500, driver.call("cuModuleGetFunction", host,
                    driver.out("cuModuleLoadData", driver.text(Driver.ADD_ONE)), driver.text("sub_one")));
            long function = driver.addOne();
            assertEquals(1, driver.launch(function, 1025, 0, memory, memory));
            assertEquals(1, driver.launch(function, 0, 0, memory, memory));
            assertEquals(1, driver.call("cuLaunchKernel", function, 1, 1, 1, 1, 1, 1, 0, 0L, 0L, 0L), "no arguments");
            assertEquals(1, driver.call("cuLaunchKernel", function, 1, 1, 1, 1, 1, 1, 49153, 0L, host, 0L));
            assertEquals(1, driver.call("cuFuncSetAttribute", function, 8, (227 << 10) + 1));
            driver.check("cuFuncSetAttribute", function, 8, 227 << 10);
            long blocks = driver.host(0).address();
            assertEquals(400, driver.call("cuOccupancyMaxActiveBlocksPerMultiprocessor", blocks, 0x1234L, 1, 0L));
            assertEquals(1, driver.call("cuOccupancyMaxActiveBlocksPerMultiprocessor", blocks, function, 0, 0L));
            assertEquals(720,
                    driver.call("cuLaunchCooperativeKernel", function, 132 * 16 + 1, 1, 1, 1, 1, 1, 0, 0L, host));
        }
        assertEquals(201, withoutContext("cuCtxSynchronize"));
    }

    private static int withoutContext(String function) {
        try (var driver = new Driver()) {
            driver.check("cuCtxSetCurrent", 0L);
            return driver.call(function);
        }
    }

    @Test
    void ptxIsRefusedInTheCompilersWords() {
        String unknown = load(Driver.ADD_ONE.replace("{\n", "{\n    frob.u32 %r1, %r2;\n"));
        assertTrue(unknown.startsWith("218 ptxas application ptx input; error   : PTX line 6: frob"), unknown);
        assertTrue(load(Driver.ADD_ONE.replace(".version 7.0", ".version 8.6")).startsWith("222 ptxas"));
        assertTrue(load(Driver.ADD_ONE.replace(".target sm_75", ".target sm_100")).startsWith("218 ptxas fatal"));
        assertEquals("0 ", load(Driver.ADD_ONE.replace(".version 7.0", ".version 8.5")));
        assertEquals("200 ", load("\177ELF"));
    }

    private static String load(String ptx) {
        restart(1);
        try (var driver = new Driver()) {
            MemorySegment log = driver.host(new int[64]);
            MemorySegment options = driver.host(5, 6);
            MemorySegment values = MemorySegment.ofArray(new long[0]);
            values = driver.pinned(16);
            values.set(ValueLayout.JAVA_LONG, 0, log.address());
            values.set(ValueLayout.JAVA_LONG, 8, log.byteSize());
            int result = driver.call("cuModuleLoadDataEx", driver.host(0, 0).address(), driver.text(ptx), 2,
                    options.address(), values.address());
            return result + " " + log.getString(0);
        }
    }

    /** Texts of one length that differ in one byte, loaded by turns. */
    @Test
    void aModuleIsThatOfItsTextToTheByte() {
        String addTwo = Driver.ADD_ONE.replace("%r2, 1;", "%r2, 2;");
        try (var driver = new Driver()) {
            long memory = driver.device(40, 0);
            for (int turn = 0; turn < 4; turn++) {
                long module = driver.out("cuModuleLoadData", driver.text(turn % 2 == 0 ? Driver.ADD_ONE : addTwo));
                long function = driver.out("cuModuleGetFunction", module, driver.text("add_one"));
                assertEquals(0, driver.launch(function, 1, 0, memory + 4, memory));
                assertEquals(41 + turn % 2, driver.read(memory, 2)[1]);
            }
        }
    }

    @Test
    void contextsArePerThread() throws InterruptedException {
        try (var driver = new Driver()) {
            long context = driver.out("cuCtxGetCurrent");
            int[] elsewhere = {0};
            Thread other = Thread.ofPlatform().start(() -> elsewhere[0] = driver.call("cuCtxSynchronize"));
            other.join();
            assertEquals(201, elsewhere[0]);
            driver.check("cuCtxPushCurrent_v2", context);
            assertEquals(context, driver.out("cuCtxPopCurrent_v2"));
            assertEquals(context, driver.out("cuCtxGetCurrent"));
            assertEquals(context, driver.out("cuCtxPopCurrent_v2"));
            assertEquals(0, driver.out("cuCtxGetCurrent"));
            driver.check("cuCtxSetCurrent", context);
        }
    }

    /** By threads, by shared memory, by blocks. */
    @Test
    void howManyBlocksRunAtOnce() {
        try (var driver = new Driver()) {
            long function = driver.addOne();
            MemorySegment blocks = driver.host(0);
            for (long[] each : new long[][] {{1024, 0, 2}, {129, 0, 12}, {1, 0, 16}, {32, 100 << 10, 2},
                {32, 228 << 10, 0}}) {
                driver.check("cuOccupancyMaxActiveBlocksPerMultiprocessor", blocks.address(), function, (int) each[0],
                        each[1]);
                assertEquals(each[2], blocks.get(ValueLayout.JAVA_INT, 0), Arrays.toString(each));
            }
        }
    }

    /** All blocks of a cooperative launch run at once: each waits until all have come. */
    @Test
    void aCooperativeLaunchRunsAllBlocksAtOnce() {
        String ptx = """
                .version 7.0
                .target sm_75
                .address_size 64
                .visible .global .align 4 .u32 arrived;
                .visible .entry meet(.param .u64 to)
                {
                    .reg .pred %p<2>;
                    .reg .b32 %r<5>;
                    .reg .b64 %rd<3>;
                    ld.param.u64 %rd1, [to];
                    atom.global.add.u32 %r1, [arrived], 1;
                    mov.u32 %r2, %nctaid.x;
                again:
                    ld.relaxed.gpu.global.u32 %r3, [arrived];
                    setp.lt.u32 %p1, %r3, %r2;
                    @%p1 bra again;
                    mov.u32 %r4, %ctaid.x;
                    mul.wide.u32 %rd2, %r4, 4;
                    add.s64 %rd1, %rd1, %rd2;
                    st.global.u32 [%rd1], %r3;
                    ret;
                }
                """;
        try (var driver = new Driver()) {
            long module = driver.out("cuModuleLoadData", driver.text(ptx));
            long function = driver.out("cuModuleGetFunction", module, driver.text("meet"));
            long arrived = driver.out("cuModuleGetGlobal_v2", 0L, module, driver.text("arrived"));
            long to = driver.device(0, 0, 0);
            MemorySegment block = driver.longs(to);
            driver.check("cuLaunchCooperativeKernel", function, 3, 1, 1, 1, 1, 1, 0, 0L,
                    driver.longs(block.address()).address());
            assertArrayEquals(new int[] {3, 3, 3}, driver.read(to, 3));
            assertEquals(3, driver.read(arrived, 1)[0]);
        }
    }

    @Test
    void whatIsLeftBehindIsTold() {
        SimulatedDriver simulated = SimSession.driver();
        var driver = new Driver();
        driver.device(1);
        driver.out("cuStreamCreate", 0);
        driver.check("cuDevicePrimaryCtxRelease_v2", 0);
        assertEquals(List.of("leaked: device memory, 1 of them, when the context of device 0 ended",
                "leaked: stream, 1 of them, when the context of device 0 ended"), simulated.violations());
        simulated.clear();
    }
}
