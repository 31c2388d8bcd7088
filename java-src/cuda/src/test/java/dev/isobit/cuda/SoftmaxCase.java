package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.LogSoftmax;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/** One call of the softmax kernels on the interpreter, and how it is launched: compared with the CPU backend. */
final class SoftmaxCase {
    final int outer;
    final int classes;
    final int inner;
    final boolean logarithm;
    final boolean gradient;
    DType dtype = DType.F32;
    String variant;
    float[] input;
    float[] gradOutput;
    int inputSkip;
    int gradSkip;
    int resultSkip;
    /** 0: apart; 1: over the input; 2: over the upstream gradient. */
    int place;
    int grid = 2;
    /** Rows before it are those of blocks that do not run: there is no memory of theirs. */
    long firstRow;
    private float[] expected;

    SoftmaxCase(int outer, int classes, int inner, boolean logarithm, boolean gradient, Random random) {
        this.outer = outer;
        this.classes = classes;
        this.inner = inner;
        this.logarithm = logarithm;
        this.gradient = gradient;
        variant = inner > 1 ? "column" : classes <= 1024 ? "warp" : "block";
        input = new float[outer * classes * inner];
        gradOutput = new float[input.length];
        for (int i = 0; i < input.length; i++) {
            input[i] = (float) (random.nextGaussian() * 4);
            gradOutput[i] = (float) random.nextGaussian();
        }
    }

    /** Where an element of a row is. */
    int at(int row, int k) {
        return (row / inner * classes + k) * inner + row % inner;
    }

    /** Rows of all kinds. */
    SoftmaxCase mixed(Random random) {
        float[] special = {Float.NEGATIVE_INFINITY, 0, -0f, Float.MIN_VALUE, 1e30f, -Float.MAX_VALUE, 88, -104};
        for (int row = 0; row < outer * inner; row++) {
            int only = random.nextInt(classes);
            for (int k = 0; k < classes; k++) {
                int i = at(row, k);
                gradOutput[i] = random.nextInt(9) == 0 ? -0f : gradOutput[i];
                switch (row % 10) {
                    case 0 -> input[i] = random.nextInt(3);
                    case 1 -> input[i] = random.nextInt(8) == 0 ? special[random.nextInt(8)] : k % 7;
                    case 2 -> input[i] = k == only ? row % 20 == 2 ? Float.NaN : Float.POSITIVE_INFINITY : 1;
                    case 3 -> input[i] = k == only ? 3 : input[i] - 5;
                    case 4 -> input[i] = row % 20 == 4 && k == only ? 1 : Float.NEGATIVE_INFINITY;
                    case 5 -> gradOutput[i] = k == only ? special[random.nextInt(8)] : gradOutput[i];
                    default -> {
                    }
                }
            }
        }
        return this;
    }

    @Override
    public String toString() {
        return dtype + (logarithm ? " log-softmax" : " softmax") + (gradient ? " gradient" : "") + " [" + outer + ", "
                + classes
                + ", " + inner + "] " + variant + " input+" + inputSkip + " grad+" + gradSkip + " result+" + resultSkip
                + " place " + place + " grid " + grid;
    }

    SoftmaxCase expect(Backend cpu) {
        long[] shape = {outer, classes, inner};
        Tensor from = HostTensors.of(dtype, input, shape);
        Tensor to = HostTensors.room(dtype, shape);
        Tensor grad = HostTensors.of(dtype, gradOutput, shape);
        SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(1);
        try (Softmax softmax = Softmax.on(cpu, options); LogSoftmax log = LogSoftmax.on(cpu, options)) {
            if (logarithm && gradient) {
                log.gradient(from, grad, to);
            } else if (logarithm) {
                log.logProbabilities(from, to);
            } else if (gradient) {
                softmax.gradient(from, grad, to);
            } else {
                softmax.probabilities(from, to);
            }
        }
        expected = HostTensors.floats(to);
        return this;
    }

    private int rowsPerBlock() {
        return switch (variant) {
            case "warp" -> classes <= 256 ? 16 : 4;
            case "block" -> 1;
            default -> 128;
        };
    }

    /** Runs the kernel and compares with what is expected, as often as one likes. */
    void check(PtxKernels kernels) {
        long size = dtype.byteSize();
        long rowBytes = variant.equals("column") ? size * classes * inner : size * classes;
        PtxKernels.Buffer from = kernels.new Buffer(size * input.length, inputSkip).set(dtype, input);
        PtxKernels.Buffer grad =
                gradient ? kernels.new Buffer(size * input.length, gradSkip).set(dtype, gradOutput) : null;
        float[] before = from.floats(dtype);
        PtxKernels.Buffer to = place == 1
                ? from
                : place == 2 && gradient ? grad : kernels.new Buffer(size * input.length, resultSkip);
        PtxKernels.Struct params = kernels.new Struct("softmax_params").set("input", from.address - firstRow * rowBytes)
                .set("grad_output", grad == null ? 0 : grad.address - firstRow * rowBytes)
                .set("result", to.address - firstRow * rowBytes).set("outer", firstRow + outer)
                .set("classes", (long) classes).set("inner", (long) inner).set("flags", logarithm ? 1 : 0);
        kernels.firstBlock = firstRow * (variant.equals("column") ? inner : 1) / rowsPerBlock();
        String type = "_" + dtype.name().toLowerCase(Locale.ROOT);
        kernels.launch("softmax" + (dtype == DType.F32 ? "" : type),
                "softmax_" + (gradient ? "grad" : "forward") + type + "_" + variant, grid,
                variant.equals("block") && dtype == DType.F32 ? 256 : 128, 0, params);
        kernels.firstBlock = 0;
        assertEquals(List.of(), kernels.device.findings(), toString());
        float[] found = to.floats(dtype);
        for (int i = 0; i < found.length; i++) {
            int wanted = Float.floatToRawIntBits(expected[i]);
            int got = Float.floatToRawIntBits(found[i]);
            if (wanted != got) {
                throw new AssertionError(String.format("%s: element %d is %s (%08x), not %s (%08x)", this, i, found[i],
                        got, expected[i], wanted));
            }
        }
        if (to != from) {
            assertTrue(Arrays.equals(before, from.floats(dtype)), this + ": the input is only read");
        }
        for (PtxKernels.Buffer buffer : new PtxKernels.Buffer[] {from, grad, to == from || to == grad ? null : to}) {
            if (buffer != null) {
                assertTrue(buffer.isUntouchedBefore(), this + ": written before a buffer");
                buffer.free();
            }
        }
    }
}
