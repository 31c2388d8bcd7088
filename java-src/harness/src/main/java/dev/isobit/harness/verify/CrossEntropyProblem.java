package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.Slab.Operand;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One batch of cross-entropy.
 *
 * @param rows N
 * @param classes C
 * @param logits kind of logits
 * @param reduction how row losses become the loss
 * @param upstream kind of upstream gradient
 * @param ignore which rows are skipped
 * @param seed of the inputs
 * @param dtype of the logits and their gradient
 */
record CrossEntropyProblem(int rows, int classes, Logits logits, Reduction reduction, Upstream upstream, Ignore ignore,
        long seed, DType dtype) implements Problem {
    CrossEntropyProblem(int rows, int classes, Logits logits, Reduction reduction, Upstream upstream, Ignore ignore,
            long seed) {
        this(rows, classes, logits, reduction, upstream, ignore, seed, DType.F32);
    }

    /** Kinds of logits. */
    enum Logits {
        /** Mean 0, standard deviation 2. */
        NORMAL,
        /** Standard deviation 40: most exponentials vanish. */
        WIDE,
        /** One logit far above the others, at the target in every other row. */
        CONFIDENT,
        /** Three in ten are -inf; some rows are nothing else, some have it at the target. */
        MASKED,
        /** All equal. */
        EQUAL,
        /** Few distinct values: several maxima. */
        TIES,
        /** Huge offsets, up to the range of float. */
        OFFSET,
        /** Below the normal range. */
        SUBNORMAL,
        /** A NaN or +inf in some rows. */
        NAN,
        /** Any, every row ignored. */
        ALL_IGNORED
    }

    /** Kinds of upstream gradient. */
    enum Upstream {
        /** Not given: 1. */
        NONE,
        /** One number for all rows. */
        SCALAR,
        /** One number for each row; a scalar where there is a reduction. */
        PER_ROW
    }

    /** Which rows are skipped. */
    enum Ignore {
        /** None; the index is the default. */
        NOTHING,
        /** About a quarter, by the default index. */
        DEFAULT_INDEX,
        /** The rows of one class. */
        A_CLASS,
        /** About a quarter, by the largest long. */
        LARGEST_LONG
    }

    private static final float[] UPSTREAMS = {0.125f, -3, 1, 1e-30f, 1e30f, 0, 1e-42f, -0.7f};
    private static final long DEFAULT = CrossEntropyOptions.DEFAULT_IGNORE_INDEX;

    private static final Form WHOLE = new Form("loss and gradient", Form.Call.WHOLE, Placement.HEAP);
    private static final Form SHIFTED = new Form("misaligned", Form.Call.WHOLE, Placement.SHIFTED);
    private static final Form INT32 = new Form("int32 targets", Form.Call.INT32, Placement.NATIVE);
    private static final Form APART = new Form("each row alone", Form.Call.APART, Placement.HEAP);
    private static final List<Form> FORMS = List.of(WHOLE, SHIFTED,
            new Form("loss alone", Form.Call.LOSS, Placement.NATIVE),
            new Form("gradient alone", Form.Call.GRADIENT, Placement.SHIFTED),
            new Form("in place", Form.Call.IN_PLACE, Placement.NATIVE),
            new Form("rows reversed", Form.Call.REVERSED, Placement.HEAP));
    /** More rows than this are not run one by one. */
    private static final int MOST_APART = 8;

    @Override
    public String operation() {
        return "CrossEntropy";
    }

    @Override
    public String inputs() {
        return logits.name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }

    @Override
    public String name() {
        return "CrossEntropy " + (dtype == DType.F32 ? "" : dtype + " ") + "[" + rows + ", " + classes + "] " + inputs()
                + ", " + reduction + ", upstream " + upstream
                + ", ignore " + ignore + ", seed " + seed;
    }

    private CrossEntropyOptions options() {
        return new CrossEntropyOptions(reduction, ignoreIndex());
    }

    private long ignoreIndex() {
        return switch (ignore) {
            case NOTHING, DEFAULT_INDEX -> DEFAULT;
            case A_CLASS -> classes / 2;
            case LARGEST_LONG -> Long.MAX_VALUE;
        };
    }

    @Override
    public Prepared prepare() {
        return new Inputs();
    }

    /** Float32 roundings on the longest path of the sum of row losses: in a lane of a segment, over the lanes. */
    static int additions(int count) {
        int lanes = Math.min(1024, count);
        return Math.min(8, Math.ceilDiv(count, 1024))
                + (lanes > 1 ? Integer.SIZE - Integer.numberOfLeadingZeros(lanes - 1) : 0);
    }

    /** Operands of this problem. */
    private final class Inputs implements Prepared {
        private final long[] targets = new long[rows];
        private final float[] z = new float[Math.multiplyExact(rows, classes)];
        private final float @Nullable [] gradLoss;
        private final int shift;

        Inputs() {
            var rng = new Rng(seed);
            shift = 1 + rng.nextInt(15);
            for (int row = 0; row < rows; row++) {
                targets[row] = rng.nextInt(classes);
                fill(rng, row);
                boolean skipped = ignore == Ignore.DEFAULT_INDEX || ignore == Ignore.LARGEST_LONG;
                if (logits == Logits.ALL_IGNORED || skipped && rng.nextInt(4) == 0) {
                    targets[row] = ignoreIndex();
                    if (rng.nextInt(2) == 0) {
                        z[row * classes + rng.nextInt(classes)] = Float.NaN;
                    }
                }
            }
            gradLoss = upstream == Upstream.NONE
                    ? null
                    : new float[upstream == Upstream.PER_ROW && reduction == Reduction.NONE ? rows : 1];
            for (int i = 0; gradLoss != null && i < gradLoss.length; i++) {
                gradLoss[i] = UPSTREAMS[rng.nextInt(UPSTREAMS.length)];
            }
            for (int k = 0; k < z.length; k++) {
                z[k] = Slab.rounded(dtype, z[k]);
            }
        }

        private void fill(Rng rng, int row) {
            int start = row * classes;
            int target = (int) targets[row];
            float scale = logits == Logits.WIDE ? 40 : 2;
            for (int k = start; k < start + classes; k++) {
                z[k] = scale * rng.nextNormal();
            }
            switch (logits) {
                case NORMAL, WIDE, ALL_IGNORED -> {
                    // as they are
                }
                case CONFIDENT -> {
                    int at = rng.nextInt(2) == 0 ? target : rng.nextInt(classes);
                    z[start + at] = 10 + 90 * rng.nextFloat();
                }
                case MASKED -> {
                    int kept = rng.nextInt(6) == 0 ? -1 : rng.nextInt(6) == 0 ? rng.nextInt(classes) : target;
                    for (int k = 0; k < classes; k++) {
                        if (k != kept && (kept < 0 || rng.nextInt(10) < 3)) {
                            z[start + k] = Float.NEGATIVE_INFINITY;
                        }
                    }
                }
                case EQUAL -> Arrays.fill(z, start, start + classes, z[start]);
                case TIES -> {
                    for (int k = start; k < start + classes; k++) {
                        z[k] = 0.75f * rng.nextInt(4);
                    }
                }
                case OFFSET -> {
                    // A sum of losses must not overflow on its way to a mean that does not.
                    float huge = reduction == Reduction.NONE ? 3e38f : 1e34f;
                    float offset = new float[] {1e4f, -1e6f, 3e7f, -huge, huge}[rng.nextInt(5)];
                    boolean mixed = rng.nextInt(4) == 0;
                    for (int k = start; k < start + classes; k++) {
                        z[k] = (mixed && rng.nextInt(2) == 0 ? -offset : offset) + z[k];
                    }
                }
                case SUBNORMAL -> {
                    for (int k = start; k < start + classes; k++) {
                        z[k] *= Float.MIN_NORMAL / 4;
                    }
                }
                case NAN -> {
                    if (rng.nextInt(3) > 0) {
                        z[start + rng.nextInt(classes)] = rng.nextInt(2) == 0 ? Float.NaN : Float.POSITIVE_INFINITY;
                    }
                }
            }
        }

        @Override
        public List<Form> forms() {
            List<Form> forms = new ArrayList<>(FORMS);
            if (ignore != Ignore.LARGEST_LONG) {
                forms.add(INT32);
            }
            if (reduction == Reduction.NONE && rows <= MOST_APART && rows > 1) {
                forms.add(APART);
            }
            return forms;
        }

        @Override
        public boolean isJudged() {
            return true;
        }

        @Override
        public Results run(Backend backend, Slab slab, Form form) {
            try (CrossEntropy op = CrossEntropy.on(backend, options())) {
                return switch (form.call()) {
                    case REVERSED -> reversed(op, slab, form);
                    case APART -> apart(op, slab, form);
                    default -> {
                        slab.reset();
                        yield call(op, slab, form, z, targets, gradLoss);
                    }
                };
            }
        }

        private Results call(CrossEntropy op, Slab slab, Form form, float[] logitValues, long[] targetValues,
                float @Nullable [] gradLossValues) {
            int n = targetValues.length;
            Placement at = form.placement();
            Operand logitsAt = slab.place(dtype, at, shift, n, classes);
            logitsAt.set(logitValues);
            logitsAt.upload();
            Operand targetsAt = slab.place(form.call() == Form.Call.INT32 ? DType.I32 : DType.I64, at, shift, n);
            targetsAt.set(targetValues);
            targetsAt.upload();
            Operand gradLossAt = null;
            if (gradLossValues != null) {
                boolean scalar = upstream == Upstream.SCALAR || reduction != Reduction.NONE;
                gradLossAt = scalar ? slab.place(DType.F32, at, shift) : slab.place(DType.F32, at, shift, n);
                gradLossAt.set(gradLossValues);
                gradLossAt.upload();
            }
            Operand lossAt = form.call() == Form.Call.GRADIENT
                    ? null
                    : reduction == Reduction.NONE
                            ? slab.place(DType.F32, at, shift, n)
                            : slab.place(DType.F32, at, shift);
            Operand gradAt = form.call() == Form.Call.LOSS
                    ? null
                    : form.call() == Form.Call.IN_PLACE ? logitsAt : slab.place(dtype, at, shift, n, classes);
            if (lossAt != null) {
                lossAt.upload();
            }
            if (gradAt != null && gradAt != logitsAt) {
                gradAt.upload();
            }
            invoke(op, logitsAt.tensor(), targetsAt.tensor(), gradLossAt == null ? null : gradLossAt.tensor(),
                    lossAt == null ? null : lossAt.tensor(), gradAt == null ? null : gradAt.tensor());
            var results = new Results();
            if (gradAt != logitsAt) {
                logitsAt.download();
                results.unchanged("logits", logitsAt, logitValues);
            }
            targetsAt.download();
            results.guards("targets", targetsAt);
            if (gradLossAt != null && gradLossValues != null) {
                gradLossAt.download();
                results.unchanged("gradLoss", gradLossAt, gradLossValues);
            }
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

        private static void invoke(CrossEntropy op, Tensor logits, Tensor targets, @Nullable Tensor gradLoss,
                @Nullable Tensor loss, @Nullable Tensor gradLogits) {
            if (gradLogits == null) {
                op.loss(logits, targets, Objects.requireNonNull(loss));
            } else if (loss == null) {
                if (gradLoss == null) {
                    op.gradient(logits, targets, gradLogits);
                } else {
                    op.gradient(logits, targets, gradLoss, gradLogits);
                }
            } else if (gradLoss == null) {
                op.lossAndGradient(logits, targets, loss, gradLogits);
            } else {
                op.lossAndGradient(logits, targets, gradLoss, loss, gradLogits);
            }
        }

        /** Rows in the opposite order; put back. The order of a sum is another, so a reduced loss is left out. */
        private Results reversed(CrossEntropy op, Slab slab, Form form) {
            float[] zReversed = new float[z.length];
            long[] targetsReversed = new long[rows];
            boolean perRow = gradLoss != null && gradLoss.length == rows && upstream == Upstream.PER_ROW;
            float[] gradLossReversed = gradLoss == null ? null : gradLoss.clone();
            for (int row = 0; row < rows; row++) {
                int to = rows - 1 - row;
                System.arraycopy(z, row * classes, zReversed, to * classes, classes);
                targetsReversed[to] = targets[row];
                if (perRow) {
                    gradLossReversed[to] = gradLoss[row];
                }
            }
            slab.reset();
            Results there = call(op, slab, form, zReversed, targetsReversed, gradLossReversed);
            var back = new Results();
            back.faults().addAll(there.faults());
            int[] gradient = there.bits().get(gradientOutput());
            int[] gradientBack = new int[gradient.length];
            for (int row = 0; row < rows; row++) {
                System.arraycopy(gradient, (rows - 1 - row) * classes, gradientBack, row * classes, classes);
            }
            back.put(gradientOutput(), gradientBack);
            if (reduction == Reduction.NONE) {
                int[] loss = there.bits().get(Output.ROW_LOSS);
                int[] lossBack = new int[rows];
                for (int row = 0; row < rows; row++) {
                    lossBack[row] = loss[rows - 1 - row];
                }
                back.put(Output.ROW_LOSS, lossBack);
            }
            return back;
        }

        private Results apart(CrossEntropy op, Slab slab, Form form) {
            var joined = new Results();
            int[] loss = new int[rows];
            int[] gradient = new int[z.length];
            for (int row = 0; row < rows; row++) {
                float[] own = gradLoss == null || gradLoss.length == 1 && upstream == Upstream.SCALAR
                        ? gradLoss
                        : new float[] {gradLoss[row]};
                slab.reset();
                Results one = call(op, slab, form, Arrays.copyOfRange(z, row * classes, (row + 1) * classes),
                        new long[] {targets[row]}, own);
                joined.faults().addAll(one.faults());
                loss[row] = one.bits().get(Output.ROW_LOSS)[0];
                System.arraycopy(one.bits().get(gradientOutput()), 0, gradient, row * classes, classes);
            }
            joined.put(Output.ROW_LOSS, loss);
            joined.put(gradientOutput(), gradient);
            return joined;
        }

        private Output gradientOutput() {
            return Output.gradient(dtype, Output.GRAD_LOGITS);
        }

        private Output lossOutput() {
            return reduction == Reduction.NONE ? Output.ROW_LOSS : Output.LOSS;
        }

        @Override
        public Map<Output, double[]> reference(Backend reference) {
            double[] loss = new double[reduction == Reduction.NONE ? rows : 1];
            double[] gradient = new double[z.length];
            Tensor lossTensor = reduction == Reduction.NONE ? Tensor.of(loss, rows) : Tensor.of(loss);
            try (CrossEntropy op = CrossEntropy.on(reference, options())) {
                boolean perRow = upstream == Upstream.PER_ROW && reduction == Reduction.NONE;
                invoke(op, Tensor.of(z, rows, classes), Tensor.of(targets, rows),
                        gradLoss == null ? null : perRow ? Tensor.of(gradLoss, rows) : Tensor.of(gradLoss), lossTensor,
                        Tensor.of(gradient, rows, classes));
            }
            Map<Output, double[]> exact = new EnumMap<>(Output.class);
            exact.put(lossOutput(), loss);
            exact.put(gradientOutput(), gradient);
            return exact;
        }

        @Override
        public void judge(Output output, double[] expected, int[] actual, Judge judge) {
            double budget = output.budget() + (output == Output.LOSS ? additions(rows) / 2.0 : 0);
            for (int i = 0; i < expected.length; i++) {
                double gradientOf = output == gradientOutput() ? upstreamOf(i / classes) : 1;
                // Nothing of opposite sign meets: p_t - 1 is formed without its cancellation.
                if (output == gradientOutput() && dtype != DType.F32) {
                    judge.addNarrow(dtype, CrossEntropyProblem.this, i, expected[i], actual[i], expected[i],
                            gradientOf);
                } else {
                    judge.add(CrossEntropyProblem.this, i, expected[i], actual[i], expected[i], gradientOf, budget);
                }
            }
        }

        private double upstreamOf(int row) {
            return gradLoss == null ? 1 : gradLoss[gradLoss.length == rows ? row : 0];
        }
    }
}
