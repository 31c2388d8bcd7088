package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The cross-entropy kernels, interpreted, against the CPU backend: every bit of every output. */
class CrossEntropyPtxTest {
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

    private static void check(CrossEntropyCase c) {
        c.expect(cpu).check(kernels);
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 20, 21, 24, 31, 32, 33, 63, 64, 65, 127, 128, 129,
        255, 256, 257, 300, 511, 512,
        513, 1000, 1023,
        1024, 1025, 1151, 1153, 1500, 2047, 2048, 2049, 4099, 8191, 8192, 8193, 16385, 32000})
    void everyVariantAndAlignment(int classes) {
        Random random = new Random(classes);
        for (String variant : new String[] {"thread", "warp", "wide", "block"}) {
            if (classes > CrossEntropyCase.mostClasses(variant)) {
                continue;
            }
            for (int skip = 0; skip < 16; skip += 4) {
                int rows = variant.equals("thread") ? 130 : classes > 1025 ? 3 : 19;
                CrossEntropyCase c = new CrossEntropyCase(rows, classes, random);
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

    /** At each of eight alignments, all of them met in a batch of odd rows. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 8, 9, 10, 17, 20, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 257, 511, 513, 1000,
        1023, 1024, 1025, 2047, 2048, 2049, 8191, 8192, 8193, 16385, 25001})
    void everyVariantOf16Bits(int classes) {
        Random random = new Random(classes);
        DType[] types = {DType.BF16, DType.F16};
        for (String variant : new String[] {"thread", "warp", "wide", "block"}) {
            if (classes > CrossEntropyCase.mostClasses(variant)) {
                continue;
            }
            for (int i = 0; i < 4; i++) {
                int rows = variant.equals("thread") ? 130 : classes > 1025 ? 2 : 17;
                CrossEntropyCase c = new CrossEntropyCase(rows, classes, random);
                c.dtype = types[(i + classes) % 2];
                c.variant = variant;
                c.logitsSkip = 2 * ((3 * i + classes) % 8);
                c.gradSkip = i == 3 ? 2 * (classes % 8) : c.logitsSkip;
                c.stash = i;
                c.reduction = Reduction.values()[i % 3];
                c.inPlace = i == 2;
                c.wantsGradient = i != 0 || classes % 3 > 0;
                kernels.seed = i;
                check(c);
            }
        }
        kernels.seed = 0;
    }

    /** More segments than a block of 128 threads keeps states of. */
    @Test
    void aVeryLongRowOf16Bits() {
        for (DType dtype : new DType[] {DType.BF16, DType.F16}) {
            CrossEntropyCase c = new CrossEntropyCase(1, 128 * 8192 + 77, new Random(6));
            c.dtype = dtype;
            c.logitsSkip = 6;
            c.gradSkip = 6;
            c.reduction = Reduction.SUM;
            check(c);
        }
    }

    @Test
    void onlyLossOnlyGradient() {
        Random random = new Random(2);
        for (int classes : new int[] {10, 100, 300, 1000, 5000, 20000}) {
            for (Reduction reduction : Reduction.values()) {
                for (boolean loss : new boolean[] {true, false}) {
                    CrossEntropyCase c = new CrossEntropyCase(5, classes, random);
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
                CrossEntropyCase c = new CrossEntropyCase(classes <= 32 ? 130 : 6, classes, random);
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
                    CrossEntropyCase c = new CrossEntropyCase(40, classes, random);
                    c.reduction = reduction;
                    c.wideTargets = wide;
                    c.grid = 1 + random.nextInt(4);
                    c.logitsSkip = 4;
                    c.gradSkip = 4;
                    long[] special = {CrossEntropyCase.IGNORE, CrossEntropyCase.IGNORE, classes, -1, Integer.MIN_VALUE,
                        Integer.MAX_VALUE};
                    for (int i = 0; i < c.rows; i++) {
                        if (random.nextInt(3) == 0) {
                            c.targets[i] = special[random.nextInt(special.length)];
                        }
                    }
                    check(c);
                    Arrays.fill(c.targets, CrossEntropyCase.IGNORE);
                    check(c);
                    c.ignoreIndex = classes / 2;
                    c.targets[3] = c.ignoreIndex;
                    check(c);
                }
            }
        }
        CrossEntropyCase c = new CrossEntropyCase(3, 10, random);
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
                if (classes > CrossEntropyCase.mostClasses(variant)) {
                    continue;
                }
                for (int kind = 0; kind < 8; kind++) {
                    CrossEntropyCase c = new CrossEntropyCase(12, classes, random);
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
                    CrossEntropyCase c = new CrossEntropyCase(4, classes, random);
                    c.gradLoss = new float[] {a};
                    c.reduction = reduction;
                    c.logits[0] = -1000;
                    c.targets[1] = 0;
                    c.logits[classes] = 100;
                    c.targets[2] = CrossEntropyCase.IGNORE;
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
                CrossEntropyCase c = new CrossEntropyCase(rows, 3, random);
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
                    c.targets[i] = CrossEntropyCase.IGNORE;
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
                CrossEntropyCase c = new CrossEntropyCase(7, classes, random);
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
            CrossEntropyCase c = new CrossEntropyCase(classes <= 32 ? 150 : classes <= 1024 ? 9 : 2, classes, random);
            c.grid = 1 + classes % 2;
            c.logitsSkip = 4;
            c.gradSkip = classes % 2 == 0 ? 4 : 8;
            c.inPlace = classes % 2 == 0;
            c.stash = classes > 8192 ? 1 : 0;
            check(c);
        }
        CrossEntropyCase many = new CrossEntropyCase(17000, 2, random);
        many.wantsGradient = false;
        many.countBlocks = 3;
        many.reduceGrid = 2;
        check(many);
        kernels = plain;
    }

    @Test
    void rowOfMoreSegmentsThanABlockKeeps() {
        CrossEntropyCase c = new CrossEntropyCase(1, 257 * 8192 + 5, new Random(9));
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
            CrossEntropyCase c = new CrossEntropyCase(0, 10, new Random(0));
            c.reduction = reduction;
            check(c);
        }
    }
}
