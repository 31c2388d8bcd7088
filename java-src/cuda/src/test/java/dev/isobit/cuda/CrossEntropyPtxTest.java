package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The cross-entropy kernels, interpreted, against the CPU backend: every bit of every output. */
class CrossEntropyPtxTest {
    private static final long IGNORE = -100;

    private static PtxKernels plain;
    private static PtxKernels sanitizing;
    /** One of the two. */
    private static PtxKernels kernels;
    private static Backend cpu;

    @BeforeAll
    static void open() {
        plain = new PtxKernels(false);
        sanitizing = new PtxKernels(true);
        kernels = plain;
        cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1));
    }

    @AfterAll
    static void close() {
        plain.close();
        sanitizing.close();
        cpu.close();
    }

    /** One call, and how it is launched. */
    private static final class Case {
        final int rows;
        final int classes;
        float[] logits;
        long[] targets;
        float[] gradLoss = {0.75f};
        Reduction reduction = Reduction.MEAN;
        long ignoreIndex = IGNORE;
        String variant;
        boolean wideTargets = true;
        boolean wantsLoss = true;
        boolean wantsGradient = true;
        boolean inPlace;
        int logitsSkip;
        int gradSkip;
        int targetsSkip;
        int lossSkip;
        int grid = 2;
        int countBlocks = 1;
        int reduceGrid = 1;
        int stash;

        Case(int rows, int classes, Random random) {
            this.rows = rows;
            this.classes = classes;
            logits = new float[rows * classes];
            for (int i = 0; i < logits.length; i++) {
                logits[i] = (float) (random.nextGaussian() * 4);
            }
            targets = random.longs(rows, 0, classes).toArray();
            variant = classes <= 32
                    ? "thread"
                    : classes <= 1024 ? "warp" : classes <= 2048 ? "wide" : "block";
        }

        @Override
        public String toString() {
            return rows + "x" + classes + " " + variant + " " + reduction + (inPlace ? " in place" : "") + " logits+"
                    + logitsSkip + " grad+" + gradSkip + " targets+" + targetsSkip + " loss+" + lossSkip + " grid "
                    + grid + "/" + countBlocks + "/" + reduceGrid + " stash " + stash + (wideTargets ? "" : " i32")
                    + (wantsLoss ? " loss" : "") + (wantsGradient ? " gradient" : "");
        }

        boolean isBad(long target) {
            return target != ignoreIndex && (target < 0 || target >= classes);
        }

        int blockSize() {
            return variant.equals("block") ? 256 : 128;
        }

        int sharedBytes() {
            return switch (variant) {
                case "thread" -> 512 * classes + 16;
                case "warp", "wide" -> 0;
                default -> 32768 * stash;
            };
        }
    }

    private static int mostClasses(String variant) {
        return switch (variant) {
            case "thread" -> 32;
            case "warp" -> 1024;
            case "wide" -> 2048;
            default -> Integer.MAX_VALUE;
        };
    }

    private static PtxKernels.Buffer buffer(long bytes, long skip) {
        return kernels.new Buffer(bytes, skip);
    }

    private static void check(Case c) {
        boolean none = c.reduction == Reduction.NONE;
        boolean reduces = c.wantsLoss && !none;
        int elements = c.rows * c.classes;

        // what the CPU says; a bad target is not for it, but counts as an ignored row does
        float[] expectedGrad = new float[elements];
        float[] expectedLoss = new float[none ? c.rows : 1];
        long[] targets = c.targets.clone();
        boolean anyBad = false;
        for (int i = 0; i < c.rows; i++) {
            if (c.isBad(targets[i])) {
                anyBad = true;
                targets[i] = c.ignoreIndex;
            }
        }
        CrossEntropyOptions options = CrossEntropyOptions.defaults().withReduction(c.reduction)
                .withIgnoreIndex(c.ignoreIndex);
        try (CrossEntropy op = CrossEntropy.on(cpu, options)) {
            Tensor gradLoss = c.gradLoss == null
                    ? Tensor.of(new float[] {1}, 1)
                    : Tensor.of(c.gradLoss, c.gradLoss.length);
            op.lossAndGradient(Tensor.of(c.logits.clone(), c.rows, c.classes), Tensor.of(targets, c.rows), gradLoss,
                    Tensor.of(expectedLoss, expectedLoss.length), Tensor.of(expectedGrad, c.rows, c.classes));
        }
        long badRows = 0;
        long firstBad = -1;
        for (int i = 0; i < c.rows; i++) {
            if (c.isBad(c.targets[i])) {
                badRows++;
                firstBad = firstBad < 0 ? i : firstBad;
                Arrays.fill(expectedGrad, i * c.classes, (i + 1) * c.classes, Float.NaN);
                if (none) {
                    expectedLoss[i] = Float.NaN;
                }
            }
        }
        if (anyBad && !none) {
            expectedLoss[0] = Float.NaN;
        }

        PtxKernels.Buffer logits = buffer(4L * elements, c.logitsSkip).set(c.logits);
        PtxKernels.Buffer targetBuffer = buffer((c.wideTargets ? 8L : 4L) * c.rows, c.targetsSkip);
        for (int i = 0; i < c.rows; i++) {
            if (c.wideTargets) {
                targetBuffer.memory().setAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i, c.targets[i]);
            } else {
                targetBuffer.memory().setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i, (int) c.targets[i]);
            }
        }
        PtxKernels.Buffer gradLoss = c.gradLoss == null ? null : buffer(4L * c.gradLoss.length, 4).set(c.gradLoss);
        PtxKernels.Buffer rowLoss = c.wantsLoss ? buffer(4L * c.rows, c.lossSkip) : null;
        PtxKernels.Buffer loss = buffer(4, 4);
        PtxKernels.Buffer grad = !c.wantsGradient ? null : c.inPlace ? logits : buffer(4L * elements, c.gradSkip);
        PtxKernels.Buffer parts = buffer(8L * c.countBlocks, 8);
        PtxKernels.Buffer lossParts = buffer(4L * ((c.rows + 8191) / 8192), 4);
        PtxKernels.Buffer arrivals = buffer(4, 4);
        PtxKernels.Buffer status = buffer(16, 8);
        status.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 0, 0);
        status.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 8, -1);

        boolean mean = c.reduction == Reduction.MEAN;
        PtxKernels.Struct params = kernels.new Struct("cross_entropy_params").set("logits", logits)
                .set("targets", targetBuffer).set("grad_loss", gradLoss).set("row_loss", rowLoss).set("loss", loss)
                .set("grad_logits", grad).set("denominator_parts", parts).set("loss_parts", lossParts)
                .set("arrivals", reduces ? arrivals : null).set("status", status).set("rows", (long) c.rows)
                .set("classes", (long) c.classes).set("ignore_index", c.ignoreIndex)
                .set("flags", (mean ? PtxKernels.MEAN : 0) | (c.wideTargets ? 0 : PtxKernels.TARGETS_I32)
                        | (c.gradLoss != null && c.gradLoss.length > 1 ? PtxKernels.GRAD_LOSS_PER_ROW : 0))
                .set("count_blocks", c.rows == 0 ? 0 : c.countBlocks).set("stash_segments", c.stash);
        String op = "cross_entropy";
        if (mean && c.rows > 0) {
            kernels.launch(op, "cross_entropy_count", c.countBlocks, 256, 0, params);
        }
        if (c.rows > 0) {
            kernels.launch(op, "cross_entropy_loss_" + (c.wantsGradient ? "grad_" : "") + "f32_" + c.variant, c.grid,
                    c.blockSize(), c.sharedBytes(), params);
        }
        if (reduces) {
            kernels.launch(op, "cross_entropy_reduce_loss_f32", c.reduceGrid, 256, 0, params);
        }

        assertEquals(List.of(), kernels.device.findings(), c.toString());
        if (c.wantsLoss) {
            assertBits(expectedLoss, (none ? rowLoss : loss).floats(), c + ": loss");
        }
        if (c.wantsGradient) {
            assertBits(expectedGrad, grad.floats(), c + ": gradient");
        }
        if (!c.inPlace) {
            assertBits(c.logits, logits.floats(), c + ": logits are only read");
        }
        assertEquals(badRows, status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 0), c + ": bad targets");
        assertEquals(firstBad, status.view().get(ValueLayout.JAVA_LONG_UNALIGNED, 8), c + ": first bad row");
        for (PtxKernels.Buffer b : new PtxKernels.Buffer[] {logits, targetBuffer, gradLoss, rowLoss, loss,
            c.inPlace ? null : grad, parts, lossParts, arrivals, status}) {
            if (b != null) {
                assertTrue(b.isUntouchedBefore(), c + ": written before a buffer");
                b.free();
            }
        }
    }

    private static void assertBits(float[] expected, float[] actual, String what) {
        assertEquals(expected.length, actual.length, what);
        for (int i = 0; i < expected.length; i++) {
            int e = Float.floatToRawIntBits(expected[i]);
            int a = Float.floatToRawIntBits(actual[i]);
            if (e != a) {
                throw new AssertionError(String.format("%s: element %d is %s (%08x), not %s (%08x)", what, i, actual[i],
                        a, expected[i], e));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 20, 21, 24, 31, 32, 33, 63, 64, 65, 127, 128, 129,
        255, 256, 257, 300, 511, 512,
        513, 1000, 1023,
        1024, 1025, 1151, 1153, 1500, 2047, 2048, 2049, 4099, 8191, 8192, 8193, 16385, 32000})
    void everyVariantAndAlignment(int classes) {
        Random random = new Random(classes);
        for (String variant : new String[] {"thread", "warp", "wide", "block"}) {
            if (classes > mostClasses(variant)) {
                continue;
            }
            for (int skip = 0; skip < 16; skip += 4) {
                int rows = variant.equals("thread") ? 130 : classes > 1025 ? 3 : 19;
                Case c = new Case(rows, classes, random);
                c.variant = variant;
                c.logitsSkip = skip;
                c.gradSkip = skip;
                c.stash = skip / 4;
                c.reduction = Reduction.values()[skip / 4 % 3];
                c.inPlace = skip == 8;
                c.wideTargets = skip != 4;
                c.targetsSkip = 4 * (skip / 4 & 2);
                check(c);
            }
        }
    }

    @Test
    void onlyLossOnlyGradient() {
        Random random = new Random(2);
        for (int classes : new int[] {10, 100, 300, 1000, 5000, 20000}) {
            for (Reduction reduction : Reduction.values()) {
                for (boolean loss : new boolean[] {true, false}) {
                    Case c = new Case(5, classes, random);
                    c.reduction = reduction;
                    c.wantsLoss = loss;
                    c.wantsGradient = !loss;
                    c.gradLoss = reduction == Reduction.NONE ? new float[] {1, -2, 0, 3e38f, Float.NaN} : null;
                    c.logitsSkip = 12;
                    c.gradSkip = 12;
                    check(c);
                }
            }
        }
    }

    @Test
    void gradientAlignedOtherwiseThanLogits() {
        Random random = new Random(3);
        for (int classes : new int[] {7, 32, 50, 200, 1024, 1025, 2047, 2049, 9000}) {
            for (int skip = 0; skip < 16; skip += 4) {
                Case c = new Case(classes <= 32 ? 130 : 6, classes, random);
                c.logitsSkip = skip;
                c.gradSkip = (skip + 4) % 16;
                check(c);
                kernels.seed = 1 + skip;
                c.gradSkip = (skip + 8) % 16;
                check(c);
                kernels.seed = 0;
            }
        }
    }

    @Test
    void ignoredAndBadTargets() {
        Random random = new Random(4);
        for (int classes : new int[] {1, 10, 32, 50, 200, 1000, 3000, 10000}) {
            for (boolean wide : new boolean[] {true, false}) {
                for (Reduction reduction : Reduction.values()) {
                    Case c = new Case(40, classes, random);
                    c.reduction = reduction;
                    c.wideTargets = wide;
                    c.grid = 1 + random.nextInt(4);
                    c.logitsSkip = 4;
                    c.gradSkip = 4;
                    long[] special = {IGNORE, IGNORE, classes, -1, Integer.MIN_VALUE, Integer.MAX_VALUE};
                    for (int i = 0; i < c.rows; i++) {
                        if (random.nextInt(3) == 0) {
                            c.targets[i] = special[random.nextInt(special.length)];
                        }
                    }
                    check(c);
                    Arrays.fill(c.targets, IGNORE);
                    check(c);
                    c.ignoreIndex = classes / 2;
                    c.targets[3] = c.ignoreIndex;
                    check(c);
                }
            }
        }
        Case c = new Case(3, 10, random);
        c.targets[1] = Long.MIN_VALUE;
        c.targets[2] = 1L << 40;
        check(c);
    }

    @Test
    void specialLogits() {
        Random random = new Random(5);
        float[] special = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f,
            Float.MIN_VALUE, -Float.MIN_VALUE, Float.MAX_VALUE, -Float.MAX_VALUE, 1e30f, 88, -104, -103.9f};
        for (int classes : new int[] {1, 2, 3, 10, 32, 33, 127, 300, 1000, 1500, 8193, 20000}) {
            for (String variant : new String[] {"thread", "warp", "wide", "block"}) {
                if (classes > mostClasses(variant)) {
                    continue;
                }
                for (int kind = 0; kind < 8; kind++) {
                    Case c = new Case(12, classes, random);
                    c.variant = variant;
                    c.reduction = kind % 2 == 0 ? Reduction.NONE : Reduction.SUM;
                    c.stash = kind & 1;
                    for (int i = 0; i < c.logits.length; i++) {
                        int row = i / classes;
                        switch (kind) {
                            case 0 -> c.logits[i] = row % 3 == 0 ? Float.NEGATIVE_INFINITY : row;
                            case 1 -> c.logits[i] = random.nextInt(3);
                            case 2 -> c.logits[i] = random.nextInt(20) == 0 ? special[2 + random.nextInt(12)] : i % 7;
                            case 3 -> c.logits[i] = random.nextInt(classes + 1) == 0
                                    ? special[random.nextInt(special.length)]
                                    : (float) random.nextGaussian();
                            case 4 -> c.logits[i] = random.nextInt(4) == 0 ? 1 : Float.NEGATIVE_INFINITY;
                            case 5 -> c.logits[i] = i % classes < 8192 ? Float.NEGATIVE_INFINITY : c.logits[i] * 30;
                            case 6 -> c.logits[i] = Float.MIN_VALUE * random.nextInt(5);
                            default -> c.logits[i] = c.logits[i] * 1e3f + 1e6f;
                        }
                    }
                    if (kind == 5 && classes > 8192) {
                        c.logits[classes + 77] = Float.NaN;
                    }
                    check(c);
                }
            }
        }
    }

    @Test
    void specialUpstream() {
        Random random = new Random(6);
        for (float a : new float[] {0, -0f, Float.NaN, Float.POSITIVE_INFINITY, -1e38f, Float.MIN_VALUE}) {
            for (int classes : new int[] {1, 10, 100, 2000, 8200}) {
                for (Reduction reduction : Reduction.values()) {
                    Case c = new Case(4, classes, random);
                    c.gradLoss = new float[] {a};
                    c.reduction = reduction;
                    c.logits[0] = -1000;
                    c.targets[1] = 0;
                    c.logits[classes] = 100;
                    c.targets[2] = IGNORE;
                    check(c);
                }
            }
        }
    }

    @Test
    void manyRowsAreReducedInTheDefinedOrder() {
        Random random = new Random(7);
        for (int rows : new int[] {1, 2, 3, 1000, 1025, 8191, 8192, 8193, 20000}) {
            for (int skip = 0; skip < 16; skip += 4) {
                Case c = new Case(rows, 3, random);
                c.reduction = skip % 8 == 0 ? Reduction.SUM : Reduction.MEAN;
                c.lossSkip = skip;
                c.targetsSkip = skip / 8 * 8;
                c.wantsGradient = skip == 4;
                c.grid = 5;
                c.countBlocks = 1 + skip / 4;
                c.reduceGrid = 1 + skip / 4;
                c.wideTargets = skip < 8;
                kernels.seed = skip;
                for (int i = 0; i < rows; i += 7) {
                    c.targets[i] = IGNORE;
                }
                check(c);
            }
        }
        kernels.seed = 0;
    }

    @Test
    void orderOfWarpsAndBlocksDoesNotMatter() {
        for (int seed = 1; seed < 6; seed++) {
            kernels.seed = seed;
            Random random = new Random(8);
            for (int classes : new int[] {10, 200, 1000, 5000, 25000}) {
                Case c = new Case(7, classes, random);
                c.inPlace = true;
                c.grid = 3;
                c.stash = 1;
                c.logitsSkip = 4;
                check(c);
            }
        }
        kernels.seed = 0;
    }

    @Test
    void nothingRacesOrReadsWhatNobodyWrote() {
        kernels = sanitizing;
        Random random = new Random(10);
        for (int classes : new int[] {3, 10, 32, 33, 200, 300, 1000, 1025, 8200, 20000}) {
            Case c = new Case(classes <= 32 ? 150 : classes <= 1024 ? 9 : 2, classes, random);
            c.grid = 1 + classes % 2;
            c.logitsSkip = 4;
            c.gradSkip = classes % 2 == 0 ? 4 : 8;
            c.inPlace = classes % 2 == 0;
            c.stash = classes > 8192 ? 1 : 0;
            check(c);
        }
        Case many = new Case(17000, 2, random);
        many.wantsGradient = false;
        many.countBlocks = 3;
        many.reduceGrid = 2;
        check(many);
        kernels = plain;
    }

    @Test
    void rowOfMoreSegmentsThanABlockKeeps() {
        Case c = new Case(1, 257 * 8192 + 5, new Random(9));
        c.logitsSkip = 4;
        c.inPlace = true;
        c.grid = 1;
        for (kernels.seed = 3; kernels.seed > 0; kernels.seed--) {
            check(c);
        }
    }

    @Test
    void noRows() {
        for (Reduction reduction : new Reduction[] {Reduction.SUM, Reduction.MEAN}) {
            Case c = new Case(0, 10, new Random(0));
            c.reduction = reduction;
            check(c);
        }
    }
}
