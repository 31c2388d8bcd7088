package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.contract.AdamArrays;
import dev.isobit.contract.Bits;
import dev.isobit.contract.CrossEntropyDefinition;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Any host segment serves, in any mixture, and gives the same bits; nothing beside a tensor is written. */
class CpuMemoryTest {
    /** Kinds of memory. A tensor starts {@code skip} bytes into a segment and ends before the segment does. */
    enum Kind {
        /** By index. */
        FLOAT_ARRAY(0),
        /** By index. */
        FLOAT_ARRAY_OFFSET(20),
        /** The segment itself does not start with its array. */
        FLOAT_ARRAY_SLICE(12),
        /** Only bytes are known of it. */
        LONG_ARRAY(12),
        /** Only bytes are known of it. */
        BYTE_ARRAY(8),
        /** Aligned to nothing. */
        BYTE_ARRAY_ODD(7),
        /** Aligned to a cache line. */
        NATIVE(0),
        /** Aligned to an element. */
        NATIVE_PLUS_4(4),
        /** Aligned to an element. */
        NATIVE_SLICE(36),
        /** The caller's alone. */
        CONFINED(4),
        /** Anybody's. */
        SHARED(0),
        /** Never closed. */
        GLOBAL(8),
        /** Behind a buffer. */
        DIRECT_BUFFER(4),
        /** Behind a buffer. */
        HEAP_BUFFER(16),
        /** A file. */
        MAPPED(0),
        /** A file. */
        MAPPED_PLUS_4(4),
        /** Hides its array; for inputs. */
        READ_ONLY_ARRAY(4),
        /** For inputs. */
        READ_ONLY_NATIVE(4);

        static final Kind[] WRITABLE = Arrays.copyOf(values(), values().length - 2);

        final int skip;

        Kind(int skip) {
            this.skip = skip;
        }

        boolean readOnly() {
            return this == READ_ONLY_ARRAY || this == READ_ONLY_NATIVE;
        }
    }

    private static final byte POISON = 0x5a;
    private static final int BEHIND = 68;

    @TempDir
    Path folder;
    private Arena confined;
    private Arena shared;
    private int files;

    @BeforeEach
    void openArenas() {
        confined = Arena.ofConfined();
        shared = Arena.ofShared();
    }

    @AfterEach
    void closeArenas() {
        confined.close();
        shared.close();
    }

    /** A tensor and all the memory around it. */
    private record Placed(Tensor tensor, MemorySegment all, MemorySegment before) {
        float[] read() {
            float[] values = new float[(int) tensor.elementCount()];
            MemorySegment.copy(tensor.segment(), ValueLayout.JAVA_FLOAT_UNALIGNED, 0, values, 0, values.length);
            return values;
        }

        void assertNothingBesideWritten(Object what) {
            long start = start();
            long end = start + tensor.byteSize();
            assertEquals(-1, all.asSlice(0, start).mismatch(before.asSlice(0, start)), () -> what + ": written before");
            assertEquals(-1, all.asSlice(end).mismatch(before.asSlice(end)), () -> what + ": written behind");
        }

        void assertUnchanged(Object what) {
            assertEquals(-1, all.mismatch(before), () -> what + ": an input was written");
        }

        private long start() {
            return all.byteSize() - BEHIND - tensor.byteSize();
        }
    }

    private Placed place(Kind kind, DType type, MemorySegment content, long... shape) {
        long size = kind.skip + content.byteSize() + BEHIND;
        MemorySegment all = switch (kind) {
            case FLOAT_ARRAY, FLOAT_ARRAY_OFFSET, FLOAT_ARRAY_SLICE, READ_ONLY_ARRAY -> MemorySegment
                    .ofArray(new float[(int) ((size + 3) / 4)]);
            case LONG_ARRAY -> MemorySegment.ofArray(new long[(int) ((size + 7) / 8)]);
            case BYTE_ARRAY, BYTE_ARRAY_ODD -> MemorySegment.ofArray(new byte[(int) size]);
            case NATIVE, NATIVE_PLUS_4, NATIVE_SLICE, READ_ONLY_NATIVE -> Arena.ofAuto().allocate(size, 64);
            case CONFINED -> confined.allocate(size, 64);
            case SHARED -> shared.allocate(size, 64);
            case GLOBAL -> Arena.global().allocate(size, 64);
            case DIRECT_BUFFER -> MemorySegment.ofBuffer(ByteBuffer.allocateDirect((int) size + 8).alignedSlice(8));
            case HEAP_BUFFER -> MemorySegment.ofBuffer(ByteBuffer.allocate((int) size));
            case MAPPED, MAPPED_PLUS_4 -> map(size);
        };
        all = all.asSlice(all.byteSize() - size);
        all.fill(POISON);
        MemorySegment.copy(content, 0, all, kind.skip, content.byteSize());
        MemorySegment given = kind.readOnly() ? all.asReadOnly() : all;
        Tensor tensor = kind == Kind.FLOAT_ARRAY_SLICE || kind == Kind.NATIVE_SLICE
                ? Tensor.of(type, given.asSlice(kind.skip), shape)
                : Tensor.of(type, HostMemory.of(given), kind.skip, shape);
        return new Placed(tensor, all, MemorySegment.ofArray(all.toArray(ValueLayout.JAVA_BYTE)));
    }

    private MemorySegment map(long size) {
        try (FileChannel channel = FileChannel.open(folder.resolve("mapped" + files++), StandardOpenOption.CREATE,
                StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.allocate(1), size - 1);
            return channel.map(FileChannel.MapMode.READ_WRITE, 0, size, shared);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static MemorySegment of(float[] values) {
        return MemorySegment.ofArray(values);
    }

    /** All pairs of kinds for logits and gradient; loss, upstream and targets take turns. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void crossEntropy(int threads) {
        int rows = 5;
        int turn = 0;
        SplittableRandom random = new SplittableRandom(1);
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
                CrossEntropy op = CrossEntropy.on(backend, new CrossEntropyOptions(Reduction.NONE, 2))) {
            for (int classes : new int[] {5, 67, 700, 1041}) {
                float[] z = new float[rows * classes];
                for (int i = 0; i < z.length; i++) {
                    z[i] = (float) (10 * random.nextDouble());
                }
                z[2 * classes + 1] = Float.NaN;
                long[] t = {0, classes - 1, 1, 2, 1};
                float[] g = {1, -2, 3, 0.5f, 1e-3f};
                var expected = CrossEntropyDefinition.compute(z, classes, t, Reduction.NONE, 2, g);
                for (Kind logitsKind : Kind.values()) {
                    for (Kind gradKind : Kind.WRITABLE) {
                        Kind targetsKind = Kind.values()[turn++ % Kind.values().length];
                        Kind gradLossKind = Kind.values()[turn * 7 % Kind.values().length];
                        Kind lossKind = Kind.WRITABLE[turn % Kind.WRITABLE.length];
                        Placed logits = place(logitsKind, DType.F32, of(z), rows, classes);
                        Placed targets = place(targetsKind, DType.I32,
                                MemorySegment.ofArray(Arrays.stream(t).mapToInt(i -> (int) i).toArray()), rows);
                        Placed gradLoss = place(gradLossKind, DType.F32, of(g), rows);
                        Placed loss = place(lossKind, DType.F32, of(new float[rows]), rows);
                        Placed gradLogits = place(gradKind, DType.F32, of(new float[z.length]), rows, classes);
                        String what = classes + " classes, logits " + logitsKind + ", targets " + targetsKind
                                + ", gradLoss " + gradLossKind + ", loss " + lossKind + ", gradLogits " + gradKind;
                        op.lossAndGradient(logits.tensor, targets.tensor, gradLoss.tensor, loss.tensor,
                                gradLogits.tensor);
                        Bits.assertSame(what, expected.loss(), loss.read());
                        Bits.assertSame(what, expected.gradLogits(), gradLogits.read());
                        logits.assertUnchanged(what);
                        targets.assertUnchanged(what);
                        gradLoss.assertUnchanged(what);
                        loss.assertNothingBesideWritten(what);
                        gradLogits.assertNothingBesideWritten(what);
                        if (!logitsKind.readOnly() && gradKind == Kind.FLOAT_ARRAY) {
                            op.loss(logits.tensor, targets.tensor, loss.tensor);
                            Bits.assertSame(what + ", loss alone", expected.loss(), loss.read());
                            op.gradient(logits.tensor, targets.tensor, gradLoss.tensor, logits.tensor);
                            Bits.assertSame(what + ", in place", expected.gradLogits(), logits.read());
                            logits.assertNothingBesideWritten(what);
                        }
                    }
                }
            }
        }
        assertTrue(turn > 1000, "nothing was compared");
    }

    /** Mixtures drawn at random, several parameters at once. */
    @ParameterizedTest
    @ValueSource(ints = {1, 3})
    void adam(int threads) {
        SplittableRandom random = new SplittableRandom(2);
        AdamOptions options = AdamOptions.adamW();
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(threads))) {
            for (int repeat = 0; repeat < 120; repeat++) {
                int[] sizes = {17, repeat % 10 == 0 ? 20_011 : 131, 1};
                List<AdamArrays> arrays = new ArrayList<>();
                List<Placed[]> placed = new ArrayList<>();
                List<AdamParameter> parameters = new ArrayList<>();
                StringBuilder what = new StringBuilder();
                for (int size : sizes) {
                    AdamArrays a = AdamArrays.of(AdamArrays.Kind.NORMAL, size, random);
                    arrays.add(a);
                    Placed[] four = new Placed[4];
                    float[][] values = {a.param(), a.grad(), a.expAvg(), a.expAvgSq()};
                    for (int role = 0; role < 4; role++) {
                        Kind kind = role == 1
                                ? Kind.values()[random.nextInt(Kind.values().length)]
                                : Kind.WRITABLE[random.nextInt(Kind.WRITABLE.length)];
                        what.append(kind).append(' ');
                        four[role] = place(kind, DType.F32, of(values[role]), size);
                    }
                    placed.add(four);
                    parameters.add(new AdamParameter("p", four[0].tensor, four[1].tensor, four[2].tensor,
                            four[3].tensor));
                }
                try (Adam adam = Adam.on(backend, options, parameters)) {
                    adam.setStepCount(10);
                    adam.step();
                }
                for (int i = 0; i < sizes.length; i++) {
                    AdamArrays a = arrays.get(i);
                    a.step(options, options.lr(), 11);
                    Placed[] four = placed.get(i);
                    Bits.assertSame(what + "param " + i, a.param(), four[0].read());
                    Bits.assertSame(what + "expAvg " + i, a.expAvg(), four[2].read());
                    Bits.assertSame(what + "expAvgSq " + i, a.expAvgSq(), four[3].read());
                    four[1].assertUnchanged(what);
                    for (int role : new int[] {0, 2, 3}) {
                        four[role].assertNothingBesideWritten(what);
                    }
                }
            }
        }
    }

    /** Two read-only arrays are two arrays, though neither tells which. */
    @Test
    void gradientsInTwoReadOnlyArrays() {
        try (Backend backend = Backend.open("cpu")) {
            List<AdamParameter> parameters = new ArrayList<>();
            for (int i = 0; i < 2; i++) {
                MemorySegment grad = MemorySegment.ofArray(new float[] {1, 2}).asReadOnly();
                parameters.add(AdamParameter.of("p" + i, Tensor.of(new float[2], 2), Tensor.of(DType.F32, grad, 2)));
            }
            try (Adam adam = Adam.on(backend, AdamOptions.adam(), parameters)) {
                adam.step();
                assertEquals(-1e-3f, parameters.get(1).param().get(0), 1e-9);
            }
        }
    }

    /** A read-only view hides its array, not the overlap. */
    @Test
    void overlapThroughAReadOnlyView() {
        float[] array = new float[32];
        MemorySegment view = MemorySegment.ofArray(array).asReadOnly();
        Tensor hidden = Tensor.of(DType.F32, HostMemory.of(view), 16, 2, 4);
        Tensor targets = Tensor.of(new int[2], 2);
        Tensor open = Tensor.of(array, 2, 4);
        Tensor elsewhere = Tensor.of(new float[8], 2, 4);
        Tensor loss = Tensor.of(DType.F32, HostMemory.of(MemorySegment.ofArray(array)), 40, 2);
        try (Backend backend = Backend.open("cpu");
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults().withReduction(
                        Reduction.NONE))) {
            refused(IllegalArgumentException.class, () -> op.gradient(hidden, targets, open), "gradLogits", "logits",
                    "overlaps");
            refused(IllegalArgumentException.class, () -> op.lossAndGradient(hidden, targets, loss, elsewhere), "loss",
                    "logits", "overlaps");
            AdamParameter p = AdamParameter.of("p", open, hidden);
            refused(IllegalArgumentException.class, () -> Adam.on(backend, AdamOptions.adam(), List.of(p)).close(),
                    "param of p", "grad of p", "overlaps");
            // In place over a read-only view is a write to memory that must not be written.
            Tensor same = Tensor.of(DType.F32, view, 2, 4);
            refused(IllegalArgumentException.class, () -> op.gradient(same, targets, same), "read-only");
            refused(IllegalArgumentException.class, () -> op.gradient(same, targets, open), "logits");
        }
        assertEquals(0, array[0]);
    }

    private static <T extends Throwable> void refused(Class<T> type, Runnable call, String... words) {
        T e = assertThrows(type, call::run);
        for (String word : words) {
            assertTrue(e.getMessage().contains(word), () -> "\"" + word + "\" is missing in: " + e.getMessage());
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"READ_ONLY_ARRAY", "READ_ONLY_NATIVE"})
    void readOnlyOutputs(Kind kind) {
        Tensor logits = Tensor.of(new float[6], 2, 3);
        Tensor targets = Tensor.of(new int[2], 2);
        Tensor good = Tensor.of(new float[2], 2);
        Tensor loss = place(kind, DType.F32, of(new float[2]), 2).tensor;
        Tensor gradLogits = place(kind, DType.F32, of(new float[6]), 2, 3).tensor;
        try (Backend backend = Backend.open("cpu");
                CrossEntropy op = CrossEntropy.on(backend, new CrossEntropyOptions(Reduction.NONE, -100))) {
            Class<IllegalArgumentException> type = IllegalArgumentException.class;
            refused(type, () -> op.loss(logits, targets, loss), "CrossEntropy.loss", "loss F32[2]", "read-only");
            refused(type, () -> op.lossAndGradient(logits, targets, good, gradLogits), "gradLogits F32[2, 3]",
                    "read-only");
            refused(type, () -> op.gradient(gradLogits, targets, gradLogits), "logits", "read-only");
            AdamParameter[] bad = {new AdamParameter("w", loss, good, null, null),
                new AdamParameter("w", good, Tensor.of(new float[2], 2), loss, null),
                new AdamParameter("w", good, Tensor.of(new float[2], 2), null, loss)};
            String[] names = {"param of w", "expAvg of w", "expAvgSq of w"};
            for (int i = 0; i < bad.length; i++) {
                List<AdamParameter> parameters = List.of(bad[i]);
                refused(type, () -> Adam.on(backend, AdamOptions.adam(), parameters), "Adam.on", names[i],
                        "read-only");
            }
            refused(type, () -> backend.copy(good, loss), "copy", "F32[2]", "read-only");
        }
        assertEquals(0, good.get(0));
    }

    /** Closed between two steps. */
    @Test
    void anArenaClosedUnderAnOptimizer() {
        Arena arena = Arena.ofShared();
        Tensor param = Tensor.of(new float[] {1, 1}, 2);
        Tensor grad = Tensor.of(DType.F32, arena.allocate(8, 4), 2);
        try (Backend backend = Backend.open("cpu");
                Adam adam = Adam.on(backend, AdamOptions.adamW(), List.of(AdamParameter.of("first", param, Tensor.of(
                        new float[2], 2)), AdamParameter.of("second", Tensor.of(new float[2], 2), grad)))) {
            adam.step();
            float before = (float) param.get(0);
            arena.close();
            refused(IllegalStateException.class, adam::step, "Adam.step", "grad of second", "closed");
            assertEquals(1, adam.stepCount());
            assertEquals(before, (float) param.get(0));
            refused(IllegalStateException.class, () -> backend.copy(grad, param), "copy", "F32[2]", "closed");
        }
    }

    /** Confined to a thread that is not the caller: refused before anything is written. */
    @Test
    void confinedToAnotherThread() throws Exception {
        AtomicReference<Tensor> taken = new AtomicReference<>();
        var arenas = new ArrayList<Arena>();
        Thread owner = Thread.ofPlatform().start(() -> {
            Arena arena = Arena.ofConfined();
            arenas.add(arena);
            taken.set(Tensor.of(DType.F32, arena.allocate(64, 8), 2));
        });
        owner.join();
        Tensor theirs = taken.get();
        Tensor theirTargets = Tensor.of(DType.I32, theirs.memory(), 0, 2);
        Tensor theirMatrix = Tensor.of(DType.F32, theirs.memory(), 0, 2, 3);
        float[] z = {1, 2, 3, 4, 5, 6};
        float[] poisoned = {7, 7, 7, 7, 7, 7};
        Tensor logits = Tensor.of(z, 2, 3);
        Tensor targets = Tensor.of(new int[2], 2);
        Tensor gradLogits = Tensor.of(poisoned, 2, 3);
        Tensor loss = Tensor.of(new float[2], 2);
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(2));
                CrossEntropy op = CrossEntropy.on(backend, new CrossEntropyOptions(Reduction.NONE, -100))) {
            Class<WrongThreadException> type = WrongThreadException.class;
            refused(type, () -> op.lossAndGradient(logits, targets, theirs, gradLogits), "loss", "thread");
            refused(type, () -> op.lossAndGradient(logits, theirTargets, loss, gradLogits), "targets", "thread");
            refused(type, () -> op.lossAndGradient(theirMatrix, targets, loss, gradLogits), "logits", "thread");
            refused(type, () -> op.lossAndGradient(logits, targets, loss, theirMatrix), "gradLogits", "thread");
            refused(type, () -> op.lossAndGradient(logits, targets, theirs, loss, gradLogits), "gradLoss", "thread");
            AdamParameter p = AdamParameter.of("p", Tensor.of(new float[2], 2), theirs);
            refused(type, () -> Adam.on(backend, AdamOptions.adam(), List.of(p)).close(), "Adam.on", "grad of p",
                    "thread");
            refused(type, () -> backend.copy(loss, theirs), "copy", "to F32[2]", "thread");
            assertEquals(7, poisoned[0]);
        }
    }

    /** An optimizer made by one thread over confined memory, stepped by another: refused before anything is written. */
    @Test
    void anOptimizerOverConfinedMemoryBelongsToItsThread() throws Exception {
        Tensor shareable = Tensor.of(new float[] {1, 1}, 2);
        Tensor mine = Tensor.of(DType.F32, confined.allocate(8, 4), 2);
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(2));
                Adam adam = Adam.on(backend, AdamOptions.adamW(), List.of(
                        AdamParameter.of("first", shareable, Tensor.of(new float[2], 2)),
                        AdamParameter.of("second", Tensor.of(new float[2], 2), mine)))) {
            Thread other = Thread.ofPlatform().start(() -> {
                try {
                    adam.step();
                } catch (RuntimeException e) {
                    thrown.set(e);
                }
            });
            other.join();
            assertTrue(thrown.get() instanceof WrongThreadException, () -> "" + thrown.get());
            assertTrue(thrown.get().getMessage().contains("grad of second"), thrown.get().getMessage());
            assertEquals(1, shareable.get(0));
            adam.step();
            assertEquals(1, adam.stepCount());
        }
    }
}
