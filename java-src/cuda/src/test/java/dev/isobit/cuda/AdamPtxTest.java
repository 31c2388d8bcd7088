package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.Tensor;
import dev.isobit.spi.AdamScalars;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The Adam kernel, interpreted, against the CPU backend: every bit of every output. */
class AdamPtxTest {
    /** Which of the groups of a launch: not the first, so that one that is not looked up shows. */
    private static final int GROUP = 5;

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

    /** One parameter on both sides; index 0..4 are param, grad, expAvg, expAvgSq, maxExpAvgSq. */
    static final class Parameter {
        final float[][] host = new float[5][];
        final PtxKernels.Buffer[] device = new PtxKernels.Buffer[5];

        Parameter(int count, int[] skips, Random random, float[] special) {
            this(kernels, count, skips, random, special);
        }

        Parameter(PtxKernels kernels, int count, int[] skips, Random random, float[] special) {
            for (int a = 0; a < 5; a++) {
                host[a] = new float[count];
                for (int i = 0; i < count; i++) {
                    float x = (float) random.nextGaussian();
                    host[a][i] = special != null && random.nextInt(5) == 0
                            ? special[random.nextInt(special.length)]
                            : a >= 3 ? x * x : x;
                }
                device[a] = kernels.new Buffer(4L * count, skips[a % 4]).set(host[a]);
            }
        }
    }

    private static void check(AdamOptions options, List<Parameter> parameters, int chunk, int grid, int steps) {
        check(kernels, cpu, options, parameters, chunk, grid, steps, 0);
    }

    /** @param firstChunk chunks before it are those of blocks that do not run: they are in no table */
    static void check(PtxKernels kernels, Backend cpu, AdamOptions options, List<Parameter> parameters, int chunk,
            int grid, int steps, long firstChunk) {
        PtxKernels.Buffer table = table(kernels, parameters, chunk);
        List<AdamParameter> tensors = new ArrayList<>();
        for (Parameter p : parameters) {
            int n = p.host[0].length;
            tensors.add(new AdamParameter("p", Tensor.of(p.host[0], n), Tensor.of(p.host[1], n),
                    Tensor.of(p.host[2], n), Tensor.of(p.host[3], n),
                    options.amsgrad() ? Tensor.of(p.host[4], n) : null));
        }
        AdamScalars scalars = new AdamScalars();
        try (Adam adam = Adam.on(cpu, options, tensors)) {
            for (int step = 1; step <= steps; step++) {
                adam.step();
                scalars.set(options, options.lr(), step);
                boolean decaysGradient = !options.decoupled() && options.weightDecay() != 0;
                PtxKernels.Struct params = kernels.new Struct("adam_params")
                        .set("chunks", table.address - firstChunk * kernels.size("adam_chunk"))
                        .set("chunk_count", firstChunk + table.bytes / kernels.size("adam_chunk"));
                params.element("adam_group", "groups", GROUP).set("w1", scalars.w1).set("w2", scalars.w2)
                        .set("neg_step_size", scalars.negStepSize).set("rsqrt_bc2", scalars.rsqrtBc2)
                        .set("eps", scalars.eps).set("param_decay", scalars.paramDecay)
                        .set("grad_decay", scalars.gradDecay)
                        .set("flags", (options.maximize() ? PtxKernels.MAXIMIZE : 0)
                                | (decaysGradient ? PtxKernels.GRAD_DECAY : 0));
                kernels.firstBlock = firstChunk / 8;
                kernels.launch("adam", options.amsgrad() ? "adam_step_f32_amsgrad" : "adam_step_f32", grid, 256, 0,
                        params);
                kernels.firstBlock = 0;
            }
        }
        assertEquals(List.of(), kernels.device.findings());
        for (Parameter p : parameters) {
            for (int a = 0; a < 5; a++) {
                float[] actual = p.device[a].floats();
                for (int i = 0; i < actual.length; i++) {
                    assertEquals(Integer.toHexString(Float.floatToRawIntBits(p.host[a][i])),
                            Integer.toHexString(Float.floatToRawIntBits(actual[i])), "array " + a + ", element " + i
                                    + " of " + actual.length);
                }
                assertTrue(p.device[a].isUntouchedBefore());
                p.device[a].free();
            }
        }
        table.free();
    }

    private static PtxKernels.Buffer table(PtxKernels kernels, List<Parameter> parameters, int chunk) {
        int size = kernels.size("adam_chunk");
        int chunks = 0;
        for (Parameter p : parameters) {
            chunks += (p.host[0].length + chunk - 1) / chunk;
        }
        PtxKernels.Buffer table = kernels.new Buffer((long) size * chunks, 8);
        int c = 0;
        for (Parameter p : parameters) {
            int n = p.host[0].length;
            for (int from = 0; from < n; from += chunk) {
                kernels.new Struct("adam_chunk", table.memory().asSlice((long) size * c++, size))
                        .set("param", p.device[0].address + 4L * from).set("grad", p.device[1].address + 4L * from)
                        .set("exp_avg", p.device[2].address + 4L * from)
                        .set("exp_avg_sq", p.device[3].address + 4L * from)
                        .set("max_exp_avg_sq", p.device[4].address + 4L * from)
                        .set("count", Math.min(chunk, n - from)).set("group", GROUP);
            }
        }
        return table;
    }

    static List<AdamOptions> options() {
        AdamOptions adam = AdamOptions.adam();
        AdamOptions adamW = AdamOptions.adamW();
        return List.of(adam, adamW, adam.withWeightDecay(0.1), adamW.withMaximize(true), adamW.withWeightDecay(0),
                adam.withWeightDecay(0.01).withMaximize(true), adamW.withAmsgrad(true),
                adam.withWeightDecay(0.1).withAmsgrad(true), adamW.withAmsgrad(true).withMaximize(true));
    }

    @Test
    void everyCountAndAlignment() {
        Random random = new Random(1);
        for (AdamOptions options : options()) {
            List<Parameter> parameters = new ArrayList<>();
            for (int n : new int[] {1, 2, 3, 4, 5, 7, 8, 31, 64, 127, 128, 129, 1000, 2048, 2049, 5000}) {
                for (int skip = 0; skip < 16; skip += 4) {
                    parameters.add(new Parameter(n, new int[] {skip, skip, skip, skip}, random, null));
                }
                parameters.add(new Parameter(n, new int[] {0, 4, 0, 0}, random, null));
                parameters.add(new Parameter(n, new int[] {4, 4, 8, 12}, random, null));
            }
            check(options, parameters, 2048, 3, 3);
        }
    }

    @Test
    void specialValues() {
        float[] special = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f, Float.MIN_VALUE,
            -Float.MAX_VALUE, Float.MAX_VALUE, 1e-30f, -1};
        Random random = new Random(2);
        for (AdamOptions options : options()) {
            check(options, List.of(new Parameter(4000, new int[] {4, 4, 4, 4}, random, special),
                    new Parameter(500, new int[] {4, 4, 4, 0}, random, special)), 2048, 1, 2);
        }
    }

    @Test
    void chunksOfAnyLength() {
        Random random = new Random(3);
        for (int chunk : new int[] {1, 3, 100, 4096, 1 << 20}) {
            check(AdamOptions.adamW(), List.of(new Parameter(5000, new int[] {8, 8, 8, 8}, random, null)), chunk, 2, 1);
        }
    }

    /** A disabled group is not touched. */
    @Test
    void disabledGroup() {
        Parameter p = new Parameter(3000, new int[] {0, 0, 0, 0}, new Random(4), null);
        PtxKernels.Buffer table = table(kernels, List.of(p), 2048);
        PtxKernels.Struct params = kernels.new Struct("adam_params").set("chunks", table).set("chunk_count", 2L);
        params.element("adam_group", "groups", GROUP).set("w1", 1f).set("flags", PtxKernels.DISABLED);
        for (String entry : List.of("adam_step_f32", "adam_step_f32_amsgrad")) {
            kernels.launch("adam", entry, 1, 256, 0, params);
        }
        assertEquals(List.of(), kernels.device.findings());
        for (int a = 0; a < 5; a++) {
            assertArrayEquals(p.host[a], p.device[a].floats());
        }
    }
}
