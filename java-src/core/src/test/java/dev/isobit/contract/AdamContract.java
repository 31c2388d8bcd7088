package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.LrSchedule;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Adam and AdamW of a float32 backend: the bits of {@link AdamDefinition}, nothing written beside the outputs, within
 * the promised distance from float64, and what is refused.
 */
public abstract class AdamContract extends AdamInputContract {
    private static final int[] SIZES = {0, 1, 2, 3, 4, 5, 7, 15, 16, 17, 31, 32, 33, 63, 65, 1000, 1023, 1025, 65_537};

    /** For subclasses. */
    protected AdamContract() {}

    /**
     * How much work a test may be.
     *
     * @return the elements that one parameter may have; a backend that is slow by nature takes less
     */
    protected int largestParameter() {
        return 65_537;
    }

    private static List<AdamOptions> variations() {
        AdamOptions adam = AdamOptions.adam();
        AdamOptions adamW = AdamOptions.adamW();
        return List.of(adam, adamW, adam.withWeightDecay(0.01), adamW.withWeightDecay(0), adam.withMaximize(true),
                adamW.withMaximize(true), adam.withWeightDecay(0.1).withMaximize(true), adam.withBetas(0, 0),
                adamW.withBetas(0.95, 0.9), adamW.withBetas(0.5, 1 - 0x1p-53), adamW.withLr(0), adam.withEps(0),
                adam.withEps(1e-60).withWeightDecay(1e-60), adamW.withWeightDecay(1e-60),
                adamW.withLr(1e30).withWeightDecay(1e30), adam.withWeightDecay(1e300).withLr(1e300),
                adam.withAmsgrad(true), adamW.withAmsgrad(true).withMaximize(true),
                adam.withWeightDecay(0.1).withAmsgrad(true), adam.withSemantics(AdamSemantics.APEX),
                adamW.withSemantics(AdamSemantics.APEX), adam.withSemantics(AdamSemantics.KERAS).withEps(1e-3),
                adamW.withSemantics(AdamSemantics.KERAS), adam.withSemantics(AdamSemantics.ONNX).withWeightDecay(0.1),
                adamW.withSemantics(AdamSemantics.ONNX).withAmsgrad(true), adam.withSemantics(AdamSemantics.HF),
                adamW.withSemantics(AdamSemantics.HF).withMaximize(true),
                adamW.withSchedule(LrSchedule.cosine(20, 0.1).withWarmup(3, 0.25)),
                adam.withWeightDecay(0.1).withSchedule(LrSchedule.linear(12, 0).withWarmup(1, 0)),
                adamW.withSemantics(AdamSemantics.KERAS).withSchedule(LrSchedule.cosine(3_000_000, 0)),
                adamW.withAmsgrad(true).withSchedule(LrSchedule.step(1, 0.9).withWarmup(2, 0.5)));
    }

    /** Steps over parameters of these sizes, each compared with the definition. */
    private long check(AdamOptions options, long firstStep, int steps, int[] sizes, AdamArrays.Kind kind) {
        SplittableRandom random = new SplittableRandom(sizes.length * 1000L + firstStep + kind.ordinal());
        List<AdamArrays> arrays = new ArrayList<>();
        long elements = 0;
        for (int size : sizes) {
            arrays.add(AdamArrays.of(kind, size, random));
            elements += size;
        }
        block().begin(20 * elements, 5 * sizes.length);
        List<AdamParameter> parameters = new ArrayList<>();
        List<Tensor> outputs = new ArrayList<>();
        for (AdamArrays a : arrays) {
            // All alike, as an allocator gives them, or each as it comes.
            boolean alike = random.nextBoolean();
            int skip = random.nextInt(16);
            Tensor[] all = new Tensor[5];
            float[][] values = {a.param(), a.grad(), a.expAvg(), a.expAvgSq(), a.maxExpAvgSq()};
            for (int role = 0; role < (options.amsgrad() ? 5 : 4); role++) {
                all[role] = block().floats(values[role], alike ? skip : random.nextInt(16), values[role].length);
                if (role != 1) {
                    outputs.add(all[role]);
                }
            }
            parameters.add(new AdamParameter("p" + parameters.size(), all[0], all[1], all[2], all[3], all[4]));
        }
        block().upload();
        String what = options + " step " + firstStep + " " + kind + " " + sizes.length + " parameters, the first of "
                + sizes[0];
        try (Adam adam = Adam.on(backend(), options, parameters)) {
            adam.setStepCount(firstStep - 1);
            for (int i = 0; i < steps; i++) {
                adam.step();
                for (AdamArrays a : arrays) {
                    a.step(options, options.lr(), firstStep + i);
                }
            }
        }
        block().download();
        block().assertUntouchedBut(what, outputs.toArray(new Tensor[0]));
        long compared = 0;
        for (int i = 0; i < arrays.size(); i++) {
            String which = what + " p" + i;
            Tensor expAvg = parameters.get(i).expAvg();
            Tensor expAvgSq = parameters.get(i).expAvgSq();
            compared += Bits.assertSame(which + " expAvg", arrays.get(i).expAvg(), block().read(expAvg));
            compared += Bits.assertSame(which + " expAvgSq", arrays.get(i).expAvgSq(), block().read(expAvgSq));
            if (options.amsgrad()) {
                compared += Bits.assertSame(which + " maxExpAvgSq", arrays.get(i).maxExpAvgSq(),
                        block().read(parameters.get(i).maxExpAvgSq()));
            }
            compared += Bits.assertSame(which + " param", arrays.get(i).param(),
                    block().read(parameters.get(i).param()));
        }
        return compared;
    }

    @ParameterizedTest
    @EnumSource(AdamArrays.Kind.class)
    void everySizeOptionAndStep(AdamArrays.Kind kind) {
        long compared = 0;
        for (int size : SIZES) {
            if (size <= largestParameter()) {
                for (AdamOptions options : variations()) {
                    for (long step : size > 1025 ? new long[] {3} : new long[] {1, 2, 10, 1_000_000}) {
                        compared += check(options, step, 1, new int[] {size}, kind);
                    }
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** A model has many tensors, most of them small, some empty. */
    @ParameterizedTest
    @ValueSource(ints = {2, 50, 1000})
    void manyParameters(int count) {
        assumeTrue(count * 36 <= largestParameter(), "larger than this backend's largest case");
        int[] sizes = new int[count];
        for (int i = 0; i < count; i++) {
            sizes[i] = i % 71;
        }
        sizes[count / 2] = Math.min(20_000, largestParameter());
        assertTrue(check(AdamOptions.adamW(), 7, 2, sizes, AdamArrays.Kind.NORMAL) > 0);
        assertTrue(check(AdamOptions.adam().withWeightDecay(0.1), 1, 2, sizes, AdamArrays.Kind.NOT_FINITE) > 0);
    }

    /** A thousand steps: state that is kept wrong shows in time. Moments are the optimizer's own, lr is scheduled. */
    @ParameterizedTest
    @EnumSource(AdamSemantics.class)
    void trajectory(AdamSemantics semantics) {
        int size = largestParameter() < 65_537 ? 77 : 777;
        int steps = 1000;
        for (AdamOptions options : List.of(AdamOptions.adamW().withLr(0.05).withSemantics(semantics),
                AdamOptions.adam().withWeightDecay(0.01).withAmsgrad(true).withSemantics(semantics))) {
            SplittableRandom random = new SplittableRandom(3);
            AdamArrays arrays = AdamArrays.of(AdamArrays.Kind.FIRST, size, random);
            block().begin(8 * size, 2);
            Tensor param = block().floats(arrays.param(), 0, size);
            Tensor grad = block().floats(arrays.grad(), 5, size);
            block().upload();
            try (Adam adam = Adam.on(backend(), options, List.of(AdamParameter.of("p", param, grad)))) {
                for (int step = 1; step <= steps; step++) {
                    for (int i = 0; i < size; i++) {
                        arrays.grad()[i] = arrays.param()[i] - 0.5f + 0.1f * LogitsKind.gaussian(random);
                    }
                    backend().copy(Tensor.of(arrays.grad(), size), grad);
                    double lr = options.lr() / Math.sqrt(step);
                    adam.setLr(lr);
                    adam.step();
                    arrays.step(options, lr, step);
                    if (step % 37 == 0 || step == steps) {
                        String what = options + " step " + step;
                        Bits.assertSame(what + " param", arrays.param(), read(param));
                        Bits.assertSame(what + " expAvg", arrays.expAvg(), read(adam.parameters().get(0).expAvg()));
                        Bits.assertSame(what + " expAvgSq", arrays.expAvgSq(),
                                read(adam.parameters().get(0).expAvgSq()));
                        if (options.amsgrad()) {
                            Bits.assertSame(what + " maxExpAvgSq", arrays.maxExpAvgSq(),
                                    read(adam.parameters().get(0).maxExpAvgSq()));
                        }
                    }
                }
            }
        }
    }

    private float[] read(Tensor tensor) {
        float[] values = new float[(int) tensor.elementCount()];
        backend().copy(tensor, Tensor.of(values, values.length));
        return values;
    }

    /** Results that anyone can work out. */
    @Test
    void knownResults() {
        block().begin(256, 4);
        float inf = Float.POSITIVE_INFINITY;
        Tensor param = block().floats(new float[] {1, 1, 1, 1, 1}, 0, 5);
        Tensor grad = block().floats(new float[] {2, -4, 0, Float.intBitsToFloat(0xffabcdef), inf}, 0, 5);
        Tensor expAvg = block().floats(new float[5], 0, 5);
        Tensor expAvgSq = block().floats(new float[5], 0, 5);
        block().upload();
        AdamOptions options = AdamOptions.adam().withBetas(0.5, 0.75).withEps(0).withLr(0.25);
        try (Adam adam = Adam.on(backend(), options, List.of(new AdamParameter("p", param, grad, expAvg, expAvgSq)))) {
            adam.step();
        }
        block().download();
        // The first step is lr in the direction of the sign; 0/0, NaN and inf/inf are NaN.
        float nan = Float.NaN;
        Bits.assertSame("param", new float[] {0.75f, 1.25f, nan, nan, nan}, block().read(param));
        Bits.assertSame("expAvg", new float[] {1, -2, 0, nan, inf}, block().read(expAvg));
        Bits.assertSame("expAvgSq", new float[] {1, 4, 0, nan, inf}, block().read(expAvgSq));
    }

    /** Promise 2: expAvg 3 ULP, expAvgSq 4, param 6 at max(|p|, U). */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 10, 1000, 20_000, 1_000_000})
    void distanceFromFloat64(long step) {
        int size = 500;
        long compared = 0;
        for (AdamOptions options : List.of(AdamOptions.adam(), AdamOptions.adamW(),
                AdamOptions.adam().withWeightDecay(0.01), AdamOptions.adamW().withMaximize(true))) {
            for (AdamArrays.Kind kind : new AdamArrays.Kind[] {AdamArrays.Kind.NORMAL, AdamArrays.Kind.FIRST,
                AdamArrays.Kind.ZEROS}) {
                AdamArrays a = AdamArrays.of(kind, size, new SplittableRandom(step));
                block().begin(16 * size, 4);
                Tensor param = block().floats(a.param(), 0, size);
                Tensor grad = block().floats(a.grad(), 0, size);
                Tensor expAvg = block().floats(a.expAvg(), 0, size);
                Tensor expAvgSq = block().floats(a.expAvgSq(), 0, size);
                block().upload();
                double[][] exact = {wide(a.param()), wide(a.grad()), wide(a.expAvg()), wide(a.expAvgSq())};
                try (Backend reference = Backend.open("reference");
                        Adam adam = Adam.on(backend(), options,
                                List.of(new AdamParameter("p", param, grad, expAvg, expAvgSq)));
                        Adam exactAdam = Adam.on(reference, options,
                                List.of(new AdamParameter("p", Tensor.of(exact[0], size), Tensor.of(exact[1], size),
                                        Tensor.of(exact[2], size), Tensor.of(exact[3], size))))) {
                    adam.setStepCount(step - 1);
                    adam.step();
                    exactAdam.setStepCount(step - 1);
                    exactAdam.step();
                }
                block().download();
                float[] p = block().read(param);
                float[] m = block().read(expAvg);
                float[] v = block().read(expAvgSq);
                double bc1 = -Math.expm1(step * Math.log1p(-(1 - options.beta1())));
                double bc2 = -Math.expm1(step * Math.log1p(-(1 - options.beta2())));
                for (int i = 0; i < size; i++) {
                    double decay = options.decoupled() ? 0 : options.weightDecay() * Math.abs(a.param()[i]);
                    double g = Math.abs(a.grad()[i]) + decay;
                    String what = options + " step " + step + " " + kind + " element " + i;
                    within(3, exact[2][i], m[i], Math.max(Math.abs(a.expAvg()[i]), (1 - options.beta1()) * g),
                            what + " expAvg");
                    within(4, exact[3][i], v[i], Math.max(a.expAvgSq()[i], (1 - options.beta2()) * g * g),
                            what + " expAvgSq");
                    double u = options.lr() / bc1 * (options.beta1() * Math.abs(a.expAvg()[i])
                            + (1 - options.beta1()) * g) / (Math.sqrt(exact[3][i] / bc2) + options.eps());
                    within(6, exact[0][i], p[i], Math.max(Math.abs(exact[0][i]), u), what + " param");
                    compared++;
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Promise 2 once more, against each framework's own formula, which no backend has. */
    @ParameterizedTest
    @EnumSource(AdamSemantics.class)
    void everySemanticsIsItsDefinition(AdamSemantics semantics) {
        int size = 200;
        AdamOptions adam = AdamOptions.adam().withSemantics(semantics);
        AdamOptions adamW = AdamOptions.adamW().withSemantics(semantics);
        long compared = 0;
        for (AdamOptions options : List.of(adam, adamW, adam.withWeightDecay(0.01), adamW.withMaximize(true),
                adamW.withWeightDecay(0.1).withLr(0.1).withEps(1e-3), adam.withAmsgrad(true),
                adamW.withAmsgrad(true).withBetas(0.8, 0.95))) {
            AdamOracle oracle = new AdamOracle(options);
            for (long step : new long[] {1, 2, 10, 1_000_000}) {
                for (AdamArrays.Kind kind : new AdamArrays.Kind[] {AdamArrays.Kind.NORMAL, AdamArrays.Kind.FIRST}) {
                    AdamArrays a = AdamArrays.of(kind, size, new SplittableRandom(step));
                    block().begin(20 * size, 5);
                    Tensor param = block().floats(a.param(), 0, size);
                    Tensor grad = block().floats(a.grad(), 0, size);
                    Tensor expAvg = block().floats(a.expAvg(), 0, size);
                    Tensor expAvgSq = block().floats(a.expAvgSq(), 0, size);
                    Tensor largest = options.amsgrad() ? block().floats(a.maxExpAvgSq(), 0, size) : null;
                    block().upload();
                    try (Adam op = Adam.on(backend(), options,
                            List.of(new AdamParameter("p", param, grad, expAvg, expAvgSq, largest)))) {
                        op.setStepCount(step - 1);
                        op.step();
                    }
                    block().download();
                    float[] p = block().read(param);
                    float[] m = block().read(expAvg);
                    float[] v = block().read(expAvgSq);
                    float[] x = largest == null ? v : block().read(largest);
                    for (int i = 0; i < size; i++) {
                        AdamOracle.After exact = oracle.step(step, a.param()[i], a.grad()[i], a.expAvg()[i],
                                a.expAvgSq()[i], a.maxExpAvgSq()[i]);
                        double g = Math.abs(a.grad()[i])
                                + (options.decoupled() ? 0 : options.weightDecay() * Math.abs(a.param()[i]));
                        String what = options + " step " + step + " " + kind + " element " + i;
                        within(3, exact.expAvg(), m[i],
                                Math.max(Math.abs(a.expAvg()[i]), (1 - options.beta1()) * g), what + " expAvg");
                        double square = Math.max(a.expAvgSq()[i], (1 - options.beta2()) * g * g);
                        within(4, exact.expAvgSq(), v[i], square, what + " expAvgSq");
                        within(4, exact.maxExpAvgSq(), x[i], square, what + " maxExpAvgSq");
                        within(6, exact.param(), p[i], exact.largest(), what + " param");
                        compared++;
                    }
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** Decay inside the gradient is divided by the denominator with it; decay apart from it is not. */
    @Test
    void l2IsNotDecoupledDecayForAdam() {
        float[][] after = new float[2][];
        for (int decoupled = 0; decoupled < 2; decoupled++) {
            block().begin(256, 2);
            Tensor param = block().floats(new float[] {1, 1}, 0, 2);
            Tensor grad = block().floats(new float[] {10, 0.1f}, 0, 2);
            block().upload();
            AdamOptions options = (decoupled == 1 ? AdamOptions.adamW() : AdamOptions.adam()).withLr(0.1)
                    .withWeightDecay(0.1).withEps(0);
            try (Adam adam = Adam.on(backend(), options, List.of(AdamParameter.of("p", param, grad)))) {
                adam.step();
            }
            block().download();
            after[decoupled] = block().read(param);
        }
        // The first step has the size lr, whatever the gradient: L2 vanishes in it, decoupled decay takes lr·wd more.
        for (int i = 0; i < 2; i++) {
            within(6, 1 - 0.1, after[0][i], 1, "L2");
            within(6, 1 - 0.1 - 0.01, after[1][i], 1, "decoupled");
        }
    }

    /** Each group as if it were alone; a disabled one keeps its bits and its count. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void groups(boolean amsgrad) {
        int count = 70;
        SplittableRandom random = new SplittableRandom(12);
        List<List<AdamArrays>> values = new ArrayList<>();
        List<AdamGroup> groups = new ArrayList<>();
        List<Tensor> outputs = new ArrayList<>();
        block().begin(1 << 18, 1000);
        for (int g = 0; g < count; g++) {
            AdamOptions options = variations().get(g % variations().size()).withLr(0.01 * g).withAmsgrad(amsgrad);
            List<AdamArrays> ofGroup = new ArrayList<>();
            List<AdamParameter> parameters = new ArrayList<>();
            for (int i = 0; i < g % 4; i++) {
                AdamArrays a = AdamArrays.of(AdamArrays.Kind.NORMAL, 1 + 37 * g % 130, random);
                float[][] all = {a.param(), a.grad(), a.expAvg(), a.expAvgSq(), a.maxExpAvgSq()};
                Tensor[] tensors = new Tensor[5];
                for (int role = 0; role < (amsgrad ? 5 : 4); role++) {
                    tensors[role] = block().floats(all[role], random.nextInt(4), all[role].length);
                    if (role != 1) {
                        outputs.add(tensors[role]);
                    }
                }
                ofGroup.add(a);
                parameters.add(new AdamParameter("p" + i, tensors[0], tensors[1], tensors[2], tensors[3], tensors[4]));
            }
            values.add(ofGroup);
            groups.add(new AdamGroup(options, parameters));
        }
        block().upload();
        long[] done = new long[count];
        double[] lrs = groups.stream().mapToDouble(group -> group.options().lr()).toArray();
        try (Adam adam = Adam.on(backend(), groups)) {
            for (int step = 1; step <= 4; step++) {
                for (int g = step; g < count; g += 7) {
                    adam.setEnabled(g, !adam.isEnabled(g));
                    lrs[g] = 0.5 / step;
                    adam.setLr(g, lrs[g]);
                    assertEquals(lrs[g], adam.lr(g));
                }
                adam.step();
                for (int g = 0; g < count; g++) {
                    if (adam.isEnabled(g)) {
                        done[g]++;
                        for (AdamArrays a : values.get(g)) {
                            a.step(groups.get(g).options(), lrs[g], done[g]);
                        }
                    }
                }
            }
            for (int g = 0; g < count; g++) {
                assertEquals(done[g], adam.stepCount(g));
            }
        }
        block().download();
        block().assertUntouchedBut("groups", outputs.toArray(new Tensor[0]));
        for (int g = 0; g < count; g++) {
            for (int i = 0; i < values.get(g).size(); i++) {
                AdamParameter p = groups.get(g).parameters().get(i);
                AdamArrays a = values.get(g).get(i);
                String what = "group " + g + " " + p.name();
                Bits.assertSame(what + " param", a.param(), block().read(p.param()));
                Bits.assertSame(what + " expAvg", a.expAvg(), block().read(p.expAvg()));
                Bits.assertSame(what + " expAvgSq", a.expAvgSq(), block().read(p.expAvgSq()));
            }
        }
    }

    /** Side by side in one memory, as slices of flat buffers: some in all their tensors, some but in a few. */
    @Test
    void neighbours() {
        int count = 40;
        int size = 13;
        for (int apart = 0; apart < 5; apart++) {
            AdamOptions options = AdamOptions.adamW().withAmsgrad(true);
            SplittableRandom random = new SplittableRandom(apart);
            AdamArrays all = AdamArrays.of(AdamArrays.Kind.NORMAL, count * size, random);
            float[][] values = {all.param(), all.grad(), all.expAvg(), all.expAvgSq(), all.maxExpAvgSq()};
            block().begin(20 * count * size, 5);
            Tensor[] flat = new Tensor[5];
            for (int role = 0; role < 5; role++) {
                flat[role] = block().floats(values[role], role, count * size);
            }
            block().upload();
            List<AdamParameter> first = new ArrayList<>();
            List<AdamParameter> second = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                Tensor[] t = new Tensor[5];
                for (int role = 0; role < 5; role++) {
                    // In one role every other pair is swapped: there neighbours are none.
                    int at = role == apart && role != 0 && i % 4 >= 2 ? i ^ 1 : i;
                    t[role] = Tensor.of(DType.F32, flat[role].memory(), flat[role].byteOffset() + 4L * at * size, size);
                }
                (i < count / 2 ? first : second).add(new AdamParameter("p" + i, t[0], t[1], t[2], t[3], t[4]));
            }
            try (Adam adam = Adam.on(backend(), List.of(new AdamGroup(options, first),
                    new AdamGroup(options.withLr(0.5), second)))) {
                adam.step();
            }
            block().download();
            for (int i = 0; i < count; i++) {
                AdamParameter p = (i < count / 2 ? first : second).get(i % (count / 2));
                AdamArrays a = new AdamArrays(slice(all.param(), p.param(), flat[0]), slice(all.grad(), p.grad(),
                        flat[1]), slice(all.expAvg(), p.expAvg(), flat[2]),
                        slice(all.expAvgSq(), p.expAvgSq(),
                                flat[3]),
                        slice(all.maxExpAvgSq(), p.maxExpAvgSq(), flat[4]));
                a.step(options, i < count / 2 ? options.lr() : 0.5, 1);
                String what = "apart " + apart + " p" + i;
                Bits.assertSame(what, a.param(), block().read(p.param()));
                Bits.assertSame(what, a.expAvg(), block().read(p.expAvg()));
                Bits.assertSame(what, a.expAvgSq(), block().read(p.expAvgSq()));
                Bits.assertSame(what, a.maxExpAvgSq(), block().read(p.maxExpAvgSq()));
            }
        }
    }

    private static float[] slice(float[] flat, Tensor tensor, Tensor of) {
        int from = (int) (tensor.byteOffset() - of.byteOffset()) / 4;
        return Arrays.copyOfRange(flat, from, from + (int) tensor.elementCount());
    }

    /** What Apex writes otherwise has the same bits: a run may be taken over from the one to the other. */
    @Test
    void apexHasTheBitsOfTorch() {
        for (AdamOptions options : List.of(AdamOptions.adamW(), AdamOptions.adam().withWeightDecay(0.1))) {
            AdamArrays torch = AdamArrays.of(AdamArrays.Kind.NORMAL, 100, new SplittableRandom(1));
            AdamArrays apex = AdamArrays.of(AdamArrays.Kind.NORMAL, 100, new SplittableRandom(1));
            torch.step(options, options.lr(), 3);
            apex.step(options.withSemantics(AdamSemantics.APEX), options.lr(), 3);
            Bits.assertSame("param", torch.param(), apex.param());
        }
    }

    private static void within(double budget, double exact, float value, double largest, String what) {
        double ulp = Math.scalb(1.0, Math.getExponent(Math.max(Math.abs(exact), largest)) - 23);
        double error = Math.abs(value - exact);
        if (!(error <= budget * ulp + 1e-38)) {
            fail(what + ": " + value + " is " + error / ulp + " ULP from " + exact);
        }
    }

    private static double[] wide(float[] values) {
        double[] wide = new double[values.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = values[i];
        }
        return wide;
    }
}
