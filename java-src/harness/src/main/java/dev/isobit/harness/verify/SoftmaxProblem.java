package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.LogSoftmax;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.Slab.Operand;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Softmax or log-softmax along the middle of three axes, and a gradient.
 *
 * @param outer size of the first axis
 * @param classes size of the second
 * @param inner size of the third
 * @param logits kind of logits
 * @param logarithm whether it is log-softmax
 * @param seed of the inputs
 * @param dtype of all operands
 */
record SoftmaxProblem(int outer, int classes, int inner, Logits logits, boolean logarithm, long seed, DType dtype)
        implements
            Problem {
    SoftmaxProblem(int outer, int classes, int inner, Logits logits, boolean logarithm, long seed) {
        this(outer, classes, inner, logits, logarithm, seed, DType.F32);
    }

    /** Kinds of logits. */
    enum Logits {
        /** Mean 0, standard deviation 2. */
        NORMAL,
        /** Standard deviation 40: most exponentials vanish. */
        WIDE,
        /** One logit far above the others. */
        CONFIDENT,
        /** A third is -inf, of some rows all. */
        MASKED,
        /** Few distinct values: several maxima. */
        TIES,
        /** Huge offsets. */
        OFFSET,
        /** Below the normal range. */
        SUBNORMAL,
        /** A NaN or +inf in some rows. */
        NAN
    }

    private static final List<Form> FORMS = List.of(new Form("forward and gradient", Form.Call.WHOLE, Placement.HEAP),
            new Form("misaligned", Form.Call.WHOLE, Placement.SHIFTED),
            new Form("native memory", Form.Call.WHOLE, Placement.NATIVE),
            new Form("in place", Form.Call.IN_PLACE, Placement.NATIVE));

    @Override
    public String operation() {
        return logarithm ? "LogSoftmax" : "Softmax";
    }

    @Override
    public String inputs() {
        return logits.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public String name() {
        return operation() + " " + (dtype == DType.F32 ? "" : dtype + " ") + "[" + outer + ", " + classes + ", " + inner
                + "] " + inputs() + ", seed " + seed;
    }

    @Override
    public Prepared prepare() {
        return new Inputs();
    }

    private Output forwardOutput() {
        if (logarithm) {
            return Output.LOG_PROBABILITIES;
        }
        return switch (dtype) {
            case BF16 -> Output.SOFTMAX_BF16;
            case F16 -> Output.SOFTMAX_F16;
            default -> Output.PROBABILITIES;
        };
    }

    private Output gradientOutput() {
        return Output.gradient(dtype, Output.SOFTMAX_GRADIENT);
    }

    /** The call, forward where there is no upstream gradient. */
    private static void call(Backend backend, boolean logarithm, Tensor input, List<Tensor> gradOutput,
            Tensor result) {
        SoftmaxOptions options = SoftmaxOptions.defaults().withAxis(1);
        try (Softmax softmax = Softmax.on(backend, options); LogSoftmax log = LogSoftmax.on(backend, options)) {
            if (gradOutput.isEmpty()) {
                if (logarithm) {
                    log.logProbabilities(input, result);
                } else {
                    softmax.probabilities(input, result);
                }
            } else if (logarithm) {
                log.gradient(input, gradOutput.getFirst(), result);
            } else {
                softmax.gradient(input, gradOutput.getFirst(), result);
            }
        }
    }

    /** Operands of this problem. */
    private final class Inputs implements Prepared {
        private final int count = Math.multiplyExact(Math.multiplyExact(outer, classes), inner);
        private final long[] shape = {outer, classes, inner};
        private final float[] z = new float[count];
        /** What a forward pass might have written. */
        private final float[] y = new float[count];
        private final float[] gradOutput = new float[count];
        private final int shift;

        Inputs() {
            var rng = new Rng(seed);
            shift = 1 + rng.nextInt(15);
            for (int row = 0; row < outer * inner; row++) {
                fill(rng, row);
            }
        }

        private int index(int row, int k) {
            return (row / inner * classes + k) * inner + row % inner;
        }

        private void fill(Rng rng, int row) {
            int special = rng.nextInt(classes);
            boolean all = rng.nextInt(6) == 0;
            float offset = new float[] {1e4f, -1e6f, 3e7f, -1e34f}[rng.nextInt(4)];
            for (int k = 0; k < classes; k++) {
                int i = index(row, k);
                float normal = rng.nextNormal();
                float some = rng.nextFloat();
                z[i] = switch (logits) {
                    case NORMAL -> 2 * normal;
                    case WIDE -> 40 * normal;
                    case CONFIDENT -> k == special ? 10 + 90 * some : 2 * normal;
                    case MASKED -> all || k != special && some < 0.3f ? Float.NEGATIVE_INFINITY : 2 * normal;
                    case TIES -> 0.75f * (int) (4 * some);
                    case OFFSET -> offset + normal;
                    case SUBNORMAL -> normal * (Float.MIN_NORMAL / 4);
                    case NAN -> all && k == special ? some < 0.5f ? Float.NaN : Float.POSITIVE_INFINITY : normal;
                };
                boolean invalid = logits == Logits.NAN && all;
                y[i] = invalid ? Float.NaN : logarithm ? -20 * some * some : some * some / classes;
                gradOutput[i] = Slab.rounded(dtype, rng.nextNormal());
                z[i] = Slab.rounded(dtype, z[i]);
                y[i] = Slab.rounded(dtype, y[i]);
            }
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
            var results = new Results();
            results.put(forwardOutput(), call(backend, slab, form, results, "logits", z, List.of()));
            Operand upstream = place(slab, form, gradOutput);
            results.put(gradientOutput(), call(backend, slab, form, results, "output", y, List.of(upstream)));
            return results;
        }

        private int[] call(Backend backend, Slab slab, Form form, Results results, String name, float[] values,
                List<Operand> upstream) {
            Operand input = place(slab, form, values);
            boolean inPlace = form.call() == Form.Call.IN_PLACE;
            Operand result = inPlace ? input : slab.place(dtype, form.placement(), shift, shape);
            if (!inPlace) {
                result.upload();
            }
            SoftmaxProblem.call(backend, logarithm, input.tensor(), upstream.stream().map(Operand::tensor).toList(),
                    result.tensor());
            if (!inPlace) {
                input.download();
                results.unchanged(name, input, values);
            }
            for (Operand operand : upstream) {
                operand.download();
                results.unchanged("upstream gradient", operand, gradOutput);
            }
            result.download();
            return results.written("result", result);
        }

        private Operand place(Slab slab, Form form, float[] values) {
            Operand operand = slab.place(dtype, form.placement(), shift, shape);
            operand.set(values);
            operand.upload();
            return operand;
        }

        @Override
        public Map<Output, double[]> reference(Backend reference) {
            double[] forward = new double[count];
            double[] gradient = new double[count];
            SoftmaxProblem.call(reference, logarithm, Tensor.of(z, shape), List.of(), Tensor.of(forward, shape));
            SoftmaxProblem.call(reference, logarithm, Tensor.of(y, shape), List.of(Tensor.of(gradOutput, shape)),
                    Tensor.of(gradient, shape));
            Map<Output, double[]> exact = new EnumMap<>(Output.class);
            exact.put(forwardOutput(), forward);
            exact.put(gradientOutput(), gradient);
            return exact;
        }

        @Override
        public void judge(Output output, double[] expected, int[] actual, Judge judge) {
            double[] magnitude = new double[count];
            for (int row = 0; row < outer * inner; row++) {
                magnitudes(output, row, expected, magnitude);
            }
            for (int i = 0; i < count; i++) {
                if (output == Output.LOG_PROBABILITIES) {
                    // Of a confident row in 16 bits they lie next to differences of its logits, which are ties now and then:
                    // the nearest cannot be promised of any share of them.
                    judge.addRounded(dtype, 0.5, SoftmaxProblem.this, i, expected[i], actual[i], magnitude[i], 1,
                            output.budget());
                } else if (dtype == DType.F32) {
                    judge.add(SoftmaxProblem.this, i, expected[i], actual[i], magnitude[i], 1, output.budget());
                } else {
                    judge.addNarrow(dtype, SoftmaxProblem.this, i, expected[i], actual[i],
                            Math.max(Math.abs(expected[i]), magnitude[i]), 1);
                }
            }
        }

        /** Of the largest addend; of a sum, the sum of magnitudes. */
        private void magnitudes(Output output, int row, double[] expected, double[] magnitude) {
            double max = Double.NEGATIVE_INFINITY;
            double sum = 0;
            for (int k = 0; k < classes; k++) {
                int i = index(row, k);
                max = Math.max(max, z[i]);
                sum += Math.abs(logarithm ? gradOutput[i] : (double) gradOutput[i] * y[i]);
            }
            for (int k = 0; k < classes; k++) {
                int i = index(row, k);
                double p = logarithm ? Math.exp(y[i]) : y[i];
                if (output == gradientOutput()) {
                    magnitude[i] = Math.max(Math.abs(logarithm ? gradOutput[i] : p * gradOutput[i]), p * sum);
                } else {
                    // lp = (z - max) - logSum
                    magnitude[i] = logarithm ? Math.max(max - z[i], z[i] - max - expected[i]) : expected[i];
                }
            }
        }
    }
}
