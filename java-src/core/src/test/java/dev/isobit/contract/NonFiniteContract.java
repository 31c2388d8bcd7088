package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * A gradient that is not finite, wherever it is: at the ends of every parameter, around vectors, lanes, chunks and segments,
 * in small tensors between others, in any type. Nothing moves, the scale backs off, the count is right. In a group that
 * rests it is not looked at.
 */
public abstract class NonFiniteContract extends BackendContract {
    /** Of each group: chunks of a table and segments of a norm begin and end in them; many of the last share a block. */
    private static final List<List<Integer>> SIZES = List.of(List.of(5, 0, 33, 2049, 1), List.of(70, 4100),
            IntStream.range(0, 24).map(i -> 1 + i * 7 % 40).boxed().toList(), List.of(2300));
    private static final int RESTING = 1;
    private static final int[] PLACES = {0, 1, 3, 4, 7, 8, 15, 16, 31, 32, 1023, 1024, 2047, 2048, 4095, 4096};
    private static final float[] BAD = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY,
        Float.intBitsToFloat(0xffc10000)};
    private static final float SCALE = 0x1p100f;

    /** For subclasses. */
    protected NonFiniteContract() {}

    /** The simulated device is to be empty after each test. */
    @AfterEach
    void closeEach() {
        closeBackend();
    }

    /** What is optimized, and how it is kept. */
    protected enum Kind {
        /** F32 alone. */
        ADAM(false, DType.F32),
        /** BF16 with remainders, with masters, rounded stochastically. */
        ADAM_OF_BF16(false, DType.BF16),
        /** Gradients of F16. */
        ADAM_OF_F16(false, DType.F16),
        /** F32 alone. */
        SGD(true, DType.F32),
        /** BF16 with remainders, with masters, rounded stochastically. */
        SGD_OF_BF16(true, DType.BF16),
        /** Each parameter of its own types. */
        SGD_OF_ANY(true, null);

        private final boolean isSgd;
        private final DType dtype;

        Kind(boolean isSgd, DType dtype) {
            this.isSgd = isSgd;
            this.dtype = dtype;
        }

        private DType dtype(int number) {
            return dtype != null ? dtype : new DType[] {DType.F32, DType.BF16, DType.F16}[number % 3];
        }
    }

    /** A gradient that can be spoiled. */
    private record Gradient(int group, float[] values, Tensor tensor) {}

    /** Parameters under an optimizer. */
    private final class Model implements AutoCloseable {
        final List<Gradient> gradients = new ArrayList<>();
        final List<List<Tensor>> written = new ArrayList<>();
        final Adam adam;
        final Sgd sgd;

        Model(Kind kind, StepOptions options) {
            int elements = SIZES.stream().flatMap(List::stream).mapToInt(Integer::intValue).sum();
            int tensors = SIZES.stream().mapToInt(List::size).sum();
            block().begin(24L * elements + 400L * tensors, 6 * tensors);
            SplittableRandom random = new SplittableRandom(kind.ordinal());
            List<AdamGroup> adams = new ArrayList<>();
            List<SgdGroup> sgds = new ArrayList<>();
            AdamOptions adamW = AdamOptions.adamW().withRounding(new StochasticRounding(7)).withAmsgrad(true);
            SgdOptions momentum =
                    SgdOptions.defaults().withLr(0.1).withMomentum(0.9).withRounding(new StochasticRounding(7));
            int number = 0;
            for (int g = 0; g < SIZES.size(); g++) {
                List<AdamParameter> ofAdam = new ArrayList<>();
                List<SgdParameter> ofSgd = new ArrayList<>();
                written.add(new ArrayList<>());
                for (int size : SIZES.get(g)) {
                    DType dtype = kind.dtype(number);
                    AdamArrays a = AdamArrays.of(AdamArrays.Kind.NORMAL, size, random);
                    Tensor param = state(g, dtype, a.param(), random);
                    Tensor grad = block().floats(dtype, a.grad(), random.nextInt(16), size);
                    gradients.add(new Gradient(g, a.grad(), grad));
                    DType moments = dtype == DType.BF16 && number % 2 == 0 ? DType.BF16 : DType.F32;
                    Tensor expAvg = state(g, moments, a.expAvg(), random);
                    Tensor master = dtype == DType.F32 || number % 3 == 0
                            ? null
                            : dtype == DType.BF16 && number % 3 == 1
                                    ? block().indices(DType.I16, new long[size], random.nextInt(16), size)
                                    : block().floats(a.param(), random.nextInt(16), size);
                    if (master != null) {
                        written.get(g).add(master);
                    }
                    if (kind.isSgd) {
                        ofSgd.add(new SgdParameter("p" + number, param, grad, expAvg).withMaster(master));
                    } else {
                        ofAdam.add(new AdamParameter("p" + number, param, grad, expAvg,
                                state(g, moments, a.expAvgSq(), random), state(g, moments, a.maxExpAvgSq(), random))
                                .withMaster(master));
                    }
                    number++;
                }
                adams.add(new AdamGroup(adamW, ofAdam));
                sgds.add(new SgdGroup(momentum, ofSgd));
            }
            block().upload();
            adam = kind.isSgd ? null : Adam.on(backend(), adams, options, backend().defaultStream());
            sgd = kind.isSgd ? Sgd.on(backend(), sgds, options, backend().defaultStream()) : null;
        }

        private Tensor state(int group, DType dtype, float[] values, SplittableRandom random) {
            Tensor tensor = block().floats(dtype, values, random.nextInt(16), values.length);
            written.get(group).add(tensor);
            return tensor;
        }

        /** Another value for one element of a gradient. */
        void put(Gradient gradient, int element, float value) {
            float[] values = gradient.values.clone();
            values[element] = value;
            upload(gradient, values);
        }

        void restore(Gradient gradient) {
            upload(gradient, gradient.values);
        }

        private void upload(Gradient gradient, float[] values) {
            DType dtype = gradient.tensor.dtype();
            if (dtype == DType.F32) {
                backend().copy(Tensor.of(values, values.length), gradient.tensor);
                return;
            }
            short[] bits = new short[values.length];
            for (int i = 0; i < bits.length; i++) {
                bits[i] = Rounded.bits(dtype, values[i]);
            }
            backend().copy(Tensor.of(dtype, MemorySegment.ofArray(bits), bits.length), gradient.tensor);
        }

        void step() {
            if (adam != null) {
                adam.step();
            } else {
                sgd.step();
            }
        }

        void accumulate() {
            if (adam != null) {
                adam.accumulate();
            } else {
                sgd.accumulate();
            }
        }

        void setEnabled(int group, boolean enabled) {
            if (adam != null) {
                adam.setEnabled(group, enabled);
            } else {
                sgd.setEnabled(group, enabled);
            }
        }

        StepState state() {
            return adam != null ? adam.stepState() : sgd.stepState();
        }

        long stepCount(int group) {
            return adam != null ? adam.stepCount(group) : sgd.stepCount(group);
        }

        void assertSteps(String what, long... counts) {
            for (int g = 0; g < counts.length; g++) {
                assertEquals(counts[g], stepCount(g), what + ", steps of group " + g);
            }
        }

        @Override
        public void close() {
            if (adam != null) {
                adam.close();
            } else {
                sgd.close();
            }
        }
    }

    /** One skipped step more than so many. */
    private static void assertSkipped(String what, int skipped, StepState state) {
        assertTrue(state.foundInf(), what);
        assertEquals(skipped, state.skippedSteps(), what);
        assertEquals(0, state.growthTracker(), what);
        assertEquals(Math.scalb(SCALE, -skipped), state.gradScale(), what);
        assertFalse(Double.isFinite(state.gradNorm()), what);
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void anywhere(Kind kind) {
        StepOptions options =
                StepOptions.defaults().withGradScaling(new GradScaling(SCALE, 2, 0.5f, 100_000)).withMaxNorm(1);
        try (Model model = new Model(kind, options)) {
            int skipped = 0;
            for (int i = 0; i < model.gradients.size(); i++) {
                Gradient gradient = model.gradients.get(i);
                int size = gradient.values.length;
                for (int element : IntStream.concat(Arrays.stream(PLACES), IntStream.of(size - 1)).distinct()
                        .filter(place -> place >= 0 && place < size && isWorthwhile(place, size)).toArray()) {
                    String what = kind + ", parameter " + i + " of " + size + ", element " + element;
                    model.put(gradient, element, BAD[skipped % BAD.length]);
                    model.step();
                    assertSkipped(what, ++skipped, model.state());
                    model.restore(gradient);
                }
                block().download();
                block().assertUntouchedBut(kind + ", parameter " + i);
            }
            model.assertSteps(kind + "", 0, 0, 0, 0);
            assertTrue(skipped > 80, skipped + " steps");
            aGroupThatRests(kind, model, skipped);
        }
    }

    /** Of small tensors the ends alone: there are many of them. */
    private static boolean isWorthwhile(int place, int size) {
        return place == 0 || place == size - 1 || size > 32;
    }

    /** What is not finite in it is not looked at, and does not move; what is not finite elsewhere moves nothing. */
    private void aGroupThatRests(Kind kind, Model model, int skippedBefore) {
        model.setEnabled(RESTING, false);
        for (Gradient gradient : model.gradients) {
            if (gradient.group == RESTING) {
                model.put(gradient, gradient.values.length - 1, Float.NaN);
                model.put(gradient, 0, Float.NEGATIVE_INFINITY);
            }
        }
        Gradient other = model.gradients.getLast();
        model.put(other, other.values.length - 1, Float.POSITIVE_INFINITY);
        model.step();
        assertSkipped(kind + " beside a group that rests", skippedBefore + 1, model.state());
        model.restore(other);
        model.assertSteps(kind + "", 0, 0, 0, 0);
        model.step();
        StepState state = model.state();
        assertFalse(state.foundInf(), kind + "");
        assertEquals(skippedBefore + 1, state.skippedSteps());
        assertEquals(1, state.growthTracker());
        assertTrue(Double.isFinite(state.gradNorm()) && state.gradNorm() > 0, state + "");
        model.assertSteps(kind + "", 1, 0, 1, 1);
        List<Tensor> touched = new ArrayList<>();
        for (int g = 0; g < SIZES.size(); g++) {
            if (g != RESTING) {
                touched.addAll(model.written.get(g));
            }
        }
        model.gradients.stream().filter(gradient -> gradient.group == RESTING).forEach(model::restore);
        block().download();
        block().assertUntouchedBut(kind + ", a group that rests", touched.toArray(new Tensor[0]));
        // And it was a step: the others moved.
        Tensor param = model.written.get(3).getFirst();
        float[] moved = block().read(param);
        model.step();
        block().download();
        assertFalse(Arrays.equals(moved, block().read(param)), kind + ": nothing moved");
    }

    /** In one micro-batch of three: the sum is not finite, the step is skipped, and the next sum begins anew. */
    @ParameterizedTest
    @EnumSource(Kind.class)
    void inAMicroBatch(Kind kind) {
        StepOptions options = StepOptions.defaults().withGradScaling(new GradScaling(SCALE, 2, 0.5f, 100_000))
                .withAccumulateGrad(true);
        try (Model model = new Model(kind, options)) {
            int skipped = 0;
            for (int i = 0; i < model.gradients.size(); i += 5) {
                Gradient gradient = model.gradients.get(i);
                int size = gradient.values.length;
                if (size == 0) {
                    continue;
                }
                String what = kind + ", parameter " + i + " of " + size;
                model.accumulate();
                model.put(gradient, size - 1, BAD[i % BAD.length]);
                model.accumulate();
                model.restore(gradient);
                model.accumulate();
                model.step();
                assertSkipped(what, ++skipped, model.state());
                block().download();
                block().assertUntouchedBut(what);
            }
            model.assertSteps(kind + "", 0, 0, 0, 0);
            model.accumulate();
            model.step();
            assertFalse(model.state().foundInf());
            assertEquals(skipped, model.state().skippedSteps());
            model.assertSteps(kind + "", 1, 1, 1, 1);
        }
    }
}
