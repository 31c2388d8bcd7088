package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LrSchedule;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Optimizers over BF16 and F16 on a float32 backend: the bits of the float32 definitions whose results are rounded after
 * every step, whatever is mixed, and nothing written beside the outputs.
 */
public abstract class NarrowOptimizerContract extends BackendContract {
    private static final DType[] VALUES = {DType.F32, DType.BF16, DType.F16};
    private static final DType[] MOMENTS = {DType.F32, DType.BF16};
    /** Around vectors of 4, 8, 16 lanes and blocks of 1024. */
    private static final int[] SIZES = {0, 1, 7, 8, 9, 15, 17, 33, 257, 1023, 1024, 1025, 2500};
    private static final AdamOptions ADAM_W = AdamOptions.adamW().withLr(0.02);
    private static final SgdOptions SGD = SgdOptions.defaults().withLr(0.1);

    /** For subclasses. */
    protected NarrowOptimizerContract() {}

    private static List<AdamOptions> adams() {
        return List.of(ADAM_W, AdamOptions.adam().withWeightDecay(0.1), ADAM_W.withMaximize(true).withBetas(0.5, 0.75),
                ADAM_W.withSemantics(AdamSemantics.HF), ADAM_W.withSemantics(AdamSemantics.ONNX),
                ADAM_W.withSchedule(LrSchedule.cosine(5, 0.1)));
    }

    private static List<SgdOptions> sgds() {
        return List.of(SGD, SGD.withMomentum(0.9).withNesterov(true), SGD.withWeightDecay(0.1).withMaximize(true),
                SGD.withMomentum(0.5).withDampening(0.2));
    }

    private static final StochasticRounding ROUNDING = new StochasticRounding(0x123456789abcdefL);

    /** How a parameter is kept. */
    private enum Keeping {
        NEAREST, MASTER, REMAINDERS, STOCHASTIC;

        /** One of those that a type has. */
        static Keeping of(DType dtype, boolean stochastic, int choice) {
            Keeping alone = dtype == DType.BF16 && stochastic ? STOCHASTIC : NEAREST;
            return switch (dtype) {
                case BF16 -> new Keeping[] {alone, MASTER, REMAINDERS}[choice % 3];
                case F16 -> choice % 2 == 0 ? alone : MASTER;
                default -> alone;
            };
        }
    }

    /** A parameter as the definition has it and as the optimizer does. Of SGD, the first moment is the momentum buffer. */
    private final class Both {
        final AdamArrays arrays;
        final Tensor[] tensors = new Tensor[5];
        final Keeping keeping;
        /** In the optimizer. */
        final int number;
        final Tensor master;

        /** @param roles how many of the tensors there are */
        Both(AdamArrays arrays, DType[] types, int roles, Keeping keeping, int number, SplittableRandom random) {
            this.keeping = keeping;
            this.number = number;
            float[][] values =
                    {arrays.param(), arrays.grad(), arrays.expAvg(), arrays.expAvgSq(), arrays.maxExpAvgSq()};
            this.arrays = arrays;
            boolean alike = random.nextBoolean();
            int skip = random.nextInt(16);
            int size = arrays.param().length;
            float[] bits = arrays.param().clone();
            if (keeping == Keeping.REMAINDERS) {
                long[] remainders = new long[size];
                for (int i = 0; i < size; i++) {
                    // What an optimizer has written: of NaNs, the canonical one.
                    arrays.param()[i] = CrossEntropyDefinition.canonical(arrays.param()[i]);
                    remainders[i] = RoundingDefinition.remainder(arrays.param()[i]);
                    bits[i] = RoundingDefinition.beside(arrays.param()[i]);
                }
                master = block().indices(DType.I16, remainders, alike ? skip : random.nextInt(16), size);
            } else {
                master = keeping == Keeping.MASTER
                        ? block().floats(bits, alike ? skip : random.nextInt(16), size)
                        : null;
            }
            for (int role = 0; role < roles; role++) {
                tensors[role] = block().floats(types[role], role == 0 ? bits : values[role],
                        alike ? skip : random.nextInt(16), size);
            }
            if (master == null) {
                System.arraycopy(Rounded.to(types[0], bits), 0, arrays.param(), 0, size);
            }
            round(0);
        }

        /** What the parameter's tensor has. */
        private float[] stored() {
            if (keeping != Keeping.REMAINDERS) {
                return Rounded.to(tensors[0].dtype(), arrays.param());
            }
            float[] beside = arrays.param().clone();
            for (int i = 0; i < beside.length; i++) {
                beside[i] = RoundingDefinition.beside(beside[i]);
            }
            return beside;
        }

        private float[] values(int role) {
            return switch (role) {
                case 0 -> arrays.param();
                case 1 -> arrays.grad();
                case 2 -> arrays.expAvg();
                case 3 -> arrays.expAvgSq();
                default -> arrays.maxExpAvgSq();
            };
        }

        /** What is stored after a step. */
        void round(long step) {
            float[] param = arrays.param();
            for (int i = 0; keeping == Keeping.STOCHASTIC && i < param.length; i++) {
                param[i] = RoundingDefinition.stochastic(param[i], ROUNDING.seed(), step, number, i);
            }
            for (int role = 0; role < 5; role++) {
                if (tensors[role] != null && (role > 0 || master == null)) {
                    float[] rounded = Rounded.to(tensors[role].dtype(), values(role));
                    System.arraycopy(rounded, 0, values(role), 0, rounded.length);
                }
            }
        }

        AdamParameter adam(String name) {
            return new AdamParameter(name, tensors[0], tensors[1], tensors[2], tensors[3], tensors[4])
                    .withMaster(master);
        }

        SgdParameter sgd(String name) {
            return new SgdParameter(name, tensors[0], tensors[1], tensors[2]).withMaster(master);
        }

        void setGrad(float[] grad) {
            System.arraycopy(Rounded.to(tensors[1].dtype(), grad), 0, arrays.grad(), 0, grad.length);
            if (tensors[1].dtype() == DType.F32) {
                backend().copy(Tensor.of(arrays.grad(), grad.length), tensors[1]);
                return;
            }
            short[] bits = new short[grad.length];
            for (int i = 0; i < bits.length; i++) {
                bits[i] = Rounded.bits(tensors[1].dtype(), grad[i]);
            }
            backend().copy(Tensor.of(tensors[1].dtype(), java.lang.foreign.MemorySegment.ofArray(bits), bits.length),
                    tensors[1]);
        }

        long compare(String what) {
            String[] roles = {"param", "grad", "expAvg", "expAvgSq", "maxExpAvgSq"};
            long compared = 0;
            for (int role = 0; role < 5; role++) {
                if (tensors[role] != null) {
                    compared +=
                            Bits.assertSame(what + ", " + keeping + ", " + roles[role] + " " + tensors[role].dtype(),
                                    role == 0 ? stored() : values(role), block().read(tensors[role]));
                }
            }
            if (keeping == Keeping.MASTER) {
                compared += Bits.assertSame(what + ", master", arrays.param(), block().read(master));
            } else if (keeping == Keeping.REMAINDERS) {
                short[] remainders = new short[arrays.param().length];
                for (int i = 0; i < remainders.length; i++) {
                    remainders[i] = RoundingDefinition.remainder(arrays.param()[i]);
                }
                assertArrayEquals(remainders, block().readShorts(master), what + ", remainders");
            }
            return compared;
        }
    }

    private static DType[] types(SplittableRandom random) {
        return new DType[] {VALUES[random.nextInt(3)], VALUES[random.nextInt(3)], MOMENTS[random.nextInt(2)],
            MOMENTS[random.nextInt(2)], MOMENTS[random.nextInt(2)]};
    }

    private static Tensor[] written(List<Both> all, boolean gradients) {
        List<Tensor> tensors = new ArrayList<>();
        for (Both both : all) {
            for (int role = 0; role < 5; role++) {
                if (both.tensors[role] != null && (role != 1 || gradients)) {
                    tensors.add(both.tensors[role]);
                }
            }
            if (both.master != null) {
                tensors.add(both.master);
            }
        }
        return tensors.toArray(new Tensor[0]);
    }

    /** Each type of each operand with each of the others. */
    @ParameterizedTest
    @EnumSource(AdamArrays.Kind.class)
    void everyMixOfAdam(AdamArrays.Kind kind) {
        long compared = 0;
        for (int mix = 0; mix < 72; mix++) {
            DType[] types = {VALUES[mix % 3], VALUES[mix / 3 % 3], MOMENTS[mix / 9 % 2], MOMENTS[mix / 18 % 2],
                MOMENTS[mix / 36]};
            for (int i = 0; i < SIZES.length; i++) {
                SplittableRandom random = new SplittableRandom(mix * 100L + i);
                AdamOptions options = adams().get((mix + i) % adams().size()).withAmsgrad(mix % 2 == 1)
                        .withRounding(i % 2 == 0 ? null : ROUNDING);
                block().begin(24L * SIZES[i] + 400, 6);
                Both both = new Both(AdamArrays.of(kind, SIZES[i], random), types, options.amsgrad() ? 5 : 4,
                        Keeping.of(types[0], i % 2 == 1, mix / 3 + i), 0, random);
                block().upload();
                try (Adam adam = Adam.on(backend(), options, List.of(both.adam("p")))) {
                    for (int step = 1; step <= 3; step++) {
                        adam.step();
                        both.arrays.step(options, options.lr(), step);
                        both.round(step);
                    }
                }
                block().download();
                String what = options + " " + Arrays.toString(types) + " " + kind + " size " + SIZES[i];
                block().assertUntouchedBut(what, written(List.of(both), false));
                compared += both.compare(what);
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    @ParameterizedTest
    @EnumSource(AdamArrays.Kind.class)
    void everyMixOfSgd(AdamArrays.Kind kind) {
        long compared = 0;
        for (int mix = 0; mix < 18; mix++) {
            DType[] types = {VALUES[mix % 3], VALUES[mix / 3 % 3], MOMENTS[mix / 9], DType.F32, DType.F32};
            for (int i = 0; i < SIZES.length; i++) {
                for (SgdOptions options : sgds()) {
                    SplittableRandom random = new SplittableRandom(mix * 100L + i);
                    block().begin(16L * SIZES[i] + 400, 4);
                    boolean stochastic = (mix + i) % 2 == 1;
                    Both both = new Both(AdamArrays.of(kind, SIZES[i], random), types, options.momentum() == 0 ? 2 : 3,
                            Keeping.of(types[0], stochastic, mix / 3 + i), 0, random);
                    block().upload();
                    try (Sgd sgd = Sgd.on(backend(), options.withRounding(stochastic ? ROUNDING : null),
                            List.of(both.sgd("p")))) {
                        for (int step = 1; step <= 3; step++) {
                            sgd.step();
                            SgdDefinition.step(options, options.lr(), step, both.arrays.param(), both.arrays.grad(),
                                    both.arrays.expAvg());
                            both.round(step);
                        }
                    }
                    block().download();
                    String what = options + " " + Arrays.toString(types) + " " + kind + " size " + SIZES[i];
                    block().assertUntouchedBut(what, written(List.of(both), false));
                    compared += both.compare(what);
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    private static List<StepOptions> stepOptions() {
        StepOptions plain = StepOptions.defaults();
        GradScaling scaling = new GradScaling(1024, 2, 0.5f, 3);
        return List.of(plain.withSkipNonFinite(true), plain.withMaxNorm(0.05).withZeroGrad(true),
                plain.withClipValue(0.005), plain.withGradScaling(scaling).withMaxNorm(1e-4).withZeroGrad(true));
    }

    /** Many parameters, each of its own types, in groups; steps that are guarded, and one that is skipped. */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void guarded(int optimizer) {
        boolean isSgd = optimizer == 2;
        boolean amsgrad = optimizer == 1;
        int[][] sizes = {{3, 1023, 0, 70, 1, 2048}, {33}, IntStream.range(0, 100).map(i -> i * 7 % 70).toArray()};
        for (StepOptions guard : stepOptions()) {
            SplittableRandom random = new SplittableRandom(optimizer);
            block().begin(24L * 8000 + 110 * 400, 6 * 110);
            List<List<Both>> groups = new ArrayList<>();
            List<AdamOptions> adams = new ArrayList<>();
            List<SgdOptions> sgds = new ArrayList<>();
            int number = 0;
            for (int g = 0; g < sizes.length; g++) {
                boolean stochastic = g != 1;
                StochasticRounding rounding = stochastic ? ROUNDING : null;
                adams.add(adams().get(g).withAmsgrad(amsgrad).withRounding(rounding));
                sgds.add(sgds().get(g).withRounding(rounding));
                int roles = isSgd ? sgds.get(g).momentum() == 0 ? 2 : 3 : amsgrad ? 5 : 4;
                List<Both> group = new ArrayList<>();
                for (int size : sizes[g]) {
                    DType[] types = types(random);
                    group.add(new Both(AdamArrays.of(AdamArrays.Kind.NORMAL, size, random), types, roles,
                            Keeping.of(types[0], stochastic, random.nextInt(6)), number++, random));
                }
                groups.add(group);
            }
            block().upload();
            double[] lrs = adams.stream().mapToDouble(AdamOptions::lr).toArray();
            double[] sgdLrs = sgds.stream().mapToDouble(SgdOptions::lr).toArray();
            boolean[] enabled = {true, true, true};
            GuardDefinition definition = new GuardDefinition(guard, sizes.length);
            List<List<AdamArrays>> arrays =
                    groups.stream().map(group -> group.stream().map(both -> both.arrays).toList()).toList();
            List<Both> all = groups.stream().flatMap(List::stream).toList();
            try (Adam adam = isSgd
                    ? null
                    : Adam.on(backend(), IntStream.range(0, sizes.length)
                            .mapToObj(g -> new AdamGroup(adams.get(g),
                                    groups.get(g).stream().map(b -> b.adam("p")).toList()))
                            .toList(), guard, backend().defaultStream());
                    Sgd sgd = isSgd
                            ? Sgd.on(backend(), IntStream.range(0, sizes.length)
                                    .mapToObj(g -> new SgdGroup(sgds.get(g),
                                            groups.get(g).stream().map(b -> b.sgd("p")).toList()))
                                    .toList(), guard, backend().defaultStream())
                            : null) {
                for (int step = 0; step < 4; step++) {
                    for (Both both : all) {
                        float[] grad = new float[both.arrays.grad().length];
                        for (int i = 0; i < grad.length; i++) {
                            grad[i] = 0.01f * LogitsKind.gaussian(random);
                        }
                        both.setGrad(grad);
                    }
                    if (step == 2) {
                        Both spoilt = all.get(1);
                        spoilt.arrays.grad()[500] = Float.NEGATIVE_INFINITY;
                        spoilt.setGrad(spoilt.arrays.grad().clone());
                    }
                    if (isSgd) {
                        sgd.step();
                        definition.sgd(sgds, sgdLrs, enabled, arrays);
                        assertEquals(definition.state(), sgd.stepState());
                    } else {
                        adam.step();
                        definition.adam(adams, lrs, enabled, arrays);
                        assertEquals(definition.state(), adam.stepState());
                    }
                    for (int g = 0; g < groups.size(); g++) {
                        long steps = definition.steps(g);
                        groups.get(g).forEach(both -> both.round(steps));
                    }
                    block().download();
                    String what = guard + ", step " + step;
                    for (int i = 0; i < all.size(); i++) {
                        all.get(i).compare(what + ", parameter " + i);
                    }
                }
            }
            block().assertUntouchedBut(guard, written(all, true));
        }
    }

    /** Moments that the optimizer makes are float32; a hundred steps with them. */
    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"BF16", "F16"})
    void ownMoments(DType dtype) {
        int size = 100;
        SplittableRandom random = new SplittableRandom(3);
        block().begin(4L * size, 2);
        AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.FIRST, size, random);
        Both both = new Both(arrays, new DType[] {dtype, dtype}, 2, Keeping.NEAREST, 0, random);
        block().upload();
        try (Adam adam = Adam.on(backend(), ADAM_W, List.of(AdamParameter.of("p", both.tensors[0], both.tensors[1])));
                Sgd sgd = Sgd.on(backend(), SGD.withMomentum(0.5),
                        List.of(SgdParameter.of("p", both.tensors[0], both.tensors[1])))) {
            assertEquals(DType.F32, adam.parameters().get(0).expAvg().dtype());
            assertEquals(DType.F32, adam.parameters().get(0).expAvgSq().dtype());
            assertEquals(DType.F32, sgd.groups().get(0).parameters().get(0).momentumBuffer().dtype());
            float[] buffer = new float[size];
            for (int step = 1; step <= 100; step++) {
                adam.step();
                arrays.step(ADAM_W, ADAM_W.lr(), step);
                both.round(step);
                sgd.step();
                SgdDefinition.step(SGD.withMomentum(0.5), SGD.lr(), step, arrays.param(), arrays.grad(), buffer);
                both.round(step);
            }
        }
        block().download();
        assertEquals(2 * size, both.compare(dtype.name()));
    }

    /** A run that was saved goes on with the noise that it would have had; another seed draws other noise. */
    @Test
    void noiseOfAResumedRun() {
        int size = 3000;
        float[][] found = new float[4][];
        for (int run = 0; run < found.length; run++) {
            SplittableRandom random = new SplittableRandom(9);
            block().begin(4L * size + 400, 2);
            float[] values = new float[size];
            for (int i = 0; i < size; i++) {
                values[i] = LogitsKind.gaussian(random);
            }
            Tensor param = block().floats(DType.BF16, values, 0, size);
            Tensor grad = block().floats(DType.BF16, values, 3, size);
            block().upload();
            SgdOptions options = SGD.withLr(1e-3).withRounding(new StochasticRounding(run == 2 ? 8 : 7));
            for (int part = 0; part < 2; part++) {
                // In one, or in two; without the step count the noise of the first step comes again.
                int steps = run == 0 || run == 2 ? part == 0 ? 6 : 0 : 3;
                try (Sgd sgd = Sgd.on(backend(), options, List.of(SgdParameter.of("p", param, grad)))) {
                    sgd.setStepCount(run == 3 ? 0 : 3L * part);
                    for (int i = 0; i < steps; i++) {
                        sgd.step();
                    }
                }
            }
            block().download();
            found[run] = block().read(param);
        }
        Bits.assertSame("resumed", found[0], found[1]);
        assertFalse(Arrays.equals(found[0], found[2]), "another seed");
        assertFalse(Arrays.equals(found[0], found[3]), "another step count");
    }

    /** Updates of a tenth of a unit: to nearest nothing moves; stochastically all of it arrives, within five deviations. */
    @Test
    void smallUpdatesArrive() {
        int size = 10_000;
        int steps = 50;
        for (StochasticRounding rounding : new StochasticRounding[] {null, ROUNDING}) {
            block().begin(8L * size + 400, 2);
            float[] ones = new float[size];
            Arrays.fill(ones, 1);
            Tensor param = block().floats(DType.BF16, ones, 0, size);
            Tensor grad = block().floats(ones, 0, size);
            block().upload();
            double update = 0.1 * 0x1p-7;
            try (Sgd sgd = Sgd.on(backend(), SgdOptions.defaults().withLr(update).withMaximize(true)
                    .withRounding(rounding), List.of(SgdParameter.of("p", param, grad)))) {
                for (int i = 0; i < steps; i++) {
                    sgd.step();
                }
            }
            block().download();
            double mean = 0;
            for (float x : block().read(param)) {
                mean += (x - 1.0) / size;
            }
            // A step moves a parameter by a unit with probability 0.1.
            double deviation = 0x1p-7 * Math.sqrt(steps * 0.1 * 0.9 / size);
            double expected = rounding == null ? 0 : steps * update;
            assertEquals(expected, mean, 5 * deviation + 1e-5 * update, "" + rounding);
        }
    }

    /** A master or remainders where they make no sense. */
    @Test
    void mastersThatAreRefused() {
        block().begin(1000, 5);
        Tensor f32 = block().floats(new float[8], 0, 8);
        Tensor bf16 = block().floats(DType.BF16, new float[8], 0, 8);
        Tensor f16 = block().floats(DType.F16, new float[8], 0, 8);
        Tensor i16 = block().indices(DType.I16, new long[8], 0, 8);
        Tensor grad = block().floats(new float[8], 0, 8);
        AdamParameter p = AdamParameter.of("p", bf16, grad);
        refused(IllegalArgumentException.class, () -> adam(AdamParameter.of("p", f32, grad).withMaster(i16)),
                "Adam.on", "master of p", "F32");
        refused(UnsupportedOperationException.class, () -> adam(AdamParameter.of("p", f16, grad).withMaster(i16)),
                "master of p", "I16", "F16");
        refused(UnsupportedOperationException.class, () -> adam(p.withMaster(f16)), "master of p", "F16", "BF16");
        refused(IllegalArgumentException.class, () -> adam(p.withMaster(shifted(f32, DType.F32, 0, 7))),
                "master of p", "8 elements");
        refused(IllegalArgumentException.class, () -> adam(p.withMaster(shifted(bf16, DType.I16, 0, 8))),
                "master of p", "overlaps");
        refused(IllegalArgumentException.class, () -> adam(p.withMaster(foreign(DType.F32, 8))), "master of p",
                backend().name());
        refused(IllegalArgumentException.class, () -> Sgd.on(backend(), SGD,
                List.of(SgdParameter.of("p", f32, grad).withMaster(i16))).close(), "Sgd.on", "master of p", "F32");
    }

    private void adam(AdamParameter p) {
        Adam.on(backend(), ADAM_W, List.of(p)).close();
    }

    /** Results that anyone can work out: what is between two numbers goes to the even one, what is too large to infinity. */
    @Test
    void knownResults() {
        SgdOptions options = SgdOptions.defaults().withLr(1);
        float[] param = {1, 1, 1, 1 + 0x1p-7f, 0x1.fep127f, Float.NaN};
        float[] grad = {-0x1p-8f, -0x1.1p-8f, 0x1p-9f, -0x1p-8f, -0x1p119f, 0};
        float[] expected = {1, 1 + 0x1p-7f, 1, 1 + 0x1p-6f, Float.POSITIVE_INFINITY, Float.NaN};
        block().begin(400, 2);
        Tensor p = block().floats(DType.BF16, param, 1, param.length);
        Tensor g = block().floats(DType.F32, grad, 0, grad.length);
        block().upload();
        try (Sgd sgd = Sgd.on(backend(), options, List.of(SgdParameter.of("p", p, g)))) {
            sgd.step();
        }
        block().download();
        Bits.assertSame("param", expected, block().read(p));
    }
}
