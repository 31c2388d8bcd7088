package dev.isobit.harness.verify;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.harness.verify.Slab.Operand;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * Edges of gradients that are summed over micro-batches: sums that are not finite, whose step moves nothing and still zeroes
 * them; gradients that the step does not look at; a group that sits out. Parameters and gradients are of F32, BF16 and F16, each
 * parameter's of two types.
 */
final class AccumulationEdges {
    private static final int NAN = 0x7fc00000;
    private static final int INFINITY = 0x7f800000;
    private static final List<DType> TYPES = List.of(DType.F32, DType.BF16, DType.F16);
    /** Of a group that is not enabled: no sum may take them up, no step skip for them. */
    private static final float[] IDLE = {Float.NaN, -0f, Float.POSITIVE_INFINITY, 1, 2, 3};
    /** A third micro-batch, finite. */
    private static final float[] FINITE = {1, -0.5f, 0, -0f, 0.25f, 3};
    private static final int SIZE = FINITE.length;

    private final Backend backend;
    private final Edges edges;
    private final boolean isSgd;

    private AccumulationEdges(Backend backend, Edges edges, boolean isSgd) {
        this.backend = backend;
        this.edges = edges;
        this.isSgd = isSgd;
    }

    static void add(Backend backend, Edges edges) {
        for (boolean isSgd : new boolean[] {false, true}) {
            var checks = new AccumulationEdges(backend, edges, isSgd);
            checks.sumsThatAreNotFinite();
            checks.gradientsZeroed();
        }
    }

    /** A parameter and all that belongs to it; the gradient that is summed, or the one that a step takes. */
    private record Part(Operand param, Operand grad, List<Operand> moments, Operand sum) {
        int[] state() {
            return Stream.concat(Stream.of(param), moments.stream()).flatMapToInt(o -> Arrays.stream(o.bits()))
                    .toArray();
        }

        void download() {
            Stream.concat(Stream.of(param, grad, sum), moments.stream()).forEach(Operand::download);
        }

        @Override
        public String toString() {
            return param.tensor().dtype() + " by gradients of " + grad.tensor().dtype();
        }
    }

    private static Operand put(Operand operand, float... values) {
        operand.set(values);
        operand.upload();
        return operand;
    }

    private static Part part(Slab slab, DType param, DType grad, float[] gradValues, float[] sums) {
        List<Operand> moments =
                Stream.of(0.5f, 0.25f).map(value -> put(slab.place(DType.F32, Placement.NATIVE, 0, SIZE),
                        value, value, value, value, value, value)).toList();
        return new Part(put(slab.place(param, Placement.NATIVE, 0, SIZE), 1, 2, 3, 4, 5, 6),
                put(slab.place(grad, Placement.NATIVE, 0, SIZE), gradValues), moments,
                put(slab.place(DType.F32, Placement.NATIVE, 0, SIZE), sums));
    }

    /** Of each type one, with gradients of the next. */
    private static List<Part> active(Slab slab) {
        List<Part> parts = new ArrayList<>();
        for (int i = 0; i < TYPES.size(); i++) {
            DType grad = TYPES.get((i + 1) % TYPES.size());
            parts.add(part(slab, TYPES.get(i), grad, first(grad), new float[SIZE]));
        }
        return parts;
    }

    /** The first micro-batch: what is not finite, the largest number, a zero, one and the least number. */
    private static float[] first(DType dtype) {
        return new float[] {Float.POSITIVE_INFINITY, Float.intBitsToFloat(0xffc00001), largest(dtype), -0f, 1,
            least(dtype)};
    }

    private static float[] second(DType dtype) {
        return new float[] {Float.NEGATIVE_INFINITY, 1, largest(dtype), -0f, 0.5f, least(dtype)};
    }

    /** Of both, in float32. */
    private static int[] sums(DType dtype) {
        return new int[] {NAN, NAN, dtype == DType.F16 ? Float.floatToIntBits(131008) : INFINITY, 0,
            Float.floatToIntBits(1.5f), Float.floatToIntBits(2 * least(dtype))};
    }

    private static float largest(DType dtype) {
        return switch (dtype) {
            case F16 -> 65504;
            case BF16 -> Float.intBitsToFloat(0x7f7f0000);
            default -> Float.MAX_VALUE;
        };
    }

    private static float least(DType dtype) {
        return switch (dtype) {
            case F16 -> 0x1p-24f;
            case BF16 -> 0x1p-133f;
            default -> Float.MIN_VALUE;
        };
    }

    private Stepper open(List<List<Part>> groups, StepOptions options) {
        if (isSgd) {
            SgdOptions momentum = SgdOptions.defaults().withLr(0.1).withMomentum(0.9);
            return Stepper.of(Sgd.on(backend, groups.stream().map(group -> new SgdGroup(momentum, group.stream()
                    .map(p -> new SgdParameter("p", p.param.tensor(), p.grad.tensor(), p.moments.getFirst().tensor())
                            .withGradAccumulator(options.accumulateGrad() ? p.sum.tensor() : null))
                    .toList())).toList(), options, backend.defaultStream()));
        }
        return Stepper.of(Adam.on(backend, groups.stream().map(group -> new AdamGroup(AdamOptions.adamW(), group
                .stream()
                .map(p -> new AdamParameter("p", p.param.tensor(), p.grad.tensor(), p.moments.getFirst().tensor(),
                        p.moments.getLast().tensor())
                        .withGradAccumulator(options.accumulateGrad() ? p.sum.tensor() : null))
                .toList())).toList(), options, backend.defaultStream()));
    }

    private void sumsThatAreNotFinite() {
        StepOptions options = StepOptions.defaults().withSkipNonFinite(true);
        try (var slab = new Slab(backend)) {
            List<Part> active = active(slab);
            Part idle = part(slab, DType.F32, DType.F32, IDLE, IDLE);
            Idle left = new Idle(idle);
            List<int[]> states = active.stream().map(Part::state).toList();
            try (Stepper stepper = open(List.of(active, List.of(idle)), options.withAccumulateGrad(true))) {
                stepper.set(1, 0.1, false);
                stepper.accumulate();
                settle(active);
                active.forEach(p -> put(p.grad, second(p.grad.tensor().dtype())));
                List<int[]> grads = active.stream().map(p -> p.grad.bits()).toList();
                stepper.accumulate();
                settle(active);
                for (int i = 0; i < active.size(); i++) {
                    Part p = active.get(i);
                    edges.compare(check("sums"), "sum of " + p, p.sum.bits(), sums(p.grad.tensor().dtype()));
                    edges.compare(check("sums"), "gradient of " + p, p.grad.bits(), grads.get(i));
                }

                stepper.step();
                settle(active);
                String skipped = check("a step whose sums are not finite");
                for (int i = 0; i < active.size(); i++) {
                    Part p = active.get(i);
                    edges.compare(skipped, "state of " + p, p.state(), states.get(i));
                    edges.compare(skipped, "sum of " + p, p.sum.bits(), new int[SIZE]);
                }
                counts(skipped, stepper, 0, true);

                active.forEach(p -> put(p.grad, FINITE));
                stepper.accumulate();
                settle(active);
                active.forEach(p -> put(p.grad, IDLE));
                grads = active.stream().map(p -> p.grad.bits()).toList();
                stepper.step();
                settle(active);
                String done = check("a step with sums, gradients not finite");
                List<int[]> expected = steppedWith(slab, options);
                for (int i = 0; i < active.size(); i++) {
                    Part p = active.get(i);
                    edges.compare(done, "state of " + p, p.state(), expected.get(i));
                    edges.compare(done, "sum of " + p, p.sum.bits(), new int[SIZE]);
                    edges.compare(done, "gradient of " + p, p.grad.bits(), grads.get(i));
                }
                counts(done, stepper, 1, false);
                settle(List.of(idle));
                left.compare();
            }
        }
    }

    /** The states after one step whose gradients are the finite ones, from float32. */
    private List<int[]> steppedWith(Slab slab, StepOptions options) {
        // The sum with a sum that is +0.
        float[] sum = FINITE.clone();
        sum[3] = 0;
        List<Part> parts = TYPES.stream().map(type -> part(slab, type, DType.F32, sum, sum)).toList();
        try (Stepper stepper = open(List.of(parts), options)) {
            stepper.step();
            settle(parts);
        }
        return parts.stream().map(Part::state).toList();
    }

    private void gradientsZeroed() {
        String check = check("gradients zeroed");
        try (var slab = new Slab(backend)) {
            List<Part> active = active(slab);
            Part idle = part(slab, DType.F32, DType.F32, IDLE, IDLE);
            Idle left = new Idle(idle);
            try (Stepper stepper = open(List.of(active, List.of(idle)),
                    StepOptions.defaults().withAccumulateGrad(true).withZeroGrad(true))) {
                stepper.set(1, 0.1, false);
                stepper.accumulate();
                settle(active);
                for (Part p : active) {
                    DType dtype = p.grad.tensor().dtype();
                    edges.compare(check, "sum of " + p, p.sum.bits(), new int[] {INFINITY, NAN,
                        Float.floatToIntBits(largest(dtype)), 0, Float.floatToIntBits(1),
                        Float.floatToIntBits(least(dtype))});
                    edges.compare(check, "gradient of " + p, p.grad.bits(), new int[SIZE]);
                }
                settle(List.of(idle));
                left.compare();
            }
        }
    }

    private void counts(String check, Stepper stepper, long steps, boolean foundInf) {
        StepState state = stepper.state();
        long[] counts = {stepper.stepCount(0), stepper.stepCount(1), state.skippedSteps()};
        edges.add(check, Arrays.equals(counts, new long[] {steps, 0, 1}) && state.foundInf() == foundInf,
                "step counts and skipped steps are " + Arrays.toString(counts) + ", foundInf " + state.foundInf());
    }

    /** What a group that is not enabled had. */
    private final class Idle {
        private final Part part;
        private final int[] state;
        private final int[] grad;
        private final int[] sum;

        Idle(Part part) {
            this.part = part;
            this.state = part.state();
            this.grad = part.grad.bits();
            this.sum = part.sum.bits();
        }

        void compare() {
            String check = check("a group that is not enabled");
            edges.compare(check, "state", part.state(), state);
            edges.compare(check, "gradient", part.grad.bits(), grad);
            edges.compare(check, "sum", part.sum.bits(), sum);
        }
    }

    /** Waits for what is queued, and reads. */
    private void settle(List<Part> parts) {
        backend.defaultStream().synchronize();
        parts.forEach(Part::download);
    }

    private String check(String what) {
        return (isSgd ? "Sgd.accumulate: " : "Adam.accumulate: ") + what;
    }
}
