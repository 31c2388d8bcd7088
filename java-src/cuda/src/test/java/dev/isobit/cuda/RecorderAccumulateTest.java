package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Gradients summed over micro-batches as the driver sees it: one launch, its table, what a step then takes; both in one. */
@RecorderTest
class RecorderAccumulateTest {
    private static final StepOptions STEP = StepOptions.defaults().withAccumulateGrad(true);

    private static List<String> functions(Recorder recorder) {
        return recorder.launches().stream().map(Recorder.Launch::function).toList();
    }

    private static ByteBuffer bytes(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static AdamParameter parameter(Backend backend, DType param, DType grad, int size) {
        return AdamParameter.of("p" + size, backend.allocate(param, size), backend.allocate(grad, size));
    }

    private static Adam adam(Backend backend, StepOptions step) {
        AdamOptions adamW = AdamOptions.adamW();
        return Adam.on(backend, List.of(
                new AdamGroup(adamW, List.of(parameter(backend, DType.F32, DType.BF16, 2050),
                        parameter(backend, DType.F32, DType.F32, 0))),
                new AdamGroup(adamW, List.of(parameter(backend, DType.F32, DType.F16, 3),
                        parameter(backend, DType.F32, DType.F32, 7)))),
                step, backend.defaultStream());
    }

    /** One launch, nothing from the host unless something changed; then the step of the accumulators, which are float32. */
    @Test
    void launches(Recorder recorder) {
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend, STEP.withMaxNorm(1))) {
            recorder.clearLog();
            adam.accumulate();
            assertEquals(List.of("guard_set", "accumulate_grad"), functions(recorder));
            byte[] first = recorder.launches().getLast().arguments();
            recorder.clearLog();
            adam.accumulate();
            assertEquals(List.of("accumulate_grad"), functions(recorder));
            assertEquals(List.of("cuCtxSetCurrent", "cuLaunchKernel"), recorder.calls());
            assertEquals(bytes(first), bytes(recorder.launches().getLast().arguments()));
            assertEquals(List.of(1, 1, 1), recorder.launches().getLast().grid());
            assertEquals(List.of(256, 1, 1), recorder.launches().getLast().block());
            recorder.clearLog();
            adam.step();
            assertEquals(List.of("adam_guarded_mixed"), functions(recorder));
            recorder.clearLog();
            adam.setEnabled(1, false);
            adam.accumulate();
            assertEquals(List.of("guard_set", "accumulate_grad"), functions(recorder));
            ByteBuffer set = bytes(recorder.launches().getFirst().arguments());
            assertEquals(List.of(1L, 1L, 1L), List.of(set.getLong(8), set.getLong(16), set.getLong(24)));
            assertEquals(1, set.getInt(40));
        }
    }

    /** Every entry of the table; what the step reads is the accumulators, and it zeroes them, whatever zeroGrad says. */
    @Test
    void table(Recorder recorder) {
        for (boolean zeroes : new boolean[] {false, true}) {
            try (Backend backend = Backend.open("cuda");
                    Adam adam = adam(backend, STEP.withMaxNorm(1).withZeroGrad(zeroes))) {
                adam.accumulate();
                ByteBuffer arguments = bytes(recorder.launches().getLast().arguments());
                assertEquals(4, arguments.getLong(72));
                // GUARD_CHECK, GUARD_ZERO_GRAD of the accumulators, GUARD_ZERO_ADDED.
                int flags = 1 + 4 + (zeroes ? 16 : 0);
                assertEquals(flags, arguments.getInt(124));
                ByteBuffer chunks = bytes(recorder.read(arguments.getLong(64), 4 * 32));
                List<AdamParameter> all = adam.parameters();
                int[][] expected = {{0, 0, 2048, 0, 1}, {0, 2048, 2, 0, 1}, {2, 0, 3, 1, 2}, {3, 0, 7, 1, 0}};
                for (int c = 0; c < 4; c++) {
                    int[] e = expected[c];
                    AdamParameter p = all.get(e[0]);
                    Tensor accumulator = p.stepGrad();
                    assertEquals(DType.F32, accumulator.dtype());
                    assertEquals(accumulator.address() + 4L * e[1], chunks.getLong(32 * c), "accumulator " + c);
                    assertEquals(p.grad().address() + (long) p.grad().dtype().byteSize() * e[1],
                            chunks.getLong(32 * c + 8), "grad " + c);
                    assertEquals(e[2], chunks.getInt(32 * c + 16), "count " + c);
                    assertEquals(e[3], chunks.getInt(32 * c + 20), "group " + c);
                    assertEquals(e[4], chunks.getInt(32 * c + 24), "dtype " + c);
                    assertEquals(0, chunks.getInt(32 * c + 28));
                }
                adam.step();
                ByteBuffer guard = bytes(recorder.launches().getLast().arguments());
                for (int i = 0; i < 128; i += 8) {
                    assertEquals(arguments.getLong(i), guard.getLong(i), "the same of a step, at " + i);
                }
                // The first piece, and the first chunk's gradient.
                Tensor first = all.getFirst().stepGrad();
                assertEquals(first.address(), bytes(recorder.read(guard.getLong(0), 8)).getLong());
                assertEquals(first.address(), bytes(recorder.read(guard.getLong(128), 16)).getLong(8));
            }
        }
    }

    /** As many blocks as have work, eight chunks each, but no more than run at once. */
    @Test
    void grid(Recorder recorder) {
        for (int[] each : new int[][] {{8 * 2048, 1}, {8 * 2048 + 1, 2}, {1 << 24, 432}}) {
            try (Backend backend = Backend.open("cuda");
                    Sgd sgd = Sgd.on(backend, List.of(new SgdGroup(SgdOptions.defaults(), List.of(SgdParameter.of("p",
                            backend.allocate(DType.BF16, each[0]), backend.allocate(DType.BF16, each[0]))))), STEP,
                            backend.defaultStream())) {
                sgd.accumulate();
                assertEquals(List.of(each[1], 1, 1), recorder.launches().getLast().grid(), each[0] + " elements");
            }
        }
    }

    /** One launch, whose flag says that it adds; without cooperative launches that of the sums before those of the step. */
    @Test
    void accumulateAndStep(Recorder recorder) {
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend, STEP.withMaxNorm(1))) {
            adam.queueChanges();
            recorder.clearLog();
            adam.accumulateAndStep();
            adam.step();
            assertEquals(List.of("adam_guarded_mixed", "adam_guarded_mixed"), functions(recorder));
            assertTrue(recorder.launches().getFirst().cooperative());
            byte[] adds = recorder.launches().getFirst().arguments();
            byte[] step = recorder.launches().getLast().arguments();
            assertEquals(8 + 4 + 1, bytes(adds).getInt(124));
            adds[124] -= 8;
            assertArrayEquals(step, adds);
            recorder.clearLog();
            recorder.fail("cuLaunchCooperativeKernel", 1, Recorder.INVALID_VALUE);
            CudaException e = assertThrows(CudaException.class, adam::accumulateAndStep);
            assertEquals("Adam.accumulateAndStep: cuLaunchCooperativeKernel(adam_guarded_mixed, grid 1, block 256):"
                    + " CUDA_ERROR_INVALID_VALUE (CUDA error 1)", e.getMessage());
            recorder.clearLog();
            recorder.fail("cuLaunchCooperativeKernel", 1, Recorder.NOT_SUPPORTED);
            adam.accumulateAndStep();
            List<String> inParts = List.of("guard_square_mixed", "adam_begin", "adam_step_mixed_guarded");
            assertEquals("accumulate_grad", functions(recorder).getFirst());
            assertEquals(inParts, functions(recorder).subList(1, 4));
            recorder.clearLog();
            adam.step();
            assertEquals(inParts, functions(recorder));
        }
    }

    /** Float32 throughout: kernels that know no other type. */
    @Test
    void ofFloat32(Recorder recorder) {
        try (Backend backend = Backend.open("cuda");
                Sgd sgd = Sgd.on(backend, List.of(new SgdGroup(SgdOptions.defaults(), List.of(SgdParameter.of("p",
                        backend.allocate(DType.F32, 9), backend.allocate(DType.F32, 9))))), STEP,
                        backend.defaultStream())) {
            sgd.accumulateAndStep();
            assertEquals("sgd_guarded_f32", functions(recorder).getLast());
        }
    }

    /** A graph has the one launch. */
    @Test
    void captured(Recorder recorder) {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda"); Adam adam = adam(backend, STEP)) {
            adam.queueChanges();
            try (CudaGraph graph = backend.defaultStream().capture(adam::accumulate)) {
                recorder.clearLog();
                graph.launch();
                graph.launch();
                assertEquals(List.of("accumulate_grad", "accumulate_grad"), functions(recorder));
            }
        }
    }

    @Test
    void whatFailsIsSaid(Recorder recorder) {
        try (Backend backend = Backend.open("cuda"); Adam adam = adam(backend, STEP)) {
            adam.accumulate();
            recorder.fail("cuLaunchKernel", 1, Recorder.INVALID_VALUE);
            CudaException e = assertThrows(CudaException.class, adam::accumulate);
            assertEquals("Adam.accumulate: cuLaunchKernel(accumulate_grad, grid 1, block 256):"
                    + " CUDA_ERROR_INVALID_VALUE (CUDA error 1)", e.getMessage());
            adam.accumulate();
            assertEquals("accumulate_grad", functions(recorder).getLast());
        }
    }
}
