package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.LrSchedule;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.junit.jupiter.api.Test;

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
        List<String> step = List.of("guard_square_f32", "adam_begin", "adam_step_f32_guarded");
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
            assertEquals(List.of("cuCtxSetCurrent", "cuLaunchKernel"), recorder.calls().stream().distinct().toList());
            assertEquals(ByteBuffer.wrap(first), ByteBuffer.wrap(recorder.launches().getLast().arguments()));
            recorder.clearLog();
            adam.setLr(1, 0.5);
            adam.queueChanges();
            assertEquals(List.of("guard_set"), functions(recorder));
            ByteBuffer set =
                    ByteBuffer.wrap(recorder.launches().getFirst().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(0.5, set.getDouble(16 + 16));
            assertEquals(1, set.getFloat(16 + 12));
            recorder.clearLog();
            adam.setGradDivisor(6);
            adam.step();
            assertEquals("guard_set", functions(recorder).getFirst());
            set = ByteBuffer.wrap(recorder.launches().getFirst().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(6, set.getFloat(16 + 12));
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
            assertEquals(List.of("guard_set", "guard_square_mixed", "sgd_begin", "sgd_step_mixed_guarded"),
                    functions(recorder));
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
