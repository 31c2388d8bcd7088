package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.AdamProblem.Values;
import dev.isobit.harness.verify.Slab.Operand;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * One step, or several, of SGD over a list of parameters.
 *
 * @param shape what the sizes are, for people
 * @param sizes elements of each parameter
 * @param options options
 * @param values kind of parameters, gradients and momentum buffers
 * @param step number of the first step, from 1
 * @param steps how many steps; only one is judged, for errors add up
 * @param seed of the inputs
 * @param mixed whether the tensors are of F32, BF16 and F16, each parameter's of other types, some with masters or
 *     remainders, and in half of the problems rounded stochastically; else of F32
 */
record SgdProblem(String shape, List<Integer> sizes, SgdOptions options, Values values, long step, int steps,
        long seed, boolean mixed) implements Problem {
    /** All in F32. */
    SgdProblem(String shape, List<Integer> sizes, SgdOptions options, Values values, long step, int steps,
            long seed) {
        this(shape, sizes, options, values, step, steps, seed, false);
    }

    private static final Form WHOLE = new Form("whole", Form.Call.WHOLE, Placement.HEAP);
    private static final Form MISALIGNED = new Form("misaligned", Form.Call.WHOLE, Placement.SHIFTED);
    private static final Form NATIVE = new Form("native memory", Form.Call.WHOLE, Placement.NATIVE);

    @Override
    public String operation() {
        return (hasBuffer() ? "SGD with momentum" : "SGD") + (mixed ? ", mixed types" : "");
    }

    private boolean hasBuffer() {
        return options.momentum() != 0;
    }

    @Override
    public String inputs() {
        return values.name().toLowerCase(Locale.ROOT);
    }

    @Override
    public String name() {
        return operation() + " " + shape + ", " + inputs() + ", step " + step
                + (steps > 1 ? " and " + (steps - 1) + " more" : "") + ", lr " + options.lr() + ", momentum "
                + options.momentum() + ", dampening " + options.dampening() + ", weightDecay " + options.weightDecay()
                + (options.nesterov() ? ", nesterov" : "") + (options.maximize() ? ", maximize" : "") + ", seed "
                + seed;
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
        private final float[] buffer = new float[total];
        private final int shift;
        /** Of each parameter: parameter, gradient, buffer. */
        private final List<DType[]> types = new ArrayList<>();
        private final Masters masters;

        Inputs() {
            var rng = new Rng(seed);
            shift = 1 + rng.nextInt(15);
            for (int i = 0; i < total; i++) {
                param[i] = element(rng, 1);
                grad[i] = element(rng, 0.1f);
                buffer[i] = values == Values.FRESH ? 0 : element(rng, 0.1f);
            }
            float[] before = param.clone();
            MixedTypes.round(mixed, sizes, types, rng, param, grad, buffer);
            masters = new Masters(mixed, seed, sizes, types, rng, before, param, shift);
        }

        private float element(Rng rng, float usual) {
            float x = usual * rng.nextNormal();
            return switch (values) {
                case NORMAL, FRESH -> x;
                case ZERO -> 0;
                case TINY -> x * 1e-19f;
                case LARGE -> x * 1e16f;
                case WIDE -> Math.scalb(x, rng.nextInt(91) - 60);
                case SUBNORMAL -> x * Float.MIN_NORMAL / 4;
                case NAN -> rng.nextInt(8) != 0
                        ? x
                        : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}[rng.nextInt(3)];
            };
        }

        @Override
        public List<Form> forms() {
            return List.of(WHOLE, MISALIGNED, NATIVE);
        }

        @Override
        public boolean isJudged() {
            return steps == 1;
        }

        @Override
        public Results run(Backend backend, Slab slab, Form form) {
            slab.reset();
            List<Operand[]> operands = new ArrayList<>();
            List<@Nullable Operand> masterOperands = new ArrayList<>();
            List<SgdParameter> parameters = new ArrayList<>();
            int start = 0;
            for (int size : sizes) {
                DType[] own = types.get(operands.size());
                Operand p = masters.place(slab, form, operands.size(), start, size);
                masterOperands.add(masters.placeMaster(slab, form, operands.size(), start, size));
                Operand g = place(slab, form, own[1], grad, start, size);
                Operand b = place(slab, form, own[2], buffer, start, size);
                operands.add(new Operand[] {p, g, b});
                parameters.add(new SgdParameter("p" + parameters.size(), p.tensor(), g.tensor(),
                        hasBuffer() ? b.tensor() : null).withMaster(Masters.tensor(masterOperands.getLast())));
                start += size;
            }
            try (Sgd sgd = Sgd.on(backend, options.withRounding(masters.rounding()), parameters)) {
                sgd.setStepCount(step - 1);
                for (int i = 0; i < steps; i++) {
                    sgd.step();
                }
                // The memory is read next.
                backend.defaultStream().synchronize();
            }
            return collect(operands, masterOperands);
        }

        private Operand place(Slab slab, Form form, DType dtype, float[] values, int start, int size) {
            Operand operand = slab.place(dtype, form.placement(), shift, size);
            operand.set(Arrays.copyOfRange(values, start, start + size));
            operand.upload();
            return operand;
        }

        private Results collect(List<Operand[]> operands, List<@Nullable Operand> masterOperands) {
            var results = new Results();
            int[] params = new int[total];
            int[] buffers = new int[total];
            int start = 0;
            for (int i = 0; i < operands.size(); i++) {
                Operand[] all = operands.get(i);
                int size = sizes.get(i);
                for (Operand operand : all) {
                    operand.download();
                }
                results.unchanged("grad", all[1], Arrays.copyOfRange(grad, start, start + size));
                System.arraycopy(Masters.written(results, all[0], masterOperands.get(i)), 0, params, start, size);
                if (hasBuffer()) {
                    System.arraycopy(results.written("momentumBuffer", all[2]), 0, buffers, start, size);
                } else {
                    results.unchanged("momentumBuffer", all[2], Arrays.copyOfRange(buffer, start, start + size));
                }
                start += size;
            }
            results.put(Output.SGD_PARAM, params);
            if (hasBuffer()) {
                results.put(Output.MOMENTUM_BUFFER, buffers);
            }
            return results;
        }

        @Override
        public Map<Output, double[]> reference(Backend reference) {
            double[] p = doubles(param);
            double[] b = doubles(buffer);
            try (Sgd sgd = Sgd.on(reference, options, List.of(new SgdParameter("all", Tensor.of(p, total),
                    Tensor.of(grad, total), hasBuffer() ? Tensor.of(b, total) : null)))) {
                sgd.setStepCount(step - 1);
                sgd.step();
            }
            Map<Output, double[]> exact = new EnumMap<>(Output.class);
            exact.put(Output.SGD_PARAM, p);
            if (hasBuffer()) {
                exact.put(Output.MOMENTUM_BUFFER, b);
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

        /** Addends of opposite sign meet everywhere: the unit is taken at the largest. */
        @Override
        public void judge(Output output, double[] expected, int[] actual, Judge judge) {
            int role = output == Output.MOMENTUM_BUFFER ? 2 : 0;
            int i = 0;
            for (int p = 0; p < sizes.size(); p++) {
                for (int end = i + sizes.get(p); i < end; i++) {
                    judge.addRounded(role == 0 ? masters.valueType(p) : types.get(p)[role],
                            role == 0 ? masters.storing(p) : 0.5, SgdProblem.this, i, expected[i], actual[i],
                            magnitude(options, step, output, param[i], grad[i], buffer[i]), 1, output.budget());
                }
            }
        }
    }

    /** The largest addend of an element's result. */
    static double magnitude(SgdOptions options, long step, Output output, double p, double grad, double buffer) {
        double momentum = (float) options.momentum();
        double share = Math.abs((double) (float) (1 - options.dampening()));
        double decay = (float) options.weightDecay();
        double g = Math.abs(grad) + (decay == 0 ? 0 : decay * Math.abs(p));
        double b = step == 1 ? g : momentum * Math.abs(buffer) + share * g;
        return output == Output.MOMENTUM_BUFFER
                ? b
                : Math.max(Math.abs(p),
                        (float) options.lr() * (momentum == 0 ? g : options.nesterov() ? g + momentum * b : b));
    }
}
