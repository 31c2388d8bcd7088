package dev.isobit.state;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendProbe;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.LrSchedule;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.safetensors.SafetensorsException;
import dev.isobit.safetensors.SafetensorsFile;
import dev.isobit.safetensors.StoredTensor;
import dev.isobit.safetensors.StoredType;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class OptimizerStateTest {
    private static final AdamOptions OPTIONS = AdamOptions.adamW().withLr(0.01);

    @TempDir
    private Path folder;

    private Path file;

    @BeforeEach
    void name() {
        file = folder.resolve("state.safetensors");
    }

    /** Seven steps at once, or three, a file, and four: on one backend, and from one to another. */
    @ParameterizedTest
    @CsvSource({"cpu, cpu, false", "cpu, cpu, true", "reference, reference, true", "sim, cpu, false", "sim, cpu, true",
        "cpu, sim, true"})
    void aResumedRunHasTheBitsOfOneThatNeverStopped(String first, String second, boolean amsgrad) {
        AdamOptions options = OPTIONS.withAmsgrad(amsgrad);
        assumeRuns(first);
        assumeRuns(second);
        int[] whole;
        try (Backend backend = Backend.open(first.equals("reference") ? first : "cpu");
                var run = new Run(backend, options)) {
            run.steps(7);
            whole = run.bits();
        }
        try (Backend backend = Backend.open(first); var run = new Run(backend, options)) {
            run.steps(3);
            OptimizerState.save(file, backend, run.adam());
        }
        try (Backend backend = Backend.open(second); var run = new Run(backend, options)) {
            run.scramble();
            OptimizerState.load(file, backend, run.adam());
            assertEquals(3, run.adam().stepCount());
            run.steps(4);
            assertArrayEquals(whole, run.bits());
        }
    }

    /** The step count is in the file, and decides where in its schedule the learning rate is. */
    @ParameterizedTest
    @CsvSource({"cpu, cpu", "reference, reference", "sim, cpu", "cpu, sim"})
    void aScheduleGoesOn(String first, String second) {
        assumeRuns(first);
        assumeRuns(second);
        AdamOptions options = OPTIONS.withSchedule(LrSchedule.cosine(4, 0.1).withWarmup(2, 0.25));
        for (StepOptions step : List.of(StepOptions.defaults(), StepOptions.defaults().withMaxNorm(1))) {
            int[] whole;
            double lr;
            try (Backend backend = Backend.open(first.equals("reference") ? first : "cpu");
                    var run = new Run(backend, options, step)) {
                run.steps(4);
                lr = run.adam().scheduledLr(0);
                assertTrue(lr < OPTIONS.lr() * 0.6, "lr " + lr);
                run.steps(3);
                whole = run.bits();
            }
            try (Backend backend = Backend.open(first); var run = new Run(backend, options, step)) {
                run.steps(4);
                OptimizerState.save(file, backend, run.adam());
            }
            try (Backend backend = Backend.open(second); var run = new Run(backend, options, step)) {
                run.scramble();
                OptimizerState.load(file, backend, run.adam());
                assertEquals(lr, run.adam().scheduledLr(0));
                assertEquals(OPTIONS.lr(), run.adam().lr());
                run.steps(3);
                assertArrayEquals(whole, run.bits());
            }
        }
    }

    private static void assumeRuns(String backend) {
        BackendProbe probe = Backend.probes().stream().filter(p -> p.name().equals(backend)).findFirst().orElseThrow();
        assumeTrue(probe.available(), probe.detail());
    }

    /** Four steps of SGD at once, or two, a file, and two; the file is ours, or one without steps as PyTorch's. */
    @ParameterizedTest
    @CsvSource({"cpu, true", "cpu, false", "sim, true"})
    void aResumedRunOfSgdHasTheSameBits(String first, boolean counted) {
        assumeRuns(first);
        float[] whole = {0.5f, -1, 2};
        float[] values = whole.clone();
        float[] buffer = new float[3];
        try (Backend cpu = Backend.open("cpu")) {
            try (Sgd sgd = sgd(cpu, Tensor.of(whole, 3), Tensor.of(new float[3], 3))) {
                steps(sgd, 4);
            }
            try (Backend backend = Backend.open(first)) {
                Tensor param = backend.allocate(DType.F32, 3);
                backend.copy(Tensor.of(values, 3), param);
                try (Sgd sgd = sgd(backend, param, backend.allocate(DType.F32, 3))) {
                    steps(sgd, 2);
                    OptimizerState.save(file, backend, sgd);
                }
            }
            try (var saved = SafetensorsFile.open(file)) {
                assertEquals(Set.of("w", "w.momentum_buffer", "w.step"), saved.names());
                if (!counted) {
                    SafetensorsFile.write(file, Map.of(), List.of(saved.tensor("w"),
                            saved.tensor("w.momentum_buffer")));
                }
            }
            try (Sgd sgd = sgd(cpu, Tensor.of(values, 3), Tensor.of(buffer, 3))) {
                OptimizerState.load(file, cpu, sgd);
                assertEquals(counted ? 2 : 1, sgd.stepCount(0));
                steps(sgd, 2);
            }
        }
        assertArrayEquals(whole, values);
    }

    private static Sgd sgd(Backend backend, Tensor param, Tensor buffer) {
        Tensor grad = backend.allocate(DType.F32, 3);
        backend.copy(Tensor.of(new float[] {0.25f, 3, -0.125f}, 3), grad);
        return Sgd.on(backend, SgdOptions.defaults().withLr(0.1).withMomentum(0.9).withWeightDecay(0.01),
                List.of(new SgdParameter("w", param, grad, buffer)));
    }

    private static void steps(Sgd sgd, int count) {
        for (int i = 0; i < count; i++) {
            sgd.step();
        }
    }

    /** Loss scale and counts go along; they may be absent, and are refused where they are no such values. */
    @ParameterizedTest
    @CsvSource({"cpu, cpu", "sim, cpu", "cpu, sim"})
    void lossScaleAndSkippedSteps(String first, String second) {
        assumeRuns(first);
        assumeRuns(second);
        StepOptions step = StepOptions.defaults().withGradScaling(new GradScaling(1024, 2, 0.5f, 4)).withMaxNorm(1);
        StepState saved;
        try (Backend backend = Backend.open(first); Adam adam = scaled(backend, step)) {
            for (int i = 0; i < 3; i++) {
                Tensor grad = adam.parameters().get(0).grad();
                backend.copy(Tensor.of(new float[] {1, i == 1 ? Float.NaN : 2}, 2), grad);
                adam.step();
            }
            saved = adam.stepState();
            assertEquals(1, saved.skippedSteps());
            assertEquals(512, saved.gradScale());
            OptimizerState.save(file, backend, adam);
        }
        try (Backend backend = Backend.open(second); Adam adam = scaled(backend, step)) {
            OptimizerState.load(file, backend, adam);
            StepState state = adam.stepState();
            assertEquals(saved.gradScale(), state.gradScale());
            assertEquals(saved.growthTracker(), state.growthTracker());
            assertEquals(1, state.skippedSteps());
            assertEquals(2, adam.stepCount());
        }
        try (Backend backend = Backend.open("cpu"); Adam adam = scaled(backend, StepOptions.defaults())) {
            var e = assertThrows(SafetensorsException.class, () -> OptimizerState.load(file, backend, adam));
            assertTrue(e.getMessage().contains("grad_scaler"), e.getMessage());
            OptimizerState.save(file, backend, adam);
        }
        try (Backend backend = Backend.open("cpu"); Adam adam = scaled(backend, step)) {
            OptimizerState.load(file, backend, adam);
            assertEquals(1024, adam.stepState().gradScale());
            for (float bad : new float[] {0, Float.NaN, Float.POSITIVE_INFINITY, Float.MIN_VALUE, -1}) {
                List<StoredTensor> tensors = new ArrayList<>();
                try (SafetensorsFile whole = SafetensorsFile.open(file)) {
                    whole.names().forEach(name -> {
                        StoredTensor t = whole.tensor(name);
                        tensors.add(new StoredTensor(name, t.dtype(), t.shape(),
                                MemorySegment.ofArray(t.bytes().toArray(ValueLayout.JAVA_BYTE))));
                    });
                }
                tensors.add(new StoredTensor("grad_scaler.scale", StoredType.F32, new long[0],
                        MemorySegment.ofArray(new float[] {bad})));
                tensors.add(new StoredTensor("grad_scaler._growth_tracker", StoredType.I32, new long[0],
                        MemorySegment.ofArray(new int[] {1})));
                Path changed = folder.resolve("changed.safetensors");
                SafetensorsFile.write(changed, Map.of("format", "pt"), tensors);
                var e = assertThrows(SafetensorsException.class, () -> OptimizerState.load(changed, backend, adam));
                assertTrue(e.getMessage().contains("grad_scaler.scale"), e.getMessage());
                assertEquals(1024, adam.stepState().gradScale());
            }
        }
    }

    /** Saved between two micro-batches: the sums go along, in F32, and what is loaded has the bits of a run in one piece. */
    @ParameterizedTest
    @CsvSource({"cpu, cpu", "sim, cpu", "cpu, sim"})
    void sumsOfGradients(String first, String second) {
        assumeRuns(first);
        assumeRuns(second);
        StepOptions step = StepOptions.defaults().withAccumulateGrad(true).withGradDivisor(3).withMaxNorm(1);
        short[] whole;
        try (Backend backend = Backend.open("cpu"); Adam adam = summing(backend, step)) {
            microBatches(backend, adam, 0, 9);
            whole = param(backend, adam);
        }
        try (Backend backend = Backend.open(first); Adam adam = summing(backend, step)) {
            microBatches(backend, adam, 0, 5);
            OptimizerState.save(file, backend, adam);
        }
        try (SafetensorsFile saved = SafetensorsFile.open(file)) {
            assertEquals(StoredType.F32, saved.tensor("p.grad_accumulator").dtype());
        }
        try (Backend backend = Backend.open(second); Adam adam = summing(backend, step)) {
            microBatches(backend, adam, 3, 4);
            OptimizerState.load(file, backend, adam);
            assertEquals(1, adam.stepCount());
            microBatches(backend, adam, 5, 9);
            assertArrayEquals(whole, param(backend, adam));
        }
        // An optimizer without them refuses the file; of a file without them they are zero.
        StepOptions without = step.withAccumulateGrad(false);
        try (Backend backend = Backend.open(second); Adam adam = summing(backend, without)) {
            var e = assertThrows(SafetensorsException.class, () -> OptimizerState.load(file, backend, adam));
            assertTrue(e.getMessage().contains("p.grad_accumulator"), e.getMessage());
            OptimizerState.save(file, backend, adam);
        }
        try (Backend backend = Backend.open(second); Adam adam = summing(backend, step)) {
            microBatches(backend, adam, 0, 1);
            OptimizerState.load(file, backend, adam);
            float[] sum = {1, 1};
            backend.copy(adam.parameters().getFirst().stepGrad(), Tensor.of(sum, 2));
            assertArrayEquals(new float[2], sum);
        }
    }

    private static Adam summing(Backend backend, StepOptions step) {
        return Adam.on(backend, List.of(new AdamGroup(OPTIONS, List.of(AdamParameter.of("p",
                backend.allocate(DType.BF16, 2), backend.allocate(DType.BF16, 2))))), step, backend.defaultStream());
    }

    /** Every third ends a step. */
    private static void microBatches(Backend backend, Adam adam, int from, int to) {
        for (int i = from; i < to; i++) {
            short[] bits = {(short) (0x3f80 + 31 * i), (short) (0xbf80 + 17 * i)};
            backend.copy(Tensor.of(DType.BF16, MemorySegment.ofArray(bits), 2), adam.parameters().getFirst().grad());
            adam.accumulate();
            if (i % 3 == 2) {
                adam.step();
            }
        }
    }

    private static Adam scaled(Backend backend, StepOptions step) {
        return Adam.on(backend, List.of(new AdamGroup(OPTIONS, List.of(AdamParameter.of("p",
                backend.allocate(DType.F32, 2), backend.allocate(DType.F32, 2))))), step, backend.defaultStream());
    }

    /** A group that rested has done fewer steps. */
    @Test
    void everyGroupHasItsOwnSteps() {
        try (Backend backend = Backend.open("cpu")) {
            var groups = List.of(group(backend, "a"), group(backend, "b"));
            try (Adam adam = Adam.on(backend, groups)) {
                adam.step();
                adam.setEnabled(0, false);
                adam.step();
                OptimizerState.save(file, backend, adam);
            }
            try (Adam adam = Adam.on(backend, groups)) {
                OptimizerState.load(file, backend, adam);
                assertEquals(1, adam.stepCount(0));
                assertEquals(2, adam.stepCount(1));
            }
        }
    }

    private static AdamGroup group(Backend backend, String name) {
        return new AdamGroup(OPTIONS, List.of(AdamParameter.of(name, backend.allocate(DType.F32, 2),
                backend.allocate(DType.F32, 2))));
    }

    /** A tensor is written in its own type; a run in 16 bits goes on with its bits. */
    @ParameterizedTest
    @CsvSource({"cpu, cpu", "sim, cpu", "cpu, sim"})
    void sixteenBits(String first, String second) {
        assumeRuns(first);
        assumeRuns(second);
        short[] whole;
        try (Backend backend = Backend.open("cpu"); Adam adam = narrow(backend)) {
            steps(adam, 7);
            whole = param(backend, adam);
        }
        try (Backend backend = Backend.open(first); Adam adam = narrow(backend)) {
            steps(adam, 3);
            OptimizerState.save(file, backend, adam);
        }
        try (SafetensorsFile saved = SafetensorsFile.open(file)) {
            assertEquals(StoredType.BF16, saved.tensor("p").dtype());
            assertEquals(StoredType.F32, saved.tensor("p.exp_avg").dtype());
            assertEquals(StoredType.BF16, saved.tensor("p.exp_avg_sq").dtype());
            assertEquals(StoredType.I16, saved.tensor("q.master_param").dtype());
            assertEquals(StoredType.F32, saved.tensor("r.master_param").dtype());
            assertFalse(saved.names().contains("p.master_param"));
        }
        try (Backend backend = Backend.open(second); Adam adam = narrow(backend)) {
            steps(adam, 1);
            OptimizerState.load(file, backend, adam);
            assertEquals(3, adam.stepCount());
            steps(adam, 4);
            assertArrayEquals(whole, param(backend, adam));
        }
    }

    private static void steps(Adam adam, int count) {
        for (int i = 0; i < count; i++) {
            adam.step();
        }
    }

    private static Adam narrow(Backend backend) {
        int size = 40;
        Tensor param = backend.allocate(DType.BF16, size);
        Tensor grad = backend.allocate(DType.BF16, size);
        short[] bits = new short[size];
        for (int i = 0; i < size; i++) {
            bits[i] = (short) (0x3f80 + 7 * i);
        }
        Tensor host = Tensor.of(DType.BF16, MemorySegment.ofArray(bits), size);
        backend.copy(host, param);
        backend.copy(host, grad);
        Tensor withRemainders = backend.allocate(DType.BF16, size);
        backend.copy(host, withRemainders);
        // Rounded stochastically, from remainders, from a master.
        return Adam.on(backend, AdamOptions.adamW().withLr(0.1).withRounding(new StochasticRounding(5)), List.of(
                new AdamParameter("p", param, grad, null, backend.allocate(DType.BF16, size)),
                AdamParameter.of("q", withRemainders, backend.allocate(DType.F16, size))
                        .withMaster(backend.allocate(DType.I16, size)),
                AdamParameter.of("r", backend.allocate(DType.F16, size), backend.allocate(DType.F32, size))
                        .withMaster(backend.allocate(DType.F32, size))));
    }

    private static short[] param(Backend backend, Adam adam) {
        short[] bits = new short[0];
        for (AdamParameter p : adam.parameters()) {
            short[] own = new short[Math.toIntExact(p.param().elementCount())];
            backend.copy(p.param(), Tensor.of(p.param().dtype(), MemorySegment.ofArray(own), own.length));
            int before = bits.length;
            bits = Arrays.copyOf(bits, before + own.length);
            System.arraycopy(own, 0, bits, before, own.length);
        }
        return bits;
    }

    @Test
    void theFileHasPyTorchsNamesAndTypes() {
        try (Backend backend = Backend.open("cpu"); var run = new Run(backend, OPTIONS)) {
            run.steps(3);
            OptimizerState.save(file, backend, run.adam());
            try (var saved = SafetensorsFile.open(file)) {
                assertEquals(new TreeSet<>(List.of("fc.weight", "fc.weight.exp_avg", "fc.weight.exp_avg_sq",
                        "fc.weight.step", "fc.bias", "fc.bias.exp_avg", "fc.bias.exp_avg_sq", "fc.bias.step")),
                        new TreeSet<>(saved.names()));
                assertEquals(Map.of("format", "pt"), saved.metadata());
                StoredTensor moment = saved.tensor("fc.weight.exp_avg");
                assertEquals(StoredType.F32, moment.dtype());
                assertArrayEquals(new long[] {3, 5}, moment.shape());
                StoredTensor step = saved.tensor("fc.bias.step");
                assertEquals(StoredType.F32, step.dtype());
                assertArrayEquals(new long[0], step.shape());
                assertEquals(3f, step.bytes().get(ValueLayout.JAVA_FLOAT, 0));
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"0, F32", "16777216, F32", "16777217, I64", "9007199254740992, I64"})
    void everyStepCountComesBack(long count, StoredType type) {
        try (Backend backend = Backend.open("cpu"); var run = new Run(backend, OPTIONS)) {
            run.adam().setStepCount(count);
            OptimizerState.save(file, backend, run.adam());
            run.adam().setStepCount(5);
            OptimizerState.load(file, backend, run.adam());
            assertEquals(count, run.adam().stepCount());
            try (var saved = SafetensorsFile.open(file)) {
                assertEquals(type, saved.tensor("fc.bias.step").dtype());
            }
        }
    }

    /** As PyTorch's state_dict gives it, in a file put together by hand: no parameters, elements at odd addresses. */
    @ParameterizedTest
    @CsvSource({"cpu", "sim"})
    void aFileFromPyTorch(String name) throws IOException {
        assumeRuns(name);
        var header = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
        var data = ByteBuffer.allocate(1000).order(ByteOrder.LITTLE_ENDIAN);
        int[] sizes = {15, 3};
        String[] shapes = {"[3,5]", "[3]"};
        String[] parameters = {"fc.weight", "fc.bias"};
        for (int p = 0; p < 2; p++) {
            for (String key : List.of("step", "exp_avg", "exp_avg_sq")) {
                boolean step = key.equals("step");
                int start = data.position();
                for (int i = 0; i < (step ? 1 : sizes[p]); i++) {
                    data.putFloat(step ? 11 : (p + 1) * 0.5f + i + key.length());
                }
                header.append(",\"").append(parameters[p]).append('.').append(key)
                        .append("\":{\"dtype\":\"F32\",\"shape\":").append(step ? "[]" : shapes[p])
                        .append(",\"data_offsets\":[").append(start).append(',').append(data.position()).append("]}");
            }
        }
        header.append('}').append(" ".repeat(Math.floorMod(1 - header.length(), 4)));
        byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
        Files.write(file, ByteBuffer.allocate(8 + text.length + data.position()).order(ByteOrder.LITTLE_ENDIAN)
                .putLong(text.length).put(text).put(data.flip()).array());

        try (Backend backend = Backend.open(name); var run = new Run(backend, OPTIONS)) {
            int[] before = run.bits();
            OptimizerState.load(file, backend, run.adam());
            assertEquals(11, run.adam().stepCount());
            int[] after = run.bits();
            assertArrayEquals(Arrays.copyOf(before, 18), Arrays.copyOf(after, 18), "the parameters");
            assertEquals(0.5f + 4 + 7, Float.intBitsToFloat(after[18 + 4]), "exp_avg of fc.weight");
            assertEquals(1 + 2 + 10, Float.intBitsToFloat(after[after.length - 1]), "exp_avg_sq of fc.bias");
        }
    }

    @Test
    void whatDoesNotFitIsRefusedAndNothingIsChanged() throws IOException {
        try (Backend backend = Backend.open("cpu"); var run = new Run(backend, OPTIONS)) {
            run.steps(2);
            OptimizerState.save(file, backend, run.adam());
            List<StoredTensor> good = new ArrayList<>();
            byte[] bytes = Files.readAllBytes(file);
            try (var saved = SafetensorsFile.open(file)) {
                for (String name : saved.names()) {
                    StoredTensor t = saved.tensor(name);
                    good.add(new StoredTensor(name, t.dtype(), t.shape(),
                            MemorySegment.ofArray(t.bytes().toArray(ValueLayout.JAVA_BYTE))));
                }
            }
            run.steps(1);
            refused(run, backend, without(good, "fc.bias.exp_avg"), "fc.bias.exp_avg", "it is not there");
            refused(run, backend, without(good, "fc.bias.step"), "fc.bias.step", "it is not there");
            refused(run, backend, without(good, "fc.bias"), "fc.bias", "it is not there");
            refused(run, backend, with(good, "fc.bias.max_exp_avg_sq", StoredType.F32, 3), "fc.bias.max_exp_avg_sq",
                    "no state of this optimizer's parameters");
            refused(run, backend, with(good, "fc.bias.exp_avg", StoredType.F32, 4), "fc.bias.exp_avg",
                    "it is F32[4], the optimizer's is F32[3]");
            refused(run, backend, with(good, "fc.bias.exp_avg", StoredType.F64, 3), "fc.bias.exp_avg",
                    "it is F64[3], the optimizer's is F32[3]");
            refused(run, backend, with(good, "fc.bias.step", StoredType.F32, 3), "fc.bias.step", "[3] is no scalar");
            refused(run, backend, with(good, "fc.bias.step", StoredType.U8, 1), "fc.bias.step", "dtype U8 is none of");
            refused(run, backend, with(good, "fc.bias.step", StoredType.F32, 1), "fc.bias.step",
                    "0 steps were done, but 2 with the parameters before in its group");
            for (float step : new float[] {-1.5f, 1.5f, Float.NaN, Float.POSITIVE_INFINITY, 0x1p63f}) {
                List<StoredTensor> odd = without(good, "fc.bias.step");
                odd.add(new StoredTensor("fc.bias.step", StoredType.F32, new long[0],
                        MemorySegment.ofArray(new float[] {step})));
                refused(run, backend, odd, "fc.bias.step", (double) step + " is no number of steps");
            }
            for (long step : new long[] {-1, (1L << 53) + 1, Long.MAX_VALUE}) {
                List<StoredTensor> odd = without(good, "fc.bias.step");
                odd.add(new StoredTensor("fc.bias.step", StoredType.I64, new long[0],
                        MemorySegment.ofArray(new long[] {step})));
                refused(run, backend, odd, "fc.bias.step", step + " is no number of steps");
            }
            bytes[bytes.length - 1] ^= 1;
            Files.write(file, bytes);
            refused(run, backend, null, "was changed after it was written");
            Files.write(file, Arrays.copyOf(bytes, bytes.length - 4));
            refused(run, backend, null, "are no part of the");
        }
    }

    private static List<StoredTensor> without(List<StoredTensor> good, String name) {
        return new ArrayList<>(good.stream().filter(t -> !t.name().equals(name)).toList());
    }

    private static List<StoredTensor> with(List<StoredTensor> good, String name, StoredType dtype, long size) {
        List<StoredTensor> changed = without(good, name);
        changed.add(new StoredTensor(name, dtype, new long[] {size},
                MemorySegment.ofArray(new byte[(int) size * dtype.byteSize()])));
        return changed;
    }

    private void refused(Run run, Backend backend, List<StoredTensor> tensors, String tensor, String message) {
        SafetensorsFile.write(file, Map.of(), tensors);
        refused(run, backend, tensor, message);
    }

    private void refused(Run run, Backend backend, String tensor, String message) {
        int[] before = run.bits();
        long count = run.adam().stepCount();
        var e = assertThrows(SafetensorsException.class, () -> OptimizerState.load(file, backend, run.adam()));
        assertTrue(e.getMessage().startsWith(file + ": ") && e.getMessage().contains(message), e.getMessage());
        assertTrue(tensor == null || tensor.equals(e.tensor()),
                e.getMessage());
        assertArrayEquals(before, run.bits());
        assertEquals(count, run.adam().stepCount());
    }

    @Test
    void parametersOfOneNameCannotBeSaved() {
        try (Backend backend = Backend.open("cpu"); var run = new Run(backend, OPTIONS, "same", "same")) {
            var e = assertThrows(IllegalArgumentException.class,
                    () -> OptimizerState.save(file, backend, run.adam()));
            assertTrue(e.getMessage().contains("two tensors \"same"), e.getMessage());
            assertArrayEquals(new String[0], folder.toFile().list());
        }
    }
}
