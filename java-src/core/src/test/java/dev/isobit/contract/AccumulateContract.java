package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
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
import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Gradients that are summed over micro-batches on a float32 backend: the sums of kernels/NUMERICS.md to the bit, whatever the
 * gradients' types; a step with accumulators is the step whose gradients are these sums; nothing else is written.
 */
public abstract class AccumulateContract extends BackendContract {
    private static final StepOptions PLAIN = StepOptions.defaults().withAccumulateGrad(true);
    private static final AdamOptions ADAM_W = AdamOptions.adamW().withLr(0.01);
    private static final SgdOptions SGD = SgdOptions.defaults().withLr(0.1).withMomentum(0.9);
    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16};
    /** Around vectors, packs, warps, blocks and chunks. */
    private static final int[] SIZES = {0, 1, 7, 8, 9, 17, 33, 257, 1023, 1025, 2047, 2048, 2500, 4100};

    /** For subclasses. */
    protected AccumulateContract() {}

    /** A simulated driver starts afresh for each test. */
    @AfterEach
    void closeAfterEach() {
        closeBackend();
    }

    /** A parameter whose gradients are summed, and its twin, whose gradient is the sum. */
    private final class Pair {
        final float[] grad;
        final float[] sum;
        /** Parameter, moments: given and of the twin. */
        final Tensor[] state;
        final Tensor[] twin;
        final Tensor gradTensor;
        final Tensor accumulator;
        final Tensor twinGrad;

        Pair(AdamArrays.Kind kind, DType paramType, DType gradType, int size, boolean startsAtZero,
                SplittableRandom random) {
            AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.NORMAL, size, random);
            grad = Rounded.to(gradType, AdamArrays.of(kind, size, random).grad()).clone();
            sum = startsAtZero ? new float[size] : AdamArrays.of(kind, size, random).grad();
            boolean alike = random.nextBoolean();
            int skip = random.nextInt(16);
            float[][] values = {arrays.param(), arrays.expAvg(), arrays.expAvgSq()};
            state = new Tensor[3];
            twin = new Tensor[3];
            for (int i = 0; i < 3; i++) {
                DType dtype = i == 0 ? paramType : DType.F32;
                state[i] = block().floats(dtype, values[i], alike ? skip : random.nextInt(16), size);
                twin[i] = block().floats(dtype, values[i], 0, size);
            }
            gradTensor = block().floats(gradType, grad, alike ? skip : random.nextInt(16), size);
            accumulator = block().floats(sum, alike ? skip : random.nextInt(16), size);
            twinGrad = block().floats(sum, 0, size);
        }

        AdamParameter adam(String name) {
            return new AdamParameter(name, state[0], gradTensor, state[1], state[2]).withGradAccumulator(accumulator);
        }

        SgdParameter sgd(String name) {
            return new SgdParameter(name, state[0], gradTensor, state[1]).withGradAccumulator(accumulator);
        }

        AdamParameter adamTwin(String name) {
            return new AdamParameter(name, twin[0], twinGrad, twin[1], twin[2]);
        }

        SgdParameter sgdTwin(String name) {
            return new SgdParameter(name, twin[0], twinGrad, twin[1]);
        }

        /** The definition. */
        void add(boolean zeroes) {
            for (int i = 0; i < sum.length; i++) {
                sum[i] = CrossEntropyDefinition.canonical(sum[i] + grad[i]);
                grad[i] = zeroes ? 0 : grad[i];
            }
        }

        void setGrad(float[] values) {
            float[] rounded = Rounded.to(gradTensor.dtype(), values);
            System.arraycopy(rounded, 0, grad, 0, grad.length);
            uploadTo(gradTensor, grad);
        }

        long compare(String what) {
            return Bits.assertSame(what + ", sum of " + gradTensor.dtype(), sum, block().read(accumulator))
                    + Bits.assertSame(what + ", grad " + gradTensor.dtype(), grad, block().read(gradTensor));
        }

        void compareWithTwin(String what) {
            for (int i = 0; i < 3; i++) {
                Bits.assertSame(what + ", operand " + i, block().read(twin[i]), block().read(state[i]));
            }
            Bits.assertSame(what + ", sum", sum, block().read(accumulator));
            Bits.assertSame(what + ", grad", grad, block().read(gradTensor));
        }
    }

    private void uploadTo(Tensor tensor, float[] values) {
        if (tensor.dtype() == DType.F32) {
            backend().copy(Tensor.of(values.clone(), values.length), tensor);
            return;
        }
        short[] bits = new short[values.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = Rounded.bits(tensor.dtype(), values[i]);
        }
        backend().copy(Tensor.of(tensor.dtype(), MemorySegment.ofArray(bits), bits.length), tensor);
    }

    private static int bytes(int size) {
        return 48 * size + 1200;
    }

    /** Every type of gradient and kind of element, in parameters of one launch; one group of them sits out. */
    @ParameterizedTest
    @EnumSource(AdamArrays.Kind.class)
    void sums(AdamArrays.Kind kind) {
        long compared = 0;
        for (int mix = 0; mix < 8; mix++) {
            SplittableRandom random = new SplittableRandom(mix);
            boolean zeroes = mix % 2 == 1;
            // The first two: nothing but float32.
            boolean mixed = mix >= 2;
            block().begin(Arrays.stream(SIZES).map(AccumulateContract::bytes).sum(), 9 * SIZES.length);
            List<List<Pair>> groups = List.of(new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
            for (int i = 0; i < SIZES.length; i++) {
                groups.get(i % 3).add(new Pair(kind, TYPES[mixed ? (i + mix) / 3 % 3 : 0],
                        TYPES[mixed ? (i + mix) % 3 : 0], SIZES[i], false, random));
            }
            block().upload();
            String what = kind + ", mix " + mix;
            List<Pair> active = new ArrayList<>(groups.get(0));
            active.addAll(groups.get(2));
            StepOptions options = PLAIN.withZeroGrad(zeroes);
            var stream = backend().defaultStream();
            boolean isSgd = mix / 2 % 2 == 1;
            try (Adam adam = isSgd
                    ? null
                    : Adam.on(backend(), groups.stream()
                            .map(group -> new AdamGroup(ADAM_W, group.stream().map(p -> p.adam("p")).toList()))
                            .toList(),
                            options, stream);
                    Sgd sgd = !isSgd
                            ? null
                            : Sgd.on(backend(), groups.stream()
                                    .map(group -> new SgdGroup(SGD, group.stream().map(p -> p.sgd("p")).toList()))
                                    .toList(),
                                    options, stream)) {
                for (int turn = 0; turn < 3; turn++) {
                    if (adam != null) {
                        adam.setEnabled(1, turn == 2);
                        adam.accumulate();
                    } else if (sgd != null) {
                        sgd.setEnabled(1, turn == 2);
                        sgd.accumulate();
                    }
                    active.forEach(p -> p.add(zeroes));
                    if (turn == 2) {
                        groups.get(1).forEach(p -> p.add(zeroes));
                    }
                    block().download();
                    for (List<Pair> group : groups) {
                        for (Pair pair : group) {
                            compared += pair.compare(what + ", turn " + turn);
                        }
                    }
                    List<Tensor> written = new ArrayList<>();
                    for (Pair pair : turn == 2 ? groups.stream().flatMap(List::stream).toList() : active) {
                        written.add(pair.accumulator);
                        if (zeroes) {
                            written.add(pair.gradTensor);
                        }
                    }
                    block().assertUntouchedBut(what, written.toArray(new Tensor[0]));
                }
            }
        }
        assertTrue(compared > 10_000, "nothing compared");
    }

    private static List<StepOptions> guards() {
        return List.of(PLAIN, PLAIN.withMaxNorm(0.05).withGradDivisor(3), PLAIN.withClipValue(0.005).withZeroGrad(true),
                PLAIN.withSkipNonFinite(true), PLAIN.withGradScaling(new GradScaling(64, 2, 0.5f, 2)).withMaxNorm(1)
                        .withZeroGrad(true).withGradDivisor(3));
    }

    /** Adam or SGD. */
    private interface Stepper extends AutoCloseable {
        void accumulate();

        void accumulateAndStep();

        void step();

        void enable(int group, boolean enabled);

        StepState state();

        long stepCount(int group);

        @Override
        void close();

        static Stepper of(Adam adam) {
            return new Stepper() {
                @Override
                public void accumulate() {
                    adam.accumulate();
                }

                @Override
                public void accumulateAndStep() {
                    adam.accumulateAndStep();
                }

                @Override
                public void step() {
                    adam.step();
                }

                @Override
                public void enable(int group, boolean enabled) {
                    adam.setEnabled(group, enabled);
                }

                @Override
                public StepState state() {
                    return adam.stepState();
                }

                @Override
                public long stepCount(int group) {
                    return adam.stepCount(group);
                }

                @Override
                public void close() {
                    adam.close();
                }
            };
        }

        static Stepper of(Sgd sgd) {
            return new Stepper() {
                @Override
                public void accumulate() {
                    sgd.accumulate();
                }

                @Override
                public void accumulateAndStep() {
                    sgd.accumulateAndStep();
                }

                @Override
                public void step() {
                    sgd.step();
                }

                @Override
                public void enable(int group, boolean enabled) {
                    sgd.setEnabled(group, enabled);
                }

                @Override
                public StepState state() {
                    return sgd.stepState();
                }

                @Override
                public long stepCount(int group) {
                    return sgd.stepCount(group);
                }

                @Override
                public void close() {
                    sgd.close();
                }
            };
        }
    }

    private Stepper open(boolean isSgd, List<List<Pair>> groups, boolean twin, StepOptions options) {
        var stream = backend().defaultStream();
        return isSgd
                ? Stepper.of(Sgd.on(backend(), groups.stream().map(group -> new SgdGroup(SGD,
                        group.stream().map(p -> twin ? p.sgdTwin("p") : p.sgd("p")).toList())).toList(), options,
                        stream))
                : Stepper.of(Adam.on(backend(), groups.stream().map(group -> new AdamGroup(ADAM_W,
                        group.stream().map(p -> twin ? p.adamTwin("p") : p.adam("p")).toList())).toList(), options,
                        stream));
    }

    /** Several steps of three micro-batches, some not finite: parameters, moments, state as of a step with these sums. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aStepTakesTheSums(boolean isSgd) {
        int number = 0;
        for (StepOptions options : guards()) {
            boolean mixed = number++ % 2 == 1;
            SplittableRandom random = new SplittableRandom(number);
            int[] sizes = {5, 1025, 0, 2100, 33, 9000};
            block().begin(Arrays.stream(sizes).map(AccumulateContract::bytes).sum(), 9 * sizes.length);
            List<List<Pair>> groups = List.of(new ArrayList<>(), new ArrayList<>());
            for (int i = 0; i < sizes.length; i++) {
                groups.get(i % 2).add(new Pair(AdamArrays.Kind.NORMAL, TYPES[mixed ? i % 3 : 0],
                        TYPES[mixed ? (i + 1) % 3 : 0], sizes[i], true, random));
            }
            block().upload();
            StepOptions ofTwin = options.withAccumulateGrad(false).withZeroGrad(true);
            try (Stepper op = open(isSgd, groups, false, options); Stepper twin = open(isSgd, groups, true, ofTwin)) {
                for (int step = 0; step < 6; step++) {
                    String what = options + ", SGD " + isSgd + ", step " + step;
                    // Of some steps the launch adds the last micro-batch's gradients, too.
                    boolean addsLast = step % 2 == 1 || step == 4;
                    for (int batch = 0; batch < 3; batch++) {
                        // The second group misses the middle of the second step's sums, and sits out the third step, and the
                        // end of the fifth.
                        boolean enabled = (step != 1 || batch != 1) && (step != 4 || batch != 2);
                        op.enable(1, enabled);
                        for (int g = 0; g < 2; g++) {
                            for (Pair pair : groups.get(g)) {
                                float[] values =
                                        AdamArrays.of(AdamArrays.Kind.NORMAL, pair.grad.length, random).grad();
                                if (step == 3 && batch == 1 && pair.grad.length == 2100) {
                                    values[2000] = Float.NaN;
                                }
                                pair.setGrad(values);
                            }
                        }
                        if (batch < 2 || !addsLast) {
                            op.accumulate();
                        }
                        groups.get(0).forEach(p -> p.add(options.zeroGrad()));
                        if (enabled) {
                            groups.get(1).forEach(p -> p.add(options.zeroGrad()));
                        }
                    }
                    for (int g = 0; g < 2; g++) {
                        boolean enabled = step != 2 && step != 4 || g == 0;
                        op.enable(g, enabled);
                        twin.enable(g, enabled);
                        for (Pair pair : groups.get(g)) {
                            uploadTo(pair.twinGrad, pair.sum);
                            if (enabled) {
                                Arrays.fill(pair.sum, 0);
                            }
                        }
                    }
                    if (addsLast) {
                        op.accumulateAndStep();
                    } else {
                        op.step();
                    }
                    twin.step();
                    block().download();
                    for (List<Pair> group : groups) {
                        group.forEach(pair -> pair.compareWithTwin(what));
                    }
                    assertEquals(twin.state(), op.state(), what);
                    assertEquals(options.checksGrad() && step == 3, op.state().foundInf(), what);
                    assertEquals(twin.stepCount(0), op.stepCount(0), what);
                    assertEquals(twin.stepCount(1), op.stepCount(1), what);
                }
            }
        }
    }

    /** Sums beyond float32, and of opposite infinities: the step is skipped, the sums are zero, the next step is done. */
    @ParameterizedTest
    @ValueSource(floats = {Float.MAX_VALUE, Float.POSITIVE_INFINITY, Float.NaN})
    void aSumThatIsNotFinite(float value) {
        block().begin(bytes(1), 9);
        Pair pair = new Pair(AdamArrays.Kind.NORMAL, DType.F32, DType.F32, 1, true, new SplittableRandom(1));
        block().upload();
        block().download();
        float[] before = block().read(pair.state[0]);
        StepOptions options = PLAIN.withGradScaling(new GradScaling(8, 2, 0.5f, 100));
        try (Stepper op = open(false, List.of(List.of(pair)), false, options)) {
            pair.setGrad(new float[] {value});
            op.accumulate();
            op.accumulate();
            if (value == Float.POSITIVE_INFINITY) {
                pair.setGrad(new float[] {-value});
                op.accumulate();
            }
            block().download();
            Bits.assertSame("sum", new float[] {value == Float.MAX_VALUE ? Float.POSITIVE_INFINITY : Float.NaN},
                    block().read(pair.accumulator));
            op.step();
            assertTrue(op.state().foundInf());
            assertEquals(4, op.state().gradScale());
            assertEquals(0, op.stepCount(0));
            block().download();
            Bits.assertSame("param", before, block().read(pair.state[0]));
            Bits.assertSame("sum", new float[1], block().read(pair.accumulator));
            pair.setGrad(new float[] {0.5f});
            op.accumulate();
            op.step();
            assertFalse(op.state().foundInf());
            assertEquals(1, op.stepCount(0));
            assertEquals(0.125, op.state().gradNorm());
        }
    }

    /** Zeros keep their signs as sums of two numbers do; what is small is not flushed. */
    @Test
    void zerosAndSubnormalNumbers() {
        float[][] cases = {{0f, -0f, 0f}, {-0f, -0f, -0f}, {-0f, 0f, 0f}, {1, -1, 0f},
            {Float.MIN_VALUE, Float.MIN_VALUE, 2 * Float.MIN_VALUE},
            {Float.MIN_NORMAL, -Float.MIN_VALUE, Float.MIN_NORMAL - Float.MIN_VALUE}, {0x1p24f, 1, 0x1p24f},
            {0x1p24f, 3, 0x1p24f + 4}, {-Float.MAX_VALUE, -0x1p103f, Float.NEGATIVE_INFINITY}};
        for (float[] each : cases) {
            block().begin(bytes(1), 9);
            Pair pair = new Pair(AdamArrays.Kind.NORMAL, DType.F32, DType.F32, 1, true, new SplittableRandom(1));
            block().upload();
            uploadTo(pair.accumulator, new float[] {each[0]});
            pair.setGrad(new float[] {each[1]});
            try (Stepper op = open(true, List.of(List.of(pair)), false, PLAIN)) {
                op.accumulate();
                block().download();
                Bits.assertSame(each[0] + " + " + each[1], new float[] {each[2]}, block().read(pair.accumulator));
            }
        }
    }

    /** Accumulators that nobody gave start at zero, and are told. */
    @Test
    void allocated() {
        block().begin(bytes(12), 9);
        Tensor param = block().floats(DType.BF16, new float[12], 0, 12);
        float[] grads = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
        Tensor grad = block().floats(DType.BF16, grads, 0, 12);
        block().upload();
        try (Adam adam = Adam.on(backend(), List.of(new AdamGroup(ADAM_W, List.of(AdamParameter.of("w", param, grad)))),
                PLAIN, backend().defaultStream());
                Sgd sgd = Sgd.on(backend(), List.of(new SgdGroup(SGD, List.of(SgdParameter.of("w", param, grad)))),
                        PLAIN, backend().defaultStream())) {
            adam.accumulate();
            sgd.accumulate();
            sgd.accumulate();
            float[] once = new float[12];
            float[] twice = new float[12];
            backend().copy(adam.parameters().getFirst().stepGrad(), Tensor.of(once, 12));
            backend().copy(sgd.groups().getFirst().parameters().getFirst().stepGrad(), Tensor.of(twice, 12));
            for (int i = 0; i < 12; i++) {
                assertEquals(grads[i], once[i]);
                assertEquals(2 * grads[i], twice[i]);
            }
        }
    }

    @Test
    void refused() {
        block().begin(bytes(20), 12);
        Tensor param = block().floats(new float[12], 0, 12);
        Tensor grad = block().floats(DType.BF16, new float[12], 0, 12);
        Tensor sum = block().floats(new float[13], 0, 13);
        AdamParameter plain = AdamParameter.of("w", param, grad);
        Tensor good = shifted(sum, DType.F32, 0, 12);
        bad(IllegalArgumentException.class, plain.withGradAccumulator(sum), "gradAccumulator of w", "12 elements");
        bad(UnsupportedOperationException.class, plain.withGradAccumulator(shifted(sum, DType.BF16, 0, 12)),
                "gradAccumulator of w", "BF16");
        bad(UnsupportedOperationException.class, plain.withGradAccumulator(shifted(sum, DType.I32, 0, 12)),
                "gradAccumulator of w", "I32");
        bad(IllegalArgumentException.class, plain.withGradAccumulator(param), "overlaps");
        bad(IllegalArgumentException.class,
                new AdamParameter("w", param, shifted(sum, DType.BF16, 4, 12), null, null).withGradAccumulator(good),
                "grad of w", "overlaps", "gradAccumulator of w");
        bad(IllegalArgumentException.class, plain.withGradAccumulator(foreign(DType.F32, 12)), "gradAccumulator of w");
        bad(IllegalStateException.class, plain.withGradAccumulator(closed(DType.F32, 12)), "gradAccumulator of w");
        refused(IllegalArgumentException.class,
                () -> Adam.on(backend(), ADAM_W, List.of(plain.withGradAccumulator(good))).close(),
                "gradAccumulator of w", "accumulateGrad is false");
        refused(IllegalArgumentException.class,
                () -> Sgd.on(backend(), SGD, List.of(SgdParameter.of("w", param, grad).withGradAccumulator(good)))
                        .close(),
                "gradAccumulator of w", "accumulateGrad is false");
        try (Adam adam = Adam.on(backend(), ADAM_W, List.of(plain))) {
            refused(IllegalStateException.class, adam::accumulate, "Adam.accumulate", "accumulateGrad");
            refused(IllegalStateException.class, adam::accumulateAndStep, "Adam.accumulateAndStep", "accumulateGrad");
        }
        try (Sgd sgd = Sgd.on(backend(), SGD, List.of(SgdParameter.of("w", param, grad)))) {
            refused(IllegalStateException.class, sgd::accumulate, "Sgd.accumulate", "accumulateGrad");
            refused(IllegalStateException.class, sgd::accumulateAndStep, "Sgd.accumulateAndStep", "accumulateGrad");
        }
        Adam closed = Adam.on(backend(), List.of(new AdamGroup(ADAM_W, List.of(plain))), PLAIN,
                backend().defaultStream());
        closed.close();
        refused(IllegalStateException.class, closed::accumulate, "Adam is closed");
    }

    private <T extends Throwable> void bad(Class<T> type, AdamParameter parameter, String... words) {
        refused(type, () -> Adam.on(backend(), List.of(new AdamGroup(ADAM_W, List.of(parameter))), PLAIN,
                backend().defaultStream()).close(), words);
    }

    /** Neither a gradient nor an accumulator whose memory was closed since: nothing is written. */
    @Test
    void closedSince() {
        for (boolean ofSum : new boolean[] {false, true}) {
            block().begin(bytes(12), 9);
            Tensor param = block().floats(new float[12], 0, 12);
            Tensor open = block().floats(new float[12], 0, 12);
            block().upload();
            Arena arena = Arena.ofShared();
            Tensor shut = backend().usesHostMemory()
                    ? Tensor.of(DType.F32, arena.allocate(64, 64), 12)
                    : backend().allocate(DType.F32, 12);
            AdamParameter p =
                    AdamParameter.of("w", param, ofSum ? open : shut).withGradAccumulator(ofSum ? shut : open);
            try (Adam adam = Adam.on(backend(), List.of(new AdamGroup(ADAM_W, List.of(p))), PLAIN,
                    backend().defaultStream())) {
                adam.accumulate();
                arena.close();
                if (!backend().usesHostMemory()) {
                    shut.memory().close();
                }
                String which = ofSum ? "gradAccumulator of w" : "grad of w";
                refused(IllegalStateException.class, adam::accumulate, "Adam.accumulate", which, "closed");
                refused(IllegalStateException.class, adam::step, "Adam.step", which, "closed");
                refused(IllegalStateException.class, adam::accumulateAndStep, "Adam.accumulateAndStep", which,
                        "closed");
            }
        }
    }

    /** A call without parameters, or without elements, and a step without any call before it: its gradients are zeros. */
    @Test
    void nothing() {
        block().begin(bytes(2), 9);
        Tensor param = block().floats(new float[] {1, 2}, 0, 2);
        Tensor grad = block().floats(new float[] {3, 4}, 0, 2);
        Tensor empty = block().floats(new float[0], 0, 0);
        Tensor emptyGrad = block().floats(new float[0], 0, 0);
        block().upload();
        SgdOptions sgd = SgdOptions.defaults().withLr(0.5);
        var stream = backend().defaultStream();
        try (Sgd none = Sgd.on(backend(), List.of(new SgdGroup(sgd, List.of())), PLAIN, stream);
                Sgd zero =
                        Sgd.on(backend(), List.of(new SgdGroup(sgd, List.of(SgdParameter.of("e", empty, emptyGrad)))),
                                PLAIN, stream);
                Sgd two = Sgd.on(backend(), List.of(new SgdGroup(sgd, List.of(SgdParameter.of("p", param, grad)))),
                        PLAIN.withSkipNonFinite(true), stream)) {
            none.accumulate();
            none.step();
            zero.accumulate();
            zero.step();
            assertEquals(1, none.stepCount(0));
            assertEquals(1, zero.stepCount(0));
            two.step();
            block().download();
            Bits.assertSame("param", new float[] {1, 2}, block().read(param));
            assertEquals(0, two.stepState().gradNorm());
            two.accumulate();
            two.step();
            block().download();
            Bits.assertSame("param", new float[] {-0.5f, 0}, block().read(param));
            assertEquals(5, two.stepState().gradNorm());
        }
    }

    /** Micro-batches of BF16 whose sum BF16 would not hold: a thousand small ones after a large one. */
    @Test
    void manySmallOnes() {
        block().begin(bytes(4), 9);
        Pair pair = new Pair(AdamArrays.Kind.NORMAL, DType.BF16, DType.BF16, 3, true, new SplittableRandom(1));
        block().upload();
        StepOptions options = PLAIN.withGradDivisor(1001);
        try (Stepper op = open(true, List.of(List.of(pair)), false, options)) {
            pair.setGrad(new float[] {256, 512, -256});
            op.accumulate();
            pair.setGrad(new float[] {1, 0.5f, -1});
            for (int i = 0; i < 1000; i++) {
                op.accumulate();
            }
            block().download();
            Bits.assertSame("sum", new float[] {1256, 1012, -1256}, block().read(pair.accumulator));
            assertThrows(IllegalArgumentException.class, () -> PLAIN.withGradDivisor(0));
        }
    }
}
