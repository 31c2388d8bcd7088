package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.General;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Cross-entropy with options as the driver sees it: at most three launches, their shapes, what is in the arguments. */
@RecorderTest
class RecorderGeneralCrossEntropyTest {
    private static final int MULTIPROCESSORS = 5;

    private static Tensor at(CudaBackend backend, DType dtype, long address, long... shape) {
        return Tensor.of(dtype, new CudaMemory(backend.driver(), address, 1L << 60), 0, shape);
    }

    private static CudaBackend open(Recorder recorder) {
        recorder.setDevice(0, 90, MULTIPROCESSORS, 1L << 30);
        return (CudaBackend) Backend.open("cuda");
    }

    private static List<String> shapes(List<Recorder.Launch> launches) {
        return launches.stream().map(l -> l.function() + " " + l.grid().getFirst() + " " + l.block().getFirst())
                .toList();
    }

    @Test
    void noCallTakesMoreThanThreeLaunches(Recorder recorder) {
        try (CudaBackend backend = open(recorder)) {
            for (Reduction reduction : Reduction.values()) {
                for (Denominator denominator : Denominator.values()) {
                    var options = CrossEntropyOptions.defaults().withReduction(reduction).withDenominator(denominator)
                            .withLabelSmoothing(0.1);
                    try (CrossEntropy op = CrossEntropy.on(backend, options)) {
                        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
                            for (long rows : new long[] {0, 1, 8193, 3_000_000}) {
                                for (long classes : new long[] {32, 33}) {
                                    check(recorder, backend, op, dtype, rows, classes, true);
                                    check(recorder, backend, op, dtype, rows, classes, false);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private static void check(Recorder recorder, CudaBackend backend, CrossEntropy op, DType dtype, long rows,
            long classes, boolean wantsHits) {
        CrossEntropyOptions options = op.options();
        boolean none = options.reduction() == Reduction.NONE;
        boolean mean = options.reduction() == Reduction.MEAN;
        boolean sums = mean && options.denominator() == Denominator.WEIGHTS;
        var operands = CrossEntropyOperands.of(at(backend, dtype, 1L << 40, rows, classes),
                at(backend, DType.U8, 1L << 50, rows));
        operands = wantsHits ? operands.withHits(at(backend, DType.I64, 1L << 51)) : operands;
        operands = mean && options.denominator() == Denominator.OPERAND
                ? operands.withDenominator(at(backend, DType.F32, 1L << 52))
                : operands;
        Tensor loss = at(backend, DType.F32, 1L << 53, none ? new long[] {rows} : new long[0]);
        op.lossAndGradient(operands, loss, at(backend, dtype, 1L << 55, rows, classes));
        recorder.clearLog();
        op.lossAndGradient(operands, loss, at(backend, dtype, 1L << 55, rows, classes));

        List<String> expected = new ArrayList<>();
        long segments = Math.clamp(Math.ceilDiv(rows, 8192), 1, 2L * MULTIPROCESSORS);
        if (sums && rows > 0 || wantsHits) {
            expected.add("cross_entropy_general_begin " + (sums ? segments : 1) + " 256");
        }
        boolean narrow = dtype != DType.F32;
        String kernel = "cross_entropy_general_loss_grad_" + dtype.name().toLowerCase(Locale.ROOT);
        if (rows > 0 && classes <= 32) {
            expected.add(kernel + "_column " + Math.min(Math.ceilDiv(rows, 256), 2 * MULTIPROCESSORS) + " 256");
        } else if (rows > 0) {
            expected.add(kernel + "_block " + Math.min(rows, (narrow ? 4 : 2) * MULTIPROCESSORS)
                    + (narrow ? " 128" : " 256"));
        }
        if (!none) {
            expected.add("cross_entropy_general_reduce " + segments + " 256");
        }
        assertEquals(expected, shapes(recorder.launches()), options + " " + rows);
        assertTrue(expected.size() <= 3, "at most three launches");
        for (Recorder.Launch launch : recorder.launches()) {
            ByteBuffer block = ByteBuffer.wrap(launch.arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(General.LAYOUT.byteSize(), launch.arguments().length);
            assertEquals(classes, block.getLong((int) General.ALL_CLASSES));
            assertEquals(0, block.getLong((int) General.FIRST_CLASS));
            boolean column = classes <= 32;
            assertEquals((mean ? 1 : 0) | (sums ? 2 : 0) | 32 | (wantsHits ? General.PLACES : 0)
                    | (column ? General.KEPT : 0), block.getInt((int) General.FLAGS));
            boolean keeps = column && launch.function().endsWith("_column");
            assertEquals(keeps ? 256 * dtype.byteSize() * classes : 0, launch.shared());
        }
        // What is scratch is the op's own, apart, and large enough.
        if (!recorder.launches().isEmpty()) {
            ByteBuffer block =
                    ByteBuffer.wrap(recorder.launches().getFirst().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            long lossParts = block.getLong((int) General.LOSS_PARTS);
            long weightParts = block.getLong((int) General.WEIGHT_PARTS);
            long arrivals = block.getLong((int) General.ARRIVALS);
            long bytes = 4 * Math.ceilDiv(rows, 8192);
            assertEquals(none, lossParts == 0);
            assertEquals(none, arrivals == 0);
            assertEquals(!sums, weightParts == 0);
            assertTrue(none || recorder.bytesFrom(lossParts) >= bytes && recorder.bytesFrom(arrivals) >= 4);
            assertTrue(!sums || recorder.bytesFrom(weightParts) >= bytes
                    && (weightParts + bytes <= lossParts || lossParts + bytes <= weightParts));
        }
    }

    /** Logits of columns wait in shared memory as long as it has room for two blocks; with more classes there is none of it. */
    @Test
    void columnsAreKeptWhereTwoBlocksFit(Recorder recorder) {
        // Shared memory of a multiprocessor, of which each block costs 1024 bytes more, and 4112 are the kernel's own.
        Map<Integer, Integer> ofCapability = Map.of(75, 64, 80, 164, 86, 100, 90, 228);
        ofCapability.forEach((capability, kilobytes) -> {
            recorder.setDevice(0, capability, MULTIPROCESSORS, 1L << 30);
            try (var backend = (CudaBackend) Backend.open("cuda");
                    CrossEntropy op = CrossEntropy.on(backend,
                            CrossEntropyOptions.defaults().withReduction(Reduction.NONE))) {
                for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
                    long most = (kilobytes * 1024 / 2 - 1024 - 4112) / (256 * dtype.byteSize());
                    for (long classes : new long[] {2, most / 2, most - 4, most + 1, 1000}) {
                        recorder.clearLog();
                        Tensor logits = at(backend, dtype, 1L << 40, 3, classes, 100);
                        op.lossAndGradient(logits, at(backend, DType.I64, 1L << 50, 3, 100),
                                at(backend, DType.F32, 1L << 53, 3, 100), logits);
                        Recorder.Launch launch = recorder.launches().getLast();
                        boolean keeps = classes < most;
                        String what = capability + " " + dtype + " " + classes;
                        assertEquals(keeps ? 256 * dtype.byteSize() * classes : 0, launch.shared(), what);
                        assertEquals(keeps ? General.KEPT : 0, ByteBuffer.wrap(launch.arguments())
                                .order(ByteOrder.LITTLE_ENDIAN).getInt((int) General.FLAGS), what);
                    }
                }
            }
        });
    }

    /** Of a shard: its place among the classes, and no loss that nobody has asked for. */
    @Test
    void statesOfAShardAreOneLaunch(Recorder recorder) {
        try (CudaBackend backend = open(recorder);
                CrossEntropy op = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            recorder.clearLog();
            var shard = CrossEntropyOperands
                    .of(at(backend, DType.F32, 1L << 40, 3, 8192), at(backend, DType.I64, 1L << 50, 3))
                    .withShard(16384, 30_000);
            Tensor part = at(backend, DType.F32, 1L << 51, 1, 3, 7);
            Tensor own = at(backend, DType.F32, 1L << 52, 3);
            op.states(shard.withStates(part).withTargetLogits(own).withEntropy(at(backend, DType.F32, 1L << 53, 3))
                    .withHits(at(backend, DType.I64, 1L << 54)));
            assertEquals(List.of("cross_entropy_general_loss_f32_block 3 256"), shapes(recorder.launches()));
            ByteBuffer block =
                    ByteBuffer.wrap(recorder.launches().getFirst().arguments()).order(ByteOrder.LITTLE_ENDIAN);
            assertEquals(8192, block.getLong((int) General.CLASSES));
            assertEquals(16384, block.getLong((int) General.FIRST_CLASS));
            assertEquals(30_000, block.getLong((int) General.ALL_CLASSES));
            assertEquals(1L << 51, block.getLong((int) General.STATES));
            assertEquals(1L << 52, block.getLong((int) General.TARGET_LOGITS));
            assertEquals(0, block.getLong((int) General.ENTROPY) | block.getLong((int) General.ROW_LOSS)
                    | block.getLong((int) General.LOSS) | block.getLong((int) General.HITS));
            assertEquals(General.ENTROPY_FLAG | General.PLACES, block.getInt((int) General.FLAGS));
        }
    }
}
