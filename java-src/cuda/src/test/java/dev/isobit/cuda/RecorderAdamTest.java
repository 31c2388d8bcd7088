package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.StepOptions;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.math.RoundingNoise;
import dev.isobit.spi.AdamScalars;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Adam as the driver sees it: one launch a step, its shape, every byte of its block, and of the table it points to. */
@RecorderTest
class RecorderAdamTest {
    private static final int MULTIPROCESSORS = 3;

    private static CudaBackend open(Recorder recorder, int capability) {
        recorder.setDevice(0, capability, MULTIPROCESSORS, 1L << 30);
        return (CudaBackend) Backend.open("cuda");
    }

    private static Tensor at(CudaBackend backend, long address, long elements) {
        return Tensor.of(DType.F32, new CudaMemory(backend.driver(), address, 1L << 44), 0, elements);
    }

    private static AdamParameter parameter(CudaBackend backend, int index, long elements, boolean amsgrad) {
        long base = (index + 1L) << 47;
        return new AdamParameter("p" + index, at(backend, base + 4, elements), at(backend, base + (1L << 44), elements),
                at(backend, base + (2L << 44) + 8, elements), at(backend, base + (3L << 44) + 12, elements),
                amsgrad ? at(backend, base + (4L << 44) + 8, elements) : null);
    }

    @ParameterizedTest
    @ValueSource(ints = {75, 80, 90, 120})
    void everyByteOfEveryStepIsExact(int capability, Recorder recorder) {
        // Nothing, one element, both sides of a chunk, empty ones between, enough chunks to fill the device.
        List<long[]> lists = List.of(new long[] {}, new long[] {0}, new long[] {1}, new long[] {2047},
                new long[] {2048}, new long[] {2049, 0, 5}, new long[] {1, 2, 3, 0, 4096, 10_000_000});
        List<AdamOptions> variants = List.of(AdamOptions.adam(), AdamOptions.adamW(),
                AdamOptions.adam().withWeightDecay(0.25).withMaximize(true), AdamOptions.adamW().withWeightDecay(0),
                AdamOptions.adamW().withBetas(0.8, 0.95).withEps(1e-6).withLr(0.5).withMaximize(true),
                AdamOptions.adamW().withSemantics(AdamSemantics.HF), AdamOptions.adam().withAmsgrad(true));
        try (CudaBackend backend = open(recorder, capability)) {
            for (long[] sizes : lists) {
                for (AdamOptions options : variants) {
                    check(recorder, backend, sizes, options);
                }
            }
        }
    }

    private static void check(Recorder recorder, CudaBackend backend, long[] sizes, AdamOptions options) {
        List<AdamParameter> parameters = new ArrayList<>();
        List<long[]> chunks = new ArrayList<>();
        for (int i = 0; i < sizes.length; i++) {
            AdamParameter p = parameter(backend, i, sizes[i], options.amsgrad());
            parameters.add(p);
            for (long first = 0; first < sizes[i]; first += 2048) {
                chunks.add(new long[] {p.param().address() + 4 * first, p.grad().address() + 4 * first,
                    p.expAvg().address() + 4 * first, p.expAvgSq().address() + 4 * first,
                    options.amsgrad() ? p.maxExpAvgSq().address() + 4 * first : 0,
                    Math.min(2048, sizes[i] - first)});
            }
        }
        try (CudaStream stream = backend.newStream(); Adam adam = Adam.on(backend, options, parameters, stream)) {
            for (int step = 1; step <= 2; step++) {
                recorder.clearLog();
                adam.step();
                List<Recorder.Launch> launches = recorder.launches();
                if (chunks.isEmpty()) {
                    assertEquals(0, launches.size());
                    continue;
                }
                assertEquals(1, launches.size());
                assertEquals(List.of("cuCtxSetCurrent", "cuLaunchKernel"), recorder.calls());
                Recorder.Launch launch = launches.getFirst();
                long table = ByteBuffer.wrap(launch.arguments()).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
                AdamScalars s = new AdamScalars();
                s.set(options, options.lr(), step);
                int flags = (options.maximize() ? 1 : 0)
                        | (!options.decoupled() && options.weightDecay() != 0 ? 2 : 0);
                int grid = Math.min((chunks.size() + 7) / 8, MULTIPROCESSORS * (options.amsgrad() ? 3 : 4));
                assertEquals(
                        new LaunchExpectation(options.amsgrad() ? "adam_step_f32_amsgrad" : "adam_step_f32", grid, 256,
                                0,
                                LaunchExpectation.adam(table, chunks.size(), s.w1, s.w2, s.negStepSize, s.rsqrtBc2,
                                        s.eps, s.paramDecay, s.gradDecay, flags))
                                .text(stream.handle()),
                        LaunchExpectation.text(launch));
                checkTable(recorder, table, chunks);
            }
        }
    }

    private static void checkTable(Recorder recorder, long table, List<long[]> chunks) {
        assertTrue(recorder.bytesFrom(table) >= 48L * chunks.size(), "the table is " + recorder.bytesFrom(table));
        ByteBuffer found = ByteBuffer.wrap(recorder.read(table, 48 * chunks.size())).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < chunks.size(); i++) {
            for (int field = 0; field < 6; field++) {
                assertEquals(chunks.get(i)[field], found.getLong(48 * i + 8 * field), "chunk " + i + " field " + field);
            }
        }
    }

    /** A tensor that is not float32 makes all chunks tell their types; those of float32 are among them. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void everyByteOfTheTableOfMixedTypes(boolean amsgrad, Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80)) {
            long[] sizes = {2049, 0, 5, 3};
            List<AdamParameter> parameters = new ArrayList<>();
            for (int i = 0; i < sizes.length; i++) {
                AdamParameter p = parameter(backend, i, sizes[i], amsgrad);
                Tensor param = i == 0 ? Tensor.of(DType.BF16, p.param().memory(), 0, sizes[i]) : p.param();
                Tensor grad = i == 0 ? Tensor.of(DType.F16, p.grad().memory(), 0, sizes[i]) : p.grad();
                Tensor expAvgSq = i == 2 ? Tensor.of(DType.BF16, p.expAvgSq().memory(), 0, sizes[i]) : p.expAvgSq();
                // The first is rounded stochastically; the last has remainders.
                boolean last = i == 3;
                parameters
                        .add(new AdamParameter(p.name(), last ? Tensor.of(DType.BF16, p.param().memory(), 0, 3) : param,
                                grad, p.expAvg(), expAvgSq, p.maxExpAvgSq())
                                .withMaster(last
                                        ? Tensor.of(DType.I16, new CudaMemory(backend.driver(), 1L << 40, 6), 0, 3)
                                        : null));
            }
            AdamOptions options = AdamOptions.adamW().withAmsgrad(amsgrad).withRounding(new StochasticRounding(7));
            try (CudaStream stream = backend.newStream();
                    Adam adam = Adam.on(backend, options, parameters, stream)) {
                recorder.clearLog();
                adam.step();
                Recorder.Launch launch = recorder.launches().getFirst();
                long table = ByteBuffer.wrap(launch.arguments()).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
                AdamScalars s = new AdamScalars();
                s.set(options, options.lr(), 1);
                assertEquals(amsgrad ? "adam_step_mixed_amsgrad" : "adam_step_mixed", launch.function());
                ByteBuffer arguments = ByteBuffer.wrap(launch.arguments()).order(ByteOrder.LITTLE_ENDIAN);
                assertEquals(4, arguments.getLong(8), "chunks");
                float[] scalars = {s.w1, s.w2, s.negStepSize, s.rsqrtBc2, s.eps, s.paramDecay, s.gradDecay, 0};
                for (int i = 0; i < scalars.length; i++) {
                    assertEquals(scalars[i], arguments.getFloat(16 + 4 * i));
                }
                assertEquals(1, arguments.getLong(16 + 32), "step");
                ByteBuffer found = ByteBuffer.wrap(recorder.read(table, 4 * 72)).order(ByteOrder.LITTLE_ENDIAN);
                int[][] chunks =
                        {{0, 0, 2048, 0x1000021}, {0, 2048, 1, 0x1000021}, {2, 0, 5, 0x1000}, {3, 0, 3, 0x300001}};
                for (int i = 0; i < chunks.length; i++) {
                    AdamParameter p = parameters.get(chunks[i][0]);
                    Tensor[] tensors = {p.param(), p.grad(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq(), p.master()};
                    for (int t = 0; t < tensors.length; t++) {
                        assertEquals(tensors[t] == null
                                ? 0
                                : tensors[t].address() + (long) chunks[i][1] * tensors[t].dtype().byteSize(),
                                found.getLong(72 * i + 8 * t), "chunk " + i + " array " + t);
                    }
                    assertEquals(chunks[i][2], found.getInt(72 * i + 48));
                    assertEquals(0, found.getInt(72 * i + 52));
                    assertEquals(chunks[i][3], found.getInt(72 * i + 56), "types of chunk " + i);
                    boolean stochastic = i < 2;
                    assertEquals(stochastic ? chunks[i][1] : 0, found.getInt(72 * i + 60));
                    assertEquals(stochastic ? RoundingNoise.key(7, 0, chunks[i][1]) : 0, found.getLong(72 * i + 64));
                }
            }
        }
    }

    private static final long FAR = (1L << 32) + 4097;
    private static final int FAR_CHUNKS = (1 << 21) + 3;

    /** Where numbers of elements and bytes no longer fit into 32 bits, and both ends. */
    private static final int[] FAR_PLACES =
            {0, 1, (1 << 18) - 1, 1 << 18, (1 << 19) - 1, 1 << 19, (1 << 20) - 1, 1 << 20,
                (1 << 21) - 1, 1 << 21, (1 << 21) + 1, FAR_CHUNKS - 1, FAR_CHUNKS};

    private static List<AdamParameter> farParameters(CudaBackend backend, boolean mixed) {
        List<AdamParameter> parameters = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            long elements = i == 0 ? FAR : 5;
            AdamParameter p = parameter(backend, i, elements, false);
            parameters.add(!mixed
                    ? p
                    : new AdamParameter(p.name(), Tensor.of(DType.BF16, p.param().memory(), 0, elements),
                            Tensor.of(DType.BF16, p.grad().memory(), 0, elements), p.expAvg(),
                            Tensor.of(DType.BF16, p.expAvgSq().memory(), 0, elements), null));
        }
        return parameters;
    }

    /** The memory is nobody's: a driver that only records does not look at it. */
    @ParameterizedTest
    @CsvSource({"false, false", "false, true", "true, false", "true, true"})
    void moreThanFourBillionElements(boolean mixed, boolean guarded, Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80)) {
            List<AdamParameter> parameters = farParameters(backend, mixed);
            AdamOptions options = AdamOptions.adamW().withRounding(mixed ? new StochasticRounding(7) : null);
            List<AdamGroup> groups = List.of(new AdamGroup(options, parameters));
            try (CudaStream stream = backend.newStream();
                    Adam adam = guarded
                            ? Adam.on(backend, groups, StepOptions.defaults().withMaxNorm(1), stream)
                            : Adam.on(backend, options, parameters, stream)) {
                adam.step();
                Recorder.Launch launch = recorder.launches().getLast();
                assertEquals((guarded ? "adam_guarded_" : "adam_step_") + (mixed ? "mixed" : "f32"), launch.function());
                int blocks = launch.grid().getFirst();
                assertTrue(blocks > 0 && blocks <= 16 * MULTIPROCESSORS, blocks + " blocks");
                ByteBuffer arguments = ByteBuffer.wrap(launch.arguments()).order(ByteOrder.LITTLE_ENDIAN);
                int at = guarded ? 128 : 0;
                assertEquals(FAR_CHUNKS + 1, arguments.getLong(at + 8), "chunks");
                for (int chunk : FAR_PLACES) {
                    checkFar(recorder, arguments.getLong(at), chunk, parameters, mixed);
                }
                if (guarded) {
                    checkFarPieces(recorder, arguments, parameters);
                }
            }
        }
    }

    private static ByteBuffer entry(Recorder recorder, long table, long index, int size) {
        return ByteBuffer.wrap(recorder.read(table + index * size, size)).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static void checkFar(Recorder recorder, long table, int chunk, List<AdamParameter> parameters,
            boolean mixed) {
        boolean small = chunk == FAR_CHUNKS;
        AdamParameter p = parameters.get(small ? 1 : 0);
        long first = small ? 0 : 2048L * chunk;
        ByteBuffer found = entry(recorder, table, chunk, mixed ? 72 : 48);
        Tensor[] tensors = {p.param(), p.grad(), p.expAvg(), p.expAvgSq()};
        for (int t = 0; t < tensors.length; t++) {
            assertEquals(tensors[t].address() + first * tensors[t].dtype().byteSize(), found.getLong(8 * t),
                    "chunk " + chunk + " array " + t);
        }
        assertEquals(small ? 5 : chunk == FAR_CHUNKS - 1 ? 1 : 2048, found.getInt(mixed ? 48 : 40), "chunk " + chunk);
        assertEquals(0, found.getInt(mixed ? 52 : 44), "group of chunk " + chunk);
        if (mixed) {
            assertEquals(0x1001011, found.getInt(56), "types of chunk " + chunk);
            assertEquals((int) first, found.getInt(60), "chunk " + chunk);
            assertEquals(RoundingNoise.key(7, small ? 1 : 0, first), found.getLong(64), "chunk " + chunk);
        }
    }

    /** Of 1024 elements each, eight in a segment; the last two share one that is not full. */
    private static void checkFarPieces(Recorder recorder, ByteBuffer guard, List<AdamParameter> parameters) {
        long segments = (1 << 19) + 1;
        assertEquals(segments, guard.getLong(80), "segments");
        long pieces = (1 << 22) + 6;
        for (long segment : new long[] {0, 1, (1 << 18) - 1, 1 << 18, segments - 1, segments}) {
            assertEquals(Math.min(8 * segment, pieces),
                    entry(recorder, guard.getLong(8), segment, 8).getLong(), "segment " + segment);
        }
        for (long piece : new long[] {0, (1 << 20) - 1, 1 << 20, (1 << 21) - 1, 1 << 21, (1 << 22) - 1, 1 << 22,
            pieces - 2, pieces - 1}) {
            boolean small = piece == pieces - 1;
            Tensor grad = parameters.get(small ? 1 : 0).grad();
            long first = small ? 0 : 1024 * piece;
            ByteBuffer found = entry(recorder, guard.getLong(0), piece, 24);
            assertEquals(grad.address() + first * grad.dtype().byteSize(), found.getLong(0), "piece " + piece);
            assertEquals(small ? 4097 : first % 8192, found.getInt(8), "position of piece " + piece);
            assertEquals(small ? 5 : piece == pieces - 2 ? 1 : 1024, found.getInt(12), "piece " + piece);
            assertEquals(0, found.getInt(16), "group of piece " + piece);
            assertEquals(grad.dtype() == DType.BF16 ? 1 : 0, found.getInt(20), "type of piece " + piece);
        }
    }

    @Test
    void momentsAreMadeAndReleasedByTheOptimizer(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80);
                Memory param = backend.allocate(400);
                Memory grad = backend.allocate(400)) {
            long before = recorder.live("device");
            try (Adam adam = Adam.on(backend, AdamOptions.adamW(), List.of(AdamParameter.of("p",
                    Tensor.of(DType.F32, param, 0, 100), Tensor.of(DType.F32, grad, 0, 100))))) {
                assertEquals(before + 3, recorder.live("device"), "two moments and the table");
                adam.step();
            }
            assertEquals(before, recorder.live("device"));
        }
    }

    @Test
    void badInputLaunchesNothing(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 80)) {
            recorder.clearLog();
            Tensor a = at(backend, 1L << 40, 10);
            Tensor b = at(backend, 1L << 41, 10);
            var e = assertThrows(IllegalArgumentException.class,
                    () -> Adam.on(backend, AdamOptions.adam(), List.of(AdamParameter.of("p", a, at(backend, 8, 9)))));
            assertTrue(e.getMessage().startsWith("Adam.on: grad of p"), e.getMessage());
            e = assertThrows(IllegalArgumentException.class,
                    () -> Adam.on(backend, AdamOptions.adam(), List.of(AdamParameter.of("p", a, a))));
            assertTrue(e.getMessage().contains("overlaps"), e.getMessage());
            e = assertThrows(IllegalArgumentException.class, () -> Adam.on(backend, AdamOptions.adam(),
                    List.of(AdamParameter.of("p", Tensor.of(new float[10], 10), b))));
            assertTrue(e.getMessage().contains("cannot use"), e.getMessage());
            assertThrows(IllegalArgumentException.class, () -> AdamOptions.adam().withLr(Double.NaN));
            assertThrows(UnsupportedOperationException.class,
                    () -> Adam.on(backend, AdamOptions.adam(),
                            List.of(AdamParameter.of("p",
                                    Tensor.of(DType.I16, new CudaMemory(backend.driver(), 1 << 20, 20), 0, 10), b))));
            assertEquals(List.of(), recorder.calls());
            Memory memory = backend.allocate(40);
            try (Adam adam = Adam.on(backend, AdamOptions.adam(),
                    List.of(AdamParameter.of("p", Tensor.of(DType.F32, memory, 0, 10), b)))) {
                memory.close();
                recorder.clearLog();
                assertThrows(IllegalStateException.class, adam::step);
                assertEquals(0, adam.stepCount());
                assertEquals(List.of(), recorder.calls());
            }
        }
    }
}
