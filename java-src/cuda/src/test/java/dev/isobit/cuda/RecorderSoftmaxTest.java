package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.LogSoftmax;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Softmax as the driver sees it: which launch, its shape, and every byte of its argument block. */
@RecorderTest
class RecorderSoftmaxTest {
    private static final int MULTIPROCESSORS = 5;

    private static Tensor at(CudaBackend backend, DType dtype, long address, long... shape) {
        return Tensor.of(dtype, new CudaMemory(backend.driver(), address, 1L << 44), 0, shape);
    }

    private record Expected(String variant, int block, int grid) {}

    /** From the table in softmax_params.h; as many blocks as a multiprocessor has registers for. */
    private static Expected expected(boolean narrow, long outer, long classes, long inner, boolean gradient) {
        String variant = inner > 1 ? "column" : classes <= 1024 ? "warp" : "block";
        long blocks = switch (variant) {
            case "warp" -> (outer + (classes <= 256 ? 15 : 3)) / (classes <= 256 ? 16 : 4);
            case "block" -> outer;
            default -> (outer * inner + 127) / 128;
        };
        int resident = switch (variant) {
            case "warp" -> gradient ? 3 : 5;
            case "block" -> narrow ? gradient ? 3 : 4 : 2;
            default -> 6;
        };
        return new Expected(variant, variant.equals("block") && !narrow ? 256 : 128,
                (int) Math.min(blocks, (long) resident * MULTIPROCESSORS));
    }

    @ParameterizedTest
    @ValueSource(ints = {75, 90})
    void everyLaunchAndEveryByteIsExact(int capability, Recorder recorder) {
        recorder.setDevice(0, capability, MULTIPROCESSORS, 1L << 30);
        long[][] shapes = {{1}, {7, 1}, {17, 256}, {1, 257}, {1000, 1024}, {1, 1025}, {99, 8192}, {2, 3, 4}, {5, 3, 1},
            {1, 2, 128}, {9, 4, 129}, {65536, 65535, 5}, {3, 128256}};
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda"); CudaStream stream = backend.newStream()) {
            long base = 1L << 44;
            int number = 0;
            for (long[] shape : shapes) {
                for (int axis = 0; axis < shape.length; axis++) {
                    DType dtype = new DType[] {DType.F32, DType.BF16, DType.F16}[number++ % 3];
                    SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(axis);
                    long outer = Arrays.stream(shape).limit(axis).reduce(1, (a, b) -> a * b);
                    long inner = Arrays.stream(shape).skip(axis + 1).reduce(1, (a, b) -> a * b);
                    Tensor input = at(backend, dtype, base + 4, shape);
                    Tensor grad = at(backend, dtype, 2 * base, shape);
                    Tensor result = at(backend, dtype, 3 * base + 8, shape);
                    try (Softmax softmax = Softmax.on(backend, options, stream);
                            LogSoftmax log = LogSoftmax.on(backend, options, stream)) {
                        // The module of a type is loaded by its first call.
                        softmax.probabilities(input, result);
                        log.logProbabilities(input, result);
                        for (int turn = 0; turn < 4; turn++) {
                            boolean gradient = turn >= 2;
                            recorder.clearLog();
                            switch (turn) {
                                case 0 -> softmax.probabilities(input, result);
                                case 1 -> log.logProbabilities(input, result);
                                case 2 -> softmax.gradient(input, grad, result);
                                default -> log.gradient(input, grad, result);
                            }
                            ByteBuffer block = ByteBuffer.allocate(56).order(ByteOrder.LITTLE_ENDIAN);
                            block.putLong(base + 4).putLong(gradient ? 2 * base : 0).putLong(3 * base + 8)
                                    .putLong(outer).putLong(shape[axis]).putLong(inner).putInt(turn % 2).putInt(0);
                            Expected shapeOf = expected(dtype != DType.F32, outer, shape[axis], inner, gradient);
                            var launch = new LaunchExpectation(
                                    "softmax_" + (gradient ? "grad" : "forward") + "_"
                                            + dtype.name().toLowerCase(Locale.ROOT)
                                            + "_" + shapeOf.variant,
                                    shapeOf.grid, shapeOf.block, 0, block.array());
                            List<Recorder.Launch> found = recorder.launches();
                            assertEquals(1, found.size());
                            assertEquals(launch.text(stream.handle()), LaunchExpectation.text(found.getFirst()));
                            assertEquals(List.of(), recorder.calls().stream()
                                    .filter(call -> !call.equals("cuCtxSetCurrent") && !call.equals("cuLaunchKernel"))
                                    .toList());
                        }
                    }
                }
            }
            Softmax closed = Softmax.on(backend, SoftmaxOptions.defaults(), stream);
            closed.close();
            assertThrows(IllegalStateException.class,
                    () -> closed.probabilities(at(backend, DType.F32, base, 3), at(backend, DType.F32, 2 * base, 3)));
        }
    }
}
