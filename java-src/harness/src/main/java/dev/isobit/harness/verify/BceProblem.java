package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.Slab.Operand;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One call of binary cross-entropy with logits.
 *
 * @param rows of the logits
 * @param columns of the logits
 * @param logits kind of logits
 * @param posWeight how the weight of positives spreads
 * @param weights how the weights spread
 * @param options options
 * @param upstream kind of upstream gradient
 * @param soft whether targets lie between 0 and 1, too
 * @param seed of the inputs
 * @param dtype of the logits, their gradient and, with an odd seed, the targets
 */
record BceProblem(int rows, int columns, Logits logits, Spread posWeight, Spread weights, BceWithLogitsOptions options,
        CrossEntropyProblem.Upstream upstream, boolean soft, long seed, DType dtype) implements Problem {

    /** Kinds of logits. */
    enum Logits {
        /** Mean 0, standard deviation 2. */
        NORMAL,
        /** From -110 to 110: exponentials down to and below the smallest float. */
        WIDE,
        /** Below the normal range. */
        SUBNORMAL,
        /** Infinities here and there. */
        INFINITE,
        /** NaN and infinities here and there. */
        NAN
    }

    /** How a weight spreads over the logits. */
    enum Spread {
        /** Not given: 1. */
        NONE,
        /** One value. */
        SCALAR,
        /** One value for each row. */
        PER_ROW,
        /** One value for each column. */
        PER_COLUMN,
        /** One value for each element. */
        FULL;

        long[] shape(int rows, int columns) {
            return switch (this) {
                case NONE, SCALAR -> new long[0];
                case PER_ROW -> new long[] {rows, 1};
                case PER_COLUMN -> new long[] {columns};
                case FULL -> new long[] {rows, columns};
            };
        }

        /** Where the value of an element stands. */
        int index(int element, int columns) {
            return switch (this) {
                case NONE, SCALAR -> 0;
                case PER_ROW -> element / columns;
                case PER_COLUMN -> element % columns;
                case FULL -> element;
            };
        }
    }

    private static final float[] UPSTREAMS = {0.125f, -3, 1, 1e-30f, 1e30f, 0, 1e-42f, -0.7f};
    private static final List<Form> FORMS =
            List.of(new Form("loss and gradient", Form.Call.WHOLE, Placement.HEAP),
                    new Form("misaligned", Form.Call.WHOLE, Placement.SHIFTED),
                    new Form("loss alone", Form.Call.LOSS, Placement.NATIVE),
                    new Form("gradient alone", Form.Call.GRADIENT, Placement.SHIFTED),
                    new Form("in place", Form.Call.IN_PLACE, Placement.NATIVE));

    @Override
    public String operation() {
        return options.isFocal() ? "BceWithLogits, focal" : "BceWithLogits";
    }

    @Override
    public String inputs() {
        return logits.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public String name() {
        return operation() + " " + (dtype == DType.F32 ? "" : dtype + " ") + "[" + rows + ", " + columns + "] "
                + inputs() + (soft ? ", soft" : "") + ", "
                + options.reduction() + (options.weightedMean() ? " by weight" : "") + ", labelSmoothing "
                + options.labelSmoothing() + (options.isFocal()
                        ? ", gamma " + options.focalGamma() + ", alpha " + options.focalAlpha()
                        : "")
                + ", posWeight " + posWeight + ", weights " + weights + ", upstream "
                + upstream + ", seed " + seed;
    }

    @Override
    public Prepared prepare() {
        return new Inputs();
    }

    /** Operands of this problem. */
    private final class Inputs implements Prepared {
        private final int count = Math.multiplyExact(rows, columns);
        private final float[] x = new float[count];
        private final float[] t = new float[count];
        private final float[] positives;
        private final float[] factors;
        private final float[] gradLoss;
        private final boolean perElement = upstream == CrossEntropyProblem.Upstream.PER_ROW
                && options.reduction() == Reduction.NONE;
        private final int shift;

        Inputs() {
            var rng = new Rng(seed);
            shift = 1 + rng.nextInt(15);
            for (int i = 0; i < count; i++) {
                x[i] = Slab.rounded(dtype, logit(rng));
                t[i] = Slab.rounded(targetType(), soft
                        ? Math.max(0, 1.5f * rng.nextFloat() - 0.5f)
                        : rng.nextInt(2));
            }
            positives = weight(rng, posWeight);
            factors = weight(rng, weights);
            gradLoss = new float[perElement ? count : 1];
            for (int i = 0; i < gradLoss.length; i++) {
                gradLoss[i] = upstream == CrossEntropyProblem.Upstream.NONE
                        ? 1
                        : UPSTREAMS[rng.nextInt(UPSTREAMS.length)];
            }
        }

        private DType targetType() {
            return seed % 2 == 0 ? DType.F32 : dtype;
        }

        private float logit(Rng rng) {
            float normal = 2 * rng.nextNormal();
            float infinity = rng.nextInt(2) == 0 ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY;
            boolean rare = rng.nextInt(20) == 0;
            return switch (logits) {
                case NORMAL -> normal;
                case WIDE -> 220 * rng.nextFloat() - 110;
                case SUBNORMAL -> normal * (Float.MIN_NORMAL / 4);
                case INFINITE -> rare ? infinity : normal;
                case NAN -> rare ? rng.nextInt(2) == 0 ? Float.NaN : infinity : normal;
            };
        }

        private float[] weight(Rng rng, Spread spread) {
            int size = 1;
            for (long length : spread.shape(rows, columns)) {
                size = Math.toIntExact(size * length);
            }
            float[] values = new float[size];
            for (int i = 0; i < size; i++) {
                values[i] = spread == Spread.NONE ? 1 : rng.nextInt(10) == 0 ? 0 : 3 * rng.nextFloat();
            }
            return values;
        }

        @Override
        public List<Form> forms() {
            return FORMS;
        }

        @Override
        public boolean isJudged() {
            return true;
        }

        @Override
        public Results run(Backend backend, Slab slab, Form form) {
            slab.reset();
            boolean none = options.reduction() == Reduction.NONE;
            long[] shape = {rows, columns};
            List<Operand> read = new ArrayList<>();
            List<float[]> values = new ArrayList<>();
            Operand logitsAt = input(dtype, slab, form, read, values, x, shape);
            var operands = BceWithLogitsOperands.of(logitsAt.tensor(),
                    input(targetType(), slab, form, read, values, t, shape).tensor());
            if (posWeight != Spread.NONE) {
                operands = operands.withPosWeight(
                        input(slab, form, read, values, positives, posWeight.shape(rows, columns)).tensor());
            }
            if (weights != Spread.NONE) {
                operands = operands.withWeights(
                        input(slab, form, read, values, factors, weights.shape(rows, columns)).tensor());
            }
            if (upstream != CrossEntropyProblem.Upstream.NONE) {
                operands = operands.withGradLoss(
                        input(slab, form, read, values, gradLoss, perElement ? shape : new long[0]).tensor());
            }
            Operand sigmoidAt = output(DType.F32, slab, form, shape);
            operands = operands.withSigmoid(sigmoidAt.tensor());
            Operand lossAt = form.call() == Form.Call.GRADIENT
                    ? null
                    : output(DType.F32, slab, form, none ? shape : new long[0]);
            Operand gradAt = form.call() == Form.Call.LOSS
                    ? null
                    : form.call() == Form.Call.IN_PLACE ? logitsAt : output(dtype, slab, form, shape);
            try (BceWithLogits op = BceWithLogits.on(backend, options)) {
                invoke(op, operands, lossAt == null ? null : lossAt.tensor(), gradAt == null ? null : gradAt.tensor());
            }
            var results = new Results();
            for (int i = 0; i < read.size(); i++) {
                if (read.get(i) != gradAt) {
                    read.get(i).download();
                    results.unchanged("operand " + i, read.get(i), values.get(i));
                }
            }
            sigmoidAt.download();
            results.put(Output.SIGMOID, results.written("sigmoid", sigmoidAt));
            if (lossAt != null) {
                lossAt.download();
                results.put(lossOutput(), results.written("loss", lossAt));
            }
            if (gradAt != null) {
                gradAt.download();
                results.put(gradientOutput(), results.written("gradLogits", gradAt));
            }
            return results;
        }

        private Operand input(Slab slab, Form form, List<Operand> read, List<float[]> values, float[] value,
                long[] shape) {
            return input(DType.F32, slab, form, read, values, value, shape);
        }

        private Operand input(DType type, Slab slab, Form form, List<Operand> read, List<float[]> values,
                float[] value, long[] shape) {
            Operand operand = slab.place(type, form.placement(), shift, shape);
            operand.set(value);
            operand.upload();
            read.add(operand);
            values.add(value);
            return operand;
        }

        private Operand output(DType type, Slab slab, Form form, long[] shape) {
            Operand operand = slab.place(type, form.placement(), shift, shape);
            operand.upload();
            return operand;
        }

        private static void invoke(BceWithLogits op, BceWithLogitsOperands operands, @Nullable Tensor loss,
                @Nullable Tensor gradLogits) {
            if (gradLogits == null) {
                op.loss(operands, Objects.requireNonNull(loss));
            } else if (loss == null) {
                op.gradient(operands, gradLogits);
            } else {
                op.lossAndGradient(operands, loss, gradLogits);
            }
        }

        private Output gradientOutput() {
            return Output.gradient(dtype, Output.BCE_GRADIENT);
        }

        private Output lossOutput() {
            return options.reduction() == Reduction.NONE ? Output.ELEMENT_LOSS : Output.LOSS;
        }

        @Override
        public Map<Output, double[]> reference(Backend reference) {
            boolean none = options.reduction() == Reduction.NONE;
            long[] shape = {rows, columns};
            double[] loss = new double[none ? count : 1];
            double[] gradient = new double[count];
            double[] sigmoid = new double[count];
            var operands = new BceWithLogitsOperands(Tensor.of(x, shape), Tensor.of(t, shape),
                    posWeight == Spread.NONE ? null : Tensor.of(positives, posWeight.shape(rows, columns)),
                    Tensor.of(factors, weights.shape(rows, columns)), null,
                    Tensor.of(gradLoss, perElement ? shape : new long[0]), Tensor.of(sigmoid, shape));
            try (BceWithLogits op = BceWithLogits.on(reference, options)) {
                op.lossAndGradient(operands, Tensor.of(loss, none ? shape : new long[0]),
                        Tensor.of(gradient, shape));
            }
            Map<Output, double[]> exact = new EnumMap<>(Output.class);
            exact.put(Output.SIGMOID, sigmoid);
            exact.put(lossOutput(), loss);
            exact.put(gradientOutput(), gradient);
            return exact;
        }

        @Override
        public void judge(Output output, double[] expected, int[] actual, Judge judge) {
            double divisor = options.reduction() == Reduction.MEAN ? denominator() : 1;
            int sums =
                    output == Output.LOSS ? options.weightedMean() && options.reduction() == Reduction.MEAN ? 2 : 1 : 0;
            boolean loose = options.isFocal() && output != Output.SIGMOID;
            double budget = (sums == 0 ? output.budget() : Output.ELEMENT_LOSS.budget()) * (loose ? 8 : 1)
                    + sums * CrossEntropyProblem.additions(count) / 2.0;
            for (int i = 0; i < expected.length; i++) {
                if (output == gradientOutput()) {
                    double a = gradLoss[perElement ? i : 0] / divisor;
                    double addend = Math.abs(a) * largestAddend(i);
                    // 0·inf is 0, and so is the gradient of what is ignored.
                    double magnitude = Math.max(Math.abs(expected[i]), Double.isFinite(addend) ? addend : 0);
                    double upstream = Double.isFinite(a) ? a : 0;
                    if (dtype != DType.F32) {
                        judge.addNarrow(dtype, BceProblem.this, i, expected[i], actual[i], magnitude, upstream,
                                loose);
                    } else {
                        judge.add(BceProblem.this, i, expected[i], actual[i], magnitude, upstream, budget);
                    }
                } else {
                    judge.add(BceProblem.this, i, expected[i], actual[i], expected[i], 1, budget);
                }
            }
        }

        private double denominator() {
            double sum = 0;
            for (int i = 0; i < count; i++) {
                if (t[i] != options.ignoreValue()) {
                    sum += options.weightedMean() ? factors[weights.index(i, columns)] : 1;
                }
            }
            return sum;
        }

        /** Of the change of the loss, and of that of what it is multiplied by. */
        private double largestFocalAddend(double k0, double k1, double up, double down) {
            double alpha = Double.isNaN(options.focalAlpha())
                    ? 1
                    : k1 * options.focalAlpha() + k0 * (1 - options.focalAlpha());
            double miss = k0 * up + k1 * down;
            double loss = -(k0 == 0 ? 0 : k0 * Math.log(down)) - (k1 == 0 ? 0 : k1 * Math.log(up));
            double change = options.focalGamma() * up / miss * down * loss;
            return alpha * Math.pow(miss, options.focalGamma())
                    * Math.max(Math.max(k0 * up, k1 * down), change * Math.max(k0, k1));
        }

        /** The two addends of a gradient have opposite signs. */
        private double largestAddend(int i) {
            double keep = 1 - options.labelSmoothing();
            double half = options.labelSmoothing() / 2;
            double up = 1 / (1 + Math.exp(-(double) x[i]));
            double down = 1 / (1 + Math.exp(x[i]));
            if (options.isFocal()) {
                return factors[weights.index(i, columns)]
                        * largestFocalAddend((1.0 - t[i]) * keep + half, t[i] * keep + half, up, down);
            }
            return factors[weights.index(i, columns)] * Math.max(((1.0 - t[i]) * keep + half) * up,
                    positives[posWeight.index(i, columns)] * (t[i] * keep + half) * down);
        }
    }
}
