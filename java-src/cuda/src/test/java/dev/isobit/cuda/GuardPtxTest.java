package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LrSchedule;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.StochasticRounding;
import dev.isobit.spi.AdamScalars;
import dev.isobit.spi.SgdScalars;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels of guarded steps, interpreted, launched as guard_params.h says, against the CPU backend: every bit. */
class GuardPtxTest {
    private static final StepOptions PLAIN = StepOptions.defaults();
    /** Pieces before it are in no table. */
    private static final long FIRST_PIECE = 3L << 32;
    /** Arrays of a chunk. */
    static final String[] ADAM_AMSGRAD = {"param", "grad", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
    static final String[] ADAM = Arrays.copyOf(ADAM_AMSGRAD, 4);
    static final String[] SGD_MOMENTUM = {"param", "grad", "momentum_buffer"};
    static final String[] SGD = Arrays.copyOf(SGD_MOMENTUM, 2);
    /** Of every other group of several types. */
    static final StochasticRounding ROUNDING = new StochasticRounding(0xfedcba9876543210L);

    /**
     * Most bytes an element beside the arrays: a warp reads a chunk's entry of 40 to 64 bytes and its group's 32 or so for 2048
     * elements, and a piece's 24 once or twice for 1024 elements of a gradient.
     */
    private static final double TABLES = 0.125;

    private static PtxKernels kernels;
    private static Backend cpu;

    @BeforeAll
    static void open() {
        kernels = new PtxKernels(true);
        cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1));
    }

    @AfterAll
    static void close() {
        kernels.close();
        cpu.close();
    }

    /** Options that differ in what kernels do; what gradients are in each step is part of them. */
    static List<StepOptions> options() {
        GradScaling scaling = new GradScaling(4, 2, 0.5f, 2);
        return List.of(
                PLAIN.withGradScaling(scaling).withMaxNorm(3).withClipValue(0.1).withZeroGrad(true).withGradDivisor(3),
                PLAIN.withGradScaling(new GradScaling(0x1p127f, 2, 0.5f, 1)), PLAIN.withMaxNorm(1e9),
                PLAIN.withZeroGrad(true).withClipValue(0.5),
                PLAIN.withGradScaling(new GradScaling(0x1p-126f, 2, 0.5f, 3)).withMaxNorm(0.01));
    }

    /** Their schedules are, at step 1 and at 1,000,000, before, at and behind the places where the formula changes. */
    static List<AdamOptions> adamOptions(boolean amsgrad) {
        AdamOptions adamW = AdamOptions.adamW().withAmsgrad(amsgrad).withLr(0.01);
        return List.of(adamW.withSchedule(LrSchedule.cosine(3_000_000, 0.1).withWarmup(2, 0.3)),
                AdamOptions.adam().withAmsgrad(amsgrad),
                adamW.withSemantics(AdamSemantics.ONNX).withWeightDecay(0.3)
                        .withSchedule(LrSchedule.step(7, 0.9999).withWarmup(1, 0)),
                adamW.withSemantics(AdamSemantics.HF).withSchedule(LrSchedule.cosine(1_000_000, 0.25)),
                adamW.withSemantics(AdamSemantics.KERAS).withMaximize(true)
                        .withSchedule(LrSchedule.linear(5, 0).withWarmup(1_000_000, 0.1)),
                AdamOptions.adam().withWeightDecay(0.1).withAmsgrad(amsgrad)
                        .withSchedule(LrSchedule.linear(1_000_001, 0.2)));
    }

    static List<SgdOptions> sgdOptions() {
        List<LrSchedule> schedules = List.of(LrSchedule.cosine(2, 0.1), LrSchedule.linear(4, 0.2),
                LrSchedule.step(2, 0.3).withWarmup(1, 0.5), LrSchedule.constant().withWarmup(3, 0));
        List<SgdOptions> plain = SgdContract.options();
        return IntStream.range(0, plain.size())
                .mapToObj(i -> plain.get(i).withSchedule(schedules.get(i % schedules.size()))).toList();
    }

    /** What a launch adds to a gradient of float32, its accumulator then. */
    private record MicroGrad(PtxKernels.Buffer buffer, DType dtype, float[] after) {}

    /** What is launched, in memory of its own. */
    private static final class Device {
        final PtxKernels kernels;
        final StepOptions options;
        final List<List<MixedParameter>> groups;
        final String op;
        final String step;
        /** Whether arrays may be of several types. */
        final boolean mixed;
        final long far;
        /** Blocks before the first; a segment is work for a block, as so many chunks are. */
        final long farBlocks;
        final PtxKernels.Struct params;
        final PtxKernels.Struct guard;
        final PtxKernels.Buffer controls;
        final PtxKernels.Buffer state;
        final PtxKernels.Buffer steps;
        final long segments;
        /** Where the blocks of one launch meet. */
        final PtxKernels.Buffer barrier;
        /** Blocks of the one launch that a step is; 0 where it is three. */
        int blocks;
        final List<PtxKernels.Buffer> buffers = new ArrayList<>();

        /** @param far segments and chunks before the first: those of blocks that do not run, which are in no table */
        Device(PtxKernels kernels, StepOptions options, List<List<MixedParameter>> groups, String op,
                String step,
                long far) {
            this.kernels = kernels;
            this.options = options;
            this.groups = groups;
            this.op = op;
            this.step = step;
            this.mixed = step.contains("_mixed");
            this.far = far;
            this.farBlocks = far / 8;
            params = kernels.new Struct(op + "_guarded_params");
            guard = params.element("guard_params", "guard", 0);
            controls = buffer("guard_control", groups.size());
            state = buffer("guard_state", 1);
            steps = kernels.new Buffer(8L * groups.size(), 8);
            steps.memory().fill((byte) 0);
            barrier = buffer("grid_barrier", 1);
            barrier.memory().fill((byte) 0);
            state.memory().fill((byte) 0);
            GradScaling scaling = options.gradScaling();
            kernels.new Struct("guard_state", state.memory()).set("grad_scale",
                    scaling == null ? 1 : scaling.initialScale())
                    .set("grad_norm", Double.doubleToRawLongBits(Double.NaN));
            long elements = groups.stream().flatMap(List::stream).mapToLong(p -> p.count).sum();
            segments = options.checksGrad() ? (elements + 8191) / 8192 : 0;
            guard.set("barrier", barrier).set("controls", controls).set("state", state).set("steps", steps)
                    .set("group_count", (long) groups.size())
                    .set("max_norm", Double.doubleToRawLongBits(options.maxNorm()))
                    .set("clip_value", (float) options.clipValue())
                    .set("flags", (options.checksGrad() ? 1 : 0) | (scaling == null ? 0 : 2)
                            | (options.zeroGrad() ? 4 : 0));
            if (scaling != null) {
                guard.set("growth_interval", scaling.growthInterval()).set("growth_factor", scaling.growthFactor())
                        .set("backoff_factor", scaling.backoffFactor());
            }
            pieces();
            chunks();
            PtxKernels.Buffer scalars = buffer(op + "_group", groups.size());
            scalars.memory().fill((byte) 0);
            params.set("groups", scalars);
        }

        PtxKernels.Buffer buffer(String struct, long count) {
            PtxKernels.Buffer buffer = kernels.new Buffer(kernels.size(struct) * count, 8);
            buffers.add(buffer);
            return buffer;
        }

        PtxKernels.Struct element(PtxKernels.Buffer buffer, String struct, long index) {
            int size = kernels.size(struct);
            return kernels.new Struct(struct, buffer.memory().asSlice(index * size, size));
        }

        private void pieces() {
            List<long[]> pieces = new ArrayList<>();
            List<Long> first = new ArrayList<>();
            long at = 0;
            for (int g = 0; g < groups.size(); g++) {
                for (MixedParameter p : groups.get(g)) {
                    for (int i = 0; i < p.count;) {
                        if (at % 8192 == 0) {
                            first.add((long) pieces.size());
                        }
                        int count = (int) Math.min(1024 - at % 1024, p.count - i);
                        pieces.add(new long[] {p.at(1, i), at % 8192, count, g,
                            MixedParameter.code(p.host[1].dtype())});
                        i += count;
                        at += count;
                    }
                }
            }
            first.add((long) pieces.size());
            PtxKernels.Buffer table = buffer("guard_piece", Math.max(1, pieces.size()));
            for (int i = 0; i < pieces.size(); i++) {
                long[] piece = pieces.get(i);
                element(table, "guard_piece", i).set("grad", piece[0]).set("position", (int) piece[1])
                        .set("count", (int) piece[2]).set("group", (int) piece[3]).set("dtype", (int) piece[4]);
            }
            PtxKernels.Buffer firsts = kernels.new Buffer(8L * first.size(), 8);
            buffers.add(firsts);
            for (int i = 0; i < first.size(); i++) {
                firsts.memory().setAtIndex(ValueLayout.JAVA_LONG, i, first.get(i) + FIRST_PIECE);
            }
            guard.set("pieces", table.address - FIRST_PIECE * kernels.size("guard_piece"))
                    .set("first_pieces", firsts.address - 8 * farBlocks).set("segments", farBlocks + segments);
        }

        private void chunks() {
            int chunk = 2048;
            long count = 0;
            for (List<MixedParameter> group : groups) {
                for (MixedParameter p : group) {
                    count += (p.count + chunk - 1) / chunk;
                }
            }
            String struct = op + (mixed ? "_mixed" : "") + "_chunk";
            PtxKernels.Buffer table = buffer(struct, Math.max(1, count));
            table.memory().fill((byte) 0);
            int c = 0;
            int number = 0;
            for (int g = 0; g < groups.size(); g++) {
                String[] names = op.equals("sgd")
                        ? sgdOptions().get(g % sgdOptions().size()).momentum() != 0 ? SGD_MOMENTUM : SGD
                        : step.contains("amsgrad") ? ADAM_AMSGRAD : ADAM;
                for (MixedParameter p : groups.get(g)) {
                    for (int from = 0; from < p.count; from += chunk) {
                        p.writeChunk(element(table, struct, c++), names, mixed, from, Math.min(chunk, p.count - from),
                                g, g % 2 == 0 ? ROUNDING : null, number);
                    }
                    number++;
                }
            }
            params.set("chunks", table.address - far * kernels.size(struct)).set("chunk_count", far + count);
        }

        void set(List<Double> lrs, int disabled) {
            PtxKernels.Struct set = kernels.new Struct("guard_set_params").set("controls", controls)
                    .set("count", (long) groups.size());
            for (int g = 0; g < groups.size(); g++) {
                set.element("guard_run", "runs", g).set("first", (long) g).set("count", 1L)
                        .element("guard_control", "control", 0).set("lr", Double.doubleToRawLongBits(lrs.get(g)))
                        .set("disabled", g == disabled ? 1 : 0)
                        // Of the others it is not looked at.
                        .set("grad_divisor", g == 0 ? options.gradDivisor() : 0f);
            }
            kernels.launch("guard", "guard_set", 1, 256, 0, set);
        }

        void step() {
            if (blocks > 0) {
                wholeStep();
            } else if (segments > 0) {
                PtxKernels.Buffer parts = kernels.new Buffer(4 * segments, 4);
                guard.set("parts", parts.address - 4 * farBlocks);
                kernels.firstBlock = farBlocks;
                kernels.launch("guard", mixed ? "guard_square_mixed" : "guard_square_f32", 2, 256, 0, guard);
                kernels.firstBlock = 0;
                // The one block that begins looks at all parts: at those that there are.
                guard.set("parts", parts).set("segments", segments);
                begin();
                guard.set("segments", farBlocks + segments);
                parts.free();
                update();
            } else {
                begin();
                update();
            }
        }

        private void update() {
            kernels.firstBlock = farBlocks;
            kernels.launch(mixed ? op + "_mixed" : op, step, 2, 256, 0, params);
            kernels.firstBlock = 0;
        }

        private void wholeStep() {
            PtxKernels.Buffer parts = kernels.new Buffer(4 * Math.max(1, segments), 4);
            guard.set("parts", parts);
            launchWhole();
            parts.free();
        }

        void launchWhole() {
            kernels.cooperative = true;
            kernels.launch(op + (mixed ? "_mixed_guarded" : "_guarded"),
                    step.replace("_guarded", "").replace("_step_", "_guarded_"), blocks, 256,
                    0, params);
            kernels.cooperative = false;
        }

        /** Of one element each. */
        void setSegments(float[] grads) {
            PtxKernels.Buffer values = kernels.new Buffer(4L * grads.length, 4).set(grads);
            PtxKernels.Buffer table = buffer("guard_piece", grads.length);
            PtxKernels.Buffer firsts = kernels.new Buffer(8L * grads.length + 8, 8);
            for (int i = 0; i < grads.length; i++) {
                element(table, "guard_piece", i).set("grad", values.address + 4L * i).set("position", 0)
                        .set("count", 1).set("group", 0).set("dtype", 0);
                firsts.memory().setAtIndex(ValueLayout.JAVA_LONG, i, i);
            }
            firsts.memory().setAtIndex(ValueLayout.JAVA_LONG, grads.length, grads.length);
            buffers.add(values);
            buffers.add(firsts);
            guard.set("pieces", table).set("first_pieces", firsts);
        }

        /**
         * A step whose launch adds to gradients of float32 first; the host has the sums already when this returns.
         *
         * @param run does the host's step, then the device's
         */
        void accumulating(Random random, int disabled, Runnable run) {
            boolean zeroes = random.nextBoolean();
            int flags = guard.bytes.get(ValueLayout.JAVA_INT_UNALIGNED, kernels.size("guard_params") - 4);
            List<MicroGrad> added = new ArrayList<>();
            List<PtxKernels.Struct> chunks = new ArrayList<>();
            for (int g = 0; g < groups.size(); g++) {
                for (MixedParameter p : groups.get(g)) {
                    if (p.host[1].dtype() == DType.F32) {
                        DType dtype = mixed ? MixedParameter.VALUES[random.nextInt(3)] : DType.F32;
                        boolean alike = random.nextBoolean();
                        int size = dtype.byteSize();
                        PtxKernels.Buffer buffer = kernels.new Buffer((long) size * p.count,
                                size * (alike ? p.device[1].skip / Float.BYTES : random.nextInt(8)));
                        float[] values = new float[p.count];
                        for (int i = 0; i < values.length; i++) {
                            values[i] = (float) random.nextGaussian();
                        }
                        float[] rounded = buffer.set(dtype, values).floats(dtype);
                        if (g != disabled) {
                            p.addOnHost(rounded);
                        }
                        added.add(new MicroGrad(buffer, dtype,
                                zeroes && g != disabled ? new float[p.count] : rounded));
                        for (int from = 0; from < p.count; from += 2048) {
                            chunks.add(kernels.new Struct("accumulate_chunk").set("accumulator", p.at(1, from))
                                    .set("grad", buffer.address + (long) size * from)
                                    .set("count", Math.min(2048, p.count - from)).set("group", g)
                                    .set("dtype", MixedParameter.code(dtype)));
                        }
                    }
                }
            }
            int size = kernels.size("accumulate_chunk");
            PtxKernels.Buffer table = kernels.new Buffer((long) size * Math.max(1, chunks.size()), 8);
            for (int c = 0; c < chunks.size(); c++) {
                table.memory().asSlice((long) size * c, size).copyFrom(chunks.get(c).bytes);
            }
            guard.set("sums", table).set("sum_count", (long) chunks.size())
                    .set("flags", flags | 8 | (zeroes ? 16 : 0));
            run.run();
            guard.set("flags", flags);
            for (MicroGrad grad : added) {
                assertArrayEquals(grad.after, grad.buffer.floats(grad.dtype), "what was added");
                assertTrue(grad.buffer.isUntouchedBefore());
                grad.buffer.free();
            }
            table.free();
        }

        private void begin() {
            kernels.launch(op, op + "_begin", 1, 256, 0, params);
        }

        StepState state() {
            MemorySegment found = state.view();
            return new StepState(found.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 24),
                    found.get(ValueLayout.JAVA_LONG_UNALIGNED, 8), found.get(ValueLayout.JAVA_LONG_UNALIGNED, 16),
                    found.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 0),
                    found.get(ValueLayout.JAVA_INT_UNALIGNED, 32) != 0);
        }

        void free() {
            steps.free();
            buffers.forEach(PtxKernels.Buffer::free);
        }
    }

    /**
     * Several steps: normal gradients, large ones, some that are not finite, normal ones again, zeros. In one launch the
     * middle three add to gradients first.
     *
     * @param adam of each group, or null
     * @param sgd of each group, or null
     */
    static void check(PtxKernels kernels, Backend cpu, StepOptions options, List<AdamOptions> adam,
            List<SgdOptions> sgd,
            List<List<MixedParameter>> groups, int firstStep, long far) {
        check(kernels, cpu, options, adam, sgd, groups, firstStep, far, 0);
    }

    /** @param blocks of the one launch that a step is; 0 for three launches */
    static void check(PtxKernels kernels, Backend cpu, StepOptions options, List<AdamOptions> adam,
            List<SgdOptions> sgd, List<List<MixedParameter>> groups, int firstStep, long far, int blocks) {
        boolean amsgrad = adam != null && adam.get(0).amsgrad();
        boolean mixed = groups.stream().flatMap(List::stream).anyMatch(MixedParameter::isMixed);
        List<AdamGroup> adamGroups = new ArrayList<>();
        List<SgdGroup> sgdGroups = new ArrayList<>();
        for (int g = 0; g < groups.size(); g++) {
            StochasticRounding rounding = mixed && g % 2 == 0 ? ROUNDING : null;
            if (adam != null) {
                adamGroups.add(new AdamGroup(adam.get(g).withRounding(rounding),
                        groups.get(g).stream().map(p -> p.adam(amsgrad)).toList()));
            } else {
                boolean momentum = sgd.get(g).momentum() != 0;
                sgdGroups.add(new SgdGroup(sgd.get(g).withRounding(rounding),
                        groups.get(g).stream().map(p -> p.sgd(momentum)).toList()));
            }
        }
        String op = adam != null ? "adam" : "sgd";
        Device device = new Device(kernels, options, groups, op,
                op + "_step_" + (mixed ? "mixed" : "f32") + (amsgrad ? "_amsgrad" : "") + "_guarded", far);
        device.blocks = blocks;
        settings(device, adam, sgd);
        List<Double> lrs = IntStream.range(0, groups.size())
                .mapToObj(g -> adam != null ? adam.get(g).lr() : sgd.get(g).lr()).toList();
        try (Adam a = adam != null ? Adam.on(cpu, adamGroups, options, cpu.defaultStream()) : null;
                Sgd s = adam == null ? Sgd.on(cpu, sgdGroups, options, cpu.defaultStream()) : null) {
            for (int g = 0; g < groups.size(); g++) {
                device.steps.memory().setAtIndex(ValueLayout.JAVA_LONG, g, firstStep - 1L);
                if (a != null) {
                    a.setStepCount(g, firstStep - 1);
                } else {
                    s.setStepCount(g, firstStep - 1);
                }
            }
            Random random = new Random(groups.size());
            int meetings = 0;
            for (int step = 0; step < 5; step++) {
                // From the step on that may be skipped the next one.
                int disabled = groups.size() <= 3
                        ? -1
                        : (groups.getFirst().getFirst().count + (step < 2 ? 0 : 1)) % groups.size();
                if (step % 2 == 0) {
                    device.set(lrs, disabled);
                    for (int g = 0; g < groups.size(); g++) {
                        if (a != null) {
                            a.setEnabled(g, g != disabled);
                        } else {
                            s.setEnabled(g, g != disabled);
                        }
                    }
                }
                gradients(groups, disabled, random, step);
                Runnable both = () -> {
                    if (a != null) {
                        a.step();
                    } else {
                        s.step();
                    }
                    device.step();
                };
                boolean adds = blocks > 0 && step > 0 && step < 4;
                meetings += blocks == 0 ? 0 : adds && options.checksGrad() ? 2 : 1;
                if (adds) {
                    device.accumulating(random, disabled, both);
                } else {
                    both.run();
                }
                assertEquals(a != null ? a.stepState() : s.stepState(), device.state(), "step " + step);
                for (int g = 0; g < groups.size(); g++) {
                    assertEquals(a != null ? a.stepCount(g) : s.stepCount(g),
                            device.steps.view().getAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, g));
                }
                compare(groups, step);
                int[] barrier = device.barrier.view().toArray(ValueLayout.JAVA_INT_UNALIGNED);
                assertEquals(List.of(0, meetings), List.of(barrier[0], barrier[1]));
            }
        }
        assertEquals(List.of(), kernels.device.findings());
        for (List<MixedParameter> group : groups) {
            group.forEach(MixedParameter::free);
        }
        device.free();
    }

    private static void compare(List<List<MixedParameter>> groups, int step) {
        groups.forEach(group -> group.forEach(p -> p.compare("step " + step)));
    }

    private static void gradients(List<List<MixedParameter>> groups, int disabled, Random random, int step) {
        for (int g = 0; g < groups.size(); g++) {
            for (MixedParameter p : groups.get(g)) {
                float[] grad = new float[p.count];
                for (int i = 0; i < grad.length; i++) {
                    grad[i] = step == 4 ? 0 : (float) (random.nextGaussian() * (step == 1 ? 1e3 : 1));
                    if (step == 2 && g != disabled && random.nextInt(5) == 0) {
                        grad[i] = random.nextInt(4) == 0 ? Float.NEGATIVE_INFINITY : Float.NaN;
                    }
                }
                p.setGradient(grad);
            }
        }
    }

    private static void settings(Device device, List<AdamOptions> adam, List<SgdOptions> sgd) {
        schedules(device, adam != null
                ? adam.stream().map(AdamOptions::schedule).toList()
                : sgd.stream().map(SgdOptions::schedule).toList());
        String struct = adam != null ? "adam_setting" : "sgd_group";
        PtxKernels.Buffer settings = device.buffer(struct, device.groups.size());
        for (int g = 0; g < device.groups.size(); g++) {
            PtxKernels.Struct to = device.element(settings, struct, g);
            if (adam != null) {
                AdamOptions o = adam.get(g);
                AdamScalars s = new AdamScalars();
                s.set(o, o.lr(), 1);
                boolean decays = o.weightDecay() != 0;
                boolean onnx = o.semantics() == AdamSemantics.ONNX;
                boolean hf = o.semantics() == AdamSemantics.HF;
                to.set("weight_decay", Double.doubleToRawLongBits(o.weightDecay())).set("w1", s.w1).set("w2", s.w2)
                        .set("eps", s.eps).set("grad_decay", s.gradDecay)
                        .set("flags", (o.maximize() ? 1 : 0) | (!o.decoupled() && decays ? 2 : 0)
                                | (o.decoupled() && decays ? 8 : 0)
                                | (onnx || hf || o.semantics() == AdamSemantics.KERAS ? 16 : 0) | (onnx || hf ? 32 : 0)
                                | (onnx ? 64 : 0));
            } else {
                SgdOptions o = sgd.get(g);
                SgdScalars s = new SgdScalars();
                s.set(o, o.lr(), 1);
                to.set("momentum", s.momentum).set("grad_share", s.gradShare).set("weight_decay", s.weightDecay)
                        .set("flags", (o.maximize() ? 1 : 0) | (s.decays ? 2 : 0) | (o.nesterov() ? 4 : 0));
            }
        }
        device.params.set("settings", settings);
    }

    private static void schedules(Device device, List<LrSchedule> of) {
        PtxKernels.Buffer schedules = device.buffer("lr_schedule", device.groups.size());
        for (int g = 0; g < device.groups.size(); g++) {
            LrSchedule s = of.get(g);
            device.element(schedules, "lr_schedule", g).set("warmup_steps", s.warmupSteps())
                    .set("decay_steps", s.decaySteps()).set("warmup_start", Double.doubleToRawLongBits(s.warmupStart()))
                    .set("decay", Double.doubleToRawLongBits(s.decay())).set("shape", s.shape().ordinal());
        }
        device.guard.set("schedules", schedules);
    }

    /** The same of several types, each with arrays at one distance from a boundary, or at several. */
    static List<List<MixedParameter>> mixedGroups(PtxKernels kernels, int count, int from, Random random) {
        List<List<MixedParameter>> groups = new ArrayList<>();
        for (int g = 0; g < count; g++) {
            List<MixedParameter> group = new ArrayList<>();
            // Large ones with any number of accesses, modulo four, for a thread.
            int first = from + (from > 1000 ? 61 : 1) * g;
            for (int n = first; n < first + 6; n++) {
                group.add(MixedParameter.any(kernels, n, random, n % 3 == 0 ? MixedStepPtxTest.SPECIAL : null));
            }
            groups.add(group);
        }
        return groups;
    }

    /** A group each, of tensors of such sizes. */
    static List<List<MixedParameter>> groups(PtxKernels kernels, int count, int from, boolean even,
            Random random) {
        List<List<MixedParameter>> groups = new ArrayList<>();
        for (int g = 0; g < count; g++) {
            List<MixedParameter> group = new ArrayList<>();
            for (int n = from + g; n < from + g + 3; n++) {
                int[] offs = new int[6];
                Arrays.fill(offs, n % 4);
                if (!even) {
                    offs[n / 4 % 4] = (n + 1) % 4;
                }
                group.add(new MixedParameter(kernels, n, MixedParameter.F32, offs, random, null));
            }
            groups.add(group);
        }
        return groups;
    }

    @Test
    void everyOption() {
        for (StepOptions options : options()) {
            for (int from : new int[] {1, 121}) {
                Random random = new Random(from);
                for (boolean amsgrad : new boolean[] {false, true}) {
                    check(kernels, cpu, options, adamOptions(amsgrad), null,
                            groups(kernels, 6, from, !amsgrad, random), amsgrad ? 1 : 1_000_000, 0);
                }
                check(kernels, cpu, options, null, sgdOptions(), groups(kernels, 6, from, true, random), 1, 0);
            }
        }
    }

    /** The same over several types, by three launches and by one. */
    @Test
    void everyOptionOfSeveralTypes() {
        for (StepOptions options : options()) {
            for (int from : new int[] {1, 121, 2045}) {
                Random random = new Random(from);
                for (int kind = 0; kind < 3; kind++) {
                    for (int blocks : new int[] {0, 2}) {
                        check(kernels, cpu, options, kind < 2 ? adamOptions(kind == 1) : null,
                                kind < 2 ? null : sgdOptions(), mixedGroups(kernels, 6, from, random),
                                kind == 1 ? 1 : 1_000_000, 0, blocks);
                    }
                }
            }
        }
    }

    /** More groups than a warp has threads, each of which writes what a group's scalars are. */
    @Test
    void manyGroups() {
        for (int optimizer = 0; optimizer < 3; optimizer++) {
            manyGroups(kernels, cpu, optimizer, false, 3);
            manyGroups(kernels, cpu, optimizer, true, 3);
        }
    }

    /** @param optimizer 0 Adam, 1 with amsgrad, 2 SGD */
    static void manyGroups(PtxKernels kernels, Backend cpu, int optimizer, boolean mixed, int blocks) {
        int count = 40;
        boolean adam = optimizer < 2;
        boolean amsgrad = optimizer == 1;
        List<AdamOptions> adams = adamOptions(amsgrad);
        List<SgdOptions> sgds = sgdOptions();
        check(kernels, cpu, options().getFirst(),
                adam ? IntStream.range(0, count).mapToObj(g -> adams.get(g % adams.size())).toList() : null,
                adam ? null : IntStream.range(0, count).mapToObj(g -> sgds.get(g % sgds.size())).toList(),
                mixed
                        ? mixedGroups(kernels, count, 1, new Random(count))
                        : groups(kernels, count, 1, true, new Random(count)),
                1, 0, blocks);
    }

    /** Runs of groups, more of them than a block has threads; what lies between them is not written. */
    @Test
    void runs() {
        for (long far : new long[] {0, 3L << 29}) {
            runs(kernels, far);
        }
    }

    /** @param far a number of groups before those of the table: they are in no memory */
    static void runs(PtxKernels kernels, long far) {
        int size = kernels.size("guard_control");
        int[][] runs = {{2, 1}, {3, 300}, {900, 0}, {310, 513}, {0, 1}};
        PtxKernels.Buffer controls = kernels.new Buffer(1000L * size, 0);
        controls.memory().fill((byte) 0x5a);
        PtxKernels.Struct set = kernels.new Struct("guard_set_params").set("controls", controls.address - far * size)
                .set("count", (long) runs.length);
        Map<Integer, Integer> runOf = new HashMap<>();
        for (int r = 0; r < runs.length; r++) {
            for (int g = runs[r][0]; g < runs[r][0] + runs[r][1]; g++) {
                runOf.put(g, r);
            }
            set.element("guard_run", "runs", r).set("first", far + runs[r][0]).set("count", (long) runs[r][1])
                    .element("guard_control", "control", 0).set("lr", Double.doubleToRawLongBits(r + 0.5))
                    .set("disabled", r % 2).set("grad_divisor", r + 0.25f);
        }
        kernels.launch("guard", "guard_set", 1, 256, 0, set);
        assertEquals(List.of(), kernels.device.findings());
        MemorySegment found = controls.view();
        for (int g = 0; g < 1000; g++) {
            Integer r = runOf.get(g);
            long at = (long) g * size;
            assertEquals(r == null ? 0x5a5a5a5a5a5a5a5aL : Double.doubleToRawLongBits(r + 0.5),
                    found.get(ValueLayout.JAVA_LONG_UNALIGNED, at), "lr of group " + g);
            assertEquals(r == null ? 0x5a5a5a5a : r % 2, found.get(ValueLayout.JAVA_INT_UNALIGNED, at + 8),
                    "disabled, group " + g);
            assertEquals(r == null ? 0x5a5a5a5a : Float.floatToRawIntBits(r + 0.25f),
                    found.get(ValueLayout.JAVA_INT_UNALIGNED, at + 12), "divisor of group " + g);
        }
        controls.free();
    }

    /** Sums of squares of segments of any length, of any types, some of values whose squares are below the normal range. */
    @Test
    void squares() {
        squares(kernels, "guard_square_f32", 0);
        squares(kernels, "guard_square_mixed", 0);
        squares(kernels, "guard_square_mixed", 3L << 29);
        squaresOfPairs(kernels, "guard_square_f32");
        squaresOfPairs(kernels, "guard_square_mixed");
    }

    /** Sums of two squares whose rounding shows, at all places where a sum is formed. */
    static void squaresOfPairs(PtxKernels kernels, String kernel) {
        FoldPairs pairs = FoldPairs.of(true, new Random(12));
        int segments = pairs.sums().length;
        int size = kernels.size("guard_piece");
        PtxKernels.Buffer values = kernels.new Buffer(4L * pairs.values().length, 4).set(pairs.values());
        PtxKernels.Buffer table = kernels.new Buffer(8L * segments * size, 8);
        PtxKernels.Buffer firsts = kernels.new Buffer(8L * segments + 8, 8);
        for (int piece = 0; piece < 8 * segments; piece++) {
            kernels.new Struct("guard_piece", table.memory().asSlice((long) size * piece, size))
                    .set("grad", values.address + 4096L * piece).set("position", 1024 * (piece % 8)).set("count", 1024)
                    .set("group", 0).set("dtype", 0);
        }
        for (int j = 0; j <= segments; j++) {
            firsts.memory().setAtIndex(ValueLayout.JAVA_LONG, j, 8 * j);
        }
        PtxKernels.Buffer controls = kernels.new Buffer(kernels.size("guard_control"), 8);
        controls.memory().fill((byte) 0);
        PtxKernels.Buffer parts = kernels.new Buffer(4L * segments, 4);
        kernels.launch("guard", kernel, 3, 256, 0, kernels.new Struct("guard_params").set("pieces", table)
                .set("controls", controls).set("first_pieces", firsts).set("parts", parts)
                .set("segments", (long) segments).set("flags", 1));
        assertEquals(List.of(), kernels.device.findings());
        assertArrayEquals(pairs.sums(), parts.floats());
        List.of(values, table, firsts, controls, parts).forEach(PtxKernels.Buffer::free);
    }

    /** @param far segments before the first: those of blocks that do not run, which are in no table */
    static void squares(PtxKernels kernels, String kernel, long far) {
        DType[] types = kernel.endsWith("_f32") ? new DType[] {DType.F32} : MixedParameter.VALUES;
        int[] lengths = {1, 100, 255, 256, 257, 300, 511, 512, 600, 767, 768, 900, 1023, 1024, 1025, 4000, 4095, 4096,
            4097, 4200, 4352, 4500, 4608, 4700, 4864, 5000, 8191, 8192};
        Random random = new Random(4);
        List<PtxKernels.Buffer> buffers = new ArrayList<>();
        int kinds = 4;
        int segments = kinds * lengths.length;
        float[] expected = new float[segments];
        PtxKernels.Buffer table = kernels.new Buffer(9L * segments * kernels.size("guard_piece"), 8);
        PtxKernels.Buffer firsts = kernels.new Buffer(8L * segments + 8, 8);
        int pieces = 0;
        for (int j = 0; j < segments; j++) {
            firsts.memory().setAtIndex(ValueLayout.JAVA_LONG, j, pieces);
            int length = lengths[j / kinds];
            float[] lanes = new float[1024];
            for (int from = 0; from < length;) {
                int count = Math.min(length - from, random.nextBoolean() ? 1024 - from % 1024 : 1);
                DType type = types[random.nextInt(types.length)];
                float[] values = new float[count];
                for (int i = 0; i < count; i++) {
                    values[i] = switch (j % kinds) {
                        case 0 -> (float) random.nextGaussian();
                        case 1 -> 0;
                        case 2 -> 0x1p-70f * random.nextFloat();
                        default -> random.nextInt(500) == 0 ? random.nextFloat() : 0;
                    };
                }
                values = HostTensors.floats(HostTensors.of(type, values, count));
                boolean disabled = random.nextInt(7) == 0;
                PtxKernels.Buffer grad = kernels.new Buffer((long) type.byteSize() * count,
                        (long) type.byteSize() * random.nextInt(8)).set(type, values);
                buffers.add(grad);
                int size = kernels.size("guard_piece");
                kernels.new Struct("guard_piece", table.memory().asSlice((long) size * pieces++, size))
                        .set("grad", grad).set("position", from).set("count", count).set("group", disabled ? 1 : 0)
                        .set("dtype", MixedParameter.code(type));
                for (int i = 0; i < count; i++) {
                    lanes[(from + i) % 1024] += disabled ? 0 : values[i] * values[i];
                }
                from += count;
            }
            for (int half = 512; half > 0; half /= 2) {
                for (int i = 0; i < half; i++) {
                    lanes[i] += lanes[i + half];
                }
            }
            expected[j] = lanes[0];
        }
        firsts.memory().setAtIndex(ValueLayout.JAVA_LONG, segments, pieces);
        PtxKernels.Buffer controls = kernels.new Buffer(2L * kernels.size("guard_control"), 8);
        controls.memory().fill((byte) 0);
        int size = kernels.size("guard_control");
        kernels.new Struct("guard_control", controls.memory().asSlice(size, size)).set("disabled", 1);
        PtxKernels.Buffer parts = kernels.new Buffer(4L * segments, 4);
        PtxKernels.Struct params = kernels.new Struct("guard_params").set("pieces", table).set("controls", controls)
                .set("first_pieces", firsts.address - 8 * far).set("parts", parts.address - 4 * far)
                .set("segments", far + segments).set("flags", 1);
        kernels.firstBlock = far;
        kernels.launch("guard", kernel, 3, 256, 0, params);
        kernels.firstBlock = 0;
        assertEquals(List.of(), kernels.device.findings());
        assertArrayEquals(expected, parts.floats());
        buffers.addAll(List.of(table, firsts, controls, parts));
        buffers.forEach(PtxKernels.Buffer::free);
    }

    /** All of a step in one launch, by more and fewer blocks than have work, in any order. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 11})
    void inOneLaunch(int blocks) {
        for (StepOptions options : options()) {
            for (int from : new int[] {1, 2047}) {
                Random random = new Random(from);
                for (int kind = 0; kind < 3; kind++) {
                    kernels.seed = blocks + kind;
                    boolean amsgrad = kind == 1;
                    check(kernels, cpu, options, kind < 2 ? adamOptions(amsgrad) : null,
                            kind < 2 ? null : sgdOptions(), groups(kernels, 6, from, !amsgrad, random), 1, 0, blocks);
                }
            }
        }
        kernels.seed = 0;
    }

    /** The counter of meetings goes round; whatever it holds, nobody waits for ever. */
    @Test
    void theBarrierGoesRound() {
        List<List<MixedParameter>> groups = groups(kernels, 6, 121, true, new Random(1));
        Device device = new Device(kernels, options().getFirst(), groups, "adam", "adam_step_f32_guarded", 0);
        device.blocks = 3;
        settings(device, adamOptions(false), null);
        device.set(List.of(0.1, 0.1, 0.1, 0.1, 0.1, 0.1), -1);
        device.barrier.memory().setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, 1, -2);
        for (int passed : new int[] {-1, 0, 1}) {
            device.step();
            assertEquals(passed, device.barrier.view().getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, 1));
        }
        assertEquals(3, device.steps.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 0));
        groups.forEach(group -> group.forEach(MixedParameter::free));
        device.free();
    }

    /** A barrier that orders less would be found out. */
    @ParameterizedTest
    @CsvSource({"ld.acquire.gpu.global,ld.relaxed.gpu.global", "st.release.gpu.global,st.relaxed.gpu.global",
        "atom.acq_rel.gpu.global,atom.relaxed.gpu.global", "atom.acq_rel.gpu.global,atom.acquire.gpu.global",
        "atom.acq_rel.gpu.global,atom.release.gpu.global"})
    void aWeakerBarrierIsARace(String order, String weaker) {
        try (PtxKernels own = new PtxKernels(true)) {
            String ptx = PtxKernels.read("adam_guarded.sm_75.ptx");
            assertTrue(ptx.contains(order), order);
            own.texts.put("adam_guarded_f32", ptx.replace(order, weaker));
            List<List<MixedParameter>> groups = groups(own, 6, 2047, true, new Random(1));
            Device device = new Device(own, options().getFirst(), groups, "adam", "adam_step_f32_guarded", 0);
            device.blocks = 3;
            settings(device, adamOptions(false), null);
            device.set(List.of(0.1, 0.1, 0.1, 0.1, 0.1, 0.1), -1);
            device.step();
            assertFalse(own.device.findings().isEmpty());
        }
    }

    /** Tensors longer than a chunk, several segments, in a grid so large that their numbers do not fit in 32 bits. */
    @Test
    void far() {
        far(kernels, cpu);
    }

    static void far(PtxKernels kernels, Backend cpu) {
        long far = 3L << 31;
        check(kernels, cpu, options().get(0), adamOptions(false), null, groups(kernels, 6, 2047, true, new Random(1)),
                1,
                far);
        check(kernels, cpu, options().get(0), null, sgdOptions(), groups(kernels, 2, 2047, true, new Random(1)), 1,
                far);
    }

    /** More segments than lanes. Their gradients would be large, so that there are only the sums of their squares. */
    @ParameterizedTest
    @ValueSource(strings = {"adam", "sgd"})
    void manySegments(String op) {
        for (int segments : new int[] {1, 1024, 2000, 6500}) {
            manySegments(kernels, op, segments, 0);
        }
        for (String kind : kinds(op)) {
            manySegments(kernels, op, kind, 1500, 3);
        }
    }

    static List<String> kinds(String op) {
        return op.equals("adam") ? List.of("f32", "f32_amsgrad", "mixed", "mixed_amsgrad") : List.of("f32", "mixed");
    }

    /** @param blocks of one launch, in which a segment is of one element; or 0 */
    static void manySegments(PtxKernels kernels, String op, int segments, int blocks) {
        manySegments(kernels, op, "f32", segments, blocks);
    }

    /** @param kind of kernel: f32, mixed, the same with _amsgrad */
    static void manySegments(PtxKernels kernels, String op, String kind, int segments, int blocks) {
        Random random = new Random(segments);
        float[] grads = new float[segments];
        float[] parts = new float[segments];
        double[] lanes = new double[1024];
        for (int i = 0; i < segments; i++) {
            grads[i] = (float) Math.exp(10 * random.nextGaussian());
            parts[i] = grads[i] * grads[i];
            lanes[i % 1024] += parts[i];
        }
        for (int half = 512; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        List<List<MixedParameter>> groups = groups(kernels, 1, 1, true, random);
        Device device = new Device(kernels, PLAIN.withMaxNorm(1), groups, op, op + "_step_" + kind + "_guarded", 0);
        settings(device, op.equals("adam") ? adamOptions(false) : null, sgdOptions());
        device.set(List.of(0.1), -1);
        PtxKernels.Buffer buffer = kernels.new Buffer(4L * segments, 4);
        device.guard.set("parts", buffer).set("segments", (long) segments);
        device.blocks = blocks;
        if (blocks == 0) {
            buffer.set(parts);
            device.begin();
        } else {
            device.setSegments(grads);
            device.launchWhole();
        }
        assertEquals(Math.sqrt(lanes[0]), device.state().gradNorm(), segments + " segments");
        assertEquals(List.of(), kernels.device.findings());
        buffer.free();
        groups.getFirst().forEach(MixedParameter::free);
        device.free();
    }

    /** Of AdamW: all float32; of BF16 with remainders, moments of float32 or of BF16. What a step moves of an element. */
    private enum Kept {
        F32(MixedParameter.F32, 28), REMAINDERS(
                new DType[] {DType.BF16, DType.BF16, DType.F32, DType.F32, null, DType.I16},
                26), NARROW(new DType[] {DType.BF16, DType.BF16, DType.BF16, DType.BF16, null, DType.I16}, 18);

        final DType[] types;
        final int floor;

        Kept(DType[] types, int floor) {
            this.types = types;
            this.floor = floor;
        }

        MixedParameter parameter(PtxKernels own, int size) {
            return new MixedParameter(own, size, types, new int[6], new Random(1), null);
        }
    }

    private static void assertMoved(double floor, long bytes, long elements, String what) {
        double perElement = (double) bytes / elements;
        assertTrue(perElement >= floor && perElement <= floor + TABLES, what + ": " + perElement);
    }

    /** What the floor is: 28 bytes an element for AdamW in float32; the tables beside. */
    @ParameterizedTest
    @EnumSource
    void bytesMovedByAStep(Kept kept) {
        int size = 1 << 14;
        try (PtxKernels own = new PtxKernels(false)) {
            MixedStepPtxTest.check(own, cpu, AdamOptions.adamW(), List.of(kept.parameter(own, size)), 2048, 1, 0);
            assertMoved(kept.floor, own.bytesMoved(), 2 * size, kept + ", mixed kernel");
        }
        if (kept == Kept.F32) {
            try (PtxKernels own = new PtxKernels(false)) {
                AdamPtxTest.check(own, cpu, AdamOptions.adamW(),
                        List.of(new AdamPtxTest.Parameter(own, size, new int[4], new Random(1), null)), 2048, 2, 1, 0);
                assertMoved(kept.floor, own.bytesMoved(), size, "float32 kernel");
            }
        }
    }

    /** The gradient is read once more for norm, check and loss scaling, and written where gradients are zeroed. */
    @ParameterizedTest
    @EnumSource
    void bytesMoved(Kept kept) {
        // Three launches, and one of one block: more of them look at the barrier while they wait, again and again, which is
        // no traffic of an element.
        for (int blocks : new int[] {0, 1}) {
            bytesMoved(kept, 1 << 16, blocks);
        }
    }

    private static void bytesMoved(Kept kept, int size, int blocks) {
        for (StepOptions options : List.of(PLAIN.withClipValue(1), PLAIN.withMaxNorm(1).withGradScaling(
                GradScaling.constant(2)), PLAIN.withMaxNorm(1).withZeroGrad(true))) {
            try (PtxKernels own = new PtxKernels(false)) {
                Device device = new Device(own, options, List.of(List.of(kept.parameter(own, size))), "adam",
                        "adam_step_" + (kept == Kept.F32 ? "f32" : "mixed") + "_guarded", 0);
                device.blocks = blocks;
                settings(device, List.of(AdamOptions.adamW()), null);
                device.set(List.of(0.1), -1);
                long before = own.bytesMoved();
                device.step();
                int grad = kept.types[1].byteSize();
                assertMoved(kept.floor + (options.checksGrad() ? grad : 0) + (options.zeroGrad() ? grad : 0),
                        own.bytesMoved() - before, size, kept + ", " + options + ", " + blocks + " blocks");
            }
        }
    }
}
