package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.AdamSemantics;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.Memory;
import dev.isobit.Sgd;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StochasticRounding;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Optimizers over F32, BF16 and F16 in any mix where kernels run: the cpu backend's bits after several steps. */
abstract class MixedOptimizerContract {
    private static final DType[] VALUES = {DType.F32, DType.BF16, DType.F16};
    private static final DType[] MOMENTS = {DType.F32, DType.BF16};
    /** Both sides of a pack of 8, of a warp's 256, of a chunk. */
    private static final int[] SIZES = {1, 7, 8, 9, 0, 15, 17, 255, 257, 264, 511, 1000, 2047, 2048, 2049, 4100};

    private static final StepOptions PLAIN = StepOptions.defaults();
    private static final List<StepOptions> GUARDS = List.of(PLAIN, PLAIN.withMaxNorm(0.5).withZeroGrad(true),
            PLAIN.withClipValue(0.3), PLAIN.withGradScaling(new GradScaling(16, 2, 0.5f, 2)).withZeroGrad(true));

    private static final int MASTER = 5;
    private static final int ROLES = 6;
    private static final StochasticRounding ROUNDING = new StochasticRounding(0xfedcba9876543210L);

    /** One parameter on both sides; 0..4 are param, grad, and moments, 5 is a master or remainders. */
    private static final class Both implements AutoCloseable {
        final Tensor[] host = new Tensor[ROLES];
        final Tensor[] device = new Tensor[ROLES];
        private final Backend cuda;
        private final List<Memory> memories = new ArrayList<>();

        /** @param offs elements that each array lies behind a boundary */
        Both(Backend cuda, int size, DType[] types, int roles, int[] offs, Random random) {
            this.cuda = cuda;
            for (int role = 0; role < ROLES; role++) {
                if (role < MASTER ? role >= roles : types[role] == null) {
                    continue;
                }
                int width = types[role].byteSize();
                Memory memory = cuda.allocate((long) (size + offs[role]) * width);
                memories.add(memory);
                host[role] =
                        Tensor.of(types[role], Arena.ofAuto().allocate(Math.max(1, size) * (long) width, 64), size);
                device[role] = Tensor.of(types[role], memory, (long) offs[role] * width, size);
                for (int i = 0; i < size; i++) {
                    set(host[role], i, value(role, random));
                }
                upload(role);
            }
        }

        private static float value(int role, Random random) {
            float normal = (float) random.nextGaussian();
            if (role == MASTER) {
                return normal;
            }
            return switch (random.nextInt(60)) {
                case 0 -> 0;
                case 1 -> role == 1 ? Float.MIN_VALUE : 1;
                case 2 -> role == 0 ? Float.NaN : -0f;
                case 3 -> role == 0 ? Float.POSITIVE_INFINITY : 1e-6f;
                default -> role < 3 ? normal : normal * normal;
            };
        }

        static void set(Tensor tensor, int i, float x) {
            MemorySegment bytes = tensor.segment();
            switch (tensor.dtype()) {
                case F32 -> bytes.setAtIndex(ValueLayout.JAVA_FLOAT, i, x);
                case I16 -> bytes.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) Float.floatToRawIntBits(x));
                case BF16 -> bytes.setAtIndex(ValueLayout.JAVA_SHORT, i, NarrowFloats.toBf16(x));
                default -> bytes.setAtIndex(ValueLayout.JAVA_SHORT, i, NarrowFloats.toF16(x));
            }
        }

        void upload(int role) {
            cuda.copy(host[role], device[role]);
        }

        void compare(String what) {
            for (int role = 0; role < ROLES; role++) {
                if (host[role] != null) {
                    Tensor found = Tensor.of(host[role].dtype(),
                            Arena.ofAuto().allocate(Math.max(8, host[role].byteSize()), 8), host[role].elementCount());
                    cuda.copy(device[role], found);
                    long at = host[role].segment().mismatch(found.segment());
                    assertEquals(-1, at, what + ", operand " + role + " " + host[role].dtype() + " of "
                            + host[role].elementCount() + ", byte");
                }
            }
        }

        @Override
        public void close() {
            memories.forEach(Memory::close);
        }
    }

    private static AdamParameter adam(Tensor[] t) {
        return new AdamParameter("p", t[0], t[1], t[2], t[3], t[4]).withMaster(t[MASTER]);
    }

    private static SgdParameter sgd(Tensor[] t) {
        return new SgdParameter("p", t[0], t[1], t[2]).withMaster(t[MASTER]);
    }

    private static DType[] types(int mix, Random random) {
        DType param = VALUES[mix % 3];
        DType master = switch (param) {
            case BF16 -> new DType[] {null, DType.F32, DType.I16}[random.nextInt(3)];
            case F16 -> random.nextBoolean() ? null : DType.F32;
            default -> null;
        };
        return new DType[] {param, VALUES[mix / 3 % 3], MOMENTS[mix / 9 % 2], MOMENTS[mix / 18 % 2],
            MOMENTS[mix / 36 % 2], master};
    }

    /** All at a boundary, all as many elements behind one, or each somewhere. */
    private static int[] offs(Random random) {
        int kind = random.nextInt(3);
        int same = random.nextInt(8);
        return IntStream.range(0, ROLES).map(i -> kind == 0 ? 0 : kind == 1 ? same : random.nextInt(8)).toArray();
    }

    private static void gradients(List<List<Both>> groups, Random random, boolean infinite) {
        for (List<Both> group : groups) {
            for (Both both : group) {
                int size = (int) both.host[1].elementCount();
                for (int i = 0; i < size; i++) {
                    Both.set(both.host[1], i, (float) random.nextGaussian());
                }
                if (infinite && size > 200) {
                    Both.set(both.host[1], random.nextInt(size), Float.NEGATIVE_INFINITY);
                }
                both.upload(1);
            }
        }
    }

    /** @param optimizer 0 Adam, 1 with amsgrad, 2 SGD */
    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void theCpusBits(int optimizer) {
        List<AdamOptions> adams = List.of(AdamOptions.adamW().withLr(0.01).withRounding(ROUNDING),
                AdamOptions.adam().withWeightDecay(0.1).withMaximize(true),
                AdamOptions.adamW().withSemantics(AdamSemantics.HF).withBetas(0.5, 0.75).withRounding(ROUNDING));
        List<SgdOptions> sgds = List.of(
                SgdOptions.defaults().withMomentum(0.9).withNesterov(true).withRounding(ROUNDING),
                SgdOptions.defaults().withWeightDecay(0.1), SgdOptions.defaults().withMomentum(0.5).withDampening(0.2));
        try (Backend cuda = Backend.open("cuda"); Backend cpu = Backend.open("cpu")) {
            for (int g = 0; g < GUARDS.size(); g++) {
                StepOptions guard = GUARDS.get(g);
                Random random = new Random(optimizer * 10 + g);
                List<List<Both>> groups = new ArrayList<>();
                for (int group = 0; group < 3; group++) {
                    List<Both> all = new ArrayList<>();
                    boolean buffer = sgds.get(group).momentum() != 0;
                    int roles = optimizer == 2 ? buffer ? 3 : 2 : optimizer == 1 ? 5 : 4;
                    for (int mix = group; mix < 72; mix += 3 * (optimizer == 1 ? 1 : 2)) {
                        all.add(new Both(cuda, SIZES[random.nextInt(SIZES.length)],
                                types((mix + 24 * group) % 72 + random.nextInt(3), random), roles, offs(random),
                                random));
                    }
                    groups.add(all);
                }
                check(cuda, cpu, optimizer, adams, sgds, guard, groups, random);
                groups.forEach(group -> group.forEach(Both::close));
            }
        }
    }

    private static void check(Backend cuda, Backend cpu, int optimizer, List<AdamOptions> adams, List<SgdOptions> sgds,
            StepOptions guard, List<List<Both>> groups, Random random) {
        boolean amsgrad = optimizer == 1;
        List<AutoCloseable> open = new ArrayList<>();
        List<Runnable> steps = new ArrayList<>();
        for (Backend backend : List.of(cpu, cuda)) {
            boolean here = backend == cpu;
            if (optimizer == 2) {
                Sgd sgd = Sgd.on(backend, IntStream.range(0, 3).mapToObj(g -> new SgdGroup(sgds.get(g),
                        groups.get(g).stream().map(b -> sgd(here ? b.host : b.device)).toList())).toList(), guard,
                        backend.defaultStream());
                open.add(sgd);
                steps.add(sgd::step);
            } else {
                Adam adam = Adam.on(backend, IntStream.range(0, 3).mapToObj(
                        g -> new AdamGroup(adams.get(g).withAmsgrad(amsgrad),
                                groups.get(g).stream().map(b -> adam(here ? b.host : b.device)).toList()))
                        .toList(), guard, backend.defaultStream());
                open.add(adam);
                steps.add(adam::step);
            }
        }
        try {
            for (int step = 0; step < 4; step++) {
                gradients(groups, random, step == 2);
                steps.forEach(Runnable::run);
                for (List<Both> group : groups) {
                    for (Both both : group) {
                        both.compare("optimizer " + optimizer + ", " + guard + ", step " + step);
                    }
                }
            }
        } finally {
            for (AutoCloseable closeable : open) {
                try {
                    closeable.close();
                } catch (Exception e) {
                    throw new IllegalStateException(e);
                }
            }
        }
    }
}
