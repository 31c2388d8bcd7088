package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.LrSchedule;
import dev.isobit.Memory;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Guarded steps as the driver sees them: their launches, and the table of schedules that they point to. */
@RecorderTest
class RecorderGuardTest {
    private static final StepOptions STEP = StepOptions.defaults().withMaxNorm(1);
    private static final List<LrSchedule> SCHEDULES = List.of(LrSchedule.constant(),
            LrSchedule.cosine(900, 0.25).withWarmup(100, 0.125), LrSchedule.linear(7, 0),
            LrSchedule.step(1L << 40, 0.5));

    private static List<String> functions(Recorder recorder) {
        return recorder.launches().stream().map(Recorder.Launch::function).toList();
    }

    private static Adam adam(Backend backend) {
        return Adam.on(backend, SCHEDULES.stream().map(schedule -> new AdamGroup(
                AdamOptions.adamW().withSchedule(schedule), List.of(AdamParameter.of("p" + schedule.shape(),
                        backend.allocate(DType.F32, 8), backend.allocate(DType.F32, 8)))))
                .toList(), STEP, backend.defaultStream());
    }

    /** What a graph captures: no step but those after a change writes anything from the host. */
    @Test
    void stepsWithoutTheHost(Recorder recorder) {
        List<String> step = List.of("adam_guarded_f32");
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend)) {
            recorder.clearLog();
            adam.queueChanges();
            assertEquals(List.of("guard_set"), functions(recorder));
            recorder.clearLog();
            adam.queueChanges();
            assertEquals(List.of(), functions(recorder));
            adam.step();
            assertEquals(step, functions(recorder));
            byte[] first = recorder.launches().getLast().arguments();
            recorder.clearLog();
            adam.step();
            assertEquals(step, functions(recorder));
            assertEquals(List.of("cuCtxSetCurrent", "cuLaunchCooperativeKernel"), recorder.calls());
            assertTrue(recorder.launches().getFirst().cooperative());
            assertEquals(ByteBuffer.wrap(first), ByteBuffer.wrap(recorder.launches().getLast().arguments()));
            recorder.clearLog();
            adam.setLr(1, 0.5);
            adam.queueChanges();
            assertEquals(List.of("guard_set"), functions(recorder));
            ByteBuffer set =
                    ByteBuffer.wrap(recorder.launches().getFirst().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(List.of(1L, 1L, 1L), List.of(set.getLong(8), set.getLong(16), set.getLong(24)));
            assertEquals(0.5, set.getDouble(32));
            assertEquals(1, set.getFloat(44));
            recorder.clearLog();
            adam.setGradDivisor(6);
            adam.step();
            assertEquals("guard_set", functions(recorder).getFirst());
            set = ByteBuffer.wrap(recorder.launches().getFirst().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(6, set.getFloat(44));
        }
    }

    /** One run: the first group of it, how many, learning rate, whether disabled, divisor. */
    private static List<Object> run(Recorder.Launch launch, int run) {
        ByteBuffer set = ByteBuffer.wrap(launch.arguments()).order(ByteOrder.LITTLE_ENDIAN).position(16 + 32 * run);
        return List.of(set.getLong(), set.getLong(), set.getDouble(), set.getInt(), set.getFloat());
    }

    /** Neighbours with the same values are written together: thousands of groups in a launch. */
    @Test
    void changesOfManyGroups(Recorder recorder) {
        int count = 10_000;
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda");
                Memory memory = backend.allocate(32L * count);
                Sgd sgd = Sgd.on(backend, IntStream.range(0, count).mapToObj(g -> new SgdGroup(
                        SgdOptions.defaults().withLr(0.5), List.of(SgdParameter.of("p" + g,
                                Tensor.of(DType.F32, memory, 32L * g, 4),
                                Tensor.of(DType.F32, memory, 32L * g + 16, 4)))))
                        .toList(), STEP, backend.defaultStream())) {
            recorder.clearLog();
            sgd.step();
            assertEquals(List.of("guard_set", "sgd_guarded_f32"), functions(recorder));
            Recorder.Launch set = recorder.launches().getFirst();
            assertEquals(List.of(1, 1, 1), set.grid());
            assertEquals(List.of(256, 1, 1), set.block());
            ByteBuffer first = ByteBuffer.wrap(set.arguments()).order(ByteOrder.LITTLE_ENDIAN);
            ByteBuffer guard =
                    ByteBuffer.wrap(recorder.launches().getLast().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(guard.getLong(16), first.getLong(0), "controls");
            assertEquals(1, first.getLong(8));
            assertEquals(List.of(0L, (long) count, 0.5, 0, 1f), run(set, 0));
            recorder.clearLog();
            sgd.setLr(0.25);
            sgd.setLr(7, 1);
            sgd.setEnabled(9_999, false);
            sgd.queueChanges();
            assertEquals(List.of("guard_set"), functions(recorder));
            set = recorder.launches().getFirst();
            assertEquals(4, ByteBuffer.wrap(set.arguments()).order(ByteOrder.LITTLE_ENDIAN).getLong(8));
            assertEquals(List.of(0L, 7L, 0.25, 0, 1f), run(set, 0));
            assertEquals(List.of(7L, 1L, 1.0, 0, 1f), run(set, 1));
            assertEquals(List.of(8L, 9_991L, 0.25, 0, 1f), run(set, 2));
            assertEquals(List.of(9_999L, 1L, 0.25, 1, 1f), run(set, 3));
            recorder.clearLog();
            // 64 runs a launch.
            for (int g = 100; g < 230; g++) {
                sgd.setLr(g, g);
            }
            sgd.queueChanges();
            assertEquals(List.of(64L, 64L, 2L), recorder.launches().stream()
                    .map(l -> ByteBuffer.wrap(l.arguments()).order(ByteOrder.LITTLE_ENDIAN).getLong(8)).toList());
            assertEquals(List.of(100L, 1L, 100.0, 0, 1f), run(recorder.launches().get(0), 0));
            assertEquals(List.of(163L, 1L, 163.0, 0, 1f), run(recorder.launches().get(0), 63));
            assertEquals(List.of(229L, 1L, 229.0, 0, 1f), run(recorder.launches().get(2), 1));
            recorder.clearLog();
            // What the device was not told is told again.
            sgd.setLr(3, 0.125);
            recorder.fail("cuLaunchKernel", 1, Recorder.INVALID_VALUE);
            assertThrows(CudaException.class, sgd::queueChanges);
            recorder.clearLog();
            sgd.step();
            assertEquals(List.of("guard_set", "sgd_guarded_f32"), functions(recorder));
            assertEquals(List.of(3L, 1L, 0.125, 0, 1f), run(recorder.launches().getFirst(), 0));
        }
    }

    private static final List<String> PARTS = List.of("guard_square_f32", "adam_begin", "adam_step_f32_guarded");

    /** A step, after one that has told the device all that it needs. */
    private static List<String> step(Recorder recorder) {
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend)) {
            adam.step();
            recorder.clearLog();
            adam.step();
            assertEquals(List.of("cuCtxSetCurrent", "cuLaunchKernel"), recorder.calls().stream().distinct().toList());
            assertFalse(recorder.launches().stream().anyMatch(Recorder.Launch::cooperative));
            return functions(recorder);
        }
    }

    /** No cooperative launches; none of this kernel; none wanted. */
    @Test
    void threeLaunchesWhereOneCannotBeHad(Recorder recorder) {
        for (int resident : new int[] {-1, 0}) {
            recorder.setResidentBlocks(resident);
            assertEquals(PARTS, step(recorder), resident + " blocks at once");
        }
        recorder.setResidentBlocks(1);
        System.setProperty(CudaProvider.COOPERATIVE_PROPERTY, "false");
        try {
            assertEquals(PARTS, step(recorder));
        } finally {
            System.clearProperty(CudaProvider.COOPERATIVE_PROPERTY);
        }
    }

    @Test
    void aPropertyThatSaysNeither(Recorder recorder) {
        System.setProperty(CudaProvider.COOPERATIVE_PROPERTY, "no");
        try {
            IllegalArgumentException e =
                    assertThrows(IllegalArgumentException.class, () -> Backend.open("cuda").close());
            assertEquals("isobit.cuda.cooperative = no is neither true nor false", e.getMessage());
        } finally {
            System.clearProperty(CudaProvider.COOPERATIVE_PROPERTY);
        }
    }

    /** A stream may have less of the device than the driver has said: that step, and those that follow, in parts. */
    @ParameterizedTest
    @ValueSource(ints = {Recorder.COOPERATIVE_LAUNCH_TOO_LARGE, Recorder.NOT_SUPPORTED})
    void threeLaunchesWhereOneIsRefused(int result, Recorder recorder) {
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend)) {
            adam.step();
            recorder.clearLog();
            recorder.fail("cuLaunchCooperativeKernel", 1, result);
            adam.step();
            assertEquals(PARTS, functions(recorder));
            recorder.clearLog();
            adam.step();
            assertEquals(PARTS, functions(recorder));
            assertFalse(recorder.calls().contains("cuLaunchCooperativeKernel"));
        }
    }

    @Test
    void whatElseFailsIsSaid(Recorder recorder) {
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend)) {
            recorder.fail("cuLaunchCooperativeKernel", 1, Recorder.INVALID_VALUE);
            CudaException e = assertThrows(CudaException.class, adam::step);
            assertEquals("Adam.step: cuLaunchCooperativeKernel(adam_guarded_f32, grid 1, block 256):"
                    + " CUDA_ERROR_INVALID_VALUE (CUDA error 1)", e.getMessage());
            adam.step();
            assertEquals("adam_guarded_f32", functions(recorder).getLast());
        }
    }

    /** As many blocks as have work, a segment or eight chunks each, but no more than run at once. */
    @Test
    void theGridOfOneLaunch(Recorder recorder) {
        for (boolean checks : new boolean[] {false, true}) {
            for (int[] each : new int[][] {{0, 1, 1}, {1, 1, 1}, {3 * 8192 + 1, 2, 4}, {500 * 8192, 2, 216},
                {500 * 8192, 1, 108}}) {
                recorder.setResidentBlocks(each[1]);
                StepOptions options = checks ? STEP : StepOptions.defaults().withClipValue(1);
                try (Backend backend = Backend.open("cuda");
                        Sgd sgd = Sgd.on(backend, List.of(new SgdGroup(SgdOptions.defaults(), List.of(
                                SgdParameter.of("p", backend.allocate(DType.F32, each[0]),
                                        backend.allocate(DType.F32, each[0]))))),
                                options, backend.defaultStream())) {
                    sgd.step();
                    int grid = checks || each[0] != 3 * 8192 + 1 ? each[2] : 2;
                    assertEquals(List.of(grid, 1, 1), recorder.launches().getLast().grid(), each[0] + " elements");
                    assertEquals(List.of(256, 1, 1), recorder.launches().getLast().block());
                }
            }
        }
    }

    /** A graph has the one launch, cooperative still. */
    @Test
    void aCapturedStep(Recorder recorder) {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda"); Adam adam = adam(backend)) {
            adam.step();
            try (CudaGraph graph = backend.defaultStream().capture(adam::step)) {
                recorder.clearLog();
                graph.launch();
                graph.launch();
                assertEquals(List.of("adam_guarded_f32", "adam_guarded_f32"), functions(recorder));
                assertTrue(recorder.launches().stream().allMatch(Recorder.Launch::cooperative));
            }
        }
    }

    /** The blocks meet at two zeros. */
    @Test
    void theBarrier(Recorder recorder) {
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend)) {
            adam.step();
            ByteBuffer guard =
                    ByteBuffer.wrap(recorder.launches().getLast().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(0, ByteBuffer.wrap(recorder.read(guard.getLong(56), 8)).getLong());
        }
    }

    /** Every kernel that reads a gradient is told its type. */
    @Test
    void stepsOfMixedTypes(Recorder recorder) {
        try (Backend backend = Backend.open("cuda");
                Sgd sgd = Sgd.on(backend, List.of(new SgdGroup(SgdOptions.defaults(), List.of(
                        SgdParameter.of("p", backend.allocate(DType.BF16, 8), backend.allocate(DType.F16, 8)),
                        SgdParameter.of("q", backend.allocate(DType.F32, 1), backend.allocate(DType.BF16, 1)),
                        SgdParameter.of("r", backend.allocate(DType.F16, 1), backend.allocate(DType.F32, 1))))), STEP,
                        backend.defaultStream())) {
            recorder.clearLog();
            sgd.step();
            assertEquals(List.of("guard_set", "sgd_guarded_mixed"), functions(recorder));
            ByteBuffer guard =
                    ByteBuffer.wrap(recorder.launches().getLast().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            ByteBuffer pieces =
                    ByteBuffer.wrap(recorder.read(guard.getLong(0), 3 * 24)).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(List.of(2, 1, 0), List.of(pieces.getInt(20), pieces.getInt(44), pieces.getInt(68)));
        }
    }

    @Test
    void theTableOfSchedules(Recorder recorder) {
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend)) {
            adam.step();
            ByteBuffer guard =
                    ByteBuffer.wrap(recorder.launches().getLast().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            ByteBuffer table =
                    ByteBuffer.wrap(recorder.read(guard.getLong(48), 40 * SCHEDULES.size()))
                            .order(ByteOrder.LITTLE_ENDIAN);
            int[] shapes = {0, 2, 1, 3};
            for (int i = 0; i < shapes.length; i++) {
                LrSchedule expected = SCHEDULES.get(i);
                assertEquals(expected.warmupSteps(), table.getLong(40 * i));
                assertEquals(expected.decaySteps(), table.getLong(40 * i + 8));
                assertEquals(expected.warmupStart(), table.getDouble(40 * i + 16));
                assertEquals(expected.decay(), table.getDouble(40 * i + 24));
                assertEquals(shapes[i], table.getLong(40 * i + 32));
            }
        }
    }

    @Test
    void queueChangesIsOfGuardedSteps() {
        try (Backend backend = Backend.open("cuda")) {
            SgdParameter p =
                    SgdParameter.of("p", backend.allocate(DType.F32, 8), backend.allocate(DType.F32, 8));
            try (Sgd sgd = Sgd.on(backend, SgdOptions.defaults(), List.of(p))) {
                assertThrows(IllegalStateException.class, sgd::queueChanges);
            }
            Sgd closed = Sgd.on(backend, List.of(new SgdGroup(SgdOptions.defaults(), List.of(p))), STEP,
                    backend.defaultStream());
            closed.close();
            assertThrows(IllegalStateException.class, closed::queueChanges);
        }
    }
}
