package dev.isobit.bench.libtorch;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.LogSoftmax;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Generated problems of every loss with the options that libtorch has, too: Isobit is as near to libtorch in float64 as the
 * contract promises; libtorch in float32 may be farther, and how far is printed. Where results differ beyond roundings, on
 * purpose, {@link #whereTheyDifferAndWhy} says it.
 */
class LibtorchLossesTest {
    private static final int PROBLEMS = 400;
    /** What float64 itself loses in libtorch's formulas, of logits to 80: the digits of a confident row or element. */
    private static final double FLOAT64 = 2e-14;
    private static final DType[] DTYPES = {DType.F32, DType.F32, DType.BF16, DType.F16};

    private static Backend cpu;
    private static Libtorch wide;
    private static Libtorch same;

    /** Largest distances from float64 in ULP of float32 at the row's largest value: ours, theirs. */
    private static final class Distances {
        double ours;
        double theirs;
        long elements;

        void print(String what) {
            System.out.printf(Locale.ROOT, "%s: %,d elements, at most %.2f ULP from float64, libtorch's float32 %.2f%n",
                    what, elements, ours, theirs);
        }
    }

    @BeforeAll
    static void open() {
        torch.set_num_threads(1);
        cpu = Backend.open("cpu");
        wide = new Libtorch(torch.ScalarType.Double);
        same = new Libtorch(torch.ScalarType.Float);
    }

    @AfterAll
    static void close() {
        cpu.close();
    }

    private static double normal(SplittableRandom random) {
        return random.nextGaussian();
    }

    /** A value of a type. */
    private static float rounded(DType dtype, double value) {
        return switch (dtype) {
            case BF16 -> NarrowFloats.fromBf16(NarrowFloats.toBf16((float) value));
            case F16 -> NarrowFloats.fromF16(NarrowFloats.toF16((float) value));
            default -> (float) value;
        };
    }

    private static float[] floats(double[] values) {
        float[] floats = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            floats[i] = (float) values[i];
        }
        return floats;
    }

    private static double[] doubles(SplittableRandom random, int count, double from, double to) {
        double[] values = new double[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) (from + (to - from) * random.nextDouble());
        }
        return values;
    }

    /** A tensor of a type, in memory of its own. */
    private static Tensor tensor(DType dtype, double[] values, long... shape) {
        if (dtype == DType.F32) {
            return Tensor.of(floats(values), shape);
        }
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            float value = (float) values[i];
            bits[i] = dtype == DType.BF16 ? NarrowFloats.toBf16(value) : NarrowFloats.toF16(value);
        }
        return Tensor.of(dtype, MemorySegment.ofArray(bits), shape);
    }

    private static double[] read(Tensor tensor) {
        double[] values = new double[(int) tensor.elementCount()];
        for (int i = 0; i < values.length; i++) {
            values[i] = tensor.get(i);
        }
        return values;
    }

    private static double ulp(double value) {
        return Math.max(Math.ulp((float) Math.min(Math.abs(value), Float.MAX_VALUE)), Float.MIN_VALUE);
    }

    /**
     * Compares with float64: within a number of ULP of float32 at the largest value of a group of neighbours, and of a
     * result in 16 bits half a unit of these on top.
     */
    private static void compare(String what, DType dtype, double budget, int group, int apart, double[] exact,
            double[] theirs, double[] ours, Distances distances) {
        compare(what, dtype, budget, group, apart, exact, theirs, ours, distances, new double[exact.length]);
    }

    /** `scale`: the size of the addends, where these may cancel. */
    private static void compare(String what, DType dtype, double budget, int group, int apart, double[] exact,
            double[] theirs, double[] ours, Distances distances, double[] scale) {
        assertEquals(exact.length, ours.length, what);
        // Elements of a row stand `apart`; group 1 is an element by itself.
        double[] largest = new double[exact.length];
        for (int i = 0; i < exact.length; i++) {
            int first = i / (group * apart) * group * apart + i % apart;
            largest[first] = Double.isFinite(exact[i]) ? Math.max(largest[first], Math.abs(exact[i])) : largest[first];
        }
        for (int i = 0; i < exact.length; i++) {
            if (!Double.isFinite(exact[i])) {
                assertEquals(exact[i], ours[i], what + " element " + i);
                continue;
            }
            double unit = ulp(Math.max(largest[i / (group * apart) * group * apart + i % apart], scale[i]));
            double slack = FLOAT64;
            double narrow = switch (dtype) {
                case BF16 -> Math.max(Math.scalb(ulp(exact[i]), 16) / 2, 0x1p-134) * 1.001;
                case F16 -> Math.max(Math.ulp((float) Math.abs(exact[i])) * 8192 / 2, 0x1p-25) * 1.001;
                default -> 0;
            };
            double off = Math.abs(ours[i] - exact[i]);
            assertTrue(off <= budget * unit + narrow + slack,
                    () -> what + ": " + off / unit + " ULP from float64's");
            if (dtype == DType.F32) {
                distances.ours = Math.max(distances.ours, Math.max(0, off - slack) / unit);
                distances.theirs = Math.max(distances.theirs, Math.max(0, Math.abs(theirs[i] - exact[i]) - slack) / unit);
            }
            distances.elements++;
        }
    }

    @Test
    void crossEntropy() {
        var losses = new Distances();
        var gradients = new Distances();
        for (int seed = 0; seed < PROBLEMS; seed++) {
            var random = new SplittableRandom(seed);
            DType dtype = DTYPES[random.nextInt(DTYPES.length)];
            int batch = 1 + random.nextInt(12);
            int classes = new int[] {1, 2, 3, 10, 33, 257, 1025, 9001}[random.nextInt(8)];
            int inner = random.nextInt(3) == 0 ? 1 + random.nextInt(5) : 0;
            int across = Math.max(1, inner);
            int rows = batch * across;
            long[] shape = inner == 0 ? new long[] {batch, classes} : new long[] {batch, classes, inner};
            long[] rowShape = inner == 0 ? new long[] {batch} : new long[] {batch, inner};
            double[] logits = new double[rows * classes];
            double spread = new double[] {0.1, 2, 20}[random.nextInt(3)];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = rounded(dtype, spread * normal(random));
            }
            boolean soft = random.nextInt(3) == 0;
            long ignoreIndex = soft || random.nextBoolean() ? -100 : random.nextInt(classes);
            long[] targets = new long[rows];
            for (int row = 0; row < rows; row++) {
                targets[row] = random.nextInt(6) == 0 ? ignoreIndex : random.nextInt(classes);
            }
            double[] probabilities = soft ? doubles(random, logits.length, 0, 2.0 / classes) : null;
            double[] classWeights = random.nextBoolean() ? doubles(random, classes, 0.1, 2) : null;
            double smoothing = new double[] {0, 0.125, 0.1f}[random.nextInt(3)];
            Reduction reduction = Reduction.values()[random.nextInt(3)];
            double[] gradLoss = doubles(random, reduction == Reduction.NONE ? rows : 1, -2, 2);
            Libtorch.Outcome exact = wide.crossEntropy(logits, shape, targets, rowShape, probabilities, classWeights,
                    reduction, ignoreIndex, smoothing, gradLoss);
            Libtorch.Outcome theirs = same.crossEntropy(logits, shape, targets, rowShape, probabilities, classWeights,
                    reduction, ignoreIndex, smoothing, gradLoss);
            long[] lossShape = reduction == Reduction.NONE ? rowShape : new long[0];
            Tensor loss = Tensor.of(new float[reduction == Reduction.NONE ? rows : 1], lossShape);
            Tensor gradient = tensor(dtype, new double[logits.length], shape);
            var operands = CrossEntropyOperands.of(tensor(dtype, logits, shape),
                    soft ? tensor(DType.F32, probabilities, shape) : Tensor.of(targets, rowShape))
                    .withGradLoss(Tensor.of(floats(gradLoss), lossShape));
            operands = classWeights == null
                    ? operands
                    : operands.withClassWeights(Tensor.of(floats(classWeights), classes));
            var options = new CrossEntropyOptions(reduction, ignoreIndex).withLabelSmoothing(smoothing);
            try (CrossEntropy op = CrossEntropy.on(cpu, options)) {
                op.lossAndGradient(operands, loss, gradient);
            }
            String what = "seed " + seed + " " + dtype + " " + Arrays.toString(shape) + " " + options;
            compare(what + " loss", DType.F32, reduction == Reduction.NONE ? 8 : 40, 1, 1, exact.loss(), theirs.loss(),
                    read(loss), losses);
            // A share of the label may meet as large a share of p, in a whole row.
            double[] scale = new double[logits.length];
            if (soft || smoothing != 0) {
                Arrays.fill(scale, Arrays.stream(exact.gradient()).map(Math::abs).max().orElse(0));
            }
            compare(what + " gradient", dtype, reduction == Reduction.MEAN ? 24 : 10, classes, across,
                    exact.gradient(), theirs.gradient(), read(gradient), gradients, scale);
        }
        losses.print("cross-entropy, loss");
        gradients.print("cross-entropy, gradient");
    }

    @Test
    void bceWithLogits() {
        var losses = new Distances();
        var gradients = new Distances();
        for (int seed = 0; seed < PROBLEMS; seed++) {
            var random = new SplittableRandom(seed);
            DType dtype = DTYPES[random.nextInt(DTYPES.length)];
            int rows = 1 + random.nextInt(40);
            int columns = 1 + random.nextInt(50);
            long[] shape = {rows, columns};
            int count = rows * columns;
            double spread = new double[] {0.1, 3, 20}[random.nextInt(3)];
            double[] logits = new double[count];
            double[] targets = new double[count];
            boolean soft = random.nextBoolean();
            for (int i = 0; i < count; i++) {
                logits[i] = rounded(dtype, spread * normal(random));
                targets[i] = soft ? (float) random.nextDouble() : random.nextInt(2);
            }
            long[][] shapes = {{columns}, {rows, 1}, {rows, columns}, {1}};
            long[] weightsShape = shapes[random.nextInt(4)];
            long[] posWeightShape = shapes[random.nextInt(4)];
            double[] weights = random.nextBoolean()
                    ? doubles(random, (int) Arrays.stream(weightsShape).reduce(1, (a, b) -> a * b), 0, 2)
                    : null;
            double[] posWeight = random.nextBoolean()
                    ? doubles(random, (int) Arrays.stream(posWeightShape).reduce(1, (a, b) -> a * b), 0.1, 5)
                    : null;
            Reduction reduction = Reduction.values()[random.nextInt(3)];
            boolean none = reduction == Reduction.NONE;
            double[] gradLoss = doubles(random, none ? count : 1, -2, 2);
            Libtorch.Outcome exact = wide.bce(logits, shape, targets, weights, weightsShape, posWeight, posWeightShape,
                    reduction, gradLoss);
            Libtorch.Outcome theirs = same.bce(logits, shape, targets, weights, weightsShape, posWeight,
                    posWeightShape, reduction, gradLoss);
            var operands = BceWithLogitsOperands.of(tensor(dtype, logits, shape), tensor(DType.F32, targets, shape))
                    .withGradLoss(Tensor.of(floats(gradLoss), none ? shape : new long[0]));
            operands = weights == null ? operands : operands.withWeights(Tensor.of(floats(weights), weightsShape));
            operands = posWeight == null
                    ? operands
                    : operands.withPosWeight(Tensor.of(floats(posWeight), posWeightShape));
            Tensor loss = Tensor.of(new float[none ? count : 1], none ? shape : new long[0]);
            Tensor gradient = tensor(dtype, new double[count], shape);
            var options = BceWithLogitsOptions.defaults().withReduction(reduction);
            try (BceWithLogits op = BceWithLogits.on(cpu, options)) {
                op.lossAndGradient(operands, loss, gradient);
            }
            String what = "seed " + seed + " " + dtype + " " + Arrays.toString(shape) + " " + options;
            compare(what + " loss", DType.F32, none ? 8 : 40, none ? count : 1, 1, exact.loss(), theirs.loss(),
                    read(loss), losses);
            compare(what + " gradient", dtype, 10, count, 1, exact.gradient(), theirs.gradient(), read(gradient),
                    gradients);
        }
        losses.print("BCE with logits, loss");
        gradients.print("BCE with logits, gradient");
    }

    @Test
    void negativeLogLikelihood() {
        var losses = new Distances();
        var gradients = new Distances();
        for (int seed = 0; seed < PROBLEMS; seed++) {
            var random = new SplittableRandom(seed);
            DType dtype = DTYPES[random.nextInt(DTYPES.length)];
            int batch = 1 + random.nextInt(30);
            int classes = 1 + random.nextInt(40);
            int inner = random.nextInt(3) == 0 ? 1 + random.nextInt(5) : 0;
            int rows = batch * Math.max(1, inner);
            long[] shape = inner == 0 ? new long[] {batch, classes} : new long[] {batch, classes, inner};
            long[] rowShape = inner == 0 ? new long[] {batch} : new long[] {batch, inner};
            double[] lp = doubles(random, rows * classes, -20, 0);
            for (int i = 0; i < lp.length; i++) {
                lp[i] = rounded(dtype, lp[i]);
            }
            long[] targets = new long[rows];
            for (int row = 0; row < rows; row++) {
                targets[row] = random.nextInt(6) == 0 ? -100 : random.nextInt(classes);
            }
            double[] classWeights = random.nextBoolean() ? doubles(random, classes, 0.1, 2) : null;
            Reduction reduction = Reduction.values()[random.nextInt(3)];
            boolean none = reduction == Reduction.NONE;
            double[] gradLoss = doubles(random, none ? rows : 1, -2, 2);
            Libtorch.Outcome exact = wide.nll(lp, shape, targets, rowShape, classWeights, reduction, -100, gradLoss);
            Libtorch.Outcome theirs = same.nll(lp, shape, targets, rowShape, classWeights, reduction, -100, gradLoss);
            var operands = NllLossOperands.of(tensor(dtype, lp, shape), Tensor.of(targets, rowShape))
                    .withGradLoss(Tensor.of(floats(gradLoss), none ? rowShape : new long[0]));
            operands = classWeights == null
                    ? operands
                    : operands.withClassWeights(Tensor.of(floats(classWeights), classes));
            Tensor loss = Tensor.of(new float[none ? rows : 1], none ? rowShape : new long[0]);
            Tensor gradient = tensor(dtype, new double[lp.length], shape);
            try (NllLoss op = NllLoss.on(cpu, NllLossOptions.defaults().withReduction(reduction))) {
                op.lossAndGradient(operands, loss, gradient);
            }
            String what = "seed " + seed + " " + dtype + " " + Arrays.toString(shape) + " " + reduction;
            compare(what + " loss", DType.F32, none ? 4 : 20, 1, 1, exact.loss(), theirs.loss(), read(loss), losses);
            compare(what + " gradient", dtype, 6, 1, 1, exact.gradient(), theirs.gradient(), read(gradient),
                    gradients);
        }
        losses.print("negative log-likelihood, loss");
        gradients.print("negative log-likelihood, gradient");
    }

    @Test
    void softmax() {
        var results = new Distances();
        var gradients = new Distances();
        for (int seed = 0; seed < PROBLEMS; seed++) {
            var random = new SplittableRandom(seed);
            DType dtype = DTYPES[random.nextInt(DTYPES.length)];
            int outer = 1 + random.nextInt(6);
            int classes = new int[] {1, 2, 10, 100, 1025, 9001}[random.nextInt(6)];
            int inner = random.nextInt(3) == 0 ? 1 + random.nextInt(5) : 1;
            long[] shape = {outer, classes, inner};
            boolean logarithm = random.nextBoolean();
            double spread = new double[] {0.1, 2, 20}[random.nextInt(3)];
            double[] logits = new double[outer * classes * inner];
            double[] upstream = new double[logits.length];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = rounded(dtype, spread * normal(random));
                upstream[i] = rounded(dtype, random.nextDouble());
            }
            Libtorch.Outcome exact = wide.softmax(logits, shape, 1, logarithm, upstream);
            Libtorch.Outcome theirs = same.softmax(logits, shape, 1, logarithm, upstream);
            Tensor input = tensor(dtype, logits, shape);
            Tensor gradOutput = tensor(dtype, upstream, shape);
            Tensor result = tensor(dtype, new double[logits.length], shape);
            Tensor gradient = tensor(dtype, new double[logits.length], shape);
            SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(1);
            if (logarithm) {
                try (LogSoftmax op = LogSoftmax.on(cpu, options)) {
                    op.logProbabilities(input, result);
                    op.gradient(result, gradOutput, gradient);
                }
            } else {
                try (Softmax op = Softmax.on(cpu, options)) {
                    op.probabilities(input, result);
                    op.gradient(result, gradOutput, gradient);
                }
            }
            String what = "seed " + seed + " " + dtype + " " + Arrays.toString(shape) + (logarithm ? " log-softmax" : " softmax");
            compare(what, dtype, 6, 1, 1, exact.loss(), theirs.loss(), read(result), results);
            if (dtype != DType.F32) {
                // Its gradient is that of what was written, in 16 bits, and libtorch's that of float64's.
                continue;
            }
            // From results that are rounded: of log-probabilities half a unit of 9 is 8 of exp(-9). A row's sum of the
            // upstream may cancel what it is taken from.
            double[] scale = new double[logits.length];
            for (int i = 0; i < scale.length; i++) {
                int first = i / (classes * inner) * classes * inner + i % inner;
                double sum = 0;
                for (int k = 0; k < classes; k++) {
                    double p = logarithm ? 1 : exact.loss()[first + k * inner];
                    sum += upstream[first + k * inner] * p;
                }
                scale[i] = sum * (logarithm ? Math.exp(exact.loss()[i]) : exact.loss()[i]);
            }
            compare(what + " gradient", DType.F32, 24, 1, 1, exact.gradient(), theirs.gradient(),
                    read(gradient), gradients, scale);
        }
        results.print("softmax and log-softmax");
        gradients.print("softmax and log-softmax, gradient");
    }

    /** One row or element: loss and gradient. */
    private static double[][] isobit(double[] logits, double[] classWeights, double[] probabilities, long target) {
        int classes = logits.length;
        Tensor loss = Tensor.of(new float[1], 1);
        Tensor gradient = Tensor.of(new float[classes], 1, classes);
        var operands = CrossEntropyOperands.of(Tensor.of(floats(logits), 1, classes),
                probabilities == null
                        ? Tensor.of(new long[] {target}, 1)
                        : Tensor.of(floats(probabilities), 1, classes));
        operands =
                classWeights == null ? operands : operands.withClassWeights(Tensor.of(floats(classWeights), classes));
        try (CrossEntropy op =
                CrossEntropy.on(cpu, CrossEntropyOptions.defaults().withReduction(Reduction.NONE))) {
            op.lossAndGradient(operands, loss, gradient);
        }
        return new double[][] {read(loss), read(gradient)};
    }

    private static Libtorch.Outcome libtorch(double[] logits, double[] classWeights, double[] probabilities,
            long target) {
        return same.crossEntropy(logits, new long[] {1, logits.length}, new long[] {target}, new long[] {1},
                probabilities, classWeights, Reduction.NONE, -100, 0, new double[] {1});
    }

    private static double[][] isobitBce(double logit, double target) {
        Tensor loss = Tensor.of(new float[1], 1);
        Tensor gradient = Tensor.of(new float[1], 1);
        try (BceWithLogits op =
                BceWithLogits.on(cpu, BceWithLogitsOptions.defaults().withReduction(Reduction.NONE))) {
            op.lossAndGradient(Tensor.of(new float[] {(float) logit}, 1), Tensor.of(new float[] {(float) target}, 1), loss,
                    gradient);
        }
        return new double[][] {read(loss), read(gradient)};
    }

    private static Libtorch.Outcome libtorchBce(double logit, double target) {
        return same.bce(new double[] {logit}, new long[] {1}, new double[] {target}, null, null, null, null,
                Reduction.NONE, new double[] {1});
    }

    /** Each difference with its reason; if libtorch changes, this says so. */
    @Test
    void whereTheyDifferAndWhy() {
        double inf = Double.POSITIVE_INFINITY;
        double[] masked = {-inf, 0, 0};
        double ln2 = (float) Math.log(2);

        // A class weight of 0 takes a loss away, an infinite one too: 0·inf is 0 here, the limit, there NaN.
        assertEquals(0, isobit(masked, new double[] {0, 1, 1}, null, 0)[0][0]);
        assertEquals(Double.NaN, libtorch(masked, new double[] {0, 1, 1}, null, 0).loss()[0]);

        // So does a label of 0, as for a class that a mask rules out.
        assertEquals(ln2, isobit(masked, null, new double[] {0, 0.5, 0.5}, 0)[0][0], 1e-7);
        assertEquals(Double.NaN, libtorch(masked, null, new double[] {0, 0.5, 0.5}, 0).loss()[0]);

        // A confident row keeps its loss: log1p of the others' sum, where log of 1 + 1e-8 is 0.
        double[] confident = {20, 0};
        assertEquals(Math.log1p(Math.exp(-20)), isobit(confident, null, null, 0)[0][0], 1e-15);
        assertEquals(0, Math.abs(libtorch(confident, null, null, 0).loss()[0]));

        // And its gradient: p - 1 is formed as the others' share.
        assertEquals(-Math.exp(-20) / (1 + Math.exp(-20)), isobit(confident, null, null, 0)[1][0], 1e-15);
        assertEquals(0, Math.abs(libtorch(confident, null, null, 0).gradient()[0]));

        // Binary: the same of a confident element. There (1 - t)·x is taken from what has swallowed the loss.
        assertEquals(Math.log1p(Math.exp(-20)), isobitBce(-20, 0)[0][0], 1e-15);
        assertTrue(Math.abs(libtorchBce(-20, 0).loss()[0] - Math.exp(-20)) > 1e-9);

        // An infinite logit that is right has the limit 0, wrong it has infinity; there inf - inf is NaN.
        assertEquals(0, isobitBce(inf, 1)[0][0]);
        assertEquals(0, isobitBce(-inf, 0)[0][0]);
        assertEquals(inf, isobitBce(inf, 0)[0][0]);
        assertEquals(Double.NaN, libtorchBce(-inf, 0).loss()[0]);
    }
}
