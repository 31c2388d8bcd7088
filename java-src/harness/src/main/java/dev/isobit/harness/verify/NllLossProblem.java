package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.CrossEntropyProblem.Upstream;
import dev.isobit.harness.verify.Slab.Operand;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One call of negative log-likelihood; ignore index, class weights and upstream gradient are drawn by the seed.
 *
 * @param outer size of the first axis
 * @param classes size of the second
 * @param inner size of the third
 * @param values kind of log-probabilities
 * @param reduction how row losses are reduced
 * @param seed of the inputs
 * @param dtype of log-probabilities and gradient
 */
record NllLossProblem(int outer, int classes, int inner, Values values, Reduction reduction, long seed, DType dtype)
        implements
            Problem {
    NllLossProblem(int outer, int classes, int inner, Values values, Reduction reduction, long seed) {
        this(outer, classes, inner, values, reduction, seed, DType.F32);
    }

    /** Kinds of log-probabilities. */
    enum Values {
        /** Mean -6. */
        NORMAL,
        /** From -1e-30 to -1e30, each number its own. */
        WIDE,
        /** Below the normal range. */
        SUBNORMAL,
        /** A third is -inf. */
        INFINITE,
        /** NaN and -inf here and there. */
        NAN
    }

    private static final float[] UPSTREAMS = {0.125f, -3, 1, 1e-30f, 1e30f, 0, 1e-42f, -0.7f};
    private static final List<Form> FORMS = List.of(new Form("loss and gradient", Form.Call.WHOLE, Placement.HEAP),
            new Form("misaligned", Form.Call.WHOLE, Placement.SHIFTED),
            new Form("loss alone", Form.Call.LOSS, Placement.NATIVE),
            new Form("gradient alone", Form.Call.GRADIENT, Placement.SHIFTED),
            new Form("in place", Form.Call.IN_PLACE, Placement.NATIVE),
            new Form("targets of fewer bits", Form.Call.INT32, Placement.NATIVE));

    @Override
    public String operation() {
        return "NllLoss";
    }

    @Override
    public String inputs() {
        return values.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public String name() {
        return "NllLoss " + (dtype == DType.F32 ? "" : dtype + " ") + "[" + outer + ", " + classes + ", " + inner + "] "
                + inputs() + ", " + reduction + ", seed "
                + seed;
    }

    @Override
    public Prepared prepare() {
        return new Inputs();
    }

    /** Operands of this problem. */
    private final class Inputs implements Prepared {
        private final int rows = Math.multiplyExact(outer, inner);
        private final long[] shape = {outer, classes, inner};
        private final long[] rowShape = {outer, inner};
        private final NllLossOptions options;
        private final float[] logProbabilities = new float[Math.multiplyExact(rows, classes)];
        private final long[] targets = new long[rows];
        private final float @Nullable [] classWeights;
        private final float @Nullable [] gradLoss;
        private final boolean gradLossPerRow;
        private final int shift;

        Inputs() {
            var rng = new Rng(seed);
            shift = 1 + rng.nextInt(15);
            options = new NllLossOptions(reduction, new long[] {-100, 0, classes}[rng.nextInt(3)]);
            for (int i = 0; i < logProbabilities.length; i++) {
                logProbabilities[i] = Slab.rounded(dtype, logProbability(rng));
            }
            for (int row = 0; row < rows; row++) {
                targets[row] = rng.nextInt(6) == 0 ? options.ignoreIndex() : rng.nextInt(classes);
            }
            classWeights = rng.nextInt(2) == 0 ? null : new float[classes];
            for (int k = 0; classWeights != null && k < classes; k++) {
                classWeights[k] = rng.nextInt(8) == 0 ? 0 : 3 * rng.nextFloat();
            }
            Upstream upstream = Upstream.values()[rng.nextInt(Upstream.values().length)];
            gradLossPerRow = upstream == Upstream.PER_ROW && reduction == Reduction.NONE;
            gradLoss = upstream == Upstream.NONE ? null : new float[gradLossPerRow ? rows : 1];
            for (int i = 0; gradLoss != null && i < gradLoss.length; i++) {
                gradLoss[i] = UPSTREAMS[rng.nextInt(UPSTREAMS.length)];
            }
        }

        private float logProbability(Rng rng) {
            float normal = -Math.abs(6 + 3 * rng.nextNormal());
            int kind = rng.nextInt(30);
            return switch (values) {
                case NORMAL -> normal;
                case WIDE -> Math.scalb(normal, rng.nextInt(191) - 100);
                case SUBNORMAL -> normal * (Float.MIN_NORMAL / 16);
                case INFINITE -> kind < 10 ? Float.NEGATIVE_INFINITY : normal;
                case NAN -> kind == 0 ? Float.NaN : kind == 1 ? Float.NEGATIVE_INFINITY : normal;
            };
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
            List<Operand> read = new ArrayList<>();
            List<float[]> values = new ArrayList<>();
            Operand input = input(dtype, slab, form, read, values, logProbabilities, shape);
            Operand indices =
                    slab.place(form.call() == Form.Call.INT32 ? narrowTargets() : DType.I64, Placement.NATIVE, 0,
                            rowShape);
            indices.set(targets);
            indices.upload();
            var operands = NllLossOperands.of(input.tensor(), indices.tensor());
            if (classWeights != null) {
                operands = operands.withClassWeights(input(slab, form, read, values, classWeights, classes).tensor());
            }
            if (gradLoss != null) {
                operands = operands.withGradLoss(
                        input(slab, form, read, values, gradLoss, gradLossPerRow ? rowShape : new long[0]).tensor());
            }
            Operand loss = form.call() == Form.Call.GRADIENT
                    ? null
                    : output(DType.F32, slab, form, reduction == Reduction.NONE ? rowShape : new long[0]);
            Operand gradient = form.call() == Form.Call.LOSS
                    ? null
                    : form.call() == Form.Call.IN_PLACE ? input : output(dtype, slab, form, shape);
            try (NllLoss op = NllLoss.on(backend, options)) {
                if (gradient == null && loss != null) {
                    op.loss(operands, loss.tensor());
                } else if (gradient != null && loss == null) {
                    op.gradient(operands, gradient.tensor());
                } else if (gradient != null) {
                    op.lossAndGradient(operands, loss.tensor(), gradient.tensor());
                }
            }
            var results = new Results();
            for (int i = 0; i < read.size(); i++) {
                if (read.get(i) != gradient) {
                    read.get(i).download();
                    results.unchanged("operand " + i, read.get(i), values.get(i));
                }
            }
            if (loss != null) {
                loss.download();
                results.put(lossOutput(), results.written("loss", loss));
            }
            if (gradient != null) {
                gradient.download();
                results.put(gradientOutput(), results.written("gradLogProbabilities", gradient));
            }
            return results;
        }

        private Operand input(Slab slab, Form form, List<Operand> read, List<float[]> values, float[] value,
                long... of) {
            return input(DType.F32, slab, form, read, values, value, of);
        }

        private Operand input(DType type, Slab slab, Form form, List<Operand> read, List<float[]> values,
                float[] value, long... of) {
            Operand operand = slab.place(type, form.placement(), shift, of);
            operand.set(value);
            operand.upload();
            read.add(operand);
            values.add(value);
            return operand;
        }

        private Operand output(DType type, Slab slab, Form form, long... of) {
            Operand operand = slab.place(type, form.placement(), shift, of);
            operand.upload();
            return operand;
        }

        /** Where they fit as few bits as can be, by the seed. */
        private DType narrowTargets() {
            boolean words = classes < Short.MAX_VALUE && seed % 2 == 0;
            boolean bytes = classes < 255 && options.ignoreIndex() >= 0 && seed % 3 > 0;
            return bytes ? DType.U8 : words ? DType.I16 : DType.I32;
        }

        private Output gradientOutput() {
            return Output.gradient(dtype, Output.NLL_GRADIENT);
        }

        private Output lossOutput() {
            return reduction == Reduction.NONE ? Output.ROW_LOSS : Output.LOSS;
        }

        @Override
        public Map<Output, double[]> reference(Backend reference) {
            long[] lossShape = reduction == Reduction.NONE ? rowShape : new long[0];
            double[] loss = new double[reduction == Reduction.NONE ? rows : 1];
            double[] gradient = new double[logProbabilities.length];
            var operands =
                    NllLossOperands.of(Tensor.of(logProbabilities, shape), Tensor.of(targets, rowShape));
            operands = classWeights == null ? operands : operands.withClassWeights(Tensor.of(classWeights, classes));
            operands = gradLoss == null
                    ? operands
                    : operands.withGradLoss(gradLossPerRow ? Tensor.of(gradLoss, rowShape) : Tensor.of(gradLoss));
            try (NllLoss op = NllLoss.on(reference, options)) {
                op.lossAndGradient(operands, Tensor.of(loss, lossShape), Tensor.of(gradient, shape));
            }
            Map<Output, double[]> exact = new EnumMap<>(Output.class);
            exact.put(lossOutput(), loss);
            exact.put(gradientOutput(), gradient);
            return exact;
        }

        /** Nothing of opposite sign meets: weights and losses are positive. */
        @Override
        public void judge(Output output, double[] expected, int[] actual, Judge judge) {
            double summed = CrossEntropyProblem.additions(rows) / 2.0;
            boolean mean = reduction == Reduction.MEAN;
            double budget = output.budget() + (output == Output.LOSS ? summed : 0) + (mean ? summed : 0);
            for (int i = 0; i < expected.length; i++) {
                double upstream = output == gradientOutput() && gradLoss != null
                        ? gradLoss[gradLossPerRow ? row(i) : 0]
                        : 1;
                if (output == gradientOutput() && dtype != DType.F32) {
                    judge.addNarrow(dtype, NllLossProblem.this, i, expected[i], actual[i], expected[i], upstream);
                    continue;
                }
                judge.add(NllLossProblem.this, i, expected[i], actual[i], expected[i], upstream, budget);
            }
        }

        private int row(int element) {
            return element / inner / classes * inner + element % inner;
        }
    }
}
