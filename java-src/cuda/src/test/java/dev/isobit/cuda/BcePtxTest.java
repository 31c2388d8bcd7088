package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels of binary cross-entropy, interpreted and watched, in grids of any size, against the cpu backend. */
class BcePtxTest {
    private static PtxKernels kernels;
    private static Backend cpu;

    @BeforeAll
    static void open() {
        kernels = new PtxKernels(true);
        cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1));
    }

    @AfterAll
    static void close() {
        kernels.close();
        cpu.close();
    }

    /** Every number of blocks, and orders of blocks and warps: which of them joins the sums is another each time. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 3, 900, 8192, 8194, 24_577, 40_000})
    void anyGrid(int count) {
        for (int grid : new int[] {1, 2, 3, 5}) {
            for (Reduction reduction : Reduction.values()) {
                Random random = new Random(count + grid);
                boolean full = random.nextBoolean();
                BceInputs in = BceInputs.of(random,
                        new BceWithLogitsOptions(reduction, true, grid == 2 ? 0.1 : 0, Double.NaN), null,
                        full ? new long[] {count} : new long[0], null, count);
                kernels.seed = grid;
                check(in, full, grid, 4 * (grid % 4), 4 * (count % 4));
            }
        }
        kernels.seed = 0;
    }

    /** Options, operands and alignments by a seed. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void optionsOfASeed(DType dtype) {
        int[][] shapes = {{1, 1}, {3, 5}, {7, 64}, {1, 1025}, {41, 200}, {3, 5461}};
        for (int[] shape : shapes) {
            for (long seed = 0; seed < (shape[0] * shape[1] < 5000 ? 8 : 2); seed++) {
                new BceKernelCase(shape[0], shape[1], dtype, seed).expect(cpu).check(kernels);
            }
        }
    }

    /** Elements whose numbers do not fit in 31 bits, or in 32. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void farElements(DType dtype) {
        for (long seed = 0; seed < 60; seed++) {
            var c = new BceKernelCase(20, 7, dtype, seed);
            if (c.canBeFar()) {
                c.aligned = seed % 3 == 0;
                c.firstSegment = seed % 4 == 0 ? 7 * 56_000L : 7L << 20;
                c.expect(cpu).check(kernels);
            }
        }
    }

    /** Logits and targets are read once and the gradient is written once, whatever their type, and next to nothing else. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void twoReadsAndOneWrite(DType dtype) {
        int count = 5 * 8192 + 1000;
        int size = dtype.byteSize();
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) Math.sin(i);
        }
        try (var watched = new PtxKernels(false)) {
            PtxKernels.Buffer logits = watched.new Buffer((long) size * count, 0).set(dtype, values);
            PtxKernels.Buffer targets = watched.new Buffer((long) size * count, 0).set(dtype, new float[count]);
            PtxKernels.Buffer gradient = watched.new Buffer((long) size * count, 0);
            PtxKernels.Buffer loss = watched.new Buffer(4, 0);
            PtxKernels.Buffer parts = watched.new Buffer(4 * 6, 0);
            PtxKernels.Buffer arrivals = watched.new Buffer(4, 0);
            PtxKernels.Struct params = watched.new Struct("bce_with_logits_params").set("logits", logits)
                    .set("targets", targets).set("loss", loss).set("grad_logits", gradient).set("loss_parts", parts)
                    .set("arrivals", arrivals).set("count", (long) count).set("keep", 1f).set("half", 0f)
                    .set("flags", dtype == DType.F32 ? 0 : 2048);
            String type = "_" + dtype.name().toLowerCase(Locale.ROOT);
            String module = "bce_with_logits" + (dtype == DType.F32 ? "" : type);
            watched.launch(module, "bce_with_logits_begin" + type, 1, 256, 0, params);
            watched.launch(module, "bce_with_logits_loss_grad" + type, 3, dtype == DType.F32 ? 256 : 128, 0, params);
            long elements = (long) size * count;
            assertTrue(watched.bytesRead >= 2 * elements && watched.bytesRead < 2 * elements + 256,
                    watched.bytesRead + " bytes read of " + 2 * elements);
            assertTrue(watched.bytesWritten >= elements && watched.bytesWritten < elements + 256,
                    watched.bytesWritten + " bytes written of " + elements);
        }
    }

    private static void check(BceInputs in, boolean fullWeights, int grid, int skip, int otherSkip) {
        int count = in.logits().length;
        boolean none = in.options().reduction() == Reduction.NONE;
        boolean mean = in.options().reduction() == Reduction.MEAN;
        int lossCount = none ? count : 1;
        float[] loss = new float[lossCount];
        float[] gradient = new float[count];
        float[] sigmoid = new float[count];
        try (BceWithLogits op = BceWithLogits.on(cpu, in.options())) {
            var operands = BceWithLogitsOperands.of(Tensor.of(in.logits(), count), Tensor.of(in.targets(), count))
                    .withWeights(fullWeights ? Tensor.of(in.weights(), count) : Tensor.of(in.weights()))
                    .withGradLoss(none ? Tensor.of(in.gradLoss(), count) : Tensor.of(in.gradLoss()))
                    .withSigmoid(Tensor.of(sigmoid, count));
            op.lossAndGradient(operands, none ? Tensor.of(loss, count) : Tensor.of(loss), Tensor.of(gradient, count));
        }
        int segments = (count + 8191) / 8192;
        PtxKernels.Buffer logitsAt = kernels.new Buffer(4L * count, skip).set(in.logits());
        PtxKernels.Buffer targetsAt = kernels.new Buffer(4L * count, skip).set(in.targets());
        PtxKernels.Buffer weightsAt = kernels.new Buffer(4L * in.weights().length, skip).set(in.weights());
        PtxKernels.Buffer gradLossAt = kernels.new Buffer(4L * in.gradLoss().length, otherSkip).set(in.gradLoss());
        PtxKernels.Buffer lossAt = kernels.new Buffer(4L * lossCount, skip);
        PtxKernels.Buffer gradientAt = kernels.new Buffer(4L * count, skip);
        PtxKernels.Buffer sigmoidAt = kernels.new Buffer(4L * count, skip);
        PtxKernels.Buffer weightParts = kernels.new Buffer(4L * segments, 0);
        PtxKernels.Buffer lossParts = kernels.new Buffer(4L * segments, 4);
        PtxKernels.Buffer denominator = kernels.new Buffer(8, 0);
        PtxKernels.Buffer arrivals = kernels.new Buffer(4, 0);
        PtxKernels.Struct params = kernels.new Struct("bce_with_logits_params").set("logits", logitsAt)
                .set("targets", targetsAt).set("mask", 0L).set("pos_weight", 0L).set("weights", weightsAt)
                .set("grad_loss", gradLossAt).set("loss", lossAt).set("grad_logits", gradientAt)
                .set("sigmoid", sigmoidAt).set("weight_parts", weightParts).set("denominator", denominator)
                .set("loss_parts", none ? 0 : lossParts.address).set("arrivals", none ? 0 : arrivals.address)
                .set("count", (long) count)
                .set("keep", (float) (1 - in.options().labelSmoothing()))
                .set("half", (float) (in.options().labelSmoothing() / 2))
                .set("ignore_value", Float.NaN)
                .set("flags", (mean ? 1 | 2 | 1024 : 0) | (none ? 4 | 8 : 0) | (fullWeights ? 32 : 0));
        if (mean && count > 0) {
            kernels.launch("bce_with_logits", "bce_with_logits_weigh_f32", grid, 256, 0, params);
        }
        if (!none) {
            kernels.launch("bce_with_logits", "bce_with_logits_begin_f32", 1, 256, 0, params);
        }
        if (!none || count > 0) {
            kernels.launch("bce_with_logits", "bce_with_logits_loss_grad_f32", grid, 256, 0, params);
        }
        assertEquals(List.of(), kernels.device.findings());
        float[][] expected = {loss, gradient, sigmoid};
        PtxKernels.Buffer[] found = {lossAt, gradientAt, sigmoidAt};
        for (int i = 0; i < found.length; i++) {
            assertArrayEquals(bits(expected[i]), bits(found[i].floats()),
                    count + " " + in.options() + " grid " + grid + " output " + i);
            assertTrue(found[i].isUntouchedBefore());
        }
        for (PtxKernels.Buffer buffer : List.of(logitsAt, targetsAt, weightsAt, gradLossAt, lossAt, gradientAt,
                sigmoidAt,
                weightParts, lossParts, denominator, arrivals)) {
            buffer.free();
        }
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        Arrays.setAll(bits, i -> Float.floatToRawIntBits(values[i]));
        return bits;
    }
}
