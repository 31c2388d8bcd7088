package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.spi.AdamScalars;
import dev.isobit.spi.SgdScalars;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The kernels of steps over several types, interpreted and watched, against the CPU backend: every bit of every array. */
class MixedStepPtxTest {
    /** Which of the groups of a launch: not the first, so that one that is not looked up shows. */
    private static final int GROUP = 5;
    static final float[] SPECIAL = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f,
        Float.MIN_VALUE, -Float.MAX_VALUE, Float.MAX_VALUE, 1e-30f, -1, 65_520, 1e-7f};

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

    /** Those of one type, every other one rounding stochastically. */
    static List<AdamOptions> adamOptions() {
        List<AdamOptions> all = new ArrayList<>();
        for (AdamOptions options : AdamPtxTest.options()) {
            all.add(options.withLr(0.01).withRounding(all.size() % 2 == 0 ? GuardPtxTest.ROUNDING : null));
        }
        return all;
    }

    static List<SgdOptions> sgdOptions() {
        List<SgdOptions> all = new ArrayList<>();
        for (SgdOptions options : SgdContract.options()) {
            all.add(options.withRounding(all.size() % 2 == 0 ? GuardPtxTest.ROUNDING : null));
        }
        return all;
    }

    /** Parameters of any types, of so many sizes from one on. */
    static List<MixedParameter> parameters(PtxKernels kernels, int from, int sizes, boolean special, Random random) {
        List<MixedParameter> parameters = new ArrayList<>();
        for (int n = from; n < from + sizes; n++) {
            parameters.add(MixedParameter.any(kernels, n, random, special ? SPECIAL : null));
        }
        return parameters;
    }

    /** Parameters of which one array after the other starts elsewhere than the others, by any distance. */
    static List<MixedParameter> misaligned(PtxKernels kernels, Random random) {
        List<MixedParameter> parameters = new ArrayList<>();
        for (int mix : new int[] {0, 1, 3, 4, 63, 67}) {
            for (int array = 0; array < 6; array++) {
                for (int off = 1; off < 8; off++) {
                    int[] offs = new int[6];
                    offs[array] = off;
                    parameters.add(new MixedParameter(kernels, 37, MixedParameter.types(mix, random), offs, random,
                            null));
                }
            }
        }
        return parameters;
    }

    /** @param firstChunk chunks before it are those of blocks that do not run: they are in no table */
    static void check(PtxKernels kernels, Backend cpu, AdamOptions options, List<MixedParameter> parameters, int chunk,
            int firstStep, long firstChunk) {
        AdamScalars scalars = new AdamScalars();
        try (Adam adam = Adam.on(cpu, options,
                parameters.stream().map(p -> p.adam(options.amsgrad())).toList())) {
            adam.setStepCount(firstStep - 1);
            for (int step = firstStep; step < firstStep + 2; step++) {
                adam.step();
                scalars.set(options, options.lr(), step);
                PtxKernels.Struct params = kernels.new Struct("adam_mixed_params");
                PtxKernels.Struct group = params.element("adam_mixed_group", "groups", GROUP).set("step", (long) step);
                group.element("adam_group", "scalars", 0).set("w1", scalars.w1).set("w2", scalars.w2)
                        .set("neg_step_size", scalars.negStepSize).set("rsqrt_bc2", scalars.rsqrtBc2)
                        .set("eps", scalars.eps).set("param_decay", scalars.paramDecay)
                        .set("grad_decay", scalars.gradDecay).set("flags", (options.maximize() ? 1 : 0)
                                | (!options.decoupled() && options.weightDecay() != 0 ? 2 : 0));
                launch(kernels, "adam", options.amsgrad() ? "adam_step_mixed_amsgrad" : "adam_step_mixed", params,
                        table(kernels, "adam_mixed_chunk",
                                options.amsgrad() ? GuardPtxTest.ADAM_AMSGRAD : GuardPtxTest.ADAM, parameters, chunk,
                                options.rounding() != null),
                        firstChunk);
                compare(kernels, options.toString(), parameters);
            }
        }
        parameters.forEach(MixedParameter::free);
    }

    static void check(PtxKernels kernels, Backend cpu, SgdOptions options, List<MixedParameter> parameters, int chunk,
            int firstStep, long firstChunk) {
        SgdScalars scalars = new SgdScalars();
        boolean momentum = options.momentum() != 0;
        try (Sgd sgd = Sgd.on(cpu, options, parameters.stream().map(p -> p.sgd(momentum)).toList())) {
            sgd.setStepCount(firstStep - 1);
            for (int step = firstStep; step < firstStep + 2; step++) {
                sgd.step();
                scalars.set(options, options.lr(), step);
                PtxKernels.Struct params = kernels.new Struct("sgd_mixed_params");
                PtxKernels.Struct group = params.element("sgd_mixed_group", "groups", GROUP).set("step", (long) step);
                group.element("sgd_group", "scalars", 0).set("neg_lr", scalars.negLr).set("momentum", scalars.momentum)
                        .set("grad_share", scalars.gradShare).set("weight_decay", scalars.weightDecay)
                        .set("flags", (options.maximize() ? 1 : 0) | (options.weightDecay() != 0 ? 2 : 0)
                                | (options.nesterov() ? 4 : 0) | (step == 1 ? 8 : 0));
                launch(kernels, "sgd", "sgd_step_mixed", params,
                        table(kernels, "sgd_mixed_chunk", momentum ? GuardPtxTest.SGD_MOMENTUM : GuardPtxTest.SGD,
                                parameters, chunk, options.rounding() != null),
                        firstChunk);
                compare(kernels, options.toString(), parameters);
            }
        }
        parameters.forEach(MixedParameter::free);
    }

    private static void launch(PtxKernels kernels, String op, String entry, PtxKernels.Struct params,
            PtxKernels.Buffer table, long firstChunk) {
        int size = kernels.size(op + "_mixed_chunk");
        params.set("chunks", table.address - firstChunk * size).set("chunk_count", firstChunk + table.bytes / size);
        kernels.firstBlock = firstChunk / 8;
        kernels.launch(op + "_mixed", entry, 2, 256, 0, params);
        kernels.firstBlock = 0;
        table.free();
    }

    private static void compare(PtxKernels kernels, String what, List<MixedParameter> parameters) {
        assertEquals(List.of(), kernels.device.findings(), what);
        parameters.forEach(p -> p.compare(what));
    }

    private static PtxKernels.Buffer table(PtxKernels kernels, String struct, String[] names,
            List<MixedParameter> parameters, int chunk, boolean rounds) {
        int size = kernels.size(struct);
        int chunks = parameters.stream().mapToInt(p -> Math.ceilDiv(p.count, chunk)).sum();
        PtxKernels.Buffer table = kernels.new Buffer((long) size * chunks, 8);
        table.memory().fill((byte) 0);
        int c = 0;
        for (int number = 0; number < parameters.size(); number++) {
            MixedParameter p = parameters.get(number);
            for (int from = 0; from < p.count; from += chunk) {
                p.writeChunk(kernels.new Struct(struct, table.memory().asSlice((long) size * c++, size)), names, true,
                        from, Math.min(chunk, p.count - from), GROUP, rounds ? GuardPtxTest.ROUNDING : null, number);
            }
        }
        return table;
    }

    @Test
    void anyTypesAlignmentsAndCounts() {
        Random random = new Random(1);
        for (int from : new int[] {1, 120, 2047}) {
            for (boolean special : new boolean[] {false, true}) {
                for (AdamOptions options : adamOptions()) {
                    check(kernels, cpu, options, parameters(kernels, from, 18, special, random), 2048, 1, 0);
                }
                for (SgdOptions options : sgdOptions()) {
                    check(kernels, cpu, options, parameters(kernels, from, 18, special, random), 2048, 1, 0);
                }
            }
        }
    }

    @Test
    void oneArrayElsewhere() {
        for (AdamOptions options : adamOptions()) {
            check(kernels, cpu, options, misaligned(kernels, new Random(3)), 2048, 1, 0);
        }
        for (SgdOptions options : sgdOptions()) {
            check(kernels, cpu, options, misaligned(kernels, new Random(3)), 2048, 1, 0);
        }
    }

    @Test
    void chunksOfAnyLengthAndNumberAtAnyStep() {
        Random random = new Random(2);
        for (int chunk : new int[] {1, 3, 100, 4096}) {
            check(kernels, cpu, adamOptions().getFirst(), parameters(kernels, 300, 9, false, random), chunk,
                    1_000_000_000, 3L << 31);
            check(kernels, cpu, sgdOptions().get(2), parameters(kernels, 300, 9, false, random), chunk, 77, 3L << 31);
        }
    }
}
