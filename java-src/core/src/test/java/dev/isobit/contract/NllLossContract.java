package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.DType;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Negative log-likelihood of a float32 backend: the bits of its definition in kernels/NUMERICS.md, written here from the
 * text, nothing written beside the outputs, within the promised distance from float64, and what is refused.
 */
public abstract class NllLossContract extends BackendContract {
    private static final float NAN = Float.intBitsToFloat(0x7fc00000);

    private static final DType[] DTYPES = {DType.F32, DType.BF16, DType.F16};

    /** For subclasses. */
    protected NllLossContract() {}

    /** One call, all of a seed. */
    private final class Case {
        final SplittableRandom random;
        final int outer;
        final int classes;
        final int inner;
        final int rows;
        final Reduction reduction;
        final long ignoreIndex;
        final float[] input;
        final DType dtype;
        final DType targetType;
        final long[] targets;
        final float[] weights;
        final float[] gradLoss;
        final boolean inPlace;
        float[] loss;
        float[] gradient;

        Case(int outer, int classes, int inner, long seed) {
            random = new SplittableRandom(seed);
            dtype = DTYPES[(int) (seed % DTYPES.length)];
            this.outer = outer;
            this.classes = classes;
            this.inner = inner;
            rows = outer * inner;
            reduction = Reduction.values()[random.nextInt(3)];
            ignoreIndex = new long[] {-100, 0, classes, Long.MAX_VALUE}[random.nextInt(4)];
            List<DType> types = new ArrayList<>(List.of(DType.I64));
            if (ignoreIndex == (int) ignoreIndex) {
                types.add(DType.I32);
            }
            if (ignoreIndex == (short) ignoreIndex && classes <= Short.MAX_VALUE) {
                types.add(DType.I16);
            }
            if (ignoreIndex >= 0 && ignoreIndex <= 255 && classes <= 256) {
                types.add(DType.U8);
            }
            targetType = types.get(random.nextInt(types.size()));
            float[] drawn = new float[rows * classes];
            float[] special = {Float.NaN, Float.NEGATIVE_INFINITY, 0, -0f, Float.MIN_VALUE, -3e38f};
            boolean wild = random.nextInt(3) == 0;
            for (int i = 0; i < drawn.length; i++) {
                drawn[i] = wild && random.nextInt(6) == 0
                        ? special[random.nextInt(special.length)]
                        : -3 * Math.abs(LogitsKind.gaussian(random));
            }
            input = Rounded.to(dtype, drawn);
            targets = new long[rows];
            for (int i = 0; i < rows; i++) {
                targets[i] = random.nextInt(5) == 0 ? ignoreIndex : random.nextInt(classes);
            }
            weights = random.nextBoolean() ? new float[classes] : null;
            for (int k = 0; weights != null && k < classes; k++) {
                weights[k] = random.nextInt(4) == 0 ? 0 : (float) random.nextDouble();
            }
            gradLoss = random.nextInt(3) == 0
                    ? null
                    : new float[reduction == Reduction.NONE && random.nextBoolean() ? rows : 1];
            for (int i = 0; gradLoss != null && i < gradLoss.length; i++) {
                gradLoss[i] = LogitsKind.gaussian(random);
            }
            inPlace = random.nextBoolean();
        }

        float weight(int row) {
            return targets[row] == ignoreIndex ? 0 : weights == null ? 1 : weights[(int) targets[row]];
        }

        int element(int row) {
            int k = targets[row] == ignoreIndex ? 0 : (int) targets[row];
            return (row / inner * classes + k) * inner + row % inner;
        }

        /** From the text. */
        void define() {
            float[] rowLoss = new float[rows];
            float[] rowWeight = new float[rows];
            for (int row = 0; row < rows; row++) {
                rowWeight[row] = weight(row);
                if (targets[row] != ignoreIndex) {
                    float gap = 0 - input[element(row)];
                    boolean zero = rowWeight[row] == 0 && Float.isInfinite(gap);
                    rowLoss[row] = CrossEntropyDefinition.canonical(zero ? 0 : rowWeight[row] * gap);
                }
            }
            double denominator = reduction == Reduction.MEAN ? BceDefinition.denominator(rowWeight) : 1;
            gradient = new float[input.length];
            for (int row = 0; row < rows; row++) {
                if (targets[row] != ignoreIndex) {
                    double upstream = gradLoss == null ? 1 : gradLoss[gradLoss.length == 1 ? 0 : row];
                    gradient[element(row)] = CrossEntropyDefinition
                            .canonical((float) (0 - upstream / denominator * rowWeight[row]));
                }
            }
            gradient = Rounded.to(dtype, gradient);
            loss = reduction == Reduction.NONE
                    ? rowLoss
                    : new float[] {
                        CrossEntropyDefinition.canonical((float) (BceDefinition.sum(rowLoss) / denominator))};
        }

        void check(boolean wantsLoss, boolean wantsGradient) {
            define();
            boolean none = reduction == Reduction.NONE;
            long[] shape = inner == 1 ? new long[] {outer, classes} : new long[] {outer, classes, inner};
            long[] rowShape = inner == 1 ? new long[] {outer} : new long[] {outer, inner};
            block().begin(8L * input.length + 24L * rows + 4L * classes + 64, 6);
            Tensor from = block().floats(dtype, input, random.nextInt(16), shape);
            Tensor t = block().indices(targetType, targets, random.nextInt(8));
            NllLossOperands operands =
                    NllLossOperands.of(from, Tensor.of(t.dtype(), t.memory(), t.byteOffset(), rowShape));
            if (weights != null) {
                operands = operands.withClassWeights(block().floats(weights, random.nextInt(16), classes));
            }
            if (gradLoss != null) {
                operands = operands.withGradLoss(block().floats(gradLoss, random.nextInt(16),
                        gradLoss.length == rows && none ? rowShape : new long[0]));
            }
            Tensor to = block().room(DType.F32, random.nextInt(16), none ? rowShape : new long[0]);
            Tensor grad = inPlace ? from : block().room(dtype, random.nextInt(16), shape);
            block().upload();
            NllLossOptions options = new NllLossOptions(reduction, ignoreIndex);
            try (NllLoss op = NllLoss.on(backend(), options)) {
                if (!wantsGradient) {
                    op.loss(operands, to);
                } else if (!wantsLoss) {
                    op.gradient(operands, grad);
                } else {
                    op.lossAndGradient(operands, to, grad);
                }
            }
            block().download();
            String what = dtype + " " + Arrays.toString(shape) + " " + targetType + " " + options;
            block().assertUntouchedBut(what, wantsLoss && wantsGradient
                    ? new Tensor[] {to, grad}
                    : new Tensor[] {wantsLoss ? to : grad});
            if (wantsLoss) {
                Bits.assertSame(what + " loss", loss, block().read(to));
                judge(block().read(to), what);
            }
            if (wantsGradient) {
                Bits.assertSame(what + " gradient", gradient, block().read(grad));
            }
        }

        /** float64 of row losses. */
        void judge(float[] found, String what) {
            for (int row = 0; reduction == Reduction.NONE && row < rows; row++) {
                double exact = targets[row] == ignoreIndex ? 0 : -(double) input[element(row)] * weight(row);
                if (Double.isFinite(exact) && Math.abs(exact) < Float.MAX_VALUE) {
                    double error = Math.max(0, Math.abs(found[row] - exact) - 1e-38) / Math.ulp((float) exact);
                    assertTrue(error <= 4, what + " row " + row + ": " + error + " ULP");
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"0, 3, 1", "1, 1, 1", "5, 3, 1", "300, 2, 1", "1025, 3, 1", "17, 1000, 1", "3, 20000, 1",
        "8193, 5, 1", "0, 3, 4", "2, 3, 0", "1, 1, 7", "3, 5, 2", "4, 19, 300", "2, 3, 9000", "2, 1100, 5"})
    void everyShape(int outer, int classes, int inner) {
        for (int seed = 0; seed < 12; seed++) {
            int wanted = 1 + seed % 3;
            new Case(outer, classes, inner, seed).check((wanted & 1) != 0, (wanted & 2) != 0);
        }
    }

    private float[][] run(NllLossOptions options, float[] lp, long[] t, float[] weights) {
        int classes = lp.length / t.length;
        boolean none = options.reduction() == Reduction.NONE;
        block().begin(1 << 10, 5);
        Tensor from = block().floats(lp, 0, t.length, classes);
        NllLossOperands operands = NllLossOperands.of(from, block().indices(DType.I64, t, 0));
        if (weights != null) {
            operands = operands.withClassWeights(block().floats(weights, 0, classes));
        }
        Tensor loss = none ? block().room(DType.F32, 0, t.length) : block().room(DType.F32, 0);
        Tensor grad = block().room(DType.F32, 0, t.length, classes);
        block().upload();
        try (NllLoss op = NllLoss.on(backend(), options)) {
            op.lossAndGradient(operands, loss, grad);
        }
        block().download();
        return new float[][] {block().read(loss), block().read(grad)};
    }

    @Test
    void meanIsWeightedAsInPyTorch() {
        float[][] found = run(NllLossOptions.defaults(), new float[] {-1, -2, -4, -8}, new long[] {0, 1},
                new float[] {1, 3});
        assertEquals((1 + 3 * 8) / 4f, found[0][0]);
        Bits.assertSame("gradient", new float[] {-0.25f, 0, 0, -0.75f}, found[1]);
    }

    @Test
    void edges() {
        float inf = Float.POSITIVE_INFINITY;
        NllLossOptions mean = NllLossOptions.defaults();
        NllLossOptions none = mean.withReduction(Reduction.NONE);
        // Only the target is looked at; weight 0 of an infinite loss is 0.
        Bits.assertSame("rows", new float[] {1, NAN, inf},
                run(none, new float[] {-1, Float.NaN, Float.NaN, -1, -inf, 0}, new long[] {0, 0, 0}, null)[0]);
        Bits.assertSame("weight 0", new float[] {0},
                run(none, new float[] {-inf, 0}, new long[] {0}, new float[] {0, 1})[0]);
        float[][] ignored = run(mean, new float[] {Float.NaN, -1}, new long[] {-100}, null);
        Bits.assertSame("all ignored", new float[] {NAN}, ignored[0]);
        Bits.assertSame("all ignored", new float[2], ignored[1]);
        float[][] weightless = run(mean, new float[] {-2, -1}, new long[] {0}, new float[] {0, 1});
        Bits.assertSame("weights add up to 0", new float[] {NAN}, weightless[0]);
        Bits.assertSame("weights add up to 0", new float[] {NAN, 0}, weightless[1]);
    }

    @Test
    void badOperandsAreRefusedByName() {
        block().begin(1 << 10, 6);
        Tensor lp = block().floats(new float[6], 1, 2, 3);
        Tensor t = block().indices(DType.I64, new long[] {0, 2}, 0);
        Tensor loss = block().room(DType.F32, 0);
        Tensor grad = block().room(DType.F32, 0, 2, 3);
        Tensor weights = block().floats(new float[3], 0, 3);
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        NllLossOperands good = NllLossOperands.of(lp, t);
        try (NllLoss op = NllLoss.on(backend(), NllLossOptions.defaults())) {
            Tensor flat = Tensor.of(DType.F32, lp.memory(), lp.byteOffset(), 6);
            refused(type, () -> op.loss(NllLossOperands.of(flat, t), loss), "NllLoss.loss", "logProbabilities", "[6]");
            Tensor one = Tensor.of(DType.I64, t.memory(), t.byteOffset(), 1);
            refused(type, () -> op.loss(NllLossOperands.of(lp, one), loss), "targets", "[1]");
            Tensor two = Tensor.of(DType.F32, weights.memory(), weights.byteOffset(), 2);
            refused(type, () -> op.loss(good.withClassWeights(two), loss), "classWeights", "[2]");
            refused(type, () -> op.gradient(good.withGradLoss(two), grad), "NllLoss.gradient", "gradLoss", "a scalar");
            refused(type, () -> op.loss(good, two), "loss", "a scalar");
            refused(type, () -> op.gradient(good, weights), "gradLogProbabilities", "[3]");
            refused(type, () -> op.gradient(good, shifted(lp, DType.F32, 4, 2, 3)), "gradLogProbabilities", "overlaps");
            refused(type, () -> op.lossAndGradient(good, shifted(grad, DType.F32, 4), grad), "loss", "overlaps");
            refused(type, () -> op.loss(NllLossOperands.of(foreign(DType.F32, 2, 3), t), loss), "logProbabilities");
            Tensor narrow = Tensor.of(DType.BF16, lp.memory(), lp.byteOffset(), 2, 3);
            refused(UnsupportedOperationException.class, () -> op.gradient(NllLossOperands.of(narrow, t), grad), "F32",
                    "the type of logProbabilities");
            refused(UnsupportedOperationException.class, () -> op.gradient(good, narrow), "BF16");
            Tensor integers = Tensor.of(DType.I32, lp.memory(), lp.byteOffset(), 2, 3);
            refused(UnsupportedOperationException.class, () -> op.loss(NllLossOperands.of(integers, t), loss), "I32");
            Tensor words = Tensor.of(DType.F32, t.memory(), t.byteOffset(), 2);
            refused(UnsupportedOperationException.class, () -> op.loss(NllLossOperands.of(lp, words), loss), "F32",
                    "U8");
            refused(IllegalStateException.class, () -> op.gradient(good, closed(DType.F32, 2, 3)), "closed");
            if (backend().usesHostMemory()) {
                Tensor bad = Tensor.of(new long[] {1, 3}, 2);
                refused(type, () -> op.lossAndGradient(NllLossOperands.of(lp, bad), loss, grad), "target 3 in row 1",
                        "1 of 2 rows");
            }
        }
        NllLoss gone = NllLoss.on(backend(), NllLossOptions.defaults());
        gone.close();
        gone.close();
        assertThrows(IllegalStateException.class, () -> gone.loss(good, loss));
    }
}
