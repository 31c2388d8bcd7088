package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
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
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Cross-entropy where kernels run: the cpu backend's bits over shapes, alignments, inputs, launches; bad targets. */
abstract class CrossEntropyContract {
    private static final long IGNORE = -100;
    private static final int POISON = 0x7fabcdef;

    private CudaBackend cuda;
    private Backend cpu;

    @BeforeEach
    void open() {
        cuda = (CudaBackend) Backend.open("cuda");
        cpu = Backend.open("cpu");
    }

    @AfterEach
    void close() {
        cpu.close();
        cuda.close();
    }

    /** Kinds of rows; each row of a batch takes the next. */
    private enum Rows {
        NORMAL, WIDE, CONFIDENT, MASKED, EQUAL, TIES, HUGE_OFFSET, SUBNORMAL, NAN, INFINITE, ALL_MASKED, IGNORED;

        void fill(Random random, float[] z, int from, int to) {
            for (int i = from; i < to; i++) {
                float normal = (float) random.nextGaussian();
                z[i] = switch (this) {
                    case NORMAL, IGNORED, NAN, INFINITE, CONFIDENT -> normal;
                    case WIDE -> 40 * normal;
                    case MASKED -> random.nextInt(3) == 0 ? Float.NEGATIVE_INFINITY : normal;
                    case EQUAL -> 1.5f;
                    case TIES -> random.nextInt(3);
                    case HUGE_OFFSET -> 1e6f + 8 * normal;
                    case SUBNORMAL -> 1e-40f * normal;
                    case ALL_MASKED -> Float.NEGATIVE_INFINITY;
                };
            }
            int one = from + random.nextInt(to - from);
            switch (this) {
                case CONFIDENT -> z[one] = 60;
                case NAN -> z[one] = Float.NaN;
                case INFINITE -> z[one] = Float.POSITIVE_INFINITY;
                default -> {
                }
            }
        }
    }

    /** Inputs and where on the device they lie; outputs start poisoned and with a guard behind them. */
    private final class Batch implements AutoCloseable {
        final int rows;
        final int classes;
        final float[] logits;
        final long[] targets;
        final float[] gradLoss;
        private final List<Memory> memories = new ArrayList<>();

        Batch(long seed, int rows, int classes) {
            Random random = new Random(seed);
            this.rows = rows;
            this.classes = classes;
            logits = new float[rows * classes];
            targets = new long[rows];
            gradLoss = new float[rows];
            for (int row = 0; row < rows; row++) {
                Rows kind = Rows.values()[row % Rows.values().length];
                kind.fill(random, logits, row * classes, (row + 1) * classes);
                targets[row] = kind == Rows.IGNORED ? IGNORE : random.nextInt(classes);
                gradLoss[row] = (float) random.nextGaussian();
            }
        }

        /** A device tensor at an odd address, with what the host tensor holds. */
        Tensor device(Tensor host, long misaligned) {
            Memory memory = cuda.allocate(misaligned + host.byteSize());
            memories.add(memory);
            Tensor tensor = Tensor.of(host.dtype(), memory, misaligned, host.shape());
            cuda.copy(host, tensor);
            return tensor;
        }

        Tensor targets(DType type) {
            return type == DType.I64
                    ? Tensor.of(targets, rows)
                    : Tensor.of(Arrays.stream(targets).mapToInt(t -> (int) t).toArray(), rows);
        }

        @Override
        public void close() {
            memories.forEach(Memory::close);
        }
    }

    private static float[] poisoned(int count) {
        float[] values = new float[count];
        Arrays.fill(values, Float.intBitsToFloat(POISON));
        return values;
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        MemorySegment.copy(MemorySegment.ofArray(values), 0, MemorySegment.ofArray(bits), 0, 4L * values.length);
        return bits;
    }

    private static void assertSameBits(float[] expected, float[] found, String what) {
        assertArrayEquals(bits(expected), bits(found), what);
    }

    private static void assertSame(Tensor expected, Tensor found, String what) {
        assertEquals(-1, expected.segment().mismatch(found.segment()), what + ": first byte that differs");
    }

    /** Loss alone, gradient alone, both, and both in place: on both backends, bit for bit. */
    private int compare(Backend device, Batch batch, Reduction reduction, DType type, long misaligned) {
        return compare(device, batch, DType.F32, reduction, type, misaligned);
    }

    /** Logits of 16 bits lie half as many bytes off: as many elements, and odd ones. */
    private int compare(Backend device, Batch batch, DType dtype, Reduction reduction, DType type, long misaligned) {
        String what = dtype + " " + batch.rows + "x" + batch.classes + " " + reduction + " " + type + " +" + misaligned;
        CrossEntropyOptions options = new CrossEntropyOptions(reduction, IGNORE);
        boolean none = reduction == Reduction.NONE;
        long[] shape = {batch.rows, batch.classes};
        long[] lossShape = none ? new long[] {batch.rows} : new long[0];
        int lossCount = none ? batch.rows : 1;
        float[] upstream = none ? batch.gradLoss : new float[] {-1.75f};

        float[] loss = poisoned(lossCount);
        Tensor gradient = HostTensors.room(dtype, shape);
        Tensor hostLogits = HostTensors.of(dtype, batch.logits, shape);
        long off = misaligned * dtype.byteSize() / Float.BYTES;
        Tensor hostTargets = batch.targets(type);
        try (CrossEntropy op = CrossEntropy.on(cpu, options)) {
            op.lossAndGradient(hostLogits, hostTargets, Tensor.of(upstream, lossShape), Tensor.of(loss, lossShape),
                    gradient);
        }
        Tensor logits = batch.device(hostLogits, off);
        Tensor targets = batch.device(hostTargets, 2 * misaligned);
        Tensor gradLoss = batch.device(Tensor.of(upstream, lossShape), misaligned);
        Tensor lossOut = batch.device(Tensor.of(poisoned(lossCount), lossShape), misaligned);
        Tensor gradientOut = batch.device(HostTensors.room(dtype, shape), off);
        float[] lossFound = poisoned(lossCount);
        Tensor gradientFound = HostTensors.room(dtype, shape);
        try (CrossEntropy op = CrossEntropy.on(device, options)) {
            op.loss(logits, targets, lossOut);
            device.copy(lossOut, Tensor.of(lossFound, lossShape));
            assertSameBits(loss, lossFound, what + ": loss alone");

            op.gradient(logits, targets, gradLoss, gradientOut);
            device.copy(gradientOut, gradientFound);
            assertSame(gradient, gradientFound, what + ": gradient alone");

            device.copy(Tensor.of(poisoned(lossCount), lossShape), lossOut);
            device.copy(HostTensors.room(dtype, shape), gradientOut);
            op.lossAndGradient(logits, targets, gradLoss, lossOut, gradientOut);
            device.copy(lossOut, Tensor.of(lossFound, lossShape));
            device.copy(gradientOut, gradientFound);
            assertSameBits(loss, lossFound, what + ": loss");
            assertSame(gradient, gradientFound, what + ": gradient");
            device.copy(logits, gradientFound);
            assertSame(hostLogits, gradientFound, what + ": logits are only read");

            op.lossAndGradient(logits, targets, gradLoss, lossOut, logits);
            device.copy(lossOut, Tensor.of(lossFound, lossShape));
            device.copy(logits, gradientFound);
            assertSameBits(loss, lossFound, what + ": loss in place");
            assertSame(gradient, gradientFound, what + ": gradient in place");
        }
        return 4;
    }

    /** Both sides of every bound between kernels, of a segment and of what a thread holds; a real vocabulary. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 10, 31, 32, 33, 127, 255, 256, 257, 1000, 1023, 1024, 1025, 2049, 8191, 8192, 8193,
        16385, 50257})
    void theCpusBits(int classes) {
        int rows = classes <= 256 ? 133 : classes <= 2049 ? 25 : classes <= 16385 ? 13 : 2;
        int compared = 0;
        for (Reduction reduction : Reduction.values()) {
            DType type = reduction == Reduction.SUM ? DType.I32 : DType.I64;
            for (long misaligned : new long[] {0, 4, 8, 12}) {
                if (classes <= 2049 || misaligned / 4 == reduction.ordinal()) {
                    try (Batch batch = new Batch(classes, rows, classes)) {
                        compared += compare(cuda, batch, reduction, type, misaligned);
                    }
                }
            }
        }
        assertTrue(compared >= 12, compared + " comparisons");
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 3, 10, 31, 33, 129, 257, 1000, 1023, 1025, 2049, 8193, 20001})
    void theCpusBitsOf16(int classes) {
        int rows = classes <= 257 ? 133 : classes <= 2049 ? 25 : 3;
        DType[] types = {DType.BF16, DType.F16};
        for (Reduction reduction : Reduction.values()) {
            int turn = reduction.ordinal() + classes;
            try (Batch batch = new Batch(classes, rows, classes)) {
                compare(cuda, batch, types[turn % 2], reduction, DType.I64, 4 * (turn % 8));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 3, 16, 17, 128, 129, 8193})
    void anyNumberOfRows(int rows) {
        for (int classes : rows > 1000 ? new int[] {3} : new int[] {5, 40, 300}) {
            for (Reduction reduction : Reduction.values()) {
                try (Batch batch = new Batch(rows, rows, classes)) {
                    compare(cuda, batch, reduction, DType.I64, 0);
                }
            }
        }
    }

    @Test
    void allRowsIgnored() {
        try (Batch batch = new Batch(3, 9, 70)) {
            Arrays.fill(batch.targets, IGNORE);
            for (Reduction reduction : Reduction.values()) {
                compare(cuda, batch, reduction, DType.I32, 4);
            }
        }
    }

    /** One multiprocessor, so that every kernel goes round and round; with and without a stash. */
    @ParameterizedTest
    @ValueSource(ints = {48 << 10, 99 << 10})
    void theLaunchShapeChangesNoBit(int sharedBytes) {
        CudaDevice d = cuda.device();
        int capability = Math.min(d.capability(), sharedBytes < 64 << 10 ? 75 : 90);
        CudaDevice small = new CudaDevice(0, d.name(), capability / 10, capability % 10, 1, sharedBytes,
                d.memoryBytes(), capability >= 90 ? d.ptx() : "sm_75", null);
        try (CudaBackend backend =
                new CudaBackend(cuda.name(), cuda.driver().library(), small, LaunchMethod.chosen())) {
            for (int classes : new int[] {10, 200, 1000, 20_000}) {
                try (Batch batch = new Batch(classes, classes <= 200 ? 1200 : 12, classes)) {
                    compare(backend, batch, Reduction.MEAN, DType.I64, 0);
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {7, 100, 1500})
    void badTargetsAreNanInTheirRowsAndRaisedOnce(int classes) {
        int rows = 24;
        try (Batch batch = new Batch(classes, rows, classes)) {
            long[] good = batch.targets.clone();
            batch.targets[5] = classes;
            batch.targets[17] = -1;
            batch.targets[23] = Long.MAX_VALUE;
            CrossEntropyOptions options = CrossEntropyOptions.defaults();
            // Rows with such a target do not count: as if they were ignored, but NaN.
            long[] ignored = batch.targets.clone();
            for (int row : new int[] {5, 17, 23}) {
                ignored[row] = IGNORE;
            }
            long[] shape = {rows, classes};
            float[] expected = new float[rows * classes];
            try (CrossEntropy op = CrossEntropy.on(cpu, options)) {
                op.gradient(Tensor.of(batch.logits, shape), Tensor.of(ignored, rows), Tensor.of(expected, shape));
            }
            for (int row : new int[] {5, 17, 23}) {
                Arrays.fill(expected, row * classes, (row + 1) * classes, Float.NaN);
            }
            Tensor logits = batch.device(Tensor.of(batch.logits, shape), 0);
            Tensor targets = batch.device(Tensor.of(batch.targets, rows), 0);
            Tensor loss = batch.device(Tensor.of(poisoned(1)), 0);
            Tensor gradient = batch.device(Tensor.of(poisoned(rows * classes), shape), 0);
            float[] found = new float[rows * classes];
            float[] lossFound = new float[1];
            try (CrossEntropy op = CrossEntropy.on(cuda, options)) {
                op.lossAndGradient(logits, targets, loss, gradient);
                var e = assertThrows(TargetOutOfRangeException.class, () -> cuda.defaultStream().synchronize());
                assertEquals(3, e.count());
                assertEquals(5, e.firstRow());
                assertEquals(batch.targets[5], e.firstTarget());
                assertTrue(e.getMessage().startsWith("CrossEntropy.lossAndGradient: "), e.getMessage());
                cuda.copy(gradient, Tensor.of(found, shape));
                cuda.copy(loss, Tensor.of(lossFound));
                assertSameBits(expected, found, "gradient");
                assertEquals(0x7fc00000, Float.floatToRawIntBits(lossFound[0]));
                // The context lives, and the status starts afresh.
                cuda.copy(Tensor.of(good, rows), targets);
                op.lossAndGradient(logits, targets, loss, gradient);
                cuda.defaultStream().synchronize();
            }
        }
    }

    @Test
    void aForeignPointerAndStreamAreUsedAsTheyAre() {
        try (Batch batch = new Batch(1, 12, 50);
                CudaStream owner = cuda.newStream();
                CudaStream stream = cuda.wrapStream(owner.handle());
                CrossEntropy op = CrossEntropy.on(cuda, CrossEntropyOptions.defaults(), stream)) {
            float[] expected = new float[600];
            float[] expectedLoss = new float[1];
            long[] shape = {12, 50};
            try (CrossEntropy reference = CrossEntropy.on(cpu, CrossEntropyOptions.defaults())) {
                reference.lossAndGradient(Tensor.of(batch.logits, shape), Tensor.of(batch.targets, 12),
                        Tensor.of(expectedLoss), Tensor.of(expected, shape));
            }
            Tensor owned = batch.device(Tensor.of(batch.logits, shape), 0);
            Tensor logits = Tensor.of(DType.F32, cuda.wrap(owned.address(), owned.byteSize()), 0, shape);
            Tensor loss = batch.device(Tensor.of(poisoned(1)), 0);
            op.lossAndGradient(logits, batch.device(Tensor.of(batch.targets, 12), 0), loss, logits);
            stream.synchronize();
            float[] found = new float[600];
            cuda.copy(owned, Tensor.of(found, shape));
            assertSameBits(expected, found, "gradient");
        }
    }

    /** Each thread has its stream and its operation; the backend, its memory and its copies are shared. */
    @Test
    void threadsWorkSideBySide() throws InterruptedException {
        int threads = 4;
        Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
        List<Thread> running = new ArrayList<>();
        for (int thread = 0; thread < threads; thread++) {
            int seed = thread;
            running.add(Thread.ofPlatform().uncaughtExceptionHandler((t, e) -> failures.add(e)).start(() -> {
                long[] shape = {12, 30 + seed};
                CrossEntropyOptions options = CrossEntropyOptions.defaults();
                float[] expected = new float[(int) (shape[0] * shape[1])];
                float[] found = new float[expected.length];
                try (Batch batch = new Batch(seed, 12, 30 + seed);
                        Backend host = Backend.open("cpu");
                        CrossEntropy reference = CrossEntropy.on(host, options);
                        CudaStream stream = cuda.newStream();
                        CrossEntropy op = CrossEntropy.on(cuda, options, stream)) {
                    reference.gradient(Tensor.of(batch.logits, shape), Tensor.of(batch.targets, 12),
                            Tensor.of(expected, shape));
                    Tensor targets = batch.device(Tensor.of(batch.targets, 12), 0);
                    for (int round = 0; round < 5; round++) {
                        Tensor logits = batch.device(Tensor.of(batch.logits, shape), 4);
                        op.gradient(logits, targets, logits);
                        stream.synchronize();
                        cuda.copy(logits, Tensor.of(found, shape));
                        assertSameBits(expected, found, "thread " + seed + " round " + round);
                    }
                }
            }));
        }
        for (Thread thread : running) {
            thread.join();
        }
        assertEquals(List.of(), List.copyOf(failures));
    }

    @Test
    void anotherDeviceOfTheMachineIsOpenedByNumber() {
        int last = new CudaProvider().find().devices().size() - 1;
        Backend.open("cuda", BackendOptions.defaults().withDeviceOrdinal(last)).close();
    }
}
