package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import java.util.Locale;
import java.util.function.BiConsumer;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What the shipped kernels of cross-entropy with options move, on the interpreter. */
class GeneralCrossEntropyPtxTest {
    private static final int THREADS = 256;
    private static final int ROWS = 2;
    /** Three segments, the last of them short. */
    private static final int CLASSES = 2 * 8192 + 1000;
    private static final int SEGMENTS = 3;
    private static final long LOGITS = 4L * ROWS * CLASSES;

    /** Options, operands and alignments by a seed: a thread a row or a block. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void optionsOfASeed(DType dtype) {
        try (var kernels = new PtxKernels(true);
                Backend cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1))) {
            int[][] shapes = {{1, 1, 1}, {300, 3, 1}, {40, 10, 1}, {5, 33, 1}, {3, 1025, 1}, {2, 8193, 1}, {2, 5, 40},
                {1, 8200, 3}};
            for (int[] shape : shapes) {
                int seeds = shape[0] * shape[1] * shape[2] < 2000 ? 3 : 1;
                for (GeneralKernelCase.Mode mode : GeneralKernelCase.Mode.values()) {
                    for (long seed = 0; seed < seeds; seed++) {
                        boolean column = shape[2] > 1 || shape[1] <= 32 && seed % 3 < 2;
                        new GeneralKernelCase(shape[0], shape[1], shape[2], dtype, column, mode, seed).expect(cpu)
                                .check(kernels);
                    }
                }
            }
        }
    }

    /** Rows of more segments than a block keeps states of, and rows beyond 32 bits. */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void longRowsAndFarOnes(DType dtype) {
        try (var kernels = new PtxKernels(true);
                Backend cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1))) {
            for (GeneralKernelCase.Mode mode : GeneralKernelCase.Mode.values()) {
                for (long seed = 0; seed < 12; seed++) {
                    if (seed % 4 == 0) {
                        var c = new GeneralKernelCase(1, 12_291, 1, dtype, false, mode, seed);
                        c.longRows = true;
                        c.expect(cpu).check(kernels);
                    }
                    boolean column = seed % 2 == 0;
                    var far = new GeneralKernelCase(column ? 2 : 5, 70, column ? 16 : 1, dtype, column, mode, seed);
                    if (far.canBeFar()) {
                        far.firstRow = column ? 3L << 31 : (1L << 31) - 256;
                        far.expect(cpu).check(kernels);
                    }
                }
            }
        }
    }

    /** In place rows are filled by other threads than have read them for their log-probabilities. */
    @Test
    void logProbabilitiesOfIgnoredRowsInPlace() {
        try (var kernels = new PtxKernels(true);
                Backend cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1))) {
            new GeneralKernelCase(20, 40, 1, DType.F32, false, GeneralKernelCase.Mode.SAVED, 20).expect(cpu)
                    .check(kernels);
        }
    }

    /**
     * The gradient from states has the bits that it has without, and reads the logits once; without, they are read twice but
     * for the last segment.
     */
    @Test
    void theGradientFromStatesReadsTheLogitsOnce() {
        try (var kernels = new PtxKernels(false)) {
            float[] values = new float[ROWS * CLASSES];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) Math.sin(i) * (1 + i % 5);
            }
            PtxKernels.Buffer logits = kernels.new Buffer(LOGITS, 0).set(values);
            PtxKernels.Buffer targets =
                    GeneralKernelCase.targets(kernels, LongStream.range(0, ROWS).map(row -> 9000 * row).toArray());
            PtxKernels.Buffer whole = kernels.new Buffer(LOGITS, 0);
            PtxKernels.Buffer gradient = kernels.new Buffer(LOGITS, 0);
            PtxKernels.Buffer states = kernels.new Buffer(28L * ROWS * SEGMENTS, 0);
            BiConsumer<PtxKernels.Buffer, String> run = (to, field) -> {
                kernels.bytesRead = 0;
                kernels.bytesWritten = 0;
                PtxKernels.Struct params = GeneralKernelCase.rows(kernels, ROWS, CLASSES).set("logits", logits)
                        .set("targets", targets).set("grad_logits", to).set(field, states);
                kernels.launch("cross_entropy_general", "cross_entropy_general_loss_grad_f32_block", ROWS, THREADS, 0,
                        params);
            };
            run.accept(whole, "states");
            long without = kernels.bytesRead;
            run.accept(gradient, "saved_states");
            assertArrayEquals(whole.floats(), gradient.floats());
            // Each thread asks for the states: one access of a warp. What an element's logit is compared with comes on top.
            long states32 = (long) ROWS * THREADS * (32 * SEGMENTS + 32);
            assertTrue(kernels.bytesRead >= LOGITS && kernels.bytesRead <= LOGITS + states32,
                    kernels.bytesRead + " bytes read of " + LOGITS);
            assertTrue(kernels.bytesWritten >= LOGITS && kernels.bytesWritten < LOGITS + 256,
                    kernels.bytesWritten + " bytes written of " + LOGITS);
            long twice = LOGITS + 4L * ROWS * 2 * 8192;
            assertTrue(without >= twice && without <= twice + states32, without + " bytes read without states");
        }
    }

    /** With options too: one read of the logits, one write of the gradient, wherever the classes are. */
    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"F32", "BF16", "F16"})
    void keptColumnsAreReadOnce(DType dtype) {
        for (int classes : new int[] {2, 19, 21, 107}) {
            for (int inner : new int[] {1, 128}) {
                String what = dtype + " " + classes + " " + inner;
                int rows = 3 * 128;
                long logits = (long) dtype.byteSize() * rows * classes;
                try (var kernels = new PtxKernels(false)) {
                    smoothed(kernels, dtype, "column", rows, classes, inner, true);
                    assertEquals(logits + 8L * rows, kernels.bytesRead, what);
                    assertEquals(logits + 4L * rows, kernels.bytesWritten, what);
                    double instructions = 32.0 * kernels.instructions / (rows * classes);
                    assertTrue(instructions < (classes == 2 ? 740 : 480), what + ": " + instructions + " for a logit");
                }
                try (var kernels = new PtxKernels(false)) {
                    smoothed(kernels, dtype, "column", rows, classes, inner, false);
                    assertTrue(kernels.bytesRead >= 4 * logits, what);
                }
            }
        }
    }

    /** The same by a block a row, each warp of which asks for the row's target and the like. */
    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"F32", "BF16", "F16"})
    void rowsThatFitAreReadOnce(DType dtype) {
        for (int classes : new int[] {1000, 1023, 8192}) {
            int rows = 3;
            long logits = (long) dtype.byteSize() * rows * classes;
            try (var kernels = new PtxKernels(false)) {
                smoothed(kernels, dtype, "block", rows, classes, 1, false);
                long beside = kernels.bytesMoved() - 2 * logits;
                assertTrue(beside >= 12L * rows && beside <= 12L * rows + 8 * 32L * rows,
                        dtype + " " + classes + ": " + beside + " bytes beside logits and gradient");
            }
        }
    }

    /** Loss and gradient in place, with label smoothing and z-loss. */
    private static void smoothed(PtxKernels kernels, DType dtype, String variant, int rows, int classes, int inner,
            boolean kept) {
        int size = dtype.byteSize();
        float[] values = new float[rows * classes];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sin(i) * (1 + i % 5);
        }
        PtxKernels.Buffer logits = kernels.new Buffer((long) size * values.length, 0).set(dtype, values);
        PtxKernels.Buffer targets =
                GeneralKernelCase.targets(kernels, LongStream.range(0, rows).map(row -> row % classes).toArray());
        PtxKernels.Struct params = GeneralKernelCase.rows(kernels, rows, classes).set("inner", (long) inner)
                .set("logits", logits).set("targets", targets).set("row_loss", kernels.new Buffer(4L * rows, 0))
                .set("grad_logits", logits).set("keep", 0.9f).set("smooth", 0.1f / classes).set("z_loss", 1e-4f)
                .set("flags", kept ? 4096 : 0);
        String type = dtype.name().toLowerCase(Locale.ROOT);
        boolean narrow = dtype != DType.F32;
        int threads = narrow && variant.equals("block") ? 128 : THREADS;
        kernels.launch("cross_entropy_general" + (narrow ? "_" + type : ""),
                "cross_entropy_general_loss_grad_" + type + "_" + variant,
                variant.equals("block") ? rows : Math.ceilDiv(rows, threads), threads,
                kept ? threads * size * classes : 0, params);
    }
}
