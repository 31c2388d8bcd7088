package dev.isobit.harness.verify;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LrSchedule;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.Slab.Operand;
import dev.isobit.spi.AdamScalars;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * One guarded step, or several, of Adam or SGD over groups of parameters, each group with options of its own. Over several
 * steps gradients and learning rates change, some gradients are not finite, and the last group is disabled for one step; in
 * half of these problems each group has a schedule. Gradients may be added to accumulators, which are not zero before the first
 * step; over several steps twice.
 *
 * @param shape what the sizes are, for people
 * @param groups elements of each parameter of each group
 * @param optimizer which optimizer
 * @param guard what is done around the update
 * @param values kind of gradients
 * @param steps how many steps; only one is judged, for errors add up
 * @param seed of the inputs
 * @param mixed whether the tensors are of F32, BF16 and F16, each parameter's of other types, some with masters or
 *     remainders, and in half of the problems rounded stochastically; else of F32
 */
record GuardedProblem(String shape, List<List<Integer>> groups, Optimizer optimizer, Guard guard, Values values,
        int steps, long seed, boolean mixed) implements Problem {

    /** What is guarded. */
    enum Optimizer {
        ADAM, AMSGRAD, SGD
    }

    /** What is done around the update. */
    enum Guard {
        /** Nothing, unless a gradient is not finite. */
        SKIPS("skips"),
        /** Gradients are clipped to a norm below theirs. */
        NORM("clips by norm"),
        /** Gradients are clipped to a norm above theirs. */
        FAR_NORM("clips by a norm far off"),
        /** Elements are clipped. */
        VALUE("clips by value"),
        /** Gradients are zero after the step. */
        ZEROES("zeroes"),
        /** Gradients are divided by a scale. */
        SCALES("scales"),
        /** All of it. */
        ALL("scales, clips, zeroes"),
        /** Accumulators are stepped with. */
        SUMS("sums micro-batches");

        private final String label;

        Guard(String label) {
            this.label = label;
        }
    }

    /** Kinds of gradients. */
    enum Values {
        /** As in training. */
        NORMAL,
        /** Magnitudes from 2^-60 to 2^30, each number its own. */
        WIDE,
        /** All zero. */
        ZERO,
        /** Near 1e-20: squares vanish, and with them the norm. */
        TINY,
        /** Near 1e19: many squares, and with them the norm, are infinite. */
        LARGE,
        /** One that is NaN or infinite. */
        NAN
    }

    /** What a step reads and writes; of SGD's the third is the momentum buffer. */
    private static final int PARAM = 0;
    private static final int GRAD = 1;
    private static final int EXP_AVG = 2;
    private static final int EXP_AVG_SQ = 3;
    private static final int MAX_EXP_AVG_SQ = 4;
    private static final String[] ROLES = {"param", "grad", "expAvg", "expAvgSq", "maxExpAvgSq"};

    private static final List<Form> FORMS = List.of(new Form("whole", Form.Call.WHOLE, Placement.HEAP),
            new Form("misaligned", Form.Call.WHOLE, Placement.SHIFTED),
            new Form("native memory", Form.Call.WHOLE, Placement.NATIVE));

    @Override
    public String operation() {
        return (optimizer == Optimizer.SGD ? "SGD, guarded" : "Adam, guarded") + (mixed ? ", mixed types" : "");
    }

    @Override
    public String inputs() {
        return guard.label;
    }

    @Override
    public String name() {
        return operation() + (optimizer == Optimizer.AMSGRAD ? ", amsgrad" : "") + " " + shape + ", " + guard.label
                + ", " + values + (steps > 1 ? ", " + steps + " steps" : "") + (isScheduled() ? ", scheduled" : "")
                + ", seed " + seed;
    }

    /** The same of other types. */
    GuardedProblem withMixed(boolean other) {
        return new GuardedProblem(shape, groups, optimizer, guard, values, steps, seed, other);
    }

    private StepOptions options() {
        StepOptions plain = StepOptions.defaults();
        GradScaling scaling = new GradScaling(1024, 4, 0.25f, 2);
        return switch (guard) {
            case SKIPS -> plain.withSkipNonFinite(true);
            case NORM -> plain.withMaxNorm(0.01);
            case FAR_NORM -> plain.withMaxNorm(1e35);
            case VALUE -> plain.withClipValue(0.05);
            case ZEROES -> plain.withZeroGrad(true);
            case SCALES -> plain.withGradScaling(scaling);
            case ALL -> plain.withGradScaling(new GradScaling(1000, 4, 0.25f, 2)).withMaxNorm(1e-4).withClipValue(2e-6)
                    .withZeroGrad(true).withGradDivisor(3);
            case SUMS ->
                plain.withAccumulateGrad(true).withMaxNorm(0.01).withGradDivisor(2).withZeroGrad(seed % 2 == 0);
        };
    }

    /** What the first step's gradients are divided by. */
    private double divisor() {
        GradScaling scaling = options().gradScaling();
        return (scaling == null ? 1.0 : scaling.initialScale()) * options().gradDivisor();
    }

    private boolean accumulates() {
        return guard == Guard.SUMS;
    }

    private boolean isSgd() {
        return optimizer == Optimizer.SGD;
    }

    private boolean isScheduled() {
        return steps > 1 && seed / 2 % 2 == 0;
    }

    /** Their shapes show within the steps. */
    private LrSchedule schedule(int group) {
        if (!isScheduled()) {
            return LrSchedule.constant();
        }
        List<LrSchedule> all = List.of(LrSchedule.cosine(2 * steps + 3, 0).withWarmup(steps / 2, 0),
                LrSchedule.step(steps / 2, 0.3), LrSchedule.linear(2 * steps - 1, 0.1).withWarmup(steps / 2 + 1, 0.25),
                LrSchedule.cosine(steps - 1, 0.1));
        return all.get((int) ((seed / 4 + group) % all.size()));
    }

    private AdamOptions adam(int group) {
        AdamOptions adamW = AdamOptions.adamW().withLr(0.01);
        List<AdamOptions> all = List.of(adamW, AdamOptions.adam().withWeightDecay(0.1),
                adamW.withSemantics(AdamSemantics.ONNX).withMaximize(true), adamW.withSemantics(AdamSemantics.HF),
                adamW.withSemantics(AdamSemantics.KERAS));
        return all.get((int) ((seed + group) % all.size())).withAmsgrad(optimizer == Optimizer.AMSGRAD)
                .withSchedule(schedule(group));
    }

    private SgdOptions sgd(int group) {
        SgdOptions plain = SgdOptions.defaults().withLr(0.1);
        SgdOptions momentum = plain.withMomentum(0.9);
        List<SgdOptions> all = List.of(momentum, plain.withWeightDecay(0.1), momentum.withNesterov(true),
                momentum.withDampening(0.2).withMaximize(true));
        return all.get((int) ((seed + group) % all.size())).withSchedule(schedule(group));
    }

    @Override
    public Prepared prepare() {
        return new Inputs();
    }

    private boolean hasBuffer(int group) {
        return sgd(group).momentum() != 0;
    }

    private int roles() {
        return switch (optimizer) {
            case SGD -> EXP_AVG + 1;
            case ADAM -> EXP_AVG_SQ + 1;
            case AMSGRAD -> MAX_EXP_AVG_SQ + 1;
        };
    }

    /** A parameter's tensors. */
    private record Parts(Tensor[] roles, @Nullable Tensor master, @Nullable Tensor sum) {}

    /** An optimizer with these groups. */
    private Stepper open(Backend backend, List<List<Parts>> parts, @Nullable StochasticRounding rounding) {
        if (isSgd()) {
            return Stepper.of(Sgd.on(backend, IntStream.range(0, parts.size())
                    .mapToObj(g -> new SgdGroup(sgd(g).withRounding(rounding), parts.get(g).stream()
                            .map(p -> new SgdParameter("p", p.roles[PARAM], p.roles[GRAD],
                                    hasBuffer(g) ? p.roles[EXP_AVG] : null).withMaster(p.master)
                                    .withGradAccumulator(p.sum))
                            .toList()))
                    .toList(), options(), backend.defaultStream()));
        }
        return Stepper.of(Adam.on(backend, IntStream.range(0, parts.size())
                .mapToObj(g -> new AdamGroup(adam(g).withRounding(rounding), parts.get(g).stream()
                        .map(p -> new AdamParameter("p", p.roles[PARAM], p.roles[GRAD], p.roles[EXP_AVG],
                                p.roles[EXP_AVG_SQ], optimizer == Optimizer.AMSGRAD ? p.roles[MAX_EXP_AVG_SQ] : null,
                                p.master, p.sum))
                        .toList()))
                .toList(), options(), backend.defaultStream()));
    }

    /** Operands of this problem, all parameters of all groups behind each other. */
    private final class Inputs implements Prepared {
        private final int total = groups.stream().flatMap(List::stream).mapToInt(Integer::intValue).sum();
        private final float[][] arrays = new float[roles()][total];
        /** The gradients of each step. */
        private final float[][] grads = new float[steps][total];
        /** What stands in the accumulators before the first step. */
        private final float[] sumsBefore = new float[total];
        private final long first;
        private final int shift;
        /** Of each parameter, in the order of the roles. */
        private final List<DType[]> types = new ArrayList<>();
        private final Masters masters;

        Inputs() {
            var rng = new Rng(seed);
            shift = 1 + rng.nextInt(15);
            first = new long[] {1, 2, 10}[rng.nextInt(3)];
            for (int i = 0; i < total; i++) {
                arrays[PARAM][i] = rng.nextNormal();
                if (first > 1) {
                    arrays[EXP_AVG][i] = 0.1f * rng.nextNormal();
                    float square = 0.01f * rng.nextFloat();
                    for (int role = EXP_AVG_SQ; role < roles(); role++) {
                        arrays[role][i] = role == EXP_AVG_SQ ? square : square * (0.5f + rng.nextFloat());
                    }
                }
            }
            for (int step = 0; step < steps; step++) {
                for (int i = 0; i < total; i++) {
                    grads[step][i] = gradient(rng);
                }
                boolean spoiled = values == Values.NAN || step == 2;
                if (spoiled && total > 0) {
                    grads[step][rng.nextInt(total)] =
                            new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}[rng.nextInt(3)];
                }
            }
            arrays[GRAD] = grads[0];
            List<Integer> sizes = groups.stream().flatMap(List::stream).toList();
            float[] before = arrays[PARAM].clone();
            MixedTypes.round(mixed, sizes, types, rng, arrays);
            masters = new Masters(mixed, seed, sizes, types, rng, before, arrays[PARAM], shift);
            int start = 0;
            for (int p = 0; p < sizes.size(); p++) {
                for (float[] later : grads) {
                    MixedTypes.round(types.get(p)[GRAD], later, start, start + sizes.get(p));
                }
                start += sizes.get(p);
            }
            for (int i = 0; accumulates() && i < total; i++) {
                sumsBefore[i] = gradient(rng);
            }
        }

        /** What the first step takes for a gradient. */
        private double firstGrad(int i) {
            return (double) arrays[GRAD][i] + sumsBefore[i];
        }

        private float gradient(Rng rng) {
            float usual = 0.1f * rng.nextNormal();
            return switch (values) {
                case NORMAL, NAN -> usual;
                case WIDE -> Math.scalb(usual, rng.nextInt(91) - 60);
                case ZERO -> 0;
                case TINY -> usual * 1e-19f;
                case LARGE -> usual * 1e20f;
            };
        }

        @Override
        public List<Form> forms() {
            return FORMS;
        }

        /**
         * Only bits are compared over several steps, whose errors add up, and where squares of gradients are below or
         * beyond float32's range.
         */
        @Override
        public boolean isJudged() {
            return steps == 1 && values != Values.TINY && values != Values.LARGE;
        }

        @Override
        public Results run(Backend backend, Slab slab, Form form) {
            slab.reset();
            List<List<Operand[]>> operands = new ArrayList<>();
            List<@Nullable Operand> masterOperands = new ArrayList<>();
            List<List<Parts>> parts = new ArrayList<>();
            List<Operand> sumOperands = new ArrayList<>();
            int start = 0;
            var own = types.iterator();
            for (List<Integer> sizes : groups) {
                List<Operand[]> ofGroup = new ArrayList<>();
                List<Parts> partsOfGroup = new ArrayList<>();
                for (int size : sizes) {
                    Operand[] all = new Operand[roles()];
                    DType[] dtypes = own.next();
                    int number = masterOperands.size();
                    all[PARAM] = masters.place(slab, form, number, start, size);
                    masterOperands.add(masters.placeMaster(slab, form, number, start, size));
                    for (int role = PARAM + 1; role < all.length; role++) {
                        all[role] = slab.place(dtypes[role], form.placement(), shift, size);
                        put(all[role], arrays[role], start, size);
                    }
                    ofGroup.add(all);
                    if (accumulates()) {
                        sumOperands.add(slab.place(DType.F32, form.placement(), shift, size));
                        put(sumOperands.getLast(), sumsBefore, start, size);
                    }
                    partsOfGroup.add(new Parts(Arrays.stream(all).map(Operand::tensor).toArray(Tensor[]::new),
                            Masters.tensor(masterOperands.getLast()),
                            accumulates() ? sumOperands.getLast().tensor() : null));
                    start += size;
                }
                operands.add(ofGroup);
                parts.add(partsOfGroup);
            }
            var results = new Results();
            try (Stepper stepper = open(backend, parts, masters.rounding())) {
                stepper.setStepCount(first - 1);
                for (int step = 0; step < steps; step++) {
                    if (step > 0) {
                        next(stepper, step, operands);
                    }
                    if (accumulates()) {
                        stepper.accumulate();
                    }
                    if (accumulates() && step == 0) {
                        backend.defaultStream().synchronize();
                        results.put(Output.GRAD_SUM, sums(results, sumOperands));
                        stepper.step();
                    } else if (accumulates()) {
                        stepper.accumulateAndStep();
                    } else {
                        stepper.step();
                    }
                }
                // The memory is read next.
                backend.defaultStream().synchronize();
                results.put(Output.COUNTS, bits(counts(stepper)));
                long norm = Double.doubleToLongBits(stepper.state().gradNorm());
                results.put(Output.NORM_BITS, new int[] {(int) (norm >> 32), (int) norm});
                results.put(Output.GRAD_NORM, bits(stepper.state().gradNorm()));
            }
            collect(results, operands, masterOperands.iterator());
            if (accumulates()) {
                results.put(Output.GRAD_SUM_AFTER, sums(results, sumOperands));
            }
            return results;
        }

        private int[] sums(Results results, List<Operand> sumOperands) {
            int[] bits = new int[total];
            int at = 0;
            for (Operand sum : sumOperands) {
                sum.download();
                int[] written = results.written("gradAccumulator", sum);
                System.arraycopy(written, 0, bits, at, written.length);
                at += written.length;
            }
            return bits;
        }

        /** Other gradients and learning rates; the last group sits out the second step. */
        private void next(Stepper stepper, int step, List<List<Operand[]>> operands) {
            int start = 0;
            for (int g = 0; g < groups.size(); g++) {
                double lr = (isSgd() ? sgd(g).lr() : adam(g).lr()) / (1 + 5 * step / steps / 3);
                stepper.set(g, lr, step != 1 || g < groups.size() - 1);
                for (Operand[] all : operands.get(g)) {
                    int size = Math.toIntExact(all[GRAD].tensor().elementCount());
                    put(all[GRAD], grads[step], start, size);
                    start += size;
                }
            }
        }

        private static void put(Operand operand, float[] values, int start, int size) {
            operand.set(Arrays.copyOfRange(values, start, start + size));
            operand.upload();
        }

        /** What a step leaves besides the parameters, in whole numbers and the scale. */
        private double[] counts(Stepper stepper) {
            StepState state = stepper.state();
            double[] counts = new double[4 + groups.size()];
            counts[0] = state.gradScale();
            counts[1] = state.growthTracker();
            counts[2] = state.skippedSteps();
            counts[3] = state.foundInf() ? 1 : 0;
            for (int g = 0; g < groups.size(); g++) {
                counts[4 + g] = stepper.stepCount(g);
            }
            return counts;
        }

        private static int[] bits(double... values) {
            return Arrays.stream(values).mapToInt(value -> Float.floatToIntBits((float) value)).toArray();
        }

        private void collect(Results results, List<List<Operand[]>> operands,
                Iterator<@Nullable Operand> masterOperands) {
            int[][] bits = new int[roles()][total];
            int start = 0;
            for (int g = 0; g < groups.size(); g++) {
                for (Operand[] all : operands.get(g)) {
                    int size = Math.toIntExact(all[GRAD].tensor().elementCount());
                    for (int role = 0; role < all.length; role++) {
                        all[role].download();
                        int[] written = role == PARAM
                                ? Masters.written(results, all[PARAM], masterOperands.next())
                                : results.written(ROLES[role], all[role]);
                        System.arraycopy(written, 0, bits[role], start, size);
                    }
                    if (!options().zeroGrad()) {
                        results.unchanged("grad", all[GRAD],
                                Arrays.copyOfRange(grads[steps - 1], start, start + size));
                    }
                    start += size;
                }
            }
            for (int role = 0; role < bits.length; role++) {
                results.put(output(role), bits[role]);
            }
        }

        private Output output(int role) {
            return switch (role) {
                case PARAM -> isSgd() ? Output.SGD_PARAM : Output.PARAM;
                case GRAD -> Output.GRAD;
                case EXP_AVG -> isSgd() ? Output.MOMENTUM_BUFFER : Output.EXP_AVG;
                case EXP_AVG_SQ -> Output.EXP_AVG_SQ;
                default -> Output.MAX_EXP_AVG_SQ;
            };
        }

        @Override
        public Map<Output, double[]> reference(Backend reference) {
            List<float[]> gradients = new ArrayList<>();
            List<double[][]> wide = new ArrayList<>();
            List<double[]> wideSums = new ArrayList<>();
            List<List<Parts>> tensors = new ArrayList<>();
            int start = 0;
            for (List<Integer> sizes : groups) {
                int end = start + sizes.stream().mapToInt(Integer::intValue).sum();
                double[][] values = new double[roles()][end - start];
                float[] grad = Arrays.copyOfRange(arrays[GRAD], start, end);
                Tensor[] all = new Tensor[roles()];
                for (int role = 0; role < all.length; role++) {
                    for (int i = start; i < end; i++) {
                        values[role][i - start] = arrays[role][i];
                    }
                    all[role] = role == GRAD
                            ? Tensor.of(grad, end - start)
                            : Tensor.of(values[role], end - start);
                }
                gradients.add(grad);
                wide.add(values);
                double[] sums = IntStream.range(start, end).mapToDouble(i -> sumsBefore[i]).toArray();
                wideSums.add(sums);
                tensors.add(List.of(new Parts(all, null, accumulates() ? Tensor.of(sums, sums.length) : null)));
                start = end;
            }
            Map<Output, double[]> exact = new EnumMap<>(Output.class);
            try (Stepper stepper = open(reference, tensors, null)) {
                stepper.setStepCount(first - 1);
                if (accumulates()) {
                    stepper.accumulate();
                    exact.put(Output.GRAD_SUM, flat(wideSums));
                }
                stepper.step();
                if (accumulates()) {
                    exact.put(Output.GRAD_SUM_AFTER, flat(wideSums));
                }
                exact.put(Output.COUNTS, counts(stepper));
                exact.put(Output.GRAD_NORM, new double[] {stepper.state().gradNorm()});
            }
            for (int g = 0; g < groups.size(); g++) {
                for (int i = 0; i < gradients.get(g).length; i++) {
                    wide.get(g)[GRAD][i] = gradients.get(g)[i];
                }
            }
            for (int role = 0; role < roles(); role++) {
                int of = role;
                exact.put(output(role),
                        wide.stream().flatMapToDouble(values -> Arrays.stream(values[of])).toArray());
            }
            return exact;
        }

        private static double[] flat(List<double[]> all) {
            return all.stream().flatMapToDouble(Arrays::stream).toArray();
        }

        /** A step that is skipped changes nothing. */
        @Override
        public void judge(Output output, double[] expected, int[] actual, Judge judge) {
            double norm = norm();
            boolean skipped = options().checksGrad() && !Double.isFinite(norm);
            if (skipped || output == Output.GRAD || output == Output.COUNTS || output == Output.GRAD_NORM
                    || output == Output.GRAD_SUM || output == Output.GRAD_SUM_AFTER) {
                for (int i = 0; i < expected.length; i++) {
                    double budget = output == Output.GRAD_NORM || output == Output.GRAD_SUM ? output.budget() : 0;
                    judge.add(GuardedProblem.this, i, expected[i], actual[i], expected[i], 1, budget);
                }
                return;
            }
            double coefficient = options().maxNorm() / (norm + 1e-6);
            boolean clips = coefficient < 1;
            var scalars = new AdamScalars();
            scalars.gradFactor = (float) ((clips ? coefficient : 1) / divisor());
            scalars.clipValue = (float) options().clipValue();
            double budget = output.budget() + (scalars.gradFactor == 1 ? 0 : guardBudget(output, clips));
            int i = 0;
            int number = 0;
            for (int g = 0; g < groups.size(); g++) {
                scalars.set(adam(g), adam(g).lr(), first);
                var element = new AdamProblem.Element(adam(g), scalars, output);
                boolean unused = isSgd() && output == Output.MOMENTUM_BUFFER && !hasBuffer(g);
                for (int size : groups.get(g)) {
                    boolean isParam = role(output) == PARAM;
                    DType dtype = isParam ? masters.valueType(number) : types.get(number)[role(output)];
                    double storing = isParam ? masters.storing(number) : 0.5;
                    number++;
                    for (int end = i + size; i < end; i++) {
                        double p = arrays[PARAM][i];
                        double grad = scalars.scaled(firstGrad(i));
                        double m = arrays[EXP_AVG][i];
                        double magnitude = unused
                                ? m
                                : isSgd()
                                        ? SgdProblem.magnitude(sgd(g), first, output, p, grad, m)
                                        : element.magnitude(p, grad, m, arrays[EXP_AVG_SQ][i],
                                                arrays[Math.min(MAX_EXP_AVG_SQ, roles() - 1)][i], expected[i]);
                        judge.addRounded(dtype, storing, GuardedProblem.this, i, expected[i], actual[i], magnitude,
                                element.scale, budget);
                    }
                }
            }
        }

        private int role(Output output) {
            return IntStream.range(0, roles()).filter(role -> output(role) == output).findFirst().orElseThrow();
        }

        /**
         * What the gradient of the update may be off by, its rounding and twelve for a norm, and as much again where its
         * square or its share of a quotient counts.
         */
        private static double guardBudget(Output output, boolean clips) {
            boolean twice = output == Output.EXP_AVG_SQ || output == Output.MAX_EXP_AVG_SQ || output == Output.PARAM;
            return (clips ? 12 : 1) * (twice ? 2 : 1);
        }

        /** Of the first step. */
        private double norm() {
            double sum = 0;
            for (int i = 0; i < total; i++) {
                sum += firstGrad(i) * firstGrad(i);
            }
            return Math.sqrt(sum) / divisor();
        }
    }
}
