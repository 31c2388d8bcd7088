package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The kernels of negative log-likelihood, interpreted and watched, in grids of any size, against the cpu backend. */
class NllLossPtxTest {
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

    @ParameterizedTest
    @CsvSource({"1, 1, 1", "3, 5, 1", "300, 2, 1", "257, 33, 1", "2, 9001, 1", "8193, 2, 1", "1, 3, 7", "2, 5, 300",
        "1, 1, 8200"})
    void anyGrid(int outer, int classes, int inner) {
        for (int grid = 1; grid <= 4; grid++) {
            for (Reduction reduction : Reduction.values()) {
                kernels.seed = grid;
                for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
                    check(kernels, cpu, dtype, outer, classes, inner, reduction, grid, new Random(classes + grid));
                }
            }
        }
        kernels.seed = 0;
    }

    static void check(PtxKernels kernels, Backend cpu, DType dtype, int outer, int classes, int inner,
            Reduction reduction,
            int grid, Random random) {
        int rows = outer * inner;
        DType wanted = new DType[] {DType.I64, DType.I32, DType.I16, DType.U8}[(grid + dtype.ordinal()) % 4];
        DType targetType = wanted == DType.U8 && classes > 255 ? DType.I64 : wanted;
        boolean none = reduction == Reduction.NONE;
        boolean mean = reduction == Reduction.MEAN;
        boolean inPlace = grid == 2;
        long ignore = random.nextInt(classes);
        float[] lp = new float[rows * classes];
        for (int i = 0; i < lp.length; i++) {
            lp[i] = random.nextInt(50) == 0 ? Float.NEGATIVE_INFINITY : -5 * random.nextFloat();
        }
        float[] weights = new float[classes];
        for (int k = 0; k < classes; k++) {
            weights[k] = random.nextInt(3) == 0 ? 0 : random.nextFloat();
        }
        float[] gradLoss = new float[none ? rows : 1];
        for (int i = 0; i < gradLoss.length; i++) {
            gradLoss[i] = (float) random.nextGaussian();
        }
        // Bad targets are for the device alone; beside the definition they are as ignored ones, and NaN.
        long[] targets = new long[rows];
        long[] sound = new long[rows];
        long bad = 0;
        long firstBad = -1;
        for (int i = 0; i < rows; i++) {
            boolean isBad = (none || grid % 3 == 1) && random.nextInt(9) == 0;
            sound[i] = isBad ? ignore : random.nextInt(classes);
            targets[i] = isBad ? random.nextBoolean() && targetType != DType.U8 ? -1 : classes : sound[i];
            bad += isBad ? 1 : 0;
            firstBad = isBad && firstBad < 0 ? i : firstBad;
        }
        boolean weighted = grid < 3;
        if (dtype != DType.F32 && none && weighted) {
            // Gradients on ties of 16 bits, or near them.
            int half = dtype == DType.F16 ? 0x1000 : 0x8000;
            for (int i = 0; i < rows; i += 2) {
                float weight = weights[(int) sound[i]];
                int bits = Float.floatToRawIntBits(gradLoss[i] * weight) & -half | half;
                gradLoss[i] = weight == 0 ? gradLoss[i] : Float.intBitsToFloat(bits) / weight;
            }
        }
        float[] loss = new float[none ? rows : 1];
        Tensor gradientOnHost = HostTensors.room(dtype, outer, classes, inner);
        long[] shape = {outer, classes, inner};
        try (NllLoss op = NllLoss.on(cpu, new NllLossOptions(reduction, ignore))) {
            var operands = NllLossOperands.of(HostTensors.of(dtype, lp, shape), Tensor.of(sound, outer, inner))
                    .withGradLoss(none ? Tensor.of(gradLoss, outer, inner) : Tensor.of(gradLoss));
            op.lossAndGradient(weighted ? operands.withClassWeights(Tensor.of(weights, classes)) : operands,
                    none ? Tensor.of(loss, outer, inner) : Tensor.of(loss), gradientOnHost);
        }
        float[] gradient = HostTensors.floats(gradientOnHost);
        for (int i = 0; i < rows; i++) {
            if (targets[i] < 0 || targets[i] >= classes) {
                loss[none ? i : 0] = Float.NaN;
                for (int k = 0; k < classes; k++) {
                    gradient[(i / inner * classes + k) * inner + i % inner] = Float.NaN;
                }
            }
        }
        int segments = (rows + 8191) / 8192;
        int skip = 4 * (grid % 4);
        int size = dtype.byteSize();
        PtxKernels.Buffer lpAt = kernels.new Buffer((long) size * lp.length, size * (grid % 4)).set(dtype, lp);
        PtxKernels.Buffer targetsAt = kernels.new Buffer((long) targetType.byteSize() * rows, 8);
        for (int i = 0; i < rows; i++) {
            switch (targetType) {
                case I64 -> targetsAt.memory().setAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i, targets[i]);
                case I32 -> targetsAt.memory().setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i, (int) targets[i]);
                case I16 -> targetsAt.memory().setAtIndex(ValueLayout.JAVA_SHORT_UNALIGNED, i, (short) targets[i]);
                default -> targetsAt.memory().set(ValueLayout.JAVA_BYTE, i, (byte) targets[i]);
            }
        }
        int targetFlag = switch (targetType) {
            case I32 -> 4;
            case I16 -> 8;
            case U8 -> 16;
            default -> 0;
        };
        PtxKernels.Buffer weightsAt = kernels.new Buffer(4L * classes, 4).set(weights);
        PtxKernels.Buffer gradLossAt = kernels.new Buffer(4L * gradLoss.length, skip).set(gradLoss);
        PtxKernels.Buffer rowLoss = kernels.new Buffer(4L * rows, 12);
        PtxKernels.Buffer lossAt = kernels.new Buffer(4, 4);
        PtxKernels.Buffer gradientAt = inPlace ? lpAt : kernels.new Buffer((long) size * lp.length, size);
        PtxKernels.Buffer weightParts = kernels.new Buffer(4L * segments, 4);
        PtxKernels.Buffer lossParts = kernels.new Buffer(4L * segments, 4);
        PtxKernels.Buffer arrivals = kernels.new Buffer(4, 0);
        PtxKernels.Buffer status = kernels.new Buffer(24, 8);
        status.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 0, 0);
        status.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 8, -1);
        PtxKernels.Struct params = kernels.new Struct("nll_loss_params").set("log_probabilities", lpAt)
                .set("targets", targetsAt).set("class_weights", weighted ? weightsAt.address : 0)
                .set("grad_loss", gradLossAt).set("row_loss", rowLoss).set("loss", lossAt)
                .set("grad_log_probabilities", gradientAt).set("weight_parts", weightParts)
                .set("loss_parts", lossParts).set("arrivals", none ? 0 : arrivals.address).set("status", status)
                .set("outer", (long) outer).set("classes", (long) classes).set("inner", (long) inner)
                .set("ignore_index", ignore).set("flags", (mean ? 1 : 0) | (none ? 2 : 0) | targetFlag)
                .set("rows_per_block", Math.clamp(8192 / classes / grid, 1, 256));
        if (mean) {
            kernels.launch("nll_loss", "nll_loss_weigh_f32", grid, 256, 0, params);
        }
        String type = "_" + dtype.name().toLowerCase(Locale.ROOT);
        kernels.launch("nll_loss" + (dtype == DType.F32 ? "" : type), "nll_loss_rows" + type, grid, 256, 0, params);
        if (!none) {
            kernels.launch("nll_loss", "nll_loss_reduce_f32", grid, 256, 0, params);
        }
        String what = dtype + " " + Arrays.toString(shape) + " " + targetType + " " + reduction + " grid " + grid;
        assertEquals(List.of(), kernels.device.findings(), what);
        assertArrayEquals(bits(loss), bits((none ? rowLoss : lossAt).floats()), what + ": loss");
        assertArrayEquals(bits(gradient), bits(gradientAt.floats(dtype)), what + ": gradient");
        assertEquals(bad, status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 0), what);
        assertEquals(firstBad, status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 8), what);
        if (bad > 0) {
            assertEquals(targets[(int) firstBad], status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 16), what);
        }
        for (PtxKernels.Buffer buffer : new PtxKernels.Buffer[] {lpAt, targetsAt, weightsAt, gradLossAt, rowLoss,
            lossAt,
            inPlace ? null : gradientAt, weightParts, lossParts, arrivals, status}) {
            if (buffer != null) {
                assertTrue(buffer.isUntouchedBefore(), what);
                buffer.free();
            }
        }
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        Arrays.setAll(bits, i -> Float.floatToIntBits(values[i]));
        return bits;
    }
}
