package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Binary cross-entropy as the driver sees it: which launches, their shape, and every byte of their argument block. */
@RecorderTest
class RecorderBceWithLogitsTest {
    private static final int MULTIPROCESSORS = 5;
    /** Both sides of a segment, of what a device holds at once, of 32 bits. */
    private static final long[][] SHAPES = {{0}, {1}, {8192}, {8193}, {3, 4, 5}, {20, 8192}, {21, 8192}, {7, 0, 3},
        {65536, 65535}, {65536, 65536}};
    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16, DType.F32};
    private static final long[] NO_AXES = {1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0};

    private static CudaBackend open(Recorder recorder, int capability) {
        recorder.setDevice(0, capability, MULTIPROCESSORS, 1L << 30);
        return (CudaBackend) Backend.open("cuda");
    }

    /** A tensor somewhere on the device; the recorder reads none of it. */
    private static Tensor at(CudaBackend backend, long address, long... shape) {
        return at(backend, DType.F32, address, shape);
    }

    private static Tensor at(CudaBackend backend, DType dtype, long address, long... shape) {
        return Tensor.of(dtype, new CudaMemory(backend.driver(), address, 1L << 44), 0, shape);
    }

    @ParameterizedTest
    @ValueSource(ints = {75, 80, 86, 90, 120})
    void everyLaunchAndEveryByteIsExact(int capability, Recorder recorder) {
        int launches = 0;
        try (CudaBackend backend = open(recorder, capability); CudaStream stream = backend.newStream()) {
            for (Reduction reduction : Reduction.values()) {
                for (int i = 0; i < 3; i++) {
                    boolean weighted = i == 1;
                    var plain = new BceWithLogitsOptions(reduction, weighted, weighted ? 0.1 : 0,
                            reduction == Reduction.SUM ? -1 : Double.NaN);
                    var options = i == 2 ? plain.withFocal(2.5, 0.25) : plain;
                    try (BceWithLogits op = BceWithLogits.on(backend, options, stream)) {
                        // The kernels of 16 bits are loaded by the first call that needs them.
                        for (DType dtype : TYPES) {
                            op.gradient(at(backend, dtype, 1L << 48, 1), at(backend, 1L << 49, 1),
                                    at(backend, dtype, 1L << 50, 1));
                        }
                        for (long[] shape : SHAPES) {
                            for (int wanted = 1; wanted < 4; wanted++) {
                                launches += check(recorder, backend, stream, op, shape, (wanted & 1) != 0,
                                        (wanted & 2) != 0, launches % 3, TYPES[launches % TYPES.length]);
                            }
                        }
                    }
                }
            }
        }
        assertTrue(launches > 200, launches + " launches compared");
    }

    /** @param spread 0: no weights, no upstream; 1: a scalar and full ones; 2: along axes, a mask, byte targets */
    private static int check(Recorder recorder, CudaBackend backend, CudaStream stream, BceWithLogits op, long[] shape,
            boolean wantsLoss, boolean wantsGradient, int spread, DType dtype) {
        BceWithLogitsOptions options = op.options();
        boolean none = options.reduction() == Reduction.NONE;
        boolean mean = options.reduction() == Reduction.MEAN;
        long count = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
        long base = 1L << 44;
        // Targets of the type of the logits in one of the spreads, float in another, bytes or bits in the third.
        var operands = BceWithLogitsOperands.of(at(backend, dtype, base + 4, shape),
                at(backend, spread == 0 ? dtype : DType.F32, 2 * base, shape));
        long[] perRow = shape.clone();
        Arrays.fill(perRow, 1, shape.length, 1);
        if (spread == 1) {
            operands = options.isFocal() ? operands : operands.withPosWeight(at(backend, 3 * base));
            operands = operands.withWeights(at(backend, 4 * base + 8, shape))
                    .withGradLoss(at(backend, 5 * base + 12, none ? shape : new long[0]))
                    .withSigmoid(at(backend, 6 * base, shape));
        } else if (spread == 2) {
            Tensor bytes = at(backend, DType.U8, 2 * base, shape);
            Tensor packed = at(backend, DType.U8, 2 * base, (count + 7) / 8);
            operands = (dtype == DType.F16
                    ? BceWithLogitsOperands.ofBits(operands.logits(), packed)
                    : BceWithLogitsOperands.of(operands.logits(), bytes))
                    .withMask(Tensor.of(DType.U8, new CudaMemory(backend.driver(), 9 * base + 3, base), 0, perRow))
                    .withWeights(at(backend, 4 * base, perRow)).withGradLoss(at(backend, 5 * base));
            operands = options.isFocal()
                    ? operands
                    : operands.withPosWeight(at(backend, 3 * base, shape[shape.length - 1]));
        }
        Tensor loss = at(backend, 7 * base, none ? shape : new long[0]);
        Tensor gradient = at(backend, dtype, 8 * base, shape);
        recorder.clearLog();
        if (!wantsGradient) {
            op.loss(operands, loss);
        } else if (!wantsLoss) {
            op.gradient(operands, gradient);
        } else {
            op.lossAndGradient(operands, loss, gradient);
        }
        List<Recorder.Launch> found = recorder.launches();

        boolean weighs = mean && (options.weightedMean() || spread == 2);
        boolean reduced = wantsLoss && !none;
        boolean isScalar = count == 1;
        ByteBuffer block = ByteBuffer.wrap(found.isEmpty() ? new byte[432] : found.getFirst().arguments())
                .order(ByteOrder.LITTLE_ENDIAN);
        // Scratch is where the op has put it; it has to be real and large enough.
        long parts = 4 * Math.max(1, (count + 8191) / 8192);
        long weightParts = weighs ? block.getLong(72) : 0;
        long denominator = weighs ? block.getLong(80) : 0;
        long lossParts = reduced ? block.getLong(88) : 0;
        long arrivals = reduced ? block.getLong(96) : 0;
        if (!found.isEmpty()) {
            for (long[] scratch : new long[][] {{weightParts, parts}, {denominator, 8}, {lossParts, parts},
                {arrivals, 4}}) {
                assertTrue(scratch[0] == 0 || recorder.bytesFrom(scratch[0]) >= scratch[1], "scratch");
            }
            assertTrue(!weighs || !reduced || Math.abs(weightParts - lossParts) >= parts, "scratch overlaps");
        }
        boolean full = spread == 1 && !isScalar;
        int flags = (mean ? 1 : 0) | (weighs ? 2 : 0) | (spread == 1 && none && wantsGradient ? 4 : 0)
                | (none && wantsLoss ? 8 : 0) | (full ? 32 : 0) | (count > 0xffffffffL ? 64 : 0)
                | (spread == 2 ? 256 : 0) | (options.ignores() ? 512 : 0)
                | (mean && options.weightedMean() ? 1024 : 0) | (spread == 0 && dtype != DType.F32 ? 2048 : 0)
                | (spread == 2 && dtype == DType.F16 ? 4096 : 0);
        long[] posWeightAxes = NO_AXES.clone();
        long[] weightsAxes = NO_AXES.clone();
        if (full) {
            weightsAxes = new long[] {1, count, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0};
        } else if (spread == 2 && !isScalar) {
            long last = shape[shape.length - 1];
            posWeightAxes = options.isFocal()
                    ? NO_AXES
                    : new long[] {1, last, 1, 1, 1, 0, 1, 1, 0, 1, 1, 0};
            weightsAxes = new long[] {shape[0] == 0 ? 1 : count / shape[0], shape[0], 1, 1, 1, 0, 1, 1, 0, 1, 1, 0};
            // One axis is all of them; and without elements nothing repeats.
            flags |= (last == count && !options.isFocal() ? 16 : 0) | (shape[0] == count ? 32 | 128 : 0);
        }
        ByteBuffer expected = ByteBuffer.allocate(432).order(ByteOrder.LITTLE_ENDIAN);
        // What is read before any element is not there where there is none.
        boolean isSpread = spread != 0 && count > 0;
        for (long value : new long[] {base + 4, 2 * base, isSpread && spread == 2 ? 9 * base + 3 : 0,
            !isSpread || options.isFocal() ? 0 : 3 * base,
            isSpread ? 4 * base + (spread == 1 ? 8 : 0) : 0,
            spread == 0 || !wantsGradient ? 0 : 5 * base + (spread == 1 ? 12 : 0), wantsLoss ? 7 * base : 0,
            wantsGradient ? 8 * base : 0, spread == 1 ? 6 * base : 0, weightParts, denominator, lossParts, arrivals,
            count}) {
            expected.putLong(value);
        }
        for (long[] axes : new long[][] {posWeightAxes, weightsAxes, spread == 2 ? weightsAxes : NO_AXES}) {
            for (long value : axes) {
                expected.putLong(value);
            }
        }
        expected.putFloat((float) (1 - options.labelSmoothing())).putFloat((float) (options.labelSmoothing() / 2));
        boolean focal = options.isFocal();
        byte[] arguments = expected.putFloat((float) options.ignoreValue()).putInt(flags).putFloat(focal ? 0.25f : 1)
                .putFloat(focal ? 0.75f : 1).putFloat(focal ? 2.5f : 0).putInt(focal ? 5 : 0).array();

        List<LaunchExpectation> launches = new ArrayList<>();
        int grid = (int) Math.clamp((count + 8191) / 8192, 1, MULTIPROCESSORS * (dtype == DType.F32 ? 3L : 4L));
        String type = "_" + dtype.name().toLowerCase(Locale.ROOT);
        if (weighs && count > 0) {
            launches.add(new LaunchExpectation("bce_with_logits_weigh" + type, grid, 256, 0, arguments));
        }
        if (reduced || weighs && count > 0) {
            launches.add(new LaunchExpectation("bce_with_logits_begin" + type, 1, 256, 0, arguments));
        }
        if (reduced || count > 0) {
            String phase = !wantsGradient ? "loss" : wantsLoss ? "loss_grad" : "grad";
            int elements = (int) Math.clamp((count + 8191) / 8192, 1,
                    MULTIPROCESSORS * (dtype != DType.F32 ? 4L : focal ? 2L : 3L));
            launches.add(new LaunchExpectation("bce_with_logits_" + (focal ? "focal_" : "") + phase + type, elements,
                    dtype == DType.F32 ? 256 : 128, 0, arguments));
        }
        assertTrue(launches.size() <= 3, "a call is at most three launches");
        String what = Arrays.toString(shape) + " " + options + " spread " + spread;
        assertEquals(launches.stream().map(e -> e.text(stream.handle())).collect(Collectors.joining("\n")),
                found.stream().map(LaunchExpectation::text).collect(Collectors.joining("\n")), what);
        // Nothing on the path of a call waits for the device or copies; scratch is allocated when there is more.
        List<String> others = new ArrayList<>(recorder.calls());
        others.removeIf(call -> call.equals("cuCtxSetCurrent") || call.equals("cuLaunchKernel")
                || call.equals("cuMemAlloc_v2"));
        assertEquals(List.of(), others, what);
        return found.size();
    }

    @Test
    void scratchIsReleasedOnClose(Recorder recorder) {
        try (CudaBackend backend = open(recorder, 90)) {
            long before = recorder.live("device");
            BceWithLogits op = BceWithLogits.on(backend, BceWithLogitsOptions.defaults().withWeightedMean(true));
            op.loss(at(backend, 1L << 44, 100_000), at(backend, 2L << 44, 100_000), at(backend, 3L << 44));
            assertTrue(recorder.live("device") > before);
            op.close();
            op.close();
            assertEquals(before, recorder.live("device"));
            assertThrows(IllegalStateException.class,
                    () -> op.loss(at(backend, 1L << 44, 1), at(backend, 2L << 44, 1), at(backend, 3L << 44)));
        }
    }
}
