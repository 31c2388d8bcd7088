package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LrSchedule;
import dev.isobit.Memory;
import dev.isobit.Reduction;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Guarded steps where kernels run: the cpu backend's bits, in parameters, state and counts. */
abstract class GuardContract {
    private static final StepOptions PLAIN = StepOptions.defaults();
    private static final GradScaling SCALING = new GradScaling(1024, 2, 0.5f, 2);
    private static final List<StepOptions> OPTIONS =
            List.of(PLAIN.withMaxNorm(0.5), PLAIN.withClipValue(0.5).withZeroGrad(true),
                    PLAIN.withGradScaling(SCALING).withMaxNorm(1e-3).withClipValue(1e-4).withZeroGrad(true),
                    PLAIN.withGradScaling(SCALING).withMaxNorm(1e6), PLAIN.withSkipNonFinite(true),
                    PLAIN.withGradDivisor(5).withMaxNorm(1e-3));

    /** An optimizer of either kind. */
    private interface Optimizer extends AutoCloseable {
        void step();

        void set(int group, double lr, boolean enabled);

        void divide(float by);

        StepState state();

        void setState(StepState state, long[] counts);

        long count(int group);

        Tensor scale();

        @Override
        void close();
    }

    private static Optimizer adam(Adam adam) {
        return new Optimizer() {
            @Override
            public void step() {
                adam.step();
            }

            @Override
            public void set(int group, double lr, boolean enabled) {
                adam.setLr(group, lr);
                adam.setEnabled(group, enabled);
            }

            @Override
            public void divide(float by) {
                adam.setGradDivisor(by);
            }

            @Override
            public StepState state() {
                return adam.stepState();
            }

            @Override
            public void setState(StepState state, long[] counts) {
                adam.setStepState(state);
                for (int i = 0; i < counts.length; i++) {
                    adam.setStepCount(i, counts[i]);
                }
            }

            @Override
            public long count(int group) {
                return adam.stepCount(group);
            }

            @Override
            public Tensor scale() {
                return adam.gradScale();
            }

            @Override
            public void close() {
                adam.close();
            }
        };
    }

    private static Optimizer sgd(Sgd sgd) {
        return new Optimizer() {
            @Override
            public void step() {
                sgd.step();
            }

            @Override
            public void set(int group, double lr, boolean enabled) {
                sgd.setLr(group, lr);
                sgd.setEnabled(group, enabled);
            }

            @Override
            public void divide(float by) {
                sgd.setGradDivisor(by);
            }

            @Override
            public StepState state() {
                return sgd.stepState();
            }

            @Override
            public void setState(StepState state, long[] counts) {
                sgd.setStepState(state);
                for (int i = 0; i < counts.length; i++) {
                    sgd.setStepCount(i, counts[i]);
                }
            }

            @Override
            public long count(int group) {
                return sgd.stepCount(group);
            }

            @Override
            public Tensor scale() {
                return sgd.gradScale();
            }

            @Override
            public void close() {
                sgd.close();
            }
        };
    }

    /** The same parameters on two backends. */
    private static final class Twins implements AutoCloseable {
        final Backend cuda = Backend.open("cuda");
        final Backend cpu = Backend.open("cpu");
        final List<Memory> memories = new ArrayList<>();
        /** Of each parameter: param, grad, expAvg or momentum buffer, expAvgSq, maxExpAvgSq. */
        final List<float[][]> host = new ArrayList<>();
        final List<Tensor[]> device = new ArrayList<>();
        final List<List<Integer>> groups = new ArrayList<>();
        Optimizer here;
        Optimizer there;

        /** @param alignment 0: all aligned; 1: all off by the same; 2: each off by something else */
        void add(Random random, int alignment, int... sizes) {
            List<Integer> group = new ArrayList<>();
            for (int size : sizes) {
                float[][] values = new float[5][size];
                Tensor[] tensors = new Tensor[5];
                for (int role = 0; role < 5; role++) {
                    for (int i = 0; i < size; i++) {
                        float x = (float) random.nextGaussian();
                        values[role][i] = role == 0 ? x : role < 3 ? 0.1f * x : 0.01f * x * x;
                    }
                    long off = alignment == 0 ? 0 : alignment == 1 ? 4 : 4 * ((role + size) % 4);
                    Memory memory = cuda.allocate(off + 4L * size);
                    memories.add(memory);
                    tensors[role] = Tensor.of(DType.F32, memory, off, size);
                    cuda.copy(Tensor.of(values[role], size), tensors[role]);
                }
                group.add(host.size());
                host.add(values);
                device.add(tensors);
            }
            groups.add(group);
        }

        private Tensor[] tensors(boolean onCuda, int parameter) {
            float[][] v = host.get(parameter);
            return onCuda
                    ? device.get(parameter)
                    : IntStream.range(0, 5).mapToObj(role -> Tensor.of(v[role],
                            v[role].length)).toArray(Tensor[]::new);
        }

        void adam(StepOptions step, List<AdamOptions> options) {
            boolean amsgrad = options.get(0).amsgrad();
            Optimizer[] made = new Optimizer[2];
            for (int k = 0; k < 2; k++) {
                boolean onCuda = k == 1;
                Backend backend = onCuda ? cuda : cpu;
                made[k] = GuardContract.adam(Adam.on(backend, IntStream.range(0, groups.size())
                        .mapToObj(g -> new AdamGroup(options.get(g % options.size()), groups.get(g).stream().map(i -> {
                            Tensor[] t = tensors(onCuda, i);
                            return new AdamParameter("p" + i, t[0], t[1], t[2], t[3], amsgrad ? t[4] : null);
                        }).toList())).toList(), step, backend.defaultStream()));
            }
            here = made[0];
            there = made[1];
        }

        void sgd(StepOptions step, List<SgdOptions> options) {
            Optimizer[] made = new Optimizer[2];
            for (int k = 0; k < 2; k++) {
                boolean onCuda = k == 1;
                Backend backend = onCuda ? cuda : cpu;
                made[k] = GuardContract.sgd(Sgd.on(backend, IntStream.range(0, groups.size()).mapToObj(g -> {
                    SgdOptions own = options.get(g % options.size());
                    return new SgdGroup(own, groups.get(g).stream().map(i -> {
                        Tensor[] t = tensors(onCuda, i);
                        return new SgdParameter("p" + i, t[0], t[1], own.momentum() != 0 ? t[2] : null);
                    }).toList());
                }).toList(), step, backend.defaultStream()));
            }
            here = made[0];
            there = made[1];
        }

        void setGradients(Random random, float magnitude) {
            for (int i = 0; i < host.size(); i++) {
                float[] grad = host.get(i)[1];
                for (int k = 0; k < grad.length; k++) {
                    grad[k] = magnitude * (float) random.nextGaussian();
                }
                upload(i);
            }
        }

        void upload(int parameter) {
            float[] grad = host.get(parameter)[1];
            cuda.copy(Tensor.of(grad, grad.length), device.get(parameter)[1]);
        }

        void step() {
            here.step();
            there.step();
        }

        void compare(String what) {
            assertEquals(here.state(), there.state(), what);
            for (int g = 0; g < groups.size(); g++) {
                assertEquals(here.count(g), there.count(g), what + ", steps of group " + g);
            }
            for (int i = 0; i < host.size(); i++) {
                for (int role = 0; role < 5; role++) {
                    float[] wanted = host.get(i)[role];
                    float[] found = new float[wanted.length];
                    cuda.copy(device.get(i)[role], Tensor.of(found, found.length));
                    assertArrayEquals(bits(wanted), bits(found), what + ", parameter " + i + " of " + found.length
                            + ", operand " + role);
                }
            }
            float[] scale = new float[1];
            cuda.copy(there.scale(), Tensor.of(scale));
            assertEquals(here.state().gradScale(), scale[0]);
        }

        @Override
        public void close() {
            here.close();
            there.close();
            memories.forEach(Memory::close);
            cpu.close();
            cuda.close();
        }
    }

    private static int[] bits(float[] values) {
        int[] bits = new int[values.length];
        for (int i = 0; i < values.length; i++) {
            bits[i] = Float.floatToRawIntBits(values[i]);
        }
        return bits;
    }

    private static List<AdamOptions> adamOptions(boolean amsgrad) {
        AdamOptions adamW = AdamOptions.adamW().withAmsgrad(amsgrad).withLr(0.01);
        return List.of(adamW.withSchedule(LrSchedule.cosine(800, 0.1).withWarmup(2, 0.5)),
                AdamOptions.adam().withWeightDecay(0.1).withMaximize(true).withAmsgrad(amsgrad)
                        .withSchedule(LrSchedule.step(2, 0.3)),
                adamW.withSemantics(AdamSemantics.KERAS), adamW.withSemantics(AdamSemantics.ONNX),
                adamW.withSemantics(AdamSemantics.HF), adamW.withBetas(0.5, 0.8).withWeightDecay(0));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void theCpusBits(int alignment) {
        for (StepOptions options : OPTIONS) {
            for (int kind = 0; kind < 3; kind++) {
                Random random = new Random(alignment);
                try (Twins twins = new Twins()) {
                    // Around a vector, a chunk, the lanes and the segments of the norm; nothing between.
                    twins.add(random, alignment, 1, 2, 3, 4, 5, 31, 0, 33, 1023, 2049);
                    twins.add(random, alignment, 5042, 8195, 1);
                    if (kind < 2) {
                        twins.adam(options, adamOptions(kind == 1));
                    } else {
                        twins.sgd(options, SgdContract.options());
                    }
                    for (int step = 0; step < 5; step++) {
                        twins.setGradients(random, step == 1 ? 1e15f : 0.01f);
                        if (step == 2) {
                            int spoiled = random.nextInt(6);
                            twins.host.get(spoiled)[1][0] = step % 2 == 0 ? Float.NaN : Float.NEGATIVE_INFINITY;
                            twins.upload(spoiled);
                        }
                        twins.here.set(1, 0.1, step != 3);
                        twins.there.set(1, 0.1, step != 3);
                        if (step == 4) {
                            twins.here.divide(0.75f);
                            twins.there.divide(0.75f);
                        }
                        twins.step();
                        twins.compare(options + ", alignment " + alignment + ", kind " + kind + ", step " + step);
                    }
                }
            }
        }
    }

    @Test
    void noParameters() {
        try (Twins twins = new Twins()) {
            twins.add(new Random(1), 0);
            twins.adam(OPTIONS.get(0), adamOptions(false));
            twins.step();
            twins.compare("no parameters");
            assertEquals(0, twins.there.state().gradNorm());
        }
    }

    /** More groups than are set at once and more than a block has threads, some disabled for a while. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void groups(boolean isSgd) {
        Random random = new Random(4);
        try (Twins twins = new Twins()) {
            for (int g = 0; g < 300; g++) {
                int[] sizes = new int[g % 3];
                for (int i = 0; i < sizes.length; i++) {
                    sizes[i] = 1 + random.nextInt(90);
                }
                twins.add(random, 0, sizes);
            }
            if (isSgd) {
                twins.sgd(OPTIONS.get(0), SgdContract.options());
            } else {
                twins.adam(OPTIONS.get(0), adamOptions(false));
            }
            for (int step = 0; step < 4; step++) {
                for (Optimizer optimizer : List.of(twins.here, twins.there)) {
                    for (int g = step; g < 300; g += 5) {
                        optimizer.set(g, 0.01 * step, step % 2 == 1);
                    }
                }
                twins.step();
            }
            twins.compare("groups");
        }
    }

    /** A thousand steps of AdamW and Adam, or of SGD with momentum, scheduled, clipped, some of them skipped. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void trajectory(boolean isSgd) {
        Random random = new Random(9);
        StepOptions options =
                PLAIN.withGradScaling(new GradScaling(64, 2, 0.5f, 20)).withMaxNorm(0.5).withClipValue(0.2);
        List<LrSchedule> schedules =
                List.of(LrSchedule.cosine(700, 0.1).withWarmup(100, 0), LrSchedule.step(150, 0.7).withWarmup(50, 0.2));
        try (Twins twins = new Twins()) {
            twins.add(random, 1, 37);
            twins.add(random, 0, 5);
            if (isSgd) {
                SgdOptions momentum = SgdOptions.defaults().withLr(0.1).withMomentum(0.9);
                twins.sgd(options, schedules.stream().map(momentum::withSchedule).toList());
            } else {
                twins.adam(options, List.of(AdamOptions.adamW().withLr(0.05).withSchedule(schedules.get(0)),
                        AdamOptions.adam().withLr(0.05).withWeightDecay(0.1).withSchedule(schedules.get(1))));
            }
            for (int step = 1; step <= 1000; step++) {
                if (step % 10 == 0) {
                    for (int i = 0; i < twins.host.size(); i++) {
                        float[] param = twins.host.get(i)[0];
                        float[] grad = twins.host.get(i)[1];
                        for (int k = 0; k < grad.length; k++) {
                            grad[k] = 64 * (param[k] - 0.5f + 0.1f * (float) random.nextGaussian());
                        }
                        grad[random.nextInt(grad.length)] = step % 100 == 0 ? Float.NaN : 0;
                        twins.upload(i);
                    }
                }
                twins.step();
                if (step % 50 == 0) {
                    twins.compare("step " + step);
                }
            }
            assertTrue(twins.there.state().skippedSteps() >= 10);
            assertFalse(Float.isNaN(twins.host.get(0)[0][0]));
        }
    }

    /** The state of one goes on with the bits of the other. */
    @Test
    void resumed() {
        Random random = new Random(11);
        try (Twins twins = new Twins()) {
            twins.add(random, 0, 40);
            twins.add(random, 0, 3);
            twins.adam(OPTIONS.get(2), adamOptions(false));
            StepState state = new StepState(2048, 1, 1L << 40, Double.NaN, false);
            long[] counts = {999_999, 7};
            for (Optimizer optimizer : List.of(twins.here, twins.there)) {
                optimizer.setState(state, counts);
            }
            for (int step = 0; step < 3; step++) {
                twins.setGradients(random, 1);
                twins.step();
                twins.compare("step " + step);
            }
            assertEquals(1_000_002, twins.there.count(0));
            assertEquals(1L << 40, twins.there.state().skippedSteps());
        }
    }

    /** The scale as upstream gradient of a loss: what the host would have multiplied. */
    @Test
    void theScaleIsAnUpstreamGradient() {
        float[] logits = {1, 2, 3, 0.5f, -1, 4};
        float[] expected = new float[6];
        float[] found = new float[6];
        try (Twins twins = new Twins()) {
            twins.add(new Random(1), 0, 6);
            twins.adam(OPTIONS.get(2), adamOptions(false));
            CrossEntropyOptions sum = CrossEntropyOptions.defaults().withReduction(Reduction.SUM);
            try (CrossEntropy cpu = CrossEntropy.on(twins.cpu, sum);
                    CrossEntropy cuda = CrossEntropy.on(twins.cuda, sum);
                    Memory memory = twins.cuda.allocate(64)) {
                Tensor loss = Tensor.of(new float[1]);
                cpu.lossAndGradient(Tensor.of(logits, 2, 3), Tensor.of(new int[] {1, 0}, 2),
                        Tensor.of(new float[] {1024}),
                        loss, Tensor.of(expected, 2, 3));
                Tensor there = Tensor.of(DType.F32, twins.device.get(0)[1].memory(), 0, 2, 3);
                twins.cuda.copy(Tensor.of(logits, 2, 3), there);
                Tensor targets = Tensor.of(DType.I32, memory, 16, 2);
                twins.cuda.copy(Tensor.of(new int[] {1, 0}, 2), targets);
                cuda.lossAndGradient(there, targets, twins.there.scale(), Tensor.of(DType.F32, memory, 0), there);
                twins.cuda.copy(there, Tensor.of(found, 2, 3));
                assertArrayEquals(bits(expected), bits(found));
            }
        }
    }
}
