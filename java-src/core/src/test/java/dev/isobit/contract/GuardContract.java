package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.GradScaling;
import dev.isobit.LrSchedule;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Guarded steps of a float32 backend: the bits of {@link GuardDefinition}, nothing written beside the outputs, norms within
 * the promised distance from float64, and steps that are skipped leave every bit.
 */
public abstract class GuardContract extends BackendContract {
    private static final StepOptions PLAIN = StepOptions.defaults();
    private static final GradScaling SCALING = new GradScaling(1024, 2, 0.5f, 3);
    private static final SgdOptions SGD = SgdOptions.defaults().withLr(0.1).withMomentum(0.9);

    private static final List<LrSchedule> SCHEDULES = List.of(LrSchedule.constant(), LrSchedule.cosine(4, 0),
            LrSchedule.linear(3, 0.25).withWarmup(2, 0.5), LrSchedule.step(2, 0.3),
            LrSchedule.cosine(700, 0.1).withWarmup(3, 0));

    /** For subclasses. */
    protected GuardContract() {}

    private static List<StepOptions> stepOptions() {
        return List.of(PLAIN.withSkipNonFinite(true), PLAIN.withMaxNorm(0.05), PLAIN.withMaxNorm(1e30),
                PLAIN.withClipValue(0.005), PLAIN.withZeroGrad(true), PLAIN.withGradScaling(SCALING),
                PLAIN.withGradScaling(SCALING).withMaxNorm(1e-4).withClipValue(1e-6).withZeroGrad(true),
                PLAIN.withGradScaling(GradScaling.constant(3)).withClipValue(0.001),
                PLAIN.withSkipNonFinite(true).withZeroGrad(true), PLAIN.withGradDivisor(3),
                PLAIN.withGradScaling(SCALING).withGradDivisor(7).withMaxNorm(1e-3));
    }

    /** Sizes of the parameters of each group. */
    static List<List<List<Integer>>> shapes() {
        return List.of(List.of(List.of()), List.of(List.of(0)), List.of(List.of(1)),
                List.of(List.of(5, 0, 33), List.of(7)),
                // around lanes and segments, which tensors cross
                List.of(List.of(1023, 2, 1024), List.of(17), List.of(6130, 1)),
                List.of(List.of(8191, 3), List.of(20_001), List.of(8192)),
                List.of(IntStream.range(0, 300).map(i -> 1 + i * 7 % 70).boxed().toList(), List.of(3)));
    }

    /** The same parameters as arrays, for the definition, and as tensors. */
    private final class Model implements AutoCloseable {
        final StepOptions options;
        final List<AdamOptions> adamOptions = new ArrayList<>();
        final List<SgdOptions> sgdOptions = new ArrayList<>();
        final List<List<AdamArrays>> arrays = new ArrayList<>();
        final List<List<AdamParameter>> parameters = new ArrayList<>();
        final List<Tensor> outputs = new ArrayList<>();
        final double[] lrs;
        final boolean[] enabled;
        final GuardDefinition definition;
        final Adam adam;
        final Sgd sgd;

        Model(StepOptions options, List<List<Integer>> shape, boolean amsgrad, boolean isSgd, SplittableRandom random) {
            this.options = options;
            int tensors = shape.stream().mapToInt(List::size).sum();
            int elements = shape.stream().flatMap(List::stream).mapToInt(Integer::intValue).sum();
            block().begin(20L * elements + 400L * tensors, 5 * tensors);
            AdamOptions adamW = AdamOptions.adamW().withLr(0.01).withAmsgrad(amsgrad);
            List<AdamOptions> variants = List.of(adamW, adamW.withSemantics(AdamSemantics.ONNX).withMaximize(true),
                    AdamOptions.adam().withWeightDecay(0.1).withAmsgrad(amsgrad),
                    adamW.withSemantics(AdamSemantics.HF), adamW.withSemantics(AdamSemantics.KERAS));
            List<SgdOptions> plain = List.of(SGD.withNesterov(true), SGD.withMomentum(0).withWeightDecay(0.1),
                    SGD.withDampening(0.2).withMaximize(true));
            for (int g = 0; g < shape.size(); g++) {
                LrSchedule schedule = SCHEDULES.get(random.nextInt(SCHEDULES.size()));
                adamOptions.add(variants.get(g % variants.size()).withSchedule(schedule));
                sgdOptions.add(plain.get(g % plain.size()).withSchedule(schedule));
                List<AdamArrays> ofGroup = new ArrayList<>();
                List<AdamParameter> there = new ArrayList<>();
                boolean momentum = sgdOptions.get(g).momentum() != 0;
                for (int size : shape.get(g)) {
                    AdamArrays a = AdamArrays.of(AdamArrays.Kind.NORMAL, size, random);
                    float[][] all = {a.param(), a.grad(), a.expAvg(), a.expAvgSq(), a.maxExpAvgSq()};
                    boolean alike = random.nextBoolean();
                    int skip = random.nextInt(16);
                    Tensor[] t = new Tensor[5];
                    for (int role = 0; role < (isSgd ? momentum ? 3 : 2 : amsgrad ? 5 : 4); role++) {
                        t[role] = block().floats(all[role], alike ? skip : random.nextInt(16), size);
                        if (role != 1 || options.zeroGrad()) {
                            outputs.add(t[role]);
                        }
                    }
                    ofGroup.add(a);
                    there.add(new AdamParameter("p" + g + "." + ofGroup.size(), t[0], t[1], t[2], t[3], t[4]));
                }
                arrays.add(ofGroup);
                parameters.add(there);
            }
            block().upload();
            lrs = IntStream.range(0, shape.size()).mapToDouble(g -> 0.01 * (g + 1)).toArray();
            enabled = new boolean[shape.size()];
            Arrays.fill(enabled, true);
            definition = new GuardDefinition(options, shape.size());
            var stream = backend().defaultStream();
            adam = isSgd
                    ? null
                    : Adam.on(backend(), IntStream.range(0, shape.size())
                            .mapToObj(g -> new AdamGroup(adamOptions.get(g).withLr(lrs[g]), parameters.get(g)))
                            .toList(),
                            options, stream);
            sgd = isSgd
                    ? Sgd.on(backend(), IntStream.range(0, shape.size())
                            .mapToObj(g -> new SgdGroup(sgdOptions.get(g).withLr(lrs[g]), parameters.get(g).stream()
                                    .map(p -> new SgdParameter(p.name(), p.param(), p.grad(), p.expAvg())).toList()))
                            .toList(), options, stream)
                    : null;
        }

        void enable(int group, boolean on) {
            enabled[group] = on;
            if (adam != null) {
                adam.setEnabled(group, on);
            } else {
                sgd.setEnabled(group, on);
            }
        }

        void setGradDivisor(float divisor) {
            definition.setGradDivisor(divisor);
            if (adam != null) {
                adam.setGradDivisor(divisor);
                assertEquals(divisor, adam.gradDivisor());
            } else {
                sgd.setGradDivisor(divisor);
                assertEquals(divisor, sgd.gradDivisor());
            }
        }

        /** Other gradients. */
        void setGradients(SplittableRandom random, float magnitude) {
            for (int g = 0; g < arrays.size(); g++) {
                for (int i = 0; i < arrays.get(g).size(); i++) {
                    float[] grad = arrays.get(g).get(i).grad();
                    for (int k = 0; k < grad.length; k++) {
                        grad[k] = magnitude * LogitsKind.gaussian(random);
                    }
                    upload(g, i);
                }
            }
        }

        void upload(int group, int parameter) {
            float[] grad = arrays.get(group).get(parameter).grad();
            backend().copy(Tensor.of(grad, grad.length), parameters.get(group).get(parameter).grad());
        }

        StepState state() {
            return adam != null ? adam.stepState() : sgd.stepState();
        }

        long stepCount(int group) {
            return adam != null ? adam.stepCount(group) : sgd.stepCount(group);
        }

        /** Does a step on either side. */
        void step() {
            if (adam != null) {
                definition.adam(adamOptions, lrs, enabled, arrays);
                adam.step();
            } else {
                definition.sgd(sgdOptions, lrs, enabled, arrays);
                sgd.step();
            }
        }

        long compare(String what) {
            block().download();
            long compared = 0;
            for (int g = 0; g < arrays.size(); g++) {
                assertEquals(definition.steps(g), stepCount(g), what + ": steps of group " + g);
                for (int i = 0; i < arrays.get(g).size(); i++) {
                    AdamArrays a = arrays.get(g).get(i);
                    AdamParameter p = parameters.get(g).get(i);
                    String which = what + ", group " + g + ", " + p.name();
                    compared += Bits.assertSame(which + " param", a.param(), block().read(p.param()));
                    compared += Bits.assertSame(which + " grad", a.grad(), block().read(p.grad()));
                    if (p.expAvg() != null) {
                        compared += Bits.assertSame(which + " expAvg", a.expAvg(), block().read(p.expAvg()));
                    }
                    if (p.expAvgSq() != null) {
                        compared += Bits.assertSame(which + " expAvgSq", a.expAvgSq(), block().read(p.expAvgSq()));
                    }
                    if (p.maxExpAvgSq() != null) {
                        compared += Bits.assertSame(which + " maxExpAvgSq", a.maxExpAvgSq(),
                                block().read(p.maxExpAvgSq()));
                    }
                }
            }
            assertEquals(definition.state(), state(), what);
            assertEquals(definition.state().gradScale(), scale(), what);
            return compared;
        }

        private float scale() {
            float[] scale = new float[1];
            backend().copy(adam != null ? adam.gradScale() : sgd.gradScale(), Tensor.of(scale));
            return scale[0];
        }

        @Override
        public void close() {
            if (adam != null) {
                adam.close();
            }
            if (sgd != null) {
                sgd.close();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void everyOption(List<List<Integer>> shape) {
        long compared = 0;
        for (StepOptions options : stepOptions()) {
            for (int kind = 0; kind < 3; kind++) {
                SplittableRandom random = new SplittableRandom(kind);
                try (Model model = new Model(options, shape, kind == 1, kind == 2, random)) {
                    String what = options + (kind == 2 ? " SGD " : kind == 1 ? " AMSGrad " : " Adam ") + shape;
                    for (int step = 0; step < 5; step++) {
                        model.setGradients(random, step == 2 ? 1e15f : 0.01f);
                        if (step == 1) {
                            model.enable(shape.size() - 1, false);
                        } else if (step == 3) {
                            model.enable(shape.size() - 1, true);
                            model.setGradDivisor(0.3f);
                            spoil(model, random);
                        }
                        model.step();
                        compared += model.compare(what + ", step " + step);
                    }
                }
            }
        }
        assertTrue(compared > 0 || shape.stream().allMatch(g -> g.stream().allMatch(n -> n == 0)), "nothing compared");
    }

    /** One element that is not finite, anywhere. */
    private static void spoil(Model model, SplittableRandom random) {
        List<int[]> all = new ArrayList<>();
        for (int g = 0; g < model.arrays.size(); g++) {
            for (int i = 0; i < model.arrays.get(g).size(); i++) {
                if (model.arrays.get(g).get(i).grad().length > 0) {
                    all.add(new int[] {g, i});
                }
            }
        }
        if (!all.isEmpty()) {
            int[] one = all.get(random.nextInt(all.size()));
            float[] grad = model.arrays.get(one[0]).get(one[1]).grad();
            grad[random.nextInt(grad.length)] = switch (random.nextInt(3)) {
                case 0 -> Float.NEGATIVE_INFINITY;
                case 1 -> Float.POSITIVE_INFINITY;
                default -> LogitsKind.nan(random);
            };
            model.upload(one[0], one[1]);
        }
    }

    /** Each element of each parameter in turn: nothing moves, the scale backs off, the count is right. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aNonFiniteGradientAnywhere(boolean isSgd) {
        List<List<Integer>> shape = List.of(List.of(3, 21), List.of(1), List.of(40));
        float[] bad = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.intBitsToFloat(0xffc12345)};
        SplittableRandom random = new SplittableRandom(3);
        StepOptions options = PLAIN.withGradScaling(new GradScaling(0x1p100f, 2, 0.5f, 2000)).withMaxNorm(1);
        try (Model model = new Model(options, shape, false, isSgd, random)) {
            model.step();
            model.compare("a step that is done");
            StepState before = model.state();
            int skipped = 0;
            for (int g = 0; g < shape.size(); g++) {
                for (int i = 0; i < shape.get(g).size(); i++) {
                    float[] grad = model.arrays.get(g).get(i).grad();
                    for (int k = 0; k < grad.length; k++) {
                        float kept = grad[k];
                        grad[k] = bad[skipped % bad.length];
                        model.upload(g, i);
                        model.step();
                        skipped++;
                        StepState state = model.state();
                        assertTrue(state.foundInf());
                        assertEquals(skipped, state.skippedSteps());
                        assertEquals(0, state.growthTracker());
                        assertEquals(before.gradScale() * Math.scalb(1f, -skipped), state.gradScale());
                        grad[k] = kept;
                        model.upload(g, i);
                    }
                }
            }
            assertEquals(65, skipped);
            model.compare("after " + skipped + " steps that were skipped");
            assertEquals(1, model.stepCount(0));
            model.step();
            assertFalse(model.state().foundInf());
            model.compare("and one that was done");
        }
    }

    /** A group that is not enabled is not looked at. */
    @Test
    void nonFiniteGradientsOfADisabledGroup() {
        SplittableRandom random = new SplittableRandom(4);
        try (Model model = new Model(PLAIN.withMaxNorm(0.1).withZeroGrad(true), List.of(List.of(9), List.of(5)), false,
                false, random)) {
            Arrays.fill(model.arrays.get(1).get(0).grad(), Float.NaN);
            model.upload(1, 0);
            model.enable(1, false);
            model.step();
            model.compare("disabled");
            assertEquals(1, model.stepCount(0));
            assertEquals(0, model.stepCount(1));
            assertTrue(Float.isNaN(model.arrays.get(1).get(0).grad()[0]));
        }
    }

    /** Values that anyone can work out. */
    @Test
    void knownResults() {
        float scale = 8;
        block().begin(64, 2);
        Tensor param = block().floats(new float[] {1, 2}, 0, 2);
        Tensor grad = block().floats(new float[] {3 * scale, -4 * scale}, 0, 2);
        block().upload();
        // The norm is 5: clipped to 2.5, the gradient is (1.5, -2); clipped by value (1.5, -1.75).
        StepOptions options = PLAIN.withGradScaling(new GradScaling(scale, 4, 0.5f, 2)).withMaxNorm(2.5000005)
                .withClipValue(1.75);
        try (Sgd sgd = Sgd.on(backend(), List.of(new SgdGroup(SgdOptions.defaults().withLr(1),
                List.of(SgdParameter.of("p", param, grad)))), options, backend().defaultStream())) {
            assertEquals(new StepState(8, 0, 0, Double.NaN, false), sgd.stepState());
            sgd.step();
            assertEquals(new StepState(8, 1, 0, 5, false), sgd.stepState());
            block().download();
            Bits.assertSame("param", new float[] {-0.5f, 3.75f}, block().read(param));
            sgd.step();
            assertEquals(new StepState(32, 0, 0, 5, false), sgd.stepState());
            backend().copy(Tensor.of(new float[] {Float.POSITIVE_INFINITY, 0}, 2), grad);
            sgd.step();
            assertEquals(new StepState(16, 0, 1, Double.POSITIVE_INFINITY, true), sgd.stepState());
            assertEquals(2, sgd.stepCount(0));
        }
    }

    /** The gradients of four micro-batches are added up where they are, then the step divides them: their mean. */
    @Test
    void aSumOverMicroBatches() {
        block().begin(64, 2);
        Tensor param = block().floats(new float[] {1, 2}, 0, 2);
        Tensor grad = block().floats(new float[] {12, -16}, 0, 2);
        block().upload();
        StepOptions options = PLAIN.withGradDivisor(4).withMaxNorm(2.5000005).withZeroGrad(true);
        try (Sgd sgd = Sgd.on(backend(), List.of(new SgdGroup(SgdOptions.defaults().withLr(1),
                List.of(SgdParameter.of("p", param, grad)))), options, backend().defaultStream())) {
            assertEquals(4, sgd.gradDivisor());
            sgd.step();
            // The mean is (3, -4): clipped to half of it.
            assertEquals(new StepState(1, 0, 0, 5, false), sgd.stepState());
            block().download();
            Bits.assertSame("param", new float[] {-0.5f, 4}, block().read(param));
            Bits.assertSame("grad", new float[2], block().read(grad));
            for (float bad : new float[] {0, -1, Float.NaN, Float.POSITIVE_INFINITY, Float.MIN_VALUE}) {
                var e = assertThrows(IllegalArgumentException.class, () -> sgd.setGradDivisor(bad));
                assertTrue(e.getMessage().contains("gradDivisor = " + bad), e.getMessage());
            }
            assertEquals(4, sgd.gradDivisor());
        }
    }

    /** A scale that cannot grow or shrink any more stays what it is. */
    @Test
    void scalesAtTheEnds() {
        for (boolean grows : new boolean[] {true, false}) {
            float start = grows ? 0x1p126f : 0x1p-125f;
            block().begin(64, 2);
            Tensor param = block().floats(new float[] {1}, 0, 1);
            Tensor grad = block().floats(new float[] {grows ? 0 : Float.NaN}, 0, 1);
            block().upload();
            StepOptions options = PLAIN.withGradScaling(new GradScaling(start, 2, 0.5f, 1));
            try (Sgd sgd = Sgd.on(backend(), List.of(new SgdGroup(SgdOptions.defaults(),
                    List.of(SgdParameter.of("p", param, grad)))), options, backend().defaultStream())) {
                for (int i = 0; i < 4; i++) {
                    sgd.step();
                }
                assertEquals(grows ? 0x1p127f : Float.MIN_NORMAL, sgd.stepState().gradScale());
            }
        }
    }

    /** Promise 2: the norm within 10 ULP of float32. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 100, 8193, 100_000})
    void distanceOfTheNorm(int size) {
        for (float magnitude : new float[] {1e-15f, 1, 1e15f}) {
            SplittableRandom random = new SplittableRandom(size);
            try (Model model = new Model(PLAIN.withMaxNorm(1), List.of(List.of(size)), false, true, random)) {
                model.setGradients(random, magnitude);
                double sum = 0;
                for (float g : model.arrays.get(0).get(0).grad()) {
                    sum += (double) g * g;
                }
                model.step();
                double exact = Math.sqrt(sum);
                double error = Math.abs(model.state().gradNorm() - exact) / Math.ulp((float) exact);
                assertTrue(error <= 10, size + " of " + magnitude + ": " + error + " ULP");
            }
        }
    }

    /** Sums of segments of which one is so large that the order of the others shows. */
    @Test
    void orderOfTheSegments() {
        SplittableRandom random = new SplittableRandom(6);
        try (Model model = new Model(PLAIN.withSkipNonFinite(true), List.of(List.of(64 * 8192 - 5, 9)), false, true,
                random)) {
            float[] grad = model.arrays.get(0).get(0).grad();
            Arrays.fill(grad, 0);
            for (int i = 0; i < grad.length; i += 8192) {
                grad[i + 1] = i == 0 ? 0x1p27f : 1;
            }
            model.upload(0, 0);
            model.step();
            assertTrue(model.state().gradNorm() > 0x1p27, "the others were lost");
            model.compare("norm");
        }
    }

    /** A thousand steps, some of them skipped, with a learning rate that changes and a scale that grows and backs off. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void trajectory(boolean isSgd) {
        SplittableRandom random = new SplittableRandom(8);
        StepOptions options =
                PLAIN.withGradScaling(new GradScaling(64, 2, 0.5f, 20)).withMaxNorm(0.5).withClipValue(0.2);
        try (Model model = new Model(options, List.of(List.of(100, 37), List.of(21)), false, isSgd, random)) {
            for (int step = 1; step <= 1000; step++) {
                for (int g = 0; g < 2; g++) {
                    for (int i = 0; i < model.arrays.get(g).size(); i++) {
                        AdamArrays a = model.arrays.get(g).get(i);
                        float scale = model.definition.state().gradScale();
                        for (int k = 0; k < a.grad().length; k++) {
                            a.grad()[k] = scale * (a.param()[k] - 0.5f + 0.1f * LogitsKind.gaussian(random));
                        }
                        model.upload(g, i);
                    }
                    model.lrs[g] = 0.05 * (g + 1) / Math.sqrt(step);
                    if (isSgd) {
                        model.sgd.setLr(g, model.lrs[g]);
                    } else {
                        model.adam.setLr(g, model.lrs[g]);
                    }
                }
                if (random.nextInt(30) == 0) {
                    spoil(model, random);
                }
                model.step();
                if (step % 50 == 0) {
                    model.compare("step " + step);
                }
            }
            assertTrue(model.state().skippedSteps() > 10);
        }
    }

    /** What was saved goes on with the bits it would have had. */
    @Test
    void resumed() {
        SplittableRandom random = new SplittableRandom(9);
        StepOptions options = PLAIN.withGradScaling(SCALING);
        try (Model model = new Model(options, List.of(List.of(40)), false, false, random)) {
            for (int i = 0; i < 4; i++) {
                model.step();
            }
            StepState state = model.state();
            long count = model.stepCount(0);
            AdamParameter p = model.parameters.get(0).get(0);
            try (Adam again = Adam.on(backend(), List.of(new AdamGroup(model.adamOptions.get(0).withLr(model.lrs[0]),
                    List.of(p))), options, backend().defaultStream())) {
                again.setStepState(state);
                again.setStepCount(count);
                model.definition.adam(model.adamOptions, model.lrs, model.enabled, model.arrays);
                model.definition.adam(model.adamOptions, model.lrs, model.enabled, model.arrays);
                again.step();
                again.step();
                assertEquals(model.definition.state(), again.stepState());
                assertEquals(6, again.stepCount());
            }
            block().download();
            Bits.assertSame("param", model.arrays.get(0).get(0).param(), block().read(p.param()));
        }
    }

    @Test
    void refused() {
        assertThrows(IllegalArgumentException.class, () -> PLAIN.withMaxNorm(0));
        assertThrows(IllegalArgumentException.class, () -> PLAIN.withMaxNorm(Double.NaN));
        assertThrows(IllegalArgumentException.class, () -> PLAIN.withClipValue(-1));
        assertThrows(IllegalArgumentException.class, () -> GradScaling.constant(0));
        assertThrows(IllegalArgumentException.class, () -> GradScaling.constant(Float.MIN_VALUE));
        assertThrows(IllegalArgumentException.class, () -> GradScaling.constant(Float.POSITIVE_INFINITY));
        assertThrows(IllegalArgumentException.class, () -> new GradScaling(1, 0.5f, 0.5f, 1));
        assertThrows(IllegalArgumentException.class, () -> new GradScaling(1, 2, 1.5f, 1));
        assertThrows(IllegalArgumentException.class, () -> new GradScaling(1, 2, 0.5f, 0));
        assertThrows(IllegalArgumentException.class, () -> new StepState(Float.NaN, 0, 0, 0, false));
        assertThrows(IllegalArgumentException.class, () -> new StepState(1, -1, 0, 0, false));
        block().begin(64, 2);
        Tensor param = block().floats(new float[] {1}, 0, 1);
        Tensor grad = block().floats(new float[] {1}, 0, 1);
        try (Sgd sgd = Sgd.on(backend(), SgdOptions.defaults(), List.of(SgdParameter.of("p", param, grad)))) {
            assertThrows(IllegalStateException.class, sgd::stepState);
            assertThrows(IllegalStateException.class, sgd::gradScale);
        }
    }
}
