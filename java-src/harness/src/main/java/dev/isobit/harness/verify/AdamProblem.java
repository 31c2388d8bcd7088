package dev.isobit.harness.verify;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.Slab.Operand;
import dev.isobit.spi.AdamScalars;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One step, or several, of Adam or AdamW over a list of parameters.
 *
 * @param shape what the sizes are, for people
 * @param sizes elements of each parameter
 * @param options options
 * @param values kind of parameters, gradients and moments
 * @param step number of the first step, from 1
 * @param steps how many steps; only one is judged, for errors add up
 * @param seed of the inputs
 * @param mixed whether the tensors are of F32, BF16 and F16, each parameter's of other types, some with masters or
 *     remainders, and in half of the problems rounded stochastically; else of F32
 */
record AdamProblem(String shape, List<Integer> sizes, AdamOptions options, Values values, long step, int steps,
        long seed, boolean mixed) implements Problem {
    /** All in F32. */
    AdamProblem(String shape, List<Integer> sizes, AdamOptions options, Values values, long step, int steps,
            long seed) {
        this(shape, sizes, options, values, step, steps, seed, false);
    }

    /** Kinds of inputs. */
    enum Values {
        /** As in training. */
        NORMAL,
        /** Moments zero. */
        FRESH,
        /** Parameters, gradients and moments all zero. */
        ZERO,
        /** Gradients near 1e-20: squares vanish. */
        TINY,
        /** Gradients near 1e15. */
        LARGE,
        /** Magnitudes from 2^-60 to 2^30, each number its own. */
        WIDE,
        /** Below the normal range. */
        SUBNORMAL,
        /** NaN and infinities here and there. */
        NAN
    }

    private static final Form WHOLE = new Form("whole", Form.Call.WHOLE, Placement.HEAP);
    private static final Form OWN_MOMENTS = new Form("moments allocated", Form.Call.OWN_MOMENTS, Placement.NATIVE);
    private static final Form APART = new Form("each parameter alone", Form.Call.APART, Placement.NATIVE);
    /** More parameters than this are not run one by one. */
    private static final int MOST_APART = 16;
    private static final double LEAST_JUDGED_BETA = 0.1;

    @Override
    public String operation() {
        return (options.decoupled() ? "AdamW" : "Adam") + (mixed ? ", mixed types" : "");
    }

    @Override
    public String inputs() {
        return values.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public String name() {
        return operation() + " " + shape + ", " + inputs() + ", step " + step + (steps > 1
                ? " and " + (steps - 1)
                        + " more"
                : "") + ", lr " + options.lr() + ", betas " + options.beta1() + " " + options.beta2()
                + ", eps " + options.eps() + ", weightDecay " + options.weightDecay()
                + (options.maximize() ? ", maximize" : "") + (options.amsgrad() ? ", amsgrad" : "")
                + (options.semantics() == AdamSemantics.TORCH ? "" : ", " + options.semantics()) + ", seed " + seed;
    }

    @Override
    public Prepared prepare() {
        return new Inputs();
    }

    /** Operands of this problem, all parameters behind each other. */
    private final class Inputs implements Prepared {
        private final int total = sizes.stream().mapToInt(Integer::intValue).sum();
        private final float[] param = new float[total];
        private final float[] grad = new float[total];
        private final float[] expAvg = new float[total];
        private final float[] expAvgSq = new float[total];
        private final float[] maxExpAvgSq = new float[total];
        private final int shift;
        /** Of each parameter, its types in the order of an optimizer's operands. */
        private final List<DType[]> types = new ArrayList<>();
        private final Masters masters;

        Inputs() {
            var rng = new Rng(seed);
            shift = 1 + rng.nextInt(15);
            for (int i = 0; i < total; i++) {
                fill(rng, i);
            }
            float[] before = param.clone();
            MixedTypes.round(mixed, sizes, types, rng, param, grad, expAvg, expAvgSq, maxExpAvgSq);
            masters = new Masters(mixed, seed, sizes, types, rng, before, param, shift);
        }

        private void fill(Rng rng, int i) {
            float p = rng.nextNormal();
            float g = 0.1f * rng.nextNormal();
            float m = 0.1f * rng.nextNormal();
            float v = 0.01f * rng.nextFloat();
            switch (values) {
                case NORMAL, NAN -> {
                    // as they are
                }
                case FRESH -> {
                    m = 0;
                    v = 0;
                }
                case ZERO -> {
                    p = 0;
                    g = 0;
                    m = 0;
                    v = 0;
                }
                case TINY -> {
                    g *= 1e-19f;
                    m *= 1e-19f;
                    v *= 1e-38f;
                }
                case LARGE -> {
                    g *= 1e16f;
                    m *= 1e16f;
                    v *= 1e32f;
                }
                case WIDE -> {
                    p = Math.scalb(p, rng.nextInt(91) - 60);
                    g = Math.scalb(g, rng.nextInt(91) - 60);
                    m = Math.scalb(m, rng.nextInt(91) - 60);
                    v = Math.scalb(v, rng.nextInt(91) - 60);
                }
                case SUBNORMAL -> {
                    p *= Float.MIN_NORMAL / 4;
                    g *= Float.MIN_NORMAL;
                    m *= Float.MIN_NORMAL;
                    v *= Float.MIN_NORMAL;
                }
            }
            if (values == Values.NAN && rng.nextInt(4) == 0) {
                float bad = new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}[rng.nextInt(3)];
                switch (rng.nextInt(4)) {
                    case 0 -> p = bad;
                    case 1 -> m = bad;
                    case 2 -> v = bad == Float.NEGATIVE_INFINITY ? Float.NaN : bad;
                    default -> g = bad;
                }
            }
            param[i] = p;
            grad[i] = g;
            expAvg[i] = m;
            expAvgSq[i] = v;
            if (options.amsgrad()) {
                // Sometimes above what the second moment becomes, sometimes below.
                maxExpAvgSq[i] = v * (0.5f + rng.nextFloat());
            }
        }

        @Override
        public List<Form> forms() {
            List<Form> forms =
                    new ArrayList<>(List.of(WHOLE, new Form("misaligned", Form.Call.WHOLE, Placement.SHIFTED),
                            new Form("native memory", Form.Call.WHOLE, Placement.NATIVE)));
            // The optimizer's own are all F32.
            if (!mixed && (values == Values.FRESH || values == Values.ZERO)) {
                forms.add(OWN_MOMENTS);
            }
            // Alone each parameter would be the first, with the first one's noise.
            if (sizes.size() > 1 && sizes.size() <= MOST_APART && masters.rounding() == null) {
                forms.add(APART);
            }
            return forms;
        }

        /**
         * Only bits are compared over several steps, whose errors add up; with eps = 0 where squares may vanish in
         * float32, which leaves nothing to divide by; and with a beta near 0, where {@code m + w·(g - m)} forgets a
         * large m only up to its rounding.
         */
        @Override
        public boolean isJudged() {
            boolean squaresVanish = values == Values.TINY || values == Values.SUBNORMAL || values == Values.WIDE;
            boolean forgets = Math.min(options.beta1(), options.beta2()) < LEAST_JUDGED_BETA;
            return steps == 1 && !forgets && !(options.eps() == 0 && squaresVanish);
        }

        @Override
        public Results run(Backend backend, Slab slab, Form form) {
            slab.reset();
            var results = new Results();
            List<Operand[]> operands = new ArrayList<>();
            List<@Nullable Operand> masterOperands = new ArrayList<>();
            List<AdamParameter> parameters = new ArrayList<>();
            int start = 0;
            for (int size : sizes) {
                DType[] own = types.get(operands.size());
                Operand p = masters.place(slab, form, operands.size(), start, size);
                Operand w = masters.placeMaster(slab, form, operands.size(), start, size);
                Operand g = place(slab, form, own[1], grad, start, size);
                Operand m = place(slab, form, own[2], expAvg, start, size);
                Operand v = place(slab, form, own[3], expAvgSq, start, size);
                Operand x = options.amsgrad() ? place(slab, form, own[4], maxExpAvgSq, start, size) : null;
                operands.add(x == null ? new Operand[] {p, g, m, v} : new Operand[] {p, g, m, v, x});
                masterOperands.add(w);
                boolean ownMoments = form.call() == Form.Call.OWN_MOMENTS;
                parameters.add(new AdamParameter("p" + parameters.size(), p.tensor(), g.tensor(),
                        ownMoments ? null : m.tensor(), ownMoments ? null : v.tensor(),
                        ownMoments || x == null ? null : x.tensor(), Masters.tensor(w)));
                start += size;
            }
            if (form.call() == Form.Call.APART) {
                parameters.forEach(parameter -> steps(backend, List.of(parameter)));
            } else {
                steps(backend, parameters);
            }
            collect(results, operands, masterOperands, form);
            return results;
        }

        private Operand place(Slab slab, Form form, DType dtype, float[] values, int start, int size) {
            Operand operand = slab.place(dtype, form.placement(), shift, size);
            operand.set(Arrays.copyOfRange(values, start, start + size));
            operand.upload();
            return operand;
        }

        private void steps(Backend backend, List<AdamParameter> parameters) {
            try (Adam adam = Adam.on(backend, options.withRounding(masters.rounding()), parameters)) {
                adam.setStepCount(step - 1);
                for (int i = 0; i < steps; i++) {
                    adam.step();
                }
                // The memory is read next.
                backend.defaultStream().synchronize();
            }
        }

        private void collect(Results results, List<Operand[]> operands, List<@Nullable Operand> masterOperands,
                Form form) {
            int[] params = new int[total];
            int[] expAvgs = new int[total];
            int[] expAvgSqs = new int[total];
            int[] maxima = new int[total];
            int start = 0;
            for (int i = 0; i < operands.size(); i++) {
                Operand[] all = operands.get(i);
                int size = sizes.get(i);
                for (Operand operand : all) {
                    operand.download();
                }
                results.unchanged("grad", all[1], Arrays.copyOfRange(grad, start, start + size));
                System.arraycopy(Masters.written(results, all[0], masterOperands.get(i)), 0, params, start, size);
                System.arraycopy(results.written("expAvg", all[2]), 0, expAvgs, start, size);
                System.arraycopy(results.written("expAvgSq", all[3]), 0, expAvgSqs, start, size);
                if (options.amsgrad()) {
                    System.arraycopy(results.written("maxExpAvgSq", all[4]), 0, maxima, start, size);
                }
                start += size;
            }
            results.put(Output.PARAM, params);
            if (form.call() != Form.Call.OWN_MOMENTS) {
                results.put(Output.EXP_AVG, expAvgs);
                results.put(Output.EXP_AVG_SQ, expAvgSqs);
                if (options.amsgrad()) {
                    results.put(Output.MAX_EXP_AVG_SQ, maxima);
                }
            }
        }

        @Override
        public Map<Output, double[]> reference(Backend reference) {
            double[] p = doubles(param);
            double[] m = doubles(expAvg);
            double[] v = doubles(expAvgSq);
            double[] x = doubles(maxExpAvgSq);
            try (Adam adam = Adam.on(reference, options, List.of(new AdamParameter("all", Tensor.of(p, total),
                    Tensor.of(grad, total), Tensor.of(m, total), Tensor.of(v, total),
                    options.amsgrad() ? Tensor.of(x, total) : null)))) {
                adam.setStepCount(step - 1);
                adam.step();
            }
            Map<Output, double[]> exact = new EnumMap<>(Output.class);
            exact.put(Output.PARAM, p);
            exact.put(Output.EXP_AVG, m);
            exact.put(Output.EXP_AVG_SQ, v);
            if (options.amsgrad()) {
                exact.put(Output.MAX_EXP_AVG_SQ, x);
            }
            return exact;
        }

        private static double[] doubles(float[] values) {
            double[] wide = new double[values.length];
            for (int i = 0; i < wide.length; i++) {
                wide[i] = values[i];
            }
            return wide;
        }

        /**
         * Addends of opposite sign meet in g + weightDecay·p, in g - m, in g² - v, in the sums with m and v, and in
         * p - update: the unit is taken at the largest addend, for the parameter at max(|p|, U).
         */
        @Override
        public void judge(Output output, double[] expected, int[] actual, Judge judge) {
            var scalars = new AdamScalars();
            scalars.set(options, options.lr(), step);
            var element = new Element(options, scalars, output);
            int role = switch (output) {
                case PARAM -> 0;
                case EXP_AVG -> 2;
                case EXP_AVG_SQ -> 3;
                default -> 4;
            };
            int i = 0;
            for (int p = 0; p < sizes.size(); p++) {
                for (int end = i + sizes.get(p); i < end; i++) {
                    double magnitude =
                            element.magnitude(param[i], grad[i], expAvg[i], expAvgSq[i], maxExpAvgSq[i], expected[i]);
                    judge.addRounded(role == 0 ? masters.valueType(p) : types.get(p)[role],
                            role == 0 ? masters.storing(p) : 0.5, AdamProblem.this, i, expected[i], actual[i],
                            magnitude,
                            element.scale, output.budget());
                }
            }
        }
    }

    /** The sizes of the addends of an element's results. */
    static final class Element {
        private final AdamOptions options;
        private final AdamScalars scalars;
        private final Output output;
        /** What the slack of a result below the normal range grows by: that of a first moment in the parameter. */
        double scale = 1;

        Element(AdamOptions options, AdamScalars scalars, Output output) {
            this.options = options;
            this.scalars = scalars;
            this.output = output;
        }

        /** Where the unit in the last place is taken. */
        double magnitude(double p, double grad, double m, double v, double maxV, double expected) {
            double g = options.maximize() ? -grad : grad;
            if (scalars.gradDecay != 0) {
                g += scalars.gradDecay * p;
            }
            if (output == Output.EXP_AVG) {
                return sum(expected, m, scalars.w1, g, m);
            }
            if (output == Output.EXP_AVG_SQ || output == Output.MAX_EXP_AVG_SQ) {
                return sum(expected, v, scalars.w2, g * g, v);
            }
            double exactV = v + scalars.w2 * (g * g - v);
            double x = options.amsgrad() ? Math.max(maxV, exactV) : exactV;
            scale = Math.abs(scalars.negStepSize) / (Math.sqrt(x) * scalars.rsqrtBc2 + scalars.eps);
            double update = scale * (options.beta1() * Math.abs(m) + (1 - options.beta1()) * Math.abs(g));
            return Math.max(Math.abs(p), update);
        }

        /** The largest addend of {@code old + w·(a - b)} where signs are opposite, else the result. */
        private static double sum(double result, double old, double w, double a, double b) {
            double difference = a - b;
            double inner = w * (Math.signum(a) == Math.signum(b) ? Math.max(Math.abs(a), Math.abs(b)) : 0);
            double outer = Math.signum(old) * difference < 0 ? Math.max(Math.abs(old), Math.abs(w * difference)) : 0;
            return Math.max(Math.abs(result), Math.max(inner, outer));
        }
    }
}
