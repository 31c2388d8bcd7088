package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Negative log-likelihood as the driver sees it: which launches, their shape, and every byte of their argument block. */
@RecorderTest
class RecorderNllLossTest {
    private static final int MULTIPROCESSORS = 5;
    private static final long BASE = 1L << 44;

    private static Tensor at(CudaBackend backend, DType dtype, long address, long... shape) {
        return Tensor.of(dtype, new CudaMemory(backend.driver(), address, 1L << 44), 0, shape);
    }

    @ParameterizedTest
    @ValueSource(ints = {75, 90})
    void everyLaunchAndEveryByteIsExact(int capability, Recorder recorder) {
        recorder.setDevice(0, capability, MULTIPROCESSORS, 1L << 30);
        int launches = 0;
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda"); CudaStream stream = backend.newStream()) {
            for (Reduction reduction : Reduction.values()) {
                try (NllLoss op = NllLoss.on(backend, new NllLossOptions(reduction, 7), stream)) {
                    for (long[] shape : new long[][] {{0, 3, 1}, {1, 1, 1}, {300, 2, 1}, {100_000, 10, 1},
                        {50, 128256, 1}, {4, 19, 300}, {2, 3, 1_000_000}}) {
                        for (int wanted = 1; wanted < 4; wanted++) {
                            launches += check(recorder, backend, stream, op, shape, wanted);
                        }
                    }
                }
            }
            NllLoss closed = NllLoss.on(backend, NllLossOptions.defaults(), stream);
            long held = recorder.live("device");
            closed.close();
            closed.close();
            assertTrue(recorder.live("device") < held);
            assertThrows(IllegalStateException.class,
                    () -> closed.loss(NllLossOperands.of(at(backend, DType.F32, BASE, 1, 1),
                            at(backend, DType.I64, 2 * BASE, 1)), at(backend, DType.F32, 3 * BASE)));
        }
        assertTrue(launches > 80, launches + " launches compared");
    }

    private static int check(Recorder recorder, CudaBackend backend, CudaStream stream, NllLoss op, long[] shape,
            int wanted) {
        Reduction reduction = op.options().reduction();
        boolean none = reduction == Reduction.NONE;
        boolean mean = reduction == Reduction.MEAN;
        boolean wantsLoss = (wanted & 1) != 0;
        boolean wantsGradient = (wanted & 2) != 0;
        boolean narrow = wanted == 3;
        DType dtype = new DType[] {DType.F32, DType.BF16, DType.F16}[(wanted + (int) shape[2]) % 3];
        DType targetType = narrow ? none ? DType.I16 : mean ? DType.U8 : DType.I32 : DType.I64;
        long rows = shape[0] * shape[2];
        long classes = shape[1];
        var operands = NllLossOperands.of(at(backend, dtype, BASE, shape),
                at(backend, targetType, 2 * BASE, shape[0], shape[2]));
        if (wanted > 1) {
            operands = operands.withClassWeights(at(backend, DType.F32, 3 * BASE, classes)).withGradLoss(none
                    ? at(backend, DType.F32, 4 * BASE, shape[0], shape[2])
                    : at(backend, DType.F32, 4 * BASE));
        }
        Tensor loss = none
                ? at(backend, DType.F32, 5 * BASE, shape[0], shape[2])
                : at(backend, DType.F32, 5 * BASE);
        Tensor gradient = at(backend, dtype, 6 * BASE, shape);
        // The module of a type is loaded by its first call.
        op.gradient(operands, gradient);
        recorder.clearLog();
        if (!wantsGradient) {
            op.loss(operands, loss);
        } else if (!wantsLoss) {
            op.gradient(operands, gradient);
        } else {
            op.lossAndGradient(operands, loss, gradient);
        }
        List<Recorder.Launch> found = recorder.launches();
        boolean reduced = wantsLoss && !none;
        ByteBuffer block = ByteBuffer.wrap(found.isEmpty() ? new byte[128] : found.getFirst().arguments())
                .order(ByteOrder.LITTLE_ENDIAN);
        // Scratch is where the op has put it; it has to be real and large enough.
        long rowLoss = reduced ? block.getLong(32) : wantsLoss ? 5 * BASE : 0;
        long weightParts = mean ? block.getLong(56) : 0;
        long lossParts = reduced ? block.getLong(64) : 0;
        long arrivals = reduced ? block.getLong(72) : 0;
        long status = block.getLong(80);
        long parts = 4 * Math.max(1, (rows + 8191) / 8192);
        for (long[] scratch : new long[][] {{reduced ? rowLoss : 0, 4 * Math.max(1, rows)}, {weightParts, parts},
            {lossParts, parts}, {arrivals, 4}, {status, 24}}) {
            assertTrue(found.isEmpty() || scratch[0] == 0 || recorder.bytesFrom(scratch[0]) >= scratch[1], "scratch");
        }
        int perBlock = Math.clamp(8192 / classes, 1, 256);
        ByteBuffer expected = ByteBuffer.allocate(128).order(ByteOrder.LITTLE_ENDIAN);
        for (long value : new long[] {BASE, 2 * BASE, wanted > 1 ? 3 * BASE : 0, wanted > 1 ? 4 * BASE : 0, rowLoss,
            reduced ? 5 * BASE : 0, wantsGradient ? 6 * BASE : 0, weightParts, lossParts, arrivals, status, shape[0],
            classes, shape[2], 7}) {
            expected.putLong(value);
        }
        expected.putInt((mean ? 1 : 0) | (none && wanted > 1 ? 2 : 0) | (narrow ? none ? 8 : mean ? 16 : 4 : 0))
                .putInt(perBlock);
        int most = 4 * MULTIPROCESSORS;
        int segments = Math.clamp((rows + 8191) / 8192, 1, most);
        List<LaunchExpectation> launches = new ArrayList<>();
        if (mean && rows > 0) {
            launches.add(new LaunchExpectation("nll_loss_weigh_f32", segments, 256, 0, expected.array()));
        }
        if (rows > 0) {
            launches.add(new LaunchExpectation("nll_loss_rows_" + dtype.name().toLowerCase(Locale.ROOT),
                    (int) Math.min(most, (rows + perBlock - 1) / perBlock), 256, 0, expected.array()));
        }
        if (reduced) {
            launches.add(new LaunchExpectation("nll_loss_reduce_f32", segments, 256, 0, expected.array()));
        }
        assertEquals(launches.stream().map(e -> e.text(stream.handle())).collect(Collectors.joining("\n")),
                found.stream().map(LaunchExpectation::text).collect(Collectors.joining("\n")));
        List<String> others = new ArrayList<>(recorder.calls());
        others.removeIf(call -> call.equals("cuCtxSetCurrent") || call.equals("cuLaunchKernel")
                || call.equals("cuMemAlloc_v2"));
        assertEquals(List.of(), others);
        return found.size();
    }
}
