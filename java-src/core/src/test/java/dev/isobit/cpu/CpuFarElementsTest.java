package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
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
import dev.isobit.contract.GuardDefinition;
import dev.isobit.contract.RoundingDefinition;
import dev.isobit.math.NarrowFloats;
import dev.isobit.spi.AdamScalars;
import dev.isobit.spi.SgdScalars;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Optimizers over a parameter of more than 2^32 elements. Its memory has holes: of all pages those alone take room that the
 * test writes.
 */
@EnabledOnOs(value = OS.LINUX, disabledReason = "memory has holes there")
class CpuFarElementsTest {
    /** Beyond 2^32, by less than the 2^23 elements after which lanes and segments of a norm are the same again. */
    private static final int BEYOND = 4133;
    private static final long MANY = (1L << 32) + BEYOND;
    /** At both ends, and where an index or an offset of 32 bits would be another: 2^31 and 2^32 bytes or elements. */
    private static final long[][] RANGES = {{0, 41}, {(1L << 29) - 21, (1L << 29) + 70},
        {(1L << 30) - 5, (1L << 30) + 40}, {(1L << 31) - 33, (1L << 31) + 70},
        {(1L << 32) - 1100, (1L << 32) + 1100}, {MANY - 37, MANY}};
    private static final AdamOptions ADAM_W = AdamOptions.adamW().withLr(0.02);
    private static final SgdOptions MOMENTUM = SgdOptions.defaults().withLr(0.1).withMomentum(0.9);
    private static final long SEED = 0x123456789abcdefL;
    /** Of parameter, gradient, moments and master. */
    private static final int ROLES = 6;

    @TempDir
    private Path folder;

    /** Types by role, an empty word for none; where the memory is from. */
    private static List<String> kinds() {
        return List.of("F32,F32,F32,F32,,|memory", "F32,F32,F32,F32,F32,|memory", "F32,F32,F32,F32,,|file",
                "BF16,BF16,BF16,BF16,,|memory", "BF16,BF16,BF16,BF16,,|file", "BF16,BF16,BF16,BF16,BF16,|memory",
                "F16,F16,BF16,F32,,|memory", "BF16,BF16,BF16,BF16,,I16|memory", "F16,F32,F32,BF16,,F32|memory",
                "BF16,F32,BF16,F32,,|stochastic");
    }

    private static DType[] types(String kind) {
        DType[] types = new DType[ROLES];
        String[] words = kind.substring(0, kind.indexOf('|')).split(",", -1);
        for (int role = 0; role < ROLES; role++) {
            types[role] = words[role].isEmpty() ? null : DType.valueOf(words[role]);
        }
        return types;
    }

    private Tensor[] tensors(DType[] types, long count, boolean ofFile, Arena arena) throws IOException {
        Tensor[] tensors = new Tensor[ROLES];
        for (int role = 0; role < ROLES; role++) {
            if (types[role] != null) {
                long bytes = count * types[role].byteSize();
                tensors[role] = Tensor.of(types[role],
                        ofFile ? Holes.ofFile(folder, bytes, arena) : Holes.ofMemory(bytes, arena), count);
            }
        }
        return tensors;
    }

    private static AdamParameter adam(Tensor[] t) {
        return new AdamParameter("p", t[0], t[1], t[2], t[3], t[4], t[5]);
    }

    private static SgdParameter sgd(Tensor[] t) {
        return new SgdParameter("p", t[0], t[1], t[2]).withMaster(t[5]);
    }

    private static int bits(Tensor tensor, long element) {
        return tensor.dtype() == DType.F32
                ? tensor.segment().get(ValueLayout.JAVA_INT, 4 * element)
                : tensor.segment().get(ValueLayout.JAVA_SHORT, 2 * element);
    }

    private static void set(Tensor tensor, long element, float value) {
        switch (tensor.dtype()) {
            case F32 -> tensor.segment().set(ValueLayout.JAVA_FLOAT, 4 * element, value);
            case BF16 -> tensor.segment().set(ValueLayout.JAVA_SHORT, 2 * element, NarrowFloats.toBf16(value));
            case F16 -> tensor.segment().set(ValueLayout.JAVA_SHORT, 2 * element, NarrowFloats.toF16(value));
            default -> tensor.segment().set(ValueLayout.JAVA_SHORT, 2 * element, (short) (1e4f * value));
        }
    }

    /** The same element far out and near. */
    private interface Pair {
        void at(long far, long near);
    }

    /** @return how many there are */
    private static long forEach(Pair pair) {
        long near = 0;
        for (long[] range : RANGES) {
            for (long far = range[0]; far < range[1]; far++) {
                pair.at(far, near++);
            }
        }
        return near;
    }

    private static void fill(Tensor[] far, Tensor[] near) {
        SplittableRandom random = new SplittableRandom(32);
        for (int role = 0; role < ROLES; role++) {
            if (far[role] != null) {
                int r = role;
                forEach((there, here) -> {
                    float value = (float) random.nextGaussian();
                    value = r == 3 || r == 4 ? 0.01f * value * value : value;
                    set(far[r], there, value);
                    set(near[r], here, value);
                });
            }
        }
        for (long[] range : RANGES) {
            for (long beside : new long[] {range[0] - 1, range[1]}) {
                if (beside >= 0 && beside < MANY) {
                    set(far[0], beside, 1);
                }
            }
        }
    }

    private static void compare(String what, Tensor[] far, Tensor[] near) {
        for (int role = 0; role < ROLES; role++) {
            if (far[role] != null) {
                int r = role;
                long compared = forEach((there, here) -> assertEquals(bits(near[r], here), bits(far[r], there),
                        () -> what + ", operand " + r + ", element " + there));
                assertTrue(compared > 2000);
            }
        }
        int one = new int[] {0x3f800000, 0x3f80, 0x3c00}[far[0].dtype() == DType.F32
                ? 0
                : far[0].dtype() == DType.BF16 ? 1 : 2];
        for (long[] range : RANGES) {
            for (long beside : new long[] {range[0] - 1, range[1]}) {
                if (beside >= 0 && beside < MANY) {
                    assertEquals(one, bits(far[0], beside), () -> what + ": element " + beside + " was written");
                }
            }
        }
    }

    /** Shares of a step, as workers take them: the bits of the same elements in tensors of their own. */
    @ParameterizedTest
    @MethodSource("kinds")
    void sharesOfAStep(String kind) throws IOException {
        DType[] types = types(kind);
        boolean stochastic = kind.endsWith("stochastic");
        StochasticRounding rounding = stochastic ? new StochasticRounding(SEED) : null;
        for (boolean isSgd : new boolean[] {false, true}) {
            DType[] own = types.clone();
            own[3] = isSgd ? null : own[3];
            own[4] = isSgd ? null : own[4];
            try (Arena arena = Arena.ofShared();
                    Backend cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(2))) {
                Tensor[] far = tensors(own, MANY, kind.endsWith("file"), arena);
                // Rounded to nearest where the parameter is F32: what is to be rounded stochastically.
                DType[] exact = own.clone();
                exact[0] = stochastic ? DType.F32 : exact[0];
                Tensor[] near = tensors(exact, forEach((there, here) -> {}), false, arena);
                fill(far, near);
                if (stochastic) {
                    forEach((there, here) -> set(near[0], here, NarrowFloats.fromBf16((short) bits(far[0], there))));
                }
                for (int step = 1; step <= 2; step++) {
                    if (isSgd) {
                        share(cpu, new SgdGroup(MOMENTUM.withRounding(rounding), List.of(sgd(far))), step);
                        try (Sgd sgd = Sgd.on(cpu, MOMENTUM, List.of(sgd(near)))) {
                            sgd.setStepCount(step - 1);
                            sgd.step();
                        }
                    } else {
                        AdamOptions options = ADAM_W.withAmsgrad(own[4] != null);
                        share(cpu, new AdamGroup(options.withRounding(rounding), List.of(adam(far))), step);
                        try (Adam adam = Adam.on(cpu, options, List.of(adam(near)))) {
                            adam.setStepCount(step - 1);
                            adam.step();
                        }
                    }
                    if (stochastic) {
                        long number = step;
                        forEach((there, here) -> set(near[0], here,
                                RoundingDefinition.stochastic(Float.intBitsToFloat(bits(near[0], here)), SEED, number,
                                        0, there)));
                        forEach((there, here) -> assertEquals(bits(near[0], here) >> 16, bits(far[0], there),
                                () -> "element " + there));
                        Tensor[] moments = {null, null, far[2], far[3], far[4], null};
                        for (int role = 2; role < 4 && moments[role] != null; role++) {
                            int r = role;
                            forEach((there, here) -> assertEquals(bits(near[r], here), bits(far[r], there)));
                        }
                    } else {
                        compare(kind + (isSgd ? " SGD" : " Adam") + ", step " + step, far, near);
                    }
                }
            }
        }
    }

    /** A step of a group that rests, at first, then of the ranges alone; of large F32 both loops in turn. */
    private static void share(Backend cpu, AdamGroup group, int step) {
        AdamScalars scalars = new AdamScalars();
        scalars.set(group.options(), group.options().lr(), step);
        try (CpuAdam kernel = (CpuAdam) ((CpuBackend) cpu).adamKernel(List.of(group), cpu.defaultStream())) {
            for (int turn = 0; turn < step; turn++) {
                scalars.enabled = false;
                kernel.step(new AdamScalars[] {scalars});
            }
            scalars.enabled = true;
            for (long[] range : RANGES) {
                kernel.run(1, range[0], range[1]);
            }
        }
    }

    private static void share(Backend cpu, SgdGroup group, int step) {
        SgdScalars scalars = new SgdScalars();
        scalars.set(group.options(), group.options().lr(), step);
        try (CpuSgd kernel = (CpuSgd) ((CpuBackend) cpu).sgdKernel(List.of(group), cpu.defaultStream())) {
            scalars.enabled = false;
            kernel.step(new SgdScalars[] {scalars});
            scalars.enabled = true;
            for (long[] range : RANGES) {
                kernel.run(1, range[0], range[1]);
            }
        }
    }

    /** What a run of two groups leaves: everything of the second, and the first one's first and last elements. */
    private record Left(StepState state, List<Integer> bits) {}

    /** Three steps and a micro-batch of small parameters behind one that rests. */
    private Left stepsBehind(long resting, boolean isSgd, StepOptions options, int threads) throws IOException {
        SplittableRandom random = new SplittableRandom(5);
        List<Integer> bits = new ArrayList<>();
        try (Arena arena = Arena.ofShared();
                Backend cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(threads))) {
            DType[] types = types(isSgd ? "BF16,BF16,BF16,,,|" : "BF16,BF16,BF16,BF16,,|");
            Tensor[] first = tensors(types, resting, false, arena);
            for (Tensor tensor : first) {
                if (tensor != null) {
                    set(tensor, 0, Float.POSITIVE_INFINITY);
                    set(tensor, resting - 1, Float.NaN);
                }
            }
            boolean sums = options.accumulateGrad();
            Tensor sum = sums ? Tensor.of(DType.F32, Holes.ofMemory(4 * resting, arena), resting) : null;
            List<Tensor[]> others = new ArrayList<>();
            for (int size : new int[] {5, 33, 0, 5000, 1, 9000}) {
                DType[] own = types(size % 2 == 0 ? "F32,F32,F32,F32,,|" : "BF16,F16,BF16,F32,,F32|");
                own[3] = isSgd ? null : own[3];
                Tensor[] t = tensors(own, Math.max(1, size), false, arena);
                for (int role = 0; role < ROLES; role++) {
                    if (t[role] != null) {
                        t[role] = Tensor.of(t[role].dtype(), t[role].memory(), 0, size);
                        for (int i = 0; i < size; i++) {
                            float x = (float) random.nextGaussian();
                            set(t[role], i, role == 3 ? x * x : x);
                        }
                    }
                }
                others.add(t);
            }
            StepState state;
            if (isSgd) {
                List<SgdParameter> behind = others.stream().map(CpuFarElementsTest::sgd).toList();
                try (Sgd sgd = Sgd.on(cpu, List.of(
                        new SgdGroup(MOMENTUM, List.of(sgd(first).withGradAccumulator(sum))),
                        new SgdGroup(MOMENTUM.withNesterov(true), behind)), options, cpu.defaultStream())) {
                    sgd.setEnabled(0, false);
                    for (int step = 0; step < 3; step++) {
                        if (sums) {
                            sgd.accumulate();
                        }
                        sgd.step();
                    }
                    assertEquals(0, sgd.stepCount(0));
                    assertEquals(3, sgd.stepCount(1));
                    state = sgd.stepState();
                }
            } else {
                List<AdamParameter> behind = others.stream().map(CpuFarElementsTest::adam).toList();
                try (Adam adam = Adam.on(cpu, List.of(
                        new AdamGroup(ADAM_W, List.of(adam(first).withGradAccumulator(sum))),
                        new AdamGroup(ADAM_W.withMaximize(true), behind)), options, cpu.defaultStream())) {
                    adam.setEnabled(0, false);
                    for (int step = 0; step < 3; step++) {
                        if (sums) {
                            adam.accumulate();
                        }
                        adam.step();
                    }
                    assertEquals(0, adam.stepCount(0));
                    assertEquals(3, adam.stepCount(1));
                    state = adam.stepState();
                }
            }
            others.add(new Tensor[] {first[0], first[1], first[2], first[3]});
            for (Tensor[] tensors : others) {
                for (Tensor tensor : tensors) {
                    if (tensor != null) {
                        long count = tensor.elementCount();
                        boolean isFirst = count == resting;
                        IntStream.range(0, isFirst ? 9 : (int) count).forEach(i -> bits.add(bits(tensor, i)));
                        IntStream.range(0, isFirst ? 9 : 0).forEach(i -> bits.add(bits(tensor, count - 1 - i)));
                    }
                }
            }
            return new Left(state, bits);
        }
    }

    /** Norm, clipping, zeroing and sums of small parameters are what they are behind as many elements modulo 2^23. */
    @ParameterizedTest
    @CsvSource({"false, 1", "false, 2", "true, 1", "true, 2"})
    void aGroupThatRests(boolean isSgd, int threads) throws IOException {
        StepOptions clipped = StepOptions.defaults().withGradScaling(new GradScaling(4, 2, 0.5f, 2)).withMaxNorm(0.5)
                .withClipValue(0.01);
        for (StepOptions options : List.of(clipped, clipped.withZeroGrad(true).withAccumulateGrad(true))) {
            Left near = stepsBehind(BEYOND, isSgd, options, threads);
            Left far = stepsBehind(MANY, isSgd, options, threads);
            assertEquals(near.state, far.state);
            assertEquals(near.bits, far.bits);
            assertTrue(far.bits.size() > 40_000, far.bits.size() + " bits");
            assertEquals(false, far.state.foundInf());
        }
    }

    /** The norm of gradients that are zero almost everywhere, and what is not finite beyond 2^32: nothing is written. */
    @Test
    void theNormOfFarGradients() throws IOException {
        try (Arena arena = Arena.ofShared(); Backend cpu = Backend.open("cpu")) {
            Tensor[] far = tensors(types("BF16,BF16,BF16,BF16,,|"), MANY, false, arena);
            float[] row = new float[1 << 23];
            long[] places = {3, (1L << 29) + 70_000, (1L << 31) - 1, (1L << 31) + 9000, (1L << 32) + 77};
            for (int i = 0; i < places.length; i++) {
                set(far[1], places[i], i + 1);
                row[(int) (places[i] % row.length)] += i + 1;
            }
            var gradients = new CpuGradients((CpuBackend) cpu, List.of(List.of(far[1])));
            assertEquals(GuardDefinition.sumOfSquares(row), gradients.sumOfSquares(new boolean[] {true}));
            boolean[] zeroed = {false};
            gradients.zero(zeroed);
            zeroed[0] = true;
            gradients.run(0, (1L << 32) + 77, (1L << 32) + 78);
            assertEquals(0, bits(far[1], (1L << 32) + 77));
            assertEquals(0x4000, bits(far[1], (1L << 29) + 70_000));
            set(far[1], (1L << 32) + 4000, Float.NEGATIVE_INFINITY);
            set(far[0], (1L << 32) + 4000, 1);
            StepOptions options = StepOptions.defaults().withGradScaling(new GradScaling(4, 2, 0.5f, 2));
            try (Adam adam = Adam.on(cpu, List.of(new AdamGroup(ADAM_W, List.of(adam(far)))), options,
                    cpu.defaultStream())) {
                adam.step();
                StepState state = adam.stepState();
                assertTrue(state.foundInf());
                assertEquals(1, state.skippedSteps());
                assertEquals(2, state.gradScale());
                assertEquals(0, adam.stepCount());
            }
            assertEquals(0x3f80, bits(far[0], (1L << 32) + 4000));
        }
    }

    /** The norm of a tile over and over, as {@link GuardDefinition} has it of rows that it can hold. */
    private static double normOfTiles(float[] tile) {
        int segments = tile.length / 8192;
        double[] parts = new double[segments];
        for (int i = 0; i < segments; i++) {
            parts[i] = GuardDefinition.sumOfSquares(Arrays.copyOfRange(tile, 8192 * i, 8192 * (i + 1)));
        }
        double[] lanes = new double[1024];
        long whole = MANY / 8192;
        for (long i = 0; i < whole; i++) {
            lanes[(int) (i % 1024)] += parts[(int) (i % segments)];
        }
        lanes[(int) (whole % 1024)] += GuardDefinition.sumOfSquares(Arrays.copyOf(tile, BEYOND));
        for (int half = 512; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return Math.sqrt(lanes[0]);
    }

    /** A whole step, clipped by its norm, of one thread: that of a tile, as often as it is in the tensors. */
    @Test
    void aWholeStep() {
        SplittableRandom random = new SplittableRandom(6);
        float[] tile = new float[1 << 20];
        float[] values = new float[tile.length];
        for (int i = 0; i < tile.length; i++) {
            tile[i] = NarrowFloats.fromBf16(NarrowFloats.toBf16((float) random.nextGaussian()));
        }
        try (Arena arena = Arena.ofShared();
                Backend cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1))) {
            Tensor param = Tensor.of(DType.F32, Holes.ofTiles(4 * MANY, 4L * tile.length, arena), MANY);
            Tensor grad = Tensor.of(DType.BF16, Holes.ofTiles(2 * MANY, 2L * tile.length, arena), MANY);
            for (int i = 0; i < tile.length; i++) {
                set(grad, i, tile[i]);
            }
            SgdOptions options = SgdOptions.defaults().withLr(0.1);
            try (Sgd sgd = Sgd.on(cpu, List.of(new SgdGroup(options, List.of(SgdParameter.of("p", param, grad)))),
                    StepOptions.defaults().withMaxNorm(100), cpu.defaultStream())) {
                sgd.step();
                assertEquals(normOfTiles(tile), sgd.stepState().gradNorm());
            }
            SgdScalars scalars = new SgdScalars();
            scalars.set(options, options.lr(), 1);
            scalars.gradFactor = (float) (100 / (normOfTiles(tile) + 1e-6));
            Tensor near = Tensor.of(values, values.length);
            SgdGroup group = new SgdGroup(options, List.of(SgdParameter.of("p", near, Tensor.of(tile, tile.length))));
            try (CpuSgd kernel = (CpuSgd) ((CpuBackend) cpu).sgdKernel(List.of(group), cpu.defaultStream())) {
                for (int i = 0; i < 1 << 12; i++) {
                    kernel.step(new SgdScalars[] {scalars});
                }
                kernel.run(0, 0, BEYOND);
            }
            for (int i = 0; i < tile.length; i++) {
                assertEquals(bits(near, i), bits(param, i));
            }
        }
    }
}
