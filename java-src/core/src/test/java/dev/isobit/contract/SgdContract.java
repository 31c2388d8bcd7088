package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.LrSchedule;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * SGD of a float32 backend: the bits of {@link SgdDefinition}, nothing written beside the outputs, within the promised
 * distance from PyTorch's formula in float64, and what is refused.
 */
public abstract class SgdContract extends BackendContract {
    private static final int[] SIZES = {0, 1, 2, 3, 4, 5, 7, 15, 16, 17, 31, 32, 33, 63, 65, 1000, 1025, 65_537};

    private static final SgdOptions PLAIN = SgdOptions.defaults().withLr(0.1);
    private static final SgdOptions MOMENTUM = PLAIN.withMomentum(0.9);

    /** For subclasses. */
    protected SgdContract() {}

    private static List<SgdOptions> variations() {
        return List.of(PLAIN, PLAIN.withWeightDecay(0.1), PLAIN.withMaximize(true), PLAIN.withLr(0), MOMENTUM,
                MOMENTUM.withDampening(0.3), MOMENTUM.withNesterov(true),
                MOMENTUM.withWeightDecay(0.01).withNesterov(true).withMaximize(true),
                MOMENTUM.withWeightDecay(1e-60).withDampening(1), MOMENTUM.withMaximize(true).withLr(1e300),
                MOMENTUM.withWeightDecay(1e300), PLAIN.withMomentum(1e-60),
                MOMENTUM.withSchedule(LrSchedule.cosine(3, 0.1).withWarmup(1, 0.25)),
                PLAIN.withWeightDecay(0.1).withSchedule(LrSchedule.linear(3_000_000, 0)),
                MOMENTUM.withNesterov(true).withSchedule(LrSchedule.step(2, 0.3)));
    }

    /** Param, gradient, momentum buffer. */
    private static float[][] arrays(AdamArrays.Kind kind, int size, SplittableRandom random) {
        AdamArrays a = AdamArrays.of(kind, size, random);
        return new float[][] {a.param(), a.grad(), a.expAvg()};
    }

    private SgdParameter place(float[][] a, SgdOptions options, SplittableRandom random, List<Tensor> outputs) {
        boolean alike = random.nextBoolean();
        int skip = random.nextInt(16);
        Tensor[] tensors = new Tensor[3];
        for (int role = 0; role < (options.momentum() != 0 ? 3 : 2); role++) {
            tensors[role] = block().floats(a[role], alike ? skip : random.nextInt(16), a[role].length);
            if (role != 1) {
                outputs.add(tensors[role]);
            }
        }
        return new SgdParameter("p" + outputs.size(), tensors[0], tensors[1], tensors[2]);
    }

    private long compare(String what, SgdParameter parameter, float[][] expected) {
        long compared = Bits.assertSame(what + " param", expected[0], block().read(parameter.param()));
        if (parameter.momentumBuffer() != null) {
            compared += Bits.assertSame(what + " momentumBuffer", expected[2],
                    block().read(parameter.momentumBuffer()));
        }
        return compared;
    }

    @ParameterizedTest
    @EnumSource(AdamArrays.Kind.class)
    void everySizeOptionAndStep(AdamArrays.Kind kind) {
        long compared = 0;
        for (int size : SIZES) {
            for (SgdOptions options : variations()) {
                for (long first : size > 1025 ? new long[] {1} : new long[] {1, 2, 1_000_000}) {
                    SplittableRandom random = new SplittableRandom(size * 31L + first);
                    float[][] a = arrays(kind, size, random);
                    block().begin(12L * size, 3);
                    List<Tensor> outputs = new ArrayList<>();
                    SgdParameter parameter = place(a, options, random, outputs);
                    block().upload();
                    String what = options + " step " + first + " " + kind + " size " + size;
                    try (Sgd sgd = Sgd.on(backend(), options, List.of(parameter))) {
                        sgd.setStepCount(first - 1);
                        for (int i = 0; i < 2; i++) {
                            sgd.step();
                            SgdDefinition.step(options, options.lr(), first + i, a[0], a[1], a[2]);
                        }
                        assertEquals(first + 1, sgd.stepCount(0));
                    }
                    block().download();
                    block().assertUntouchedBut(what, outputs.toArray(new Tensor[0]));
                    compared += compare(what, parameter, a);
                }
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    /** A thousand steps with buffers that the optimizer makes, and a learning rate that changes. */
    @Test
    void trajectory() {
        int size = 777;
        for (SgdOptions options : List.of(MOMENTUM.withNesterov(true), MOMENTUM.withDampening(0.1), PLAIN)) {
            SplittableRandom random = new SplittableRandom(3);
            float[][] a = arrays(AdamArrays.Kind.FIRST, size, random);
            block().begin(8 * size, 2);
            Tensor param = block().floats(a[0], 0, size);
            Tensor grad = block().floats(a[1], 5, size);
            block().upload();
            try (Sgd sgd = Sgd.on(backend(), options, List.of(SgdParameter.of("p", param, grad)))) {
                for (int step = 1; step <= 1000; step++) {
                    for (int i = 0; i < size; i++) {
                        a[1][i] = a[0][i] - 0.5f + 0.1f * LogitsKind.gaussian(random);
                    }
                    backend().copy(Tensor.of(a[1], size), grad);
                    double lr = options.lr() / Math.sqrt(step);
                    sgd.setLr(lr);
                    sgd.step();
                    SgdDefinition.step(options, lr, step, a[0], a[1], a[2]);
                    if (step % 50 == 0) {
                        Bits.assertSame(options + " step " + step, a[0], read(param));
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

    /** Promise 2: momentumBuffer 3 ULP, param 4, at the largest addend, from the formula of torch.optim.SGD. */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 10, 1_000_000})
    void distanceFromTheDefinition(long step) {
        int size = 300;
        long compared = 0;
        for (SgdOptions options : List.of(PLAIN, PLAIN.withWeightDecay(0.1), MOMENTUM, MOMENTUM.withDampening(0.3),
                MOMENTUM.withWeightDecay(0.01).withNesterov(true).withMaximize(true))) {
            SplittableRandom random = new SplittableRandom(step);
            float[][] a = arrays(AdamArrays.Kind.NORMAL, size, random);
            block().begin(12 * size, 3);
            SgdParameter parameter = place(a, options, random, new ArrayList<>());
            block().upload();
            try (Sgd sgd = Sgd.on(backend(), options, List.of(parameter))) {
                sgd.setStepCount(step - 1);
                sgd.step();
            }
            block().download();
            float[] p = block().read(parameter.param());
            float[] b = parameter.momentumBuffer() == null ? null : block().read(parameter.momentumBuffer());
            // As PyTorch writes it, with the scalars that float32 arithmetic has.
            double momentum = (float) options.momentum();
            double share = (float) (1 - options.dampening());
            double decay = (float) options.weightDecay();
            double lr = (float) options.lr();
            for (int i = 0; i < size; i++) {
                double grad = (options.maximize() ? -a[1][i] : a[1][i]) + decay * a[0][i];
                double largest = Math.abs(a[1][i]) + decay * Math.abs(a[0][i]);
                double buffer = step == 1 ? grad : a[2][i] * momentum + grad * share;
                if (b != null) {
                    largest = Math.max(largest, momentum * Math.abs(a[2][i]));
                    within(3, buffer, b[i], largest, options + " step " + step + " momentumBuffer " + i);
                    grad = options.nesterov() ? grad + momentum * buffer : buffer;
                }
                within(4, a[0][i] - lr * grad, p[i], Math.max(Math.abs(a[0][i]), 2 * lr * largest),
                        options + " step " + step + " param " + i);
                compared++;
            }
        }
        assertTrue(compared > 0, "nothing was compared");
    }

    private static void within(double budget, double exact, float value, double largest, String what) {
        double ulp = Math.scalb(1.0, Math.getExponent(Math.max(Math.abs(exact), largest)) - 23);
        double error = Math.abs(value - exact);
        if (!(error <= budget * ulp + 1e-38)) {
            fail(what + ": " + value + " is " + error / ulp + " ULP from " + exact);
        }
    }

    /** Results that anyone can work out; what the buffer holds before the first step is not looked at. */
    @Test
    void knownResults() {
        block().begin(256, 3);
        Tensor param = block().floats(new float[] {1, 1, 1}, 0, 3);
        Tensor grad = block().floats(new float[] {2, -4, Float.intBitsToFloat(0xffabcdef)}, 0, 3);
        Tensor buffer = block().floats(new float[] {Float.NaN, Float.POSITIVE_INFINITY, 7}, 0, 3);
        block().upload();
        SgdOptions options = SgdOptions.defaults().withLr(0.25).withMomentum(0.5);
        try (Sgd sgd = Sgd.on(backend(), options, List.of(new SgdParameter("p", param, grad, buffer)))) {
            sgd.step();
            sgd.step();
        }
        block().download();
        float nan = Float.NaN;
        // The buffer is 2, then 3; the parameter 1 - 0.5, then 0.5 - 0.75.
        Bits.assertSame("buffer", new float[] {3, -6, nan}, block().read(buffer));
        Bits.assertSame("param", new float[] {-0.25f, 3.5f, nan}, block().read(param));
    }

    /** Decay inside the gradient and decay of the parameter are the same for plain SGD: p - lr·(g + wd·p). */
    @Test
    void l2IsDecoupledDecayForPlainSgd() {
        block().begin(256, 2);
        float[] start = {1, -2, 0.5f};
        float[] gradient = {0.25f, 3, -1};
        Tensor param = block().floats(start, 0, 3);
        Tensor grad = block().floats(gradient, 0, 3);
        block().upload();
        try (Sgd sgd = Sgd.on(backend(), PLAIN.withWeightDecay(0.5), List.of(SgdParameter.of("p", param, grad)))) {
            sgd.step();
        }
        block().download();
        for (int i = 0; i < 3; i++) {
            double decoupled = start[i] * (1 - (double) (float) 0.1 * 0.5) - (double) (float) 0.1 * gradient[i];
            within(4, decoupled, block().read(param)[i], Math.abs(start[i]), "element " + i);
        }
    }

    /** Side by side in one memory, as slices of flat buffers; the second half of the gradients the other way round. */
    @Test
    void neighbours() {
        int count = 20;
        int size = 13;
        float[][] a = arrays(AdamArrays.Kind.NORMAL, count * size, new SplittableRandom(1));
        block().begin(12 * count * size, 3);
        Tensor[] flat = new Tensor[3];
        for (int role = 0; role < 3; role++) {
            flat[role] = block().floats(a[role], role, count * size);
        }
        block().upload();
        List<SgdParameter> parameters = new ArrayList<>();
        float[] grad = a[1].clone();
        for (int i = 0; i < count; i++) {
            int g = i < count / 2 ? i : count - 1 - (i - count / 2);
            System.arraycopy(a[1], g * size, grad, i * size, size);
            parameters.add(new SgdParameter("p" + i, shifted(flat[0], DType.F32, 4L * i * size, size),
                    shifted(flat[1], DType.F32, 4L * g * size, size),
                    shifted(flat[2], DType.F32, 4L * i * size, size)));
        }
        try (Sgd sgd = Sgd.on(backend(), MOMENTUM, parameters)) {
            sgd.step();
        }
        block().download();
        SgdDefinition.step(MOMENTUM, MOMENTUM.lr(), 1, a[0], grad, a[2]);
        Bits.assertSame("param", a[0], block().read(flat[0]));
        Bits.assertSame("momentumBuffer", a[2], block().read(flat[2]));
    }

    /** Each group as if it were alone; a disabled one keeps its bits and its count. */
    @Test
    void groups() {
        SplittableRandom random = new SplittableRandom(12);
        List<SgdOptions> options = new ArrayList<>();
        for (int g = 0; g < 70; g++) {
            options.add(variations().get(g % variations().size()).withLr(0.01 * g));
        }
        List<List<float[][]>> values = new ArrayList<>();
        List<SgdGroup> groups = new ArrayList<>();
        List<Tensor> outputs = new ArrayList<>();
        block().begin(1 << 18, 1000);
        for (int g = 0; g < 70; g++) {
            List<float[][]> ofGroup = new ArrayList<>();
            List<SgdParameter> parameters = new ArrayList<>();
            for (int i = 0; i < g % 4; i++) {
                float[][] a = arrays(AdamArrays.Kind.NORMAL, 1 + 37 * g % 130, random);
                ofGroup.add(a);
                parameters.add(place(a, options.get(g), random, outputs));
            }
            values.add(ofGroup);
            groups.add(new SgdGroup(options.get(g), parameters));
        }
        block().upload();
        long[] done = new long[70];
        double[] lrs = options.stream().mapToDouble(SgdOptions::lr).toArray();
        try (Sgd sgd = Sgd.on(backend(), groups)) {
            for (int step = 1; step <= 4; step++) {
                for (int g = step; g < 70; g += 7) {
                    sgd.setEnabled(g, !sgd.isEnabled(g));
                    lrs[g] = 0.5 / step;
                    sgd.setLr(g, lrs[g]);
                    assertEquals(lrs[g], sgd.lr(g));
                }
                sgd.step();
                for (int g = 0; g < 70; g++) {
                    if (sgd.isEnabled(g)) {
                        done[g]++;
                        for (float[][] a : values.get(g)) {
                            SgdDefinition.step(options.get(g), lrs[g], done[g], a[0], a[1], a[2]);
                        }
                    }
                }
            }
            assertFalse(sgd.isEnabled(1));
            for (int g = 0; g < 70; g++) {
                assertEquals(done[g], sgd.stepCount(g));
            }
        }
        block().download();
        block().assertUntouchedBut("groups", outputs.toArray(new Tensor[0]));
        for (int g = 0; g < 70; g++) {
            for (int i = 0; i < values.get(g).size(); i++) {
                compare("group " + g + " p" + i, groups.get(g).parameters().get(i), values.get(g).get(i));
            }
        }
    }

    @Test
    void badInput() {
        block().begin(1024, 4);
        Tensor a = block().floats(new float[12], 0, 3, 4);
        Tensor b = block().floats(new float[12], 0, 3, 4);
        Tensor c = block().floats(new float[12], 0, 12);
        refusedAtOnce(MOMENTUM, new SgdParameter("w", a, shifted(b, DType.F32, 0, 11), c), "grad of w", "12 elements");
        refusedAtOnce(MOMENTUM, new SgdParameter("w", a, b, shifted(c, DType.F32, 0, 11)), "momentumBuffer of w");
        refusedAtOnce(MOMENTUM, new SgdParameter("w", a, b, shifted(a, DType.F32, 4, 12)), "overlaps");
        refusedAtOnce(MOMENTUM, new SgdParameter("w", a, a, c), "overlaps");
        refusedAtOnce(PLAIN, new SgdParameter("w", a, b, c), "momentumBuffer of w", "momentum is 0");
        refusedAtOnce(MOMENTUM, new SgdParameter("w", foreign(DType.F32, 12), b, c), "param of w");
        refused(IllegalStateException.class,
                () -> Sgd.on(backend(), MOMENTUM, List.of(new SgdParameter("w", closed(DType.F32, 12), b, c))),
                "Sgd.on", "param of w", "closed");
        refused(IllegalArgumentException.class, () -> Sgd.on(backend(), List.of()), "Sgd.on", "no groups");
        try (Backend other = open()) {
            refused(IllegalArgumentException.class,
                    () -> Sgd.on(backend(), PLAIN, List.of(), other.defaultStream()), "Sgd.on", "stream");
        }
        Sgd sgd = Sgd.on(backend(), PLAIN, List.of(SgdParameter.of("w", a, b)));
        refused(IllegalArgumentException.class, () -> sgd.setLr(-1), "lr", "-1");
        refused(IllegalArgumentException.class, () -> sgd.setStepCount(0, -1), "Sgd.setStepCount", "-1");
        refused(IndexOutOfBoundsException.class, () -> sgd.setLr(1, 0.5), "1");
        sgd.close();
        sgd.close();
        refused(IllegalStateException.class, sgd::step, "Sgd", "closed");
    }

    private void refusedAtOnce(SgdOptions options, SgdParameter parameter, String... words) {
        refused(IllegalArgumentException.class, () -> Sgd.on(backend(), options, List.of(parameter)).close(), words);
    }

    @ParameterizedTest
    @ValueSource(doubles = {Double.NaN, -1e-300, Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY})
    void hyperParameters(double bad) {
        block().begin(64, 0);
        refused(IllegalArgumentException.class, () -> PLAIN.withLr(bad), "Sgd", "lr", "" + bad);
        refused(IllegalArgumentException.class, () -> PLAIN.withMomentum(bad), "Sgd", "momentum", "" + bad);
        refused(IllegalArgumentException.class, () -> PLAIN.withWeightDecay(bad), "Sgd", "weightDecay", "" + bad);
        if (bad != -1e-300) {
            refused(IllegalArgumentException.class, () -> PLAIN.withDampening(bad), "Sgd", "dampening", "" + bad);
        }
        refused(IllegalArgumentException.class, () -> PLAIN.withNesterov(true), "nesterov");
        refused(IllegalArgumentException.class, () -> MOMENTUM.withDampening(0.1).withNesterov(true), "nesterov");
        assertArrayEquals(new double[] {1e-3, 0, 0, 0}, new double[] {SgdOptions.defaults().lr(),
            SgdOptions.defaults().momentum(), SgdOptions.defaults().dampening(), SgdOptions.defaults().weightDecay()});
    }
}
