package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Reduction;
import dev.isobit.TargetOutOfRangeException;
import dev.isobit.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Cross-entropy as the driver sees it: which launches, their shape, and every byte of their argument block. */
@RecorderTest
class RecorderCrossEntropyTest {
    /** Both sides of every bound: of a variant, of how a warp packs rows, of a segment, and real vocabularies. */
    private static final long[] CLASSES =
            {1, 10, 31, 32, 33, 255, 256, 257, 1000, 1024, 1025, 2048, 2049, 8191, 8192, 8193, 16385, 32000, 50257,
                128256};
    /** Both sides of every bound: of a block of each kernel, of a count block, of a segment, of what a device holds. */
    private static final long[] ROWS = {0, 1, 2, 4, 5, 16, 17, 128, 129, 8192, 8193, 16384, 16385, 20_000, 2_200_000};

    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F32, DType.F16};
    private static final int MULTIPROCESSORS = 5;
    private static final long IGNORE = -7;

    private static long ceil(long a, long b) {
        return (a + b - 1) / b;
    }

    /** A tensor somewhere on the device; the recorder reads none of it. */
    private static Tensor at(CudaBackend backend, DType dtype, long address, long... shape) {
        return Tensor.of(dtype, new CudaMemory(backend.driver(), address, 1L << 60), 0, shape);
    }

    private static CudaBackend open(Recorder recorder, int capability) {
        recorder.setDevice(0, capability, MULTIPROCESSORS, 1L << 30);
        return (CudaBackend) Backend.open("cuda");
    }

    private record Case(long rows, long classes, boolean wantsLoss, boolean wantsGradient, DType targets,
            int gradLoss, long misaligned) {
        /** Upstream gradients. */
        static final int NONE = 0;
        static final int SCALAR = 1;
        static final int PER_ROW = 2;

        /** The type of the logits. */
        DType dtype() {
            return TYPES[(int) ((rows + 3 * classes) % TYPES.length)];
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {75, 80, 86, 90, 120})
    void everyLaunchAndEveryByteIsExact(int capability, Recorder recorder) {
        int launches = 0;
        try (CudaBackend backend = open(recorder, capability)) {
            for (Reduction reduction : Reduction.values()) {
                CrossEntropyOptions options = new CrossEntropyOptions(reduction, IGNORE);
                try (CudaStream stream = backend.newStream();
                        CrossEntropy op = CrossEntropy.on(backend, options, stream)) {
                    // The kernels of 16 bits are loaded by the first call that needs them.
                    for (DType dtype : TYPES) {
                        op.gradient(at(backend, dtype, 1L << 48, 1, 1), at(backend, DType.I32, 1L << 49, 1),
                                at(backend, dtype, 1L << 50, 1, 1));
                    }
                    for (long rows : ROWS) {
                        for (long classes : CLASSES) {
                            DType targets = (rows + classes) % 2 == 0 ? DType.I64 : DType.I32;
                            long misaligned = (rows + classes) % 5 * 4;
                            int scalar = (int) (rows + classes) % 2;
                            launches += check(recorder, backend, op, options, stream,
                                    new Case(rows, classes, true, false, targets, Case.NONE, misaligned));
                            launches += check(recorder, backend, op, options, stream,
                                    new Case(rows, classes, false, true, targets, scalar, misaligned));
                            launches += check(recorder, backend, op, options, stream, new Case(rows, classes, true,
                                    true, targets, reduction == Reduction.NONE ? Case.PER_ROW : scalar, misaligned));
                        }
                    }
                }
            }
        }
        assertTrue(launches > 1500, launches + " launches compared");
    }

    /** Runs one call and compares what the driver got with what cross_entropy_params.h asks for. Returns the number of launches. */
    private int check(Recorder recorder, CudaBackend backend, CrossEntropy op, CrossEntropyOptions options,
            CudaStream stream, Case c) {
        // Addresses far apart, so that every pointer is told from every other.
        long off = c.misaligned * c.dtype().byteSize() / 4;
        Tensor logits = at(backend, c.dtype(), 0x1_0000_0000_0000L + off, c.rows, c.classes);
        Tensor gradLogits = at(backend, c.dtype(), 0x2_0000_0000_0000L + off, c.rows, c.classes);
        Tensor targets = at(backend, c.targets, 0x3_0000_0000_0000L + 2 * c.misaligned, c.rows);
        Tensor gradLoss = at(backend, DType.F32, 0x4_0000_0000_0000L + c.misaligned,
                c.gradLoss == Case.PER_ROW ? new long[] {c.rows} : new long[0]);
        boolean none = options.reduction() == Reduction.NONE;
        Tensor loss = at(backend, DType.F32, 0x5_0000_0000_0000L + c.misaligned,
                none ? new long[] {c.rows} : new long[0]);
        recorder.clearLog();
        if (!c.wantsGradient) {
            op.loss(logits, targets, loss);
        } else if (!c.wantsLoss) {
            if (c.gradLoss == Case.NONE) {
                op.gradient(logits, targets, gradLogits);
            } else {
                op.gradient(logits, targets, gradLoss, gradLogits);
            }
        } else if (c.gradLoss == Case.NONE) {
            op.lossAndGradient(logits, targets, loss, gradLogits);
        } else {
            op.lossAndGradient(logits, targets, gradLoss, loss, gradLogits);
        }
        List<Recorder.Launch> found = recorder.launches();
        String what = options.reduction() + " " + c;

        boolean mean = options.reduction() == Reduction.MEAN;
        boolean reduced = !none && c.wantsLoss;
        ByteBuffer block = ByteBuffer.wrap(found.isEmpty() ? new byte[120] : found.getFirst().arguments())
                .order(ByteOrder.LITTLE_ENDIAN);
        // Scratch is where the op has put it; it has to be real, apart, aligned and large enough.
        long rowLoss = reduced ? block.getLong(24) : c.wantsLoss ? loss.address() : 0;
        long denominatorParts = mean ? block.getLong(48) : 0;
        long lossParts = reduced ? block.getLong(56) : 0;
        long arrivals = reduced ? block.getLong(64) : 0;
        long status = block.getLong(72);
        if (!found.isEmpty()) {
            List<long[]> scratch = new ArrayList<>();
            scratch.add(new long[] {status, 24, 8});
            if (mean) {
                scratch.add(new long[] {denominatorParts, 128 * 8, 8});
            }
            if (reduced) {
                scratch.add(new long[] {rowLoss, c.rows * 4, 4});
                scratch.add(new long[] {lossParts, ceil(c.rows, 8192) * 4, 4});
                scratch.add(new long[] {arrivals, 4, 4});
            }
            checkScratch(recorder, what, scratch);
            assertEquals("0000000000000000ffffffffffffffff",
                    HexFormat.of().formatHex(recorder.read(status, 16)), "status is reset");
        }

        int segments = (int) ceil(c.classes, 8192);
        int stash = c.classes > 2048 ? Math.min(segments - 1, backend.launchTable().blockSharedBytes() / 32768) : 0;
        int countBlocks = mean ? (int) Math.min(128, ceil(c.rows, 16384)) : 0;
        int flags = (mean ? 1 : 0) | (c.gradLoss == Case.PER_ROW && c.wantsGradient ? 2 : 0)
                | (c.targets == DType.I32 ? 4 : 0);
        byte[] arguments = LaunchExpectation.crossEntropy(logits.address(), targets.address(),
                c.wantsGradient && c.gradLoss != Case.NONE ? gradLoss.address() : 0, rowLoss,
                reduced ? loss.address() : 0, c.wantsGradient ? gradLogits.address() : 0, denominatorParts, lossParts,
                arrivals, status, c.rows, c.classes, IGNORE, flags, countBlocks, stash);

        List<LaunchExpectation> expected = new ArrayList<>();
        if (c.rows > 0) {
            if (mean) {
                expected.add(new LaunchExpectation("cross_entropy_count", countBlocks, 256, 0, arguments));
            }
            boolean narrow = c.dtype() != DType.F32;
            String phase = (c.wantsGradient ? "cross_entropy_loss_grad_" : "cross_entropy_loss_")
                    + c.dtype().name().toLowerCase(Locale.ROOT) + "_";
            if (c.classes <= 32) {
                int grid = (int) Math.min(ceil(c.rows, 128), MULTIPROCESSORS * (c.wantsGradient ? 4L : 8L));
                expected.add(new LaunchExpectation(phase + "thread", grid, 128,
                        (int) ((narrow ? 256 : 512) * c.classes + 16),
                        arguments));
            } else if (c.classes <= 1024) {
                int grid = (int) Math.min(ceil(c.rows, c.classes <= 256 ? 16 : 4),
                        MULTIPROCESSORS * (c.wantsGradient ? 5L : narrow ? 6L : 8L));
                expected.add(new LaunchExpectation(phase + "warp", grid, 128, 0, arguments));
            } else if (c.classes <= 2048) {
                int grid = (int) Math.min(ceil(c.rows, 4), MULTIPROCESSORS * (c.wantsGradient ? 4L : 5L));
                expected.add(new LaunchExpectation(phase + "wide", grid, 128, 0, arguments));
            } else {
                int grid = (int) Math.min(c.rows, MULTIPROCESSORS * 3L);
                expected.add(
                        new LaunchExpectation(phase + "block", grid, narrow ? 128 : 256, 32768 * stash, arguments));
            }
        }
        if (reduced) {
            expected.add(new LaunchExpectation("cross_entropy_reduce_loss_f32",
                    (int) Math.max(1, ceil(c.rows, 8192)), 256, 0, arguments));
        }
        assertTrue(expected.size() <= 3, "an op is at most three launches");
        assertEquals(expected.stream().map(e -> e.text(stream.handle())).collect(Collectors.joining("\n")),
                found.stream().map(LaunchExpectation::text).collect(Collectors.joining("\n")), what);
        // Nothing on the path of an op waits for the device or copies; scratch is allocated when there are more rows.
        List<String> others = new ArrayList<>(recorder.calls());
        others.removeIf(call -> call.equals("cuCtxSetCurrent") || call.equals("cuLaunchKernel")
                || call.equals("cuMemAlloc_v2"));
        assertEquals(List.of(), others, what);
        return found.size();
    }

    private static void checkScratch(Recorder recorder, String what, List<long[]> ranges) {
        for (long[] a : ranges) {
            assertEquals(0, a[0] % a[2], what + ": aligned");
            assertTrue(recorder.bytesFrom(a[0]) >= a[1], what + ": " + recorder.bytesFrom(a[0]) + " of " + a[1]);
            for (long[] b : ranges) {
                assertTrue(a == b || a[0] + a[1] <= b[0] || b[0] + b[1] <= a[0], what + ": scratch overlaps");
            }
        }
    }

    /** The table's stash, written down: what leaves two blocks to a multiprocessor. */
    @Test
    void theStashFollowsTheChip(Recorder recorder) {
        int[][] expected = {{75, 0}, {80, 2}, {86, 1}, {89, 1}, {90, 3}, {120, 1}};
        for (int[] e : expected) {
            try (CudaBackend backend = open(recorder, e[0])) {
                assertEquals(e[1] * 32768, backend.launchTable().blockSharedBytes(), "sm_" + e[0]);
            }
        }
    }

    /** 2^33 elements and 2^40 elements, rows beyond 2^31: 64-bit all the way. */
    @Test
    void hugeShapesKeepEveryBit(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 90);
                CrossEntropy op = CrossEntropy.on(backend,
                        CrossEntropyOptions.defaults().withReduction(Reduction.NONE))) {
            for (long[] shape : new long[][] {{(1L << 32) + 3, 2}, {(1L << 31) + 1, 300}, {1L << 20, 1L << 20}}) {
                recorder.clearLog();
                op.gradient(at(backend, DType.F32, 1L << 61, shape), at(backend, DType.I64, 1L << 62, shape[0]),
                        at(backend, DType.F32, 3L << 60, shape));
                Recorder.Launch launch = recorder.launches().getFirst();
                ByteBuffer block = ByteBuffer.wrap(launch.arguments()).order(ByteOrder.LITTLE_ENDIAN);
                assertEquals(shape[0], block.getLong(80));
                assertEquals(shape[1], block.getLong(88));
                assertTrue(launch.grid().getFirst() > 0 && launch.grid().getFirst() <= 16 * MULTIPROCESSORS);
            }
        }
    }

    @Test
    void inPlaceIsTheSamePointerTwice(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            recorder.clearLog();
            Tensor logits = at(backend, DType.F32, 1L << 40, 3, 5);
            op.lossAndGradient(logits, at(backend, DType.I64, 1L << 41, 3), at(backend, DType.F32, 1L << 42), logits);
            ByteBuffer block =
                    ByteBuffer.wrap(recorder.launches().get(1).arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(1L << 40, block.getLong(0));
            assertEquals(1L << 40, block.getLong(40));
        }
    }

    /** More rows than before grow the scratch; fewer, or as many, do not. What was there stays until close. */
    @Test
    void scratchGrowsOnlyWithRows(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80)) {
            long before = recorder.live("device");
            try (CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
                Tensor loss = at(backend, DType.F32, 1L << 42);
                long made = recorder.live("device");
                for (long[] step : new long[][] {{100, 1}, {50, 1}, {100, 1}, {101, 2}, {200, 2}, {1, 2}, {1000, 3}}) {
                    op.loss(at(backend, DType.F32, 1L << 40, step[0], 5), at(backend, DType.I64, 1L << 41, step[0]),
                            loss);
                    assertEquals(made + step[1], recorder.live("device"), step[0] + " rows");
                }
            }
            // The page of status words is the stream's.
            assertEquals(before + 1, recorder.live("device"));
        }
    }

    // ---- targets out of range

    /** What the kernels do when they meet such a target. */
    private static void bad(Recorder recorder, long count, long firstRow, long firstTarget) {
        ByteBuffer block = ByteBuffer.wrap(recorder.launches().getLast().arguments()).order(ByteOrder.LITTLE_ENDIAN);
        recorder.write(block.getLong(72), count);
        recorder.write(block.getLong(72) + 8, firstRow);
        recorder.write(block.getLong(72) + 16, firstTarget);
    }

    private static String status(Recorder recorder) {
        ByteBuffer block = ByteBuffer.wrap(recorder.launches().getLast().arguments()).order(ByteOrder.LITTLE_ENDIAN);
        return HexFormat.of().formatHex(recorder.read(block.getLong(72), 16));
    }

    private static void run(CudaBackend backend, CrossEntropy op) {
        op.lossAndGradient(at(backend, DType.F32, 1L << 40, 9, 5), at(backend, DType.I64, 1L << 41, 9),
                at(backend, DType.F32, 1L << 42), at(backend, DType.F32, 1L << 43, 9, 5));
    }

    @Test
    void synchronisingRaisesTargetsOutOfRangeOnce(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            run(backend, op);
            backend.defaultStream().synchronize();
            run(backend, op);
            bad(recorder, 3, 4, -7);
            var e = assertThrows(TargetOutOfRangeException.class, () -> backend.defaultStream().synchronize());
            assertEquals(4, e.firstRow());
            assertEquals(-7, e.firstTarget());
            assertEquals(3, e.count());
            assertTrue(e.getMessage().startsWith("CrossEntropy.lossAndGradient: 3 target(s)"), e.getMessage());
            assertEquals("0000000000000000ffffffffffffffff", status(recorder), "reset");
            backend.defaultStream().synchronize();
            run(backend, op);
            backend.defaultStream().synchronize();
        }
    }

    @Test
    void copyingRaisesTargetsOutOfRange(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80);
                Memory memory = backend.allocate(4);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            run(backend, op);
            bad(recorder, 1, 8, 9);
            int[] found = {7};
            var e = assertThrows(TargetOutOfRangeException.class,
                    () -> backend.copy(Tensor.of(DType.I32, memory, 0, 1), Tensor.of(found, 1)));
            assertEquals(8, e.firstRow());
            assertEquals(0, found[0], "the copy was made");
            backend.copy(Tensor.of(DType.I32, memory, 0, 1), Tensor.of(found, 1));
        }
    }

    @Test
    void closingRaisesTargetsOutOfRangeAndReleasesAll(Recorder recorder) {
        CudaBackend backend = open(recorder, 80);
        CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
        run(backend, op);
        bad(recorder, 2, 1, -1);
        assertThrows(TargetOutOfRangeException.class, op::close);
        op.close();

        CrossEntropy second = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
        run(backend, second);
        bad(recorder, 5, 6, -1);
        var e = assertThrows(TargetOutOfRangeException.class, backend::close);
        assertEquals(5, e.count());
        backend.close();
        second.close();
    }

    @Test
    void everyOperationOnAStreamIsReadAndOthersAreNot(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80); CudaStream other = backend.newStream()) {
            List<CrossEntropy> ops = new ArrayList<>();
            // More than a page of status words.
            for (int i = 0; i < 70; i++) {
                ops.add(CrossEntropy.on(backend, CrossEntropyOptions.defaults()));
            }
            for (int i : new int[] {1, 69}) {
                run(backend, ops.get(i));
                bad(recorder, i, i + 1, -1);
            }
            CrossEntropy elsewhere = CrossEntropy.on(backend, CrossEntropyOptions.defaults(), other);
            run(backend, elsewhere);
            bad(recorder, 9, 9, -1);
            var e = assertThrows(TargetOutOfRangeException.class, () -> backend.defaultStream().synchronize());
            assertEquals(1, e.count());
            assertEquals(1, e.getSuppressed().length);
            assertEquals(69, ((TargetOutOfRangeException) e.getSuppressed()[0]).count());
            backend.defaultStream().synchronize();
            assertEquals(9, assertThrows(TargetOutOfRangeException.class, other::synchronize).count());
            ops.forEach(CrossEntropy::close);
            elsewhere.close();
            // Status words are used again.
            long pages = recorder.live("pinned");
            CrossEntropy.on(backend, CrossEntropyOptions.defaults()).close();
            assertEquals(pages, recorder.live("pinned"));
        }
    }

    // ---- bad input: nothing reaches the driver

    @Test
    void badInputLaunchesNothing(Recorder recorder) {
        recorder.setDeviceCount(2);
        try (CudaBackend backend = open(recorder, 80);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            Tensor logits = at(backend, DType.F32, 1L << 40, 3, 5);
            Tensor targets = at(backend, DType.I64, 1L << 41, 3);
            Tensor loss = at(backend, DType.F32, 1L << 42);
            Memory closed = backend.allocate(64);
            closed.close();
            recorder.clearLog();
            // shape
            refused("CrossEntropy.loss: targets", () -> op.loss(logits, at(backend, DType.I64, 1L << 41, 4), loss));
            refused("CrossEntropy.loss: logits", () -> op.loss(at(backend, DType.F32, 1L << 40, 15), targets, loss));
            refused("CrossEntropy.loss: loss", () -> op.loss(logits, targets, at(backend, DType.F32, 1L << 42, 3)));
            // type
            assertTrue(assertThrows(UnsupportedOperationException.class,
                    () -> op.loss(at(backend, DType.I32, 1L << 40, 3, 5), targets, loss)).getMessage()
                    .startsWith("CrossEntropy.loss: logits is I32; backend cuda takes"));
            // device
            refused("CrossEntropy.loss: logits",
                    () -> op.loss(Tensor.of(new float[15], 3, 5), targets, loss));
            // overlap
            refused("CrossEntropy.gradient: gradLogits",
                    () -> op.gradient(logits, targets, at(backend, DType.F32, (1L << 40) + 4, 3, 5)));
            // closed memory
            assertThrows(IllegalStateException.class,
                    () -> op.loss(Tensor.of(DType.F32, closed, 0, 3, 5), targets, loss));
            assertEquals(List.of(), recorder.calls());
            assertFalse(recorder.launches().size() > 0);
        }
    }

    private static void refused(String start, Executable call) {
        var e = assertThrows(IllegalArgumentException.class, call);
        assertTrue(e.getMessage().startsWith(start), e.getMessage());
    }

    @Test
    void memoryOfAnotherDeviceIsRefused(Recorder recorder) {
        recorder.setDeviceCount(2);
        try (CudaBackend first = (CudaBackend) Backend.open("cuda");
                CudaBackend second = (CudaBackend) Backend.open("cuda",
                        BackendOptions.defaults().withDeviceOrdinal(1));
                Memory memory = second.allocate(64)) {
            var e = assertThrows(IllegalArgumentException.class, () -> first.wrap(memory.address(), 64));
            assertTrue(e.getMessage().endsWith(" lies on device 1, this backend has device 0"), e.getMessage());
            assertEquals(64, second.wrap(memory.address(), 64).byteSize());
            assertFalse(first.accepts(memory));
            e = assertThrows(IllegalArgumentException.class,
                    () -> first.copy(Tensor.of(DType.F32, memory, 0, 4), Tensor.of(new float[4], 4)));
            assertTrue(e.getMessage().contains("which this backend, device 0, cannot use"), e.getMessage());
            e = assertThrows(IllegalArgumentException.class,
                    () -> first.wrapStream(second.defaultStream().handle()));
            assertTrue(e.getMessage().contains("is no stream of device 0's primary context"), e.getMessage());
        }
    }

    @Test
    void wrappedStreamsCarryLaunches(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80);
                CudaStream owner = backend.newStream();
                CudaStream wrapped = backend.wrapStream(owner.handle());
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults(), wrapped)) {
            recorder.clearLog();
            run(backend, op);
            recorder.launches().forEach(launch -> assertEquals(owner.handle(), launch.stream()));
            assertEquals(3, recorder.launches().size());
        }
    }

    @Test
    void theBlockIsWrittenAnewEachTime(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            Tensor logits = at(backend, DType.F32, 1L << 40, 3, 5);
            Tensor targets = at(backend, DType.I64, 1L << 41, 3);
            recorder.clearLog();
            op.gradient(logits, targets, at(backend, DType.F32, 1L << 43, 3, 5));
            byte[] fresh = recorder.launches().getLast().arguments();
            run(backend, op);
            op.gradient(logits, targets, at(backend, DType.F32, 1L << 43, 3, 5));
            assertArrayEquals(fresh, recorder.launches().getLast().arguments());
        }
    }

    /** Contexts are per thread: a fresh thread has none until the launch makes it current. */
    @Test
    void aFreshThreadCanLaunch(Recorder recorder) throws InterruptedException {
        try (CudaBackend backend = open(recorder, 80);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            run(backend, op);
            recorder.clearLog();
            List<Throwable> failures = new ArrayList<>();
            Thread thread = new Thread(() -> run(backend, op));
            thread.setUncaughtExceptionHandler((t, e) -> failures.add(e));
            thread.start();
            thread.join();
            assertEquals(List.of(), failures);
            assertEquals(3, recorder.launches().size());
        }
    }

    @Test
    void anOperationOutlivesItsStreamAndItsBackendInPeace(Recorder recorder) {
        CudaBackend backend = open(recorder, 80);
        CudaStream stream = backend.newStream();
        CrossEntropy first = CrossEntropy.on(backend, CrossEntropyOptions.defaults(), stream);
        CrossEntropy second = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
        run(backend, first);
        stream.close();
        var e = assertThrows(IllegalStateException.class, () -> run(backend, first));
        assertEquals("CrossEntropy.lossAndGradient: the stream is closed", e.getMessage());
        first.close();
        backend.close();
        e = assertThrows(IllegalStateException.class, () -> run(backend, second));
        assertTrue(e.getMessage().contains("is closed"), e.getMessage());
        second.close();
        first.close();
    }
}
