package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.Sgd;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.Tensor;
import dev.isobit.spi.SgdScalars;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The SGD kernel, interpreted, against the CPU backend: every bit of every output. */
class SgdPtxTest {
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

    /** One parameter on both sides: param, grad, momentum buffer. */
    static final class Parameter {
        final float[][] host = new float[3][];
        final PtxKernels.Buffer[] device = new PtxKernels.Buffer[3];

        Parameter(PtxKernels kernels, int count, int[] skips, Random random, float[] special) {
            for (int a = 0; a < 3; a++) {
                host[a] = new float[count];
                for (int i = 0; i < count; i++) {
                    host[a][i] = special != null && random.nextInt(5) == 0
                            ? special[random.nextInt(special.length)]
                            : (float) random.nextGaussian();
                }
                device[a] = kernels.new Buffer(4L * count, skips[a]).set(host[a]);
            }
        }
    }

    /** @param firstChunk chunks before it are those of blocks that do not run: they are in no table */
    static void check(PtxKernels kernels, Backend cpu, SgdOptions options, List<Parameter> parameters, int chunk,
            int grid, int steps, long firstChunk) {
        PtxKernels.Buffer table = table(kernels, options, parameters, chunk);
        List<SgdParameter> tensors = new ArrayList<>();
        for (Parameter p : parameters) {
            int n = p.host[0].length;
            tensors.add(new SgdParameter("p", Tensor.of(p.host[0], n), Tensor.of(p.host[1], n),
                    options.momentum() != 0 ? Tensor.of(p.host[2], n) : null));
        }
        SgdScalars scalars = new SgdScalars();
        try (Sgd sgd = Sgd.on(cpu, options, tensors)) {
            for (int step = 1; step <= steps; step++) {
                sgd.step();
                scalars.set(options, options.lr(), step);
                PtxKernels.Struct params = kernels.new Struct("sgd_params")
                        .set("chunks", table.address - firstChunk * kernels.size("sgd_chunk"))
                        .set("chunk_count", firstChunk + table.bytes / kernels.size("sgd_chunk"));
                params.element("sgd_group", "groups", GROUP).set("neg_lr", scalars.negLr)
                        .set("momentum", scalars.momentum).set("grad_share", scalars.gradShare)
                        .set("weight_decay", scalars.weightDecay)
                        .set("flags", (options.maximize() ? 1 : 0) | (options.weightDecay() != 0 ? 2 : 0)
                                | (options.nesterov() ? 4 : 0) | (step == 1 ? 8 : 0));
                kernels.firstBlock = firstChunk / 8;
                kernels.launch("sgd", "sgd_step_f32", grid, 256, 0, params);
                kernels.firstBlock = 0;
            }
        }
        compare(kernels, parameters);
        table.free();
    }

    private static void compare(PtxKernels kernels, List<Parameter> parameters) {
        assertEquals(List.of(), kernels.device.findings());
        for (Parameter p : parameters) {
            for (int a = 0; a < 3; a++) {
                float[] actual = p.device[a].floats();
                for (int i = 0; i < actual.length; i++) {
                    assertEquals(Integer.toHexString(Float.floatToRawIntBits(p.host[a][i])),
                            Integer.toHexString(Float.floatToRawIntBits(actual[i])),
                            "array " + a + ", element " + i + " of " + actual.length);
                }
                assertTrue(p.device[a].isUntouchedBefore());
                p.device[a].free();
            }
        }
    }

    private static PtxKernels.Buffer table(PtxKernels kernels, SgdOptions options, List<Parameter> parameters,
            int chunk) {
        int size = kernels.size("sgd_chunk");
        int chunks = 0;
        for (Parameter p : parameters) {
            chunks += (p.host[0].length + chunk - 1) / chunk;
        }
        PtxKernels.Buffer table = kernels.new Buffer((long) size * chunks, 8);
        int c = 0;
        for (Parameter p : parameters) {
            int n = p.host[0].length;
            for (int from = 0; from < n; from += chunk) {
                kernels.new Struct("sgd_chunk", table.memory().asSlice((long) size * c++, size))
                        .set("param", p.device[0].address + 4L * from).set("grad", p.device[1].address + 4L * from)
                        .set("momentum_buffer", options.momentum() != 0 ? p.device[2].address + 4L * from : 0)
                        .set("count", Math.min(chunk, n - from)).set("group", GROUP);
            }
        }
        return table;
    }

    @Test
    void everyCountAndAlignment() {
        Random random = new Random(1);
        for (SgdOptions options : SgdContract.options()) {
            List<Parameter> parameters = new ArrayList<>();
            for (int n : new int[] {1, 2, 3, 4, 5, 7, 8, 31, 64, 127, 128, 129, 1000, 2048, 2049, 5000}) {
                for (int skip = 0; skip < 16; skip += 4) {
                    parameters.add(new Parameter(kernels, n, new int[] {skip, skip, skip}, random, null));
                }
                parameters.add(new Parameter(kernels, n, new int[] {0, 4, 0}, random, null));
                parameters.add(new Parameter(kernels, n, new int[] {4, 4, 12}, random, null));
            }
            check(kernels, cpu, options, parameters, 2048, 3, 3, 0);
        }
    }

    @Test
    void specialValues() {
        float[] special = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f, Float.MIN_VALUE,
            -Float.MAX_VALUE, Float.MAX_VALUE, 1e-30f, -1};
        Random random = new Random(2);
        for (SgdOptions options : SgdContract.options()) {
            check(kernels, cpu, options, List.of(new Parameter(kernels, 4000, new int[] {4, 4, 4}, random, special),
                    new Parameter(kernels, 500, new int[] {4, 0, 4}, random, special)), 2048, 1, 2, 0);
        }
    }

    /** A disabled group is not touched. */
    @Test
    void disabledGroup() {
        Parameter p = new Parameter(kernels, 3000, new int[] {0, 0, 0}, new Random(3), null);
        PtxKernels.Buffer table = table(kernels, SgdOptions.defaults(), List.of(p), 2048);
        PtxKernels.Struct params = kernels.new Struct("sgd_params").set("chunks", table).set("chunk_count", 2L);
        params.element("sgd_group", "groups", GROUP).set("neg_lr", -1f).set("flags", 16);
        kernels.launch("sgd", "sgd_step_f32", 1, 256, 0, params);
        compare(kernels, List.of(p));
        table.free();
    }
}
