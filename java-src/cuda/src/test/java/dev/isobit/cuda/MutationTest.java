package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.AdamOptions;
import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.SgdOptions;
import dev.isobit.StepOptions;
import dev.isobit.Tensor;
import dev.isobit.ptx.PtxModule;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * Whether the comparison of the interpreted kernels with the CPU backend sees mistakes: kernels with one mistake each,
 * made by {@link PtxMutant}'s operators at places of a seed, must all fail a compact suite that the shipped kernels pass.
 * One that passes is no mistake, and {@code equivalent-mutants.txt} says why; or the suite lacks a case.
 *
 * <p>{@code -Disobit.mutants=20 -Disobit.mutants.seed=7} makes others and more of them,
 * {@code -Disobit.mutants.ops=general_bf16} those of modules alone whose names a regular expression is found in.
 */
class MutationTest {
    private static final List<String> OPS = List.of("cross_entropy", "cross_entropy_general", "bce_with_logits",
            "bce_with_logits_focal", "adam", "adam_guarded", "sgd", "sgd_guarded", "softmax", "nll_loss", "guard",
            "accumulate", "adam_mixed", "adam_mixed_guarded", "sgd_mixed", "sgd_mixed_guarded", "cross_entropy_bf16",
            "cross_entropy_f16", "cross_entropy_general_bf16", "cross_entropy_general_f16", "bce_with_logits_bf16",
            "bce_with_logits_f16", "bce_with_logits_focal_bf16", "bce_with_logits_focal_f16", "softmax_bf16",
            "softmax_f16", "nll_loss_bf16", "nll_loss_f16");
    private static final List<DType> NARROW = List.of(DType.BF16, DType.F16);
    /** Of each kernel; half as many of one of BF16 or F16, which are two of the same source. */
    private static final int COUNT = Integer.getInteger("isobit.mutants", 6);
    private static final Pattern WHICH = Pattern.compile(System.getProperty("isobit.mutants.ops", ""));
    private static final long SEED = Long.getLong("isobit.mutants.seed", 1);
    /** Whether mutants that nobody has judged are tried, too: they pass all checks, or did, which takes its time. */
    private static final boolean JUDGES = Boolean.getBoolean("isobit.mutants.unjudged");

    /** One check of the suite. */
    private static final class Check {
        /** Whose kernels it launches. */
        final List<String> ops;
        final String name;
        /** Whether races and the like are looked for, too. */
        final boolean watched;
        final Consumer<PtxKernels> body;
        /** Lines of the PTX that it executes. */
        final BitSet lines = new BitSet();
        long instructions;

        Check(String op, String name, boolean watched, Consumer<PtxKernels> body) {
            this(List.of(op), name, watched, body);
        }

        Check(List<String> ops, String name, boolean watched, Consumer<PtxKernels> body) {
            this.ops = ops;
            this.name = name;
            this.watched = watched;
            this.body = body;
        }

        void passes() {
            try (PtxKernels kernels = new PtxKernels(watched)) {
                kernels.tracer = (block, warp, mask, source, instruction) -> lines.set(source.ptxLine());
                body.accept(kernels);
                instructions = kernels.instructions;
            } catch (RuntimeException e) {
                throw new AssertionError(name + ": " + e.getMessage(), e);
            }
        }

        /** Why the kernel with the mistake fails, or null. */
        String failure(PtxMutant mutant, String text, Map<String, PtxModule> modules) {
            try (PtxKernels kernels = new PtxKernels(watched, modules)) {
                kernels.texts.put(mutant.entry(), text);
                kernels.limit = 100_000 + 10 * instructions;
                body.accept(kernels);
                return null;
            } catch (RuntimeException | AssertionError e) {
                return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
            }
        }
    }

    private static final float[] MAXIMA = {0, 1.7f, -3.3f, 0.01f, 77.7f};

    /**
     * Logits of a type at which a rounding shows.
     *
     * @param maxima of rows
     * @param exps of an exponential, by maximum
     * @param logs of a logarithm, by two maxima and log2 of copies
     * @param decided exponentials of 16 bits with any maximum
     */
    private record Rounded(float[] maxima, List<List<Float>> exps, Map<Boolean, List<List<Float>>> logs,
            List<RoundedLogits.Decided> decided) {
        static Rounded of(DType dtype, Random random) {
            float[] maxima = HostTensors.floats(HostTensors.of(dtype, MAXIMA, MAXIMA.length));
            List<List<Float>> exps = new ArrayList<>();
            for (float m : maxima) {
                exps.add(RoundedLogits.ofExp(m, dtype, random));
            }
            Map<Boolean, List<List<Float>>> logs = new HashMap<>();
            for (boolean two : new boolean[] {true, false}) {
                logs.put(two, new ArrayList<>());
                for (int power = 0; power < 6; power++) {
                    logs.get(two).add(RoundedLogits.ofLog(two, 1 << power, dtype, random));
                }
            }
            return new Rounded(maxima, exps, logs,
                    dtype == DType.F32 ? List.of() : RoundedLogits.ofExp(dtype, random));
        }
    }

    private static final Map<DType, Rounded> ROUNDED = new EnumMap<>(DType.class);

    private static final List<Check> suite = new ArrayList<>();
    private static Backend cpu;

    @BeforeAll
    static void shippedKernelsPass() throws Exception {
        cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1));
        addCrossEntropy();
        addGeneralCrossEntropy();
        addGeneralReductions();
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
            addBadTargets(dtype);
            addRowsThatEndWithinAnAccess(dtype);
        }
        addBce(DType.F32, 120, 40, 16);
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
            addSpecialBce(dtype);
            addJoinedBce(dtype);
        }
        addAdam();
        addSgd();
        addSoftmax(DType.F32);
        addNllLoss(DType.F32);
        addGuard();
        addAccumulate();
        addPairs();
        addMixedSteps();
        addMixedGuards();
        for (DType dtype : NARROW) {
            addNarrowCrossEntropy(dtype);
            addNarrowGeneralCrossEntropy(dtype);
            addSoftmax(dtype);
            addRoundedSoftmax(dtype);
            addNllLoss(dtype);
            addBce(dtype, 40, 12, 4);
            addRoundedBce(dtype);
        }
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
            addColumns(dtype);
        }
        suite.removeIf(check -> check.ops.stream().noneMatch(op -> WHICH.matcher(op).find()));
        onAllProcessors(suite.stream().map(check -> () -> {
            check.passes();
            return null;
        }));
        suite.sort(Comparator.comparingLong(check -> check.watched ? 4 * check.instructions : check.instructions));
        System.out.printf("mutants: %d checks of %d warp instructions%n", suite.size(),
                suite.stream().mapToLong(check -> check.instructions).sum());
    }

    /** Results in the order of the tasks; the first failure is thrown. */
    private static <T> List<T> onAllProcessors(Stream<Callable<T>> tasks) throws Exception {
        try (ExecutorService threads = Executors.newFixedThreadPool(Runtime.getRuntime().availableProcessors())) {
            List<Future<T>> started = tasks.map(threads::submit).toList();
            List<T> results = new ArrayList<>();
            try {
                for (Future<T> task : started) {
                    results.add(task.get());
                }
            } catch (ExecutionException e) {
                threads.shutdownNow();
                throw new AssertionError(e.getCause().getMessage(), e.getCause());
            }
            return results;
        }
    }

    @AfterAll
    static void close() {
        suite.clear();
        cpu.close();
    }

    private static void add(CrossEntropyCase c, boolean watched) {
        c.expect(cpu);
        suite.add(new Check("cross_entropy" + suffix(c.dtype), c.toString(), watched, c::check));
    }

    /** Of the names of modules and kernels of losses of 16 bits. */
    private static String suffix(DType dtype) {
        return dtype == DType.F32 ? "" : "_" + dtype.name().toLowerCase(Locale.ROOT);
    }

    /** Rows of all kinds by all variants at all alignments. */
    private static void addShapes(DType dtype, Random random) {
        int[][] classesOf = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 16, 17, 20, 21, 26, 31, 32},
            {33, 50, 63, 64, 65, 100, 127, 128, 129, 200, 255, 256, 257, 400, 511, 512, 513, 800, 1023, 1024},
            {1025, 1026, 1500, 2047, 2048}, {2049, 4099, 8191, 8192, 8193, 8200, 20000}};
        String[] variants = {"thread", "warp", "wide", "block"};
        int size = dtype.byteSize();
        int pack = 16 / size;
        int turn = 0;
        for (int v = 0; v < variants.length; v++) {
            for (int classes : classesOf[v]) {
                int rows = new int[] {261, 37, 13, 10}[v];
                for (int kind = 0; kind < (v == 0 ? 6 : 4); kind++) {
                    // 385 to 512 packs: some threads move four of them, as many as a loop does at once
                    CrossEntropyCase c = mixed(dtype,
                            kind < 4 ? rows : Math.min(128, 1 + 450 * pack / classes), classes, random);
                    c.variant = variants[v];
                    c.grid = 1;
                    c.wantsGradient = kind > 0 && kind != 4;
                    c.wantsLoss = kind != 2;
                    c.logitsSkip = size * (turn % pack);
                    c.gradSkip = kind == 3 ? size * (turn / 4 % pack) : c.logitsSkip;
                    c.inPlace = kind == 2;
                    c.wideTargets = turn % 3 != 0;
                    c.reduction = turn % 5 == 4 ? Reduction.SUM : Reduction.NONE;
                    c.reduceGrid = 2;
                    c.gradLoss = upstream(turn, c);
                    c.stash = v == 3 ? kind % 3 : 0;
                    turn++;
                    add(c, false);
                }
            }
        }
    }

    /** The first row's target is out of range, that row's and one behind it, or the last row's alone. */
    private static void addBadTargets(DType dtype) {
        Random random = new Random(12);
        // A thread a row has code for each of the first seven.
        for (int classes : new int[] {3, 5, 8, 10, 12, 20, 30, 100, 1500, 3000}) {
            for (boolean gradient : new boolean[] {false, true}) {
                CrossEntropyCase first = narrow(dtype, new CrossEntropyCase(9, classes, random));
                first.targets[0] = classes + 7;
                first.targets[3] = -1;
                CrossEntropyCase last = narrow(dtype, new CrossEntropyCase(9, classes, random));
                last.targets[8] = classes;
                for (CrossEntropyCase c : List.of(first, last)) {
                    c.wantsGradient = gradient;
                    c.reduction = Reduction.NONE;
                    add(c, false);
                }
            }
        }
    }

    /** Rows of 1025 classes, which end in the middle of a thread's access, and a gradient at another distance from a boundary. */
    private static void addRowsThatEndWithinAnAccess(DType dtype) {
        CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(9, 1025, new Random(13)));
        c.reduction = Reduction.NONE;
        c.wantsGradient = true;
        c.gradSkip = 3 * dtype.byteSize();
        add(c, true);
    }

    /** Rows of 16 bits; what counts rows and reduces their losses is of float32 alone. */
    private static void addNarrowCrossEntropy(DType dtype) {
        Random random = new Random(1);
        ROUNDED.put(dtype, Rounded.of(dtype, random));
        addShapes(dtype, random);
        // Fewer classes than variants are meant for: rows that are all head or tail, slots that are only partly in use.
        for (int classes : new int[] {1, 3, 7, 15, 23, 271, 527, 775, 1031}) {
            for (String variant : List.of("warp", "wide", "block")) {
                for (boolean gradient : new boolean[] {false, true}) {
                    CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(16,
                            Math.min(classes, CrossEntropyCase.mostClasses(variant)), random));
                    c.targets[3] = CrossEntropyCase.IGNORE;
                    c.targets[14] = -1;
                    c.variant = variant;
                    c.wantsGradient = gradient;
                    c.reduction = Reduction.NONE;
                    c.logitsSkip = 2;
                    c.gradSkip = classes % 4 == 3 ? 2 : 8;
                    add(c, false);
                }
            }
        }
        for (int classes : new int[] {4, 6, 8, 10, 16, 20, 32, 63, 127, 254, 511, 1023, 2047, 8191, 20000}) {
            CrossEntropyCase inPlace = narrow(dtype,
                    new CrossEntropyCase(classes <= 32 ? 140 : classes <= 1024 ? 40 : 6, classes, random));
            inPlace.inPlace = true;
            add(inPlace, true);
            for (boolean gradient : new boolean[] {false, true}) {
                CrossEntropyCase c = narrow(dtype,
                        new CrossEntropyCase(classes <= 32 ? 140 : classes <= 1024 ? 9 : 2, classes, random));
                c.grid = 1;
                c.logitsSkip = 6;
                c.gradSkip = classes % 3 == 0 ? 10 : 6;
                c.wantsGradient = gradient;
                c.stash = classes > 8192 ? 1 : 0;
                add(c, true);
                rounding(dtype, classes, gradient, random);
                edges(dtype, classes, gradient, random);
                far(dtype, classes, gradient, 0, random);
                far(dtype, classes, gradient, 6, random);
            }
            ties(dtype, classes, random);
        }
        roundingInEverySlot(dtype, 1024, random);
        roundingInEverySlot(dtype, 2048, random);
        for (int classes : new int[] {8193, 12_300, 16_391}) {
            for (boolean gradient : new boolean[] {false, true}) {
                lanes(dtype, gradient, random);
                for (boolean watched : new boolean[] {false, true}) {
                    CrossEntropyCase c = mixed(dtype, watched ? 2 : 10, classes, random);
                    c.longRows = true;
                    c.wantsGradient = gradient;
                    c.reduction = Reduction.NONE;
                    c.logitsSkip = 2 * (classes % 8);
                    c.gradSkip = watched ? 10 : c.logitsSkip;
                    c.grid = 1;
                    add(c, watched);
                }
            }
        }
    }

    /** Rows of a segment in which all but one lane are 0, and eight elements of that one show in which order they are added. */
    private static void lanes(DType dtype, boolean gradient, Random random) {
        CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(64, 8191, random));
        Arrays.fill(c.logits, Float.NEGATIVE_INFINITY);
        for (int row = 0; row < c.rows; row++) {
            int lane = random.nextInt(1022);
            for (int k = lane; k < c.classes; k += 1024) {
                c.logits[row * c.classes + k] = -9 - 4 * random.nextFloat();
            }
            c.targets[row] = lane + 1;
            c.logits[row * c.classes + lane + 1] = 0;
        }
        c.reduction = Reduction.NONE;
        c.wantsGradient = gradient;
        add(c, false);
    }

    /** Rows of gradients at which the roundings of exponentials show in 16 bits. */
    private static void ties(DType dtype, int classes, Random random) {
        add(tied(dtype, classes, random), false);
    }

    private static CrossEntropyCase tied(DType dtype, int classes, Random random) {
        int maxima = Math.ceilDiv(classes, 8192);
        List<RoundedLogits.Decided> decided = ROUNDED.get(dtype).decided();
        CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(decided.size(), classes, random));
        c.reduction = Reduction.NONE;
        c.gradLoss = new float[c.rows];
        for (int row = 0; row < c.rows; row++) {
            RoundedLogits.Decided of = decided.get(row);
            Arrays.fill(c.logits, row * classes, (row + 1) * classes, of.logit());
            for (int segment = 0; segment < maxima; segment++) {
                int from = segment * 8192;
                int place = from + random.nextInt(Math.min(8192, classes - from));
                c.logits[row * classes + place] = of.maximum();
                c.targets[row] = place;
            }
            c.gradLoss[row] = RoundedLogits.tie(of, dtype, classes, maxima, random);
        }
        c.wantsGradient = true;
        return c;
    }

    /** The same by a thread a row, which computes what it computes with options; reduction is NONE. */
    private static void column(CrossEntropyCase c) {
        c.expect(cpu);
        int size = c.dtype.byteSize();
        int kept = c.classes == 20 ? 0 : 1;
        suite.add(new Check("cross_entropy_general" + suffix(c.dtype), "column of " + c, false, kernels -> {
            PtxKernels.Buffer logits = kernels.new Buffer((long) size * c.logits.length, 0).set(c.dtype, c.logits);
            PtxKernels.Buffer targets = GeneralKernelCase.targets(kernels, c.targets);
            PtxKernels.Buffer loss = kernels.new Buffer(4L * c.rows, 0);
            kernels.launch("cross_entropy_general" + suffix(c.dtype),
                    "cross_entropy_general_loss_" + (c.wantsGradient ? "grad_" : "")
                            + c.dtype.name().toLowerCase(Locale.ROOT) + "_column",
                    2, 256, kept * 256 * size * c.classes,
                    GeneralKernelCase.rows(kernels, c.rows, c.classes).set("logits", logits).set("targets", targets)
                            .set("grad_loss",
                                    kernels.new Buffer(4L * c.gradLoss.length, 0).set(c.gradLoss))
                            .set("row_loss", loss).set("grad_logits", c.wantsGradient ? logits : null)
                            .set("flags", (c.gradLoss.length == c.rows ? 4 : 0) | kept * 4096));
            assertArrayEquals(c.expectedLoss, loss.floats(), c::toString);
            if (c.wantsGradient) {
                assertArrayEquals(c.expectedGrad, logits.floats(c.dtype), c::toString);
            }
            assertEquals(List.of(), kernels.device.findings());
        }));
    }

    private static void addColumns(DType dtype) {
        Random random = new Random(5);
        if (dtype != DType.F32) {
            column(tied(dtype, 7, random));
        }
        for (int classes : new int[] {20, 40}) {
            column(rounded(dtype, classes, false, random));
            column(rounded(dtype, classes, true, random));
        }
        CrossEntropyCase many = narrow(dtype, new CrossEntropyCase(6000, 3, random));
        many.reduction = Reduction.NONE;
        many.wantsGradient = true;
        column(many);
        softcaps(dtype, new int[] {20, 5, 1}, false, 120);
        softcaps(dtype, new int[] {2, 9, 20}, false, 16);
        // Enough rows for a largest logit to show; segments whose maxima are looked for again, for the gradient.
        softcaps(dtype, new int[] {3000, 3, 1}, true, 2);
        softcaps(dtype, new int[] {4, 8200, 1}, true, 2);
    }

    /** So many columns with a softcap, with what else the seeds give; or with a gradient from the logits themselves. */
    private static void softcaps(DType dtype, int[] shape, boolean gradients, int count) {
        int left = count;
        for (long seed = 0; left > 0; seed++) {
            var mode = gradients || seed % 2 == 0 ? GeneralKernelCase.Mode.WHOLE : GeneralKernelCase.Mode.SAVED;
            var c = new GeneralKernelCase(shape[0], shape[1], shape[2], dtype, true, mode, seed);
            if (c.hasSoftcap() && (!gradients || c.wantsGradient())) {
                c.expect(cpu);
                suite.add(new Check("cross_entropy_general" + suffix(dtype), c.toString(), false, c::check));
                left--;
            }
        }
    }

    private static CrossEntropyCase narrow(DType dtype, CrossEntropyCase c) {
        c.dtype = dtype;
        return c;
    }

    /** A row of more segments than are kept. */
    private static void addManySegments(DType dtype, int kept, Random random) {
        for (boolean gradient : new boolean[] {false, true}) {
            CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(1, kept * 8192 + 5, random));
            c.reduction = Reduction.NONE;
            c.wantsGradient = gradient;
            // the maximum where only every step of every reduction finds it: the first of a thread that is the last of a
            // warp that is the first
            c.logits[100 * 8192 + 16 / dtype.byteSize() * 31] = 30;
            c.grid = 1;
            add(c, false);
        }
    }

    private static void addCrossEntropy() {
        Random random = new Random(1);
        ROUNDED.put(DType.F32, Rounded.of(DType.F32, random));
        addShapes(DType.F32, random);
        for (int classes : new int[] {4, 6, 8, 10, 16, 20, 32, 63, 127, 254, 511, 1023, 2047, 8191, 20000}) {
            CrossEntropyCase inPlace =
                    new CrossEntropyCase(classes <= 32 ? 140 : classes <= 1024 ? 40 : 6, classes, random);
            inPlace.inPlace = true;
            add(inPlace, true);
            for (boolean gradient : new boolean[] {false, true}) {
                CrossEntropyCase c =
                        new CrossEntropyCase(classes <= 32 ? 140 : classes <= 1024 ? 9 : 2, classes, random);
                c.grid = 1;
                c.logitsSkip = 4;
                c.gradSkip = classes % 3 == 0 ? 8 : 4;
                c.wantsGradient = gradient;
                c.stash = classes > 8192 ? 1 : 0;
                add(c, true);
                rounding(DType.F32, classes, gradient, random);
                edges(DType.F32, classes, gradient, random);
                far(DType.F32, classes, gradient, 0, random);
                far(DType.F32, classes, gradient, 4, random);
            }
        }
        roundingInEverySlot(DType.F32, 1024, random);
        roundingInEverySlot(DType.F32, 2048, random);
        addManySegments(DType.F32, 256, random);
        for (int rows : new int[] {1, 2, 3, 9, 1000, 1025, 8191, 8192, 8193, 20000}) {
            for (int skip = 0; skip < 16; skip += 4) {
                CrossEntropyCase c = new CrossEntropyCase(rows, 2, random);
                c.reduction = skip % 8 == 0 ? Reduction.SUM : Reduction.MEAN;
                c.lossSkip = skip;
                c.targetsSkip = rows % 2 == 0 ? skip / 8 * 8 : skip;
                c.wideTargets = rows % 2 == 0;
                c.wantsGradient = skip == 4;
                c.grid = 5;
                c.countBlocks = 1 + skip / 4;
                c.reduceGrid = 1 + skip / 4;
                for (int i = 0; i < rows; i += 3) {
                    c.targets[i] = i % 2 == 0 ? CrossEntropyCase.IGNORE : c.targets[i];
                }
                add(c, false);
                CrossEntropyCase bad = new CrossEntropyCase(rows, 2, random);
                bad.reduction = Reduction.MEAN;
                bad.wantsLoss = false;
                bad.targetsSkip = c.targetsSkip;
                bad.wideTargets = c.wideTargets;
                bad.countBlocks = c.countBlocks;
                for (int i = 0; i < rows; i++) {
                    bad.targets[i] = new long[] {0, 1, 2, -1, CrossEntropyCase.IGNORE}[random.nextInt(5)];
                }
                add(bad, false);
                CrossEntropyCase given = new CrossEntropyCase(rows, 2, random);
                given.reduction = Reduction.SUM;
                given.givenParts = new long[] {1L << 35, 3, (1L << 35) - 3};
                given.wantsGradient = false;
                given.reduceGrid = c.reduceGrid;
                add(given, false);
                add(c, rows < 10 || rows == 8193);
            }
        }
        // So many rows that every thread loads several of the parts.
        addReduction("cross_entropy", "cross_entropy_reduce_loss_f32", 769 * 8192 + 5);
    }

    /** The kernel that reduces row losses alone. */
    private static void addReduction(String op, String kernel, int rows) {
        Random random = new Random(2);
        float[] logits = new float[2 * rows];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = random.nextFloat();
        }
        float[] rowLosses = new float[rows];
        float[] sum = new float[1];
        CrossEntropyOptions options = CrossEntropyOptions.defaults();
        try (CrossEntropy each = CrossEntropy.on(cpu, options.withReduction(Reduction.NONE));
                CrossEntropy all = CrossEntropy.on(cpu, options.withReduction(Reduction.SUM))) {
            Tensor of = Tensor.of(logits, rows, 2);
            Tensor targets = Tensor.of(new int[rows], rows);
            each.loss(of, targets, Tensor.of(rowLosses, rows));
            all.loss(of, targets, Tensor.of(sum, 1));
        }
        suite.add(new Check(op, kernel + " of " + rows, false, kernels -> {
            PtxKernels.Buffer loss = kernels.new Buffer(4, 4);
            kernels.launch(op, kernel, 3, 256, 0,
                    kernels.new Struct(op + "_params").set("rows", (long) rows).set("loss", loss)
                            .set("row_loss", kernels.new Buffer(4L * rows, 4).set(rowLosses))
                            .set("loss_parts", kernels.new Buffer(4L * (rows / 8192 + 1), 4))
                            .set("arrivals", kernels.new Buffer(4, 4).set(new float[1])));
            assertArrayEquals(sum, loss.floats());
        }));
    }

    /** Rows of logits at which each rounding of exp and log shows, wherever a logit stands. */
    private static void rounding(DType dtype, int classes, boolean gradient, Random random) {
        add(rounded(dtype, classes, gradient, random), false);
    }

    private static CrossEntropyCase rounded(DType dtype, int classes, boolean gradient, Random random) {
        int rows = classes <= 32 ? 1024 : classes <= 512 ? 512 : classes <= 2048 ? 400 : classes < 8192 ? 100 : 12;
        CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(rows, classes, random));
        Rounded rounded = ROUNDED.get(dtype);
        c.reduction = Reduction.NONE;
        for (int row = 0; row < rows; row++) {
            int from = row * classes;
            Arrays.fill(c.logits, from, from + classes, row % 3 == 0 ? -1000 : Float.NEGATIVE_INFINITY);
            int top = random.nextInt(classes);
            c.targets[row] = top;
            boolean logarithm = row % 3 == 0;
            int copies = 1 << random.nextInt(6);
            boolean two = row % 2 == 0;
            int maximum = logarithm ? 0 : random.nextInt(MAXIMA.length);
            List<Float> values =
                    logarithm
                            ? rounded.logs().get(two).get(Integer.numberOfTrailingZeros(copies))
                            : rounded.exps().get(maximum);
            if (logarithm && copies + 2 > classes) {
                copies = 1;
                values = rounded.logs().get(two).get(0);
            }
            float one = values.get(random.nextInt(values.size()));
            if (!logarithm && gradient) {
                for (int k = 0; k < classes; k++) {
                    c.logits[from + k] = values.get(random.nextInt(values.size()));
                }
            } else {
                for (int k = 0; k < (logarithm ? copies : 1); k++) {
                    c.logits[from + (top + 2 + k * (classes / (copies + 2) + 1)) % classes] = one;
                }
                if (!logarithm) {
                    c.logits[from + random.nextInt(classes)] = one;
                } else if (two) {
                    c.logits[from + (top + 1) % classes] = 0;
                }
            }
            c.logits[from + top] = logarithm ? 0 : rounded.maxima()[maximum];
        }
        c.wantsGradient = gradient;
        return c;
    }

    /**
     * Rows of one exponential, by turns each at which a rounding shows, in each slot of a thread of a warp: that of a
     * loss shows nowhere else.
     */
    private static void roundingInEverySlot(DType dtype, int classes, Random random) {
        List<Float> values = ROUNDED.get(dtype).exps().get(1);
        int slots = classes / 32;
        int pack = 16 / dtype.byteSize();
        CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(values.size() * slots, classes, random));
        c.reduction = Reduction.NONE;
        c.wantsGradient = false;
        Arrays.fill(c.logits, Float.NEGATIVE_INFINITY);
        for (int row = 0; row < c.rows; row++) {
            int slot = row % slots;
            int place = slot / pack * 32 * pack + pack * (row % 31) + slot % pack;
            c.targets[row] = place + pack;
            c.logits[row * classes + place] = values.get(row / slots);
            c.logits[row * classes + place + pack] = ROUNDED.get(dtype).maxima()[1];
        }
        add(c, false);
    }

    /** Rows of one logit that counts, one that is too small, one that is NaN, wherever it stands. */
    private static void edges(DType dtype, int classes, boolean gradient, Random random) {
        int rows = classes <= 32 ? 512 : classes <= 1024 ? 300 : classes <= 2048 ? 400 : classes < 8192 ? 140 : 8;
        CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(rows, classes, random));
        c.reduction = Reduction.NONE;
        c.wantsGradient = gradient;
        float[] small = {Float.NEGATIVE_INFINITY, -105, -1e4f};
        int pack = 16 / dtype.byteSize();
        int slots = dtype == DType.F32 ? 16 : 8;
        for (int row = 0; row < rows; row++) {
            // by turns every slot of a thread, and every component of it
            int place = row / 2 % slots * classes / slots
                    + row / 2 / slots % pack + pack * random.nextInt(Math.max(1, classes / slots / pack));
            place = Math.min(place, classes - 1);
            int top = row % 2 == 0 ? random.nextInt(classes) : place;
            int from = row * classes;
            Arrays.fill(c.logits, from, from + classes, small[row % 3]);
            c.logits[from + (row % 2 == 0 ? place : random.nextInt(classes))] =
                    row % 2 == 0 ? Float.NaN : row % 4 == 1 ? -103.5f : -104;
            c.logits[from + top] = row % 5 == 4 ? 1 : 0;
            c.targets[row] = row % 8 < 6 ? top : random.nextInt(classes);
        }
        add(c, false);
    }

    /** A block of a grid so large that numbers of rows and of bytes do not fit in 32 bits. */
    private static void far(DType dtype, int classes, boolean gradient, int gradSkip, Random random) {
        CrossEntropyCase c = mixed(dtype, classes <= 32 ? 140 : 20, classes, random);
        c.firstRow = c.variant.equals("block") ? (1L << 31) - 2 : 3L << 31;
        c.reduction = Reduction.NONE;
        c.gradSkip = gradSkip;
        c.givenParts = new long[40];
        long left = 1L << 36;
        for (int i = 39; i >= 0; i--) {
            c.givenParts[i] = i == 0 ? left : (1L << 30) + random.nextInt();
            left -= c.givenParts[i];
        }
        c.wantsGradient = gradient;
        if (gradSkip != 0) {
            c.gradLoss = upstream(1, c);
        }
        if (dtype != DType.F32) {
            c.gradLoss = c.gradLoss == null ? new float[] {1} : c.gradLoss;
            for (int i = 0; i < c.gradLoss.length; i++) {
                c.gradLoss[i] *= 0x1p36f;
            }
        }
        c.wideTargets = classes % 2 == 0;
        add(c, false);
    }

    private static float[] upstream(int turn, CrossEntropyCase c) {
        if (c.reduction != Reduction.NONE || turn % 2 == 0) {
            return turn % 3 == 0 ? null : new float[] {turn % 3 - 1.7f};
        }
        float[] upstream = new float[c.rows];
        for (int i = 0; i < c.rows; i++) {
            upstream[i] = i % 9 == 8 ? 0 : i * 0.37f - 2;
        }
        return upstream;
    }

    /** Rows of all kinds. */
    private static CrossEntropyCase mixed(DType dtype, int rows, int classes, Random random) {
        CrossEntropyCase c = narrow(dtype, new CrossEntropyCase(rows, classes, random));
        float[] special = {Float.NEGATIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f, Float.MIN_VALUE, 1e30f,
            -Float.MAX_VALUE, 88, -104, -103.9f};
        long[] bad = {classes, -1, Integer.MIN_VALUE, Integer.MAX_VALUE, CrossEntropyCase.IGNORE};
        for (int row = 0; row < rows; row++) {
            int kind = row % 10;
            if (kind == 9) {
                c.targets[row] = bad[random.nextInt(bad.length)];
            }
            int only = random.nextInt(classes);
            for (int k = 0; k < classes; k++) {
                int i = row * classes + k;
                switch (kind) {
                    case 0 -> c.logits[i] = random.nextInt(3);
                    case 1 -> c.logits[i] = random.nextInt(8) == 0 ? special[random.nextInt(special.length)] : k % 7;
                    case 2 -> c.logits[i] = k == only ? row % 20 == 2 ? Float.NaN : Float.POSITIVE_INFINITY : 1;
                    case 3 -> c.logits[i] = k == only ? 3 : c.logits[i] - 5;
                    case 4 -> c.logits[i] = row % 20 == 4 && k == only ? 1 : Float.NEGATIVE_INFINITY;
                    case 5 -> c.logits[i] = c.logits[i] * 1e-3f;
                    default -> {
                    }
                }
            }
        }
        return c;
    }

    private static void addGeneralCrossEntropy() {
        int[][] shapes = {{300, 3, 1}, {40, 10, 1}, {20, 40, 1}, {7, 257, 1}, {3, 1025, 1}, {2, 5, 40}, {2, 8193, 1},
            {1, 20_000, 1}, {1, 8200, 3}, {8193, 1, 1}, {5, 7, 1}, {4, 34, 1}, {3, 130, 1}, {6, 3, 1}, {14, 4, 1},
            {1026, 2, 1}};
        for (int[] shape : shapes) {
            int count = shape[0] * shape[1] * shape[2];
            for (GeneralKernelCase.Mode mode : GeneralKernelCase.Mode.values()) {
                for (long seed = 0; seed < (count < 1000 ? 20 : count < 5000 ? 8 : 4); seed++) {
                    boolean column = shape[2] > 1 || shape[1] <= 32 && seed % 4 < 3;
                    var c = new GeneralKernelCase(shape[0], shape[1], shape[2], DType.F32, column, mode, seed);
                    c.grid = 1 + (int) seed % 3;
                    c.expect(cpu);
                    // Rows that a block adds to, too, and more than one segment of rows: each by a thread, for what a block
                    // does for 8193 takes minutes to watch.
                    boolean watched = count < 2000 && seed % 2 == 0 || count < 900 && seed == 3
                            || shape[0] == 8193 && column;
                    suite.add(new Check("cross_entropy_general", c.toString(), watched, c::check));
                }
            }
        }
        addLongGeneralRows();
        addFarGeneralRows(DType.F32, 30);
    }

    /** Rows of 16 bits; what sums over rows is of float32 alone. */
    private static void addNarrowGeneralCrossEntropy(DType dtype) {
        String op = "cross_entropy_general" + suffix(dtype);
        int[][] shapes = {{260, 3, 1}, {20, 10, 1}, {10, 40, 1}, {5, 257, 1}, {3, 1025, 1}, {2, 5, 40}, {2, 8193, 1},
            {1, 17_000, 1}, {1, 8200, 3}, {5, 7, 1}, {3, 34, 1}, {3, 130, 1}, {6, 3, 1}, {2, 2056, 1}};
        long seed = 0;
        for (int[] shape : shapes) {
            int count = shape[0] * shape[1] * shape[2];
            for (GeneralKernelCase.Mode mode : GeneralKernelCase.Mode.values()) {
                int seeds = count < 700 ? 16 : shape[0] == 260 ? 2 : count < 5000 ? 6 : shape[2] == 3 ? 1 : 3;
                for (long last = seed + seeds; seed < last; seed++) {
                    boolean column = shape[2] > 1 || shape[1] <= 32 && seed % 4 < 3;
                    var c = new GeneralKernelCase(shape[0], shape[1], shape[2], dtype, column, mode, seed);
                    c.grid = 1 + (int) seed % 3;
                    c.expect(cpu);
                    suite.add(new Check(op, c.toString(), count < 2000 && seed % 4 == 0, c::check));
                }
            }
        }
        for (GeneralKernelCase.Mode mode : GeneralKernelCase.Mode.values()) {
            int seeds = mode == GeneralKernelCase.Mode.WHOLE ? 30 : 6;
            for (long last = seed + seeds; seed < last; seed++) {
                var c = new GeneralKernelCase(2, 8207, 1, dtype, false, mode, seed);
                c.longRows = true;
                c.expect(cpu);
                suite.add(new Check(op, c.toString(), seed % 3 == 0, c::check));
            }
        }
        addFarGeneralRows(dtype, 15);
        for (String variant : List.of("column", "block")) {
            suite.add(new Check(op, dtype + " gradient by 1500 sums of weights, " + variant, true,
                    kernels -> dividedGradient(kernels, dtype, variant, 1500)));
        }
    }

    /** A gradient of the last row of so many that their sums of weights are more than a block loads at a time. */
    private static void dividedGradient(PtxKernels kernels, DType dtype, String variant, int segments) {
        float[] sums = new float[segments];
        Arrays.fill(sums, 1);
        sums[0] = 4096 - segments + 1;
        long before = 8192L * segments - 1 & -256;
        int size = dtype.byteSize();
        PtxKernels.Buffer logits = kernels.new Buffer(2 * size, 4).set(dtype, new float[2]);
        PtxKernels.Buffer gradient = kernels.new Buffer(2 * size, 4);
        PtxKernels.Buffer rowLoss = kernels.new Buffer(4, 4);
        kernels.firstBlock = variant.equals("column") ? before / 256 : before;
        kernels.launch("cross_entropy_general" + suffix(dtype),
                "cross_entropy_general_loss_grad" + suffix(dtype) + "_" + variant, 1,
                variant.equals("column") ? 256 : 128, 0,
                kernels.new Struct("cross_entropy_general_params").set("logits", logits.address - before * 2 * size)
                        .set("targets", zeros(kernels, 1).address - before)
                        .set("grad_loss", kernels.new Buffer(4, 4).set(new float[] {1024}))
                        .set("row_loss", rowLoss.address - 4 * before)
                        .set("grad_logits", gradient.address - before * 2 * size)
                        .set("weight_parts", kernels.new Buffer(4L * segments, 4).set(sums)).set("rows", before + 1)
                        .set("classes", 2L).set("all_classes", 2L).set("stride", 2L).set("inner", 1L)
                        .set("ignore_index", -100L).set("keep", 1f).set("scale", 1f).set("grad_loss_scale", 1f)
                        .set("flags", 1 | 2 | 32));
        kernels.firstBlock = 0;
        assertArrayEquals(new float[] {-0.125f, 0.125f}, gradient.floats(dtype));
        assertEquals(List.of(), kernels.device.findings());
    }

    /** Rows of more segments than a block keeps states of. */
    private static void addLongGeneralRows() {
        for (int[] shape : new int[][] {{3, 8200}, {2, 12_291}}) {
            for (GeneralKernelCase.Mode mode : GeneralKernelCase.Mode.values()) {
                for (long seed = 0; seed < 10; seed++) {
                    var c = new GeneralKernelCase(shape[0], shape[1], 1, DType.F32, false, mode, seed);
                    c.longRows = true;
                    c.expect(cpu);
                    suite.add(new Check("cross_entropy_general", c.toString(), false, c::check));
                }
            }
        }
        var c = new GeneralKernelCase(1, 256 * 8192 + 5, 1, DType.F32, false, GeneralKernelCase.Mode.WHOLE, 1);
        c.expect(cpu);
        suite.add(new Check("cross_entropy_general", c.toString(), false, c::check));
        int left = 2;
        for (long seed = 0; left > 0; seed++) {
            var capped = new GeneralKernelCase(4, 8193, 1, DType.F32, true, GeneralKernelCase.Mode.WHOLE, seed);
            if (capped.hasSoftcap() && capped.wantsGradient()) {
                capped.expect(cpu);
                suite.add(new Check("cross_entropy_general", capped.toString(), false, capped::check));
                left--;
            }
        }
    }

    /** Rows whose numbers, and whose elements', do not fit in 32 bits. */
    private static void addFarGeneralRows(DType dtype, int seeds) {
        int[][] shapes = {{20, 4, 1}, {7, 257, 1}, {3, 1500, 1}, {3, 5, 16}, {1, dtype == DType.F32 ? 5000 : 500, 2}};
        // Rows that are read again for their log-probabilities.
        int found = 0;
        for (long seed = 0; found < 6; seed++) {
            var c = new GeneralKernelCase(2, 8203, 1, dtype, false, GeneralKernelCase.Mode.WHOLE, seed);
            if (c.canBeFar() && c.wantsLogProbabilitiesAlone()) {
                c.firstRow = (1L << 31) - 256;
                c.longRows = found % 2 == 1;
                c.expect(cpu);
                suite.add(new Check("cross_entropy_general" + suffix(dtype), c.toString(), false, c::check));
                found++;
            }
        }
        for (int[] shape : shapes) {
            for (GeneralKernelCase.Mode mode : List.of(GeneralKernelCase.Mode.WHOLE, GeneralKernelCase.Mode.SAVED)) {
                for (long seed = 0; seed < seeds; seed++) {
                    boolean column = shape[2] > 1 || shape[1] <= 4;
                    var c = new GeneralKernelCase(shape[0], shape[1], shape[2], dtype, column, mode, seed);
                    if (c.canBeFar()) {
                        c.firstRow = column ? 3L << 31 : (1L << 31) - 256;
                        c.expect(cpu);
                        suite.add(new Check("cross_entropy_general" + suffix(dtype), c.toString(), false, c::check));
                    }
                }
            }
        }
    }

    /** Numbers of segments with any remainder by four, which the kernel that joins them takes at a time. */
    private static void addGeneralReductions() {
        for (int segments = 2; segments <= 5; segments++) {
            int rows = segments * 8192 - 5;
            addReduction("cross_entropy_general", "cross_entropy_general_reduce", rows);
            suite.add(new Check("cross_entropy_general", "mean of " + rows, false,
                    kernels -> weightedMean(kernels, rows)));
        }
    }

    /** Sums of segments in which two values are not 0: for each addition of a fold two whose rounding shows. */
    private static void addPairs() {
        FoldPairs all = FoldPairs.of(false, new Random(11));
        float[] values = all.values();
        float[] sums = all.sums();
        for (String op : List.of("cross_entropy", "cross_entropy_general", "nll_loss")) {
            String kernel = op + (op.equals("cross_entropy") ? "_reduce_loss_f32" : "_reduce")
                    + (op.equals("nll_loss") ? "_f32" : "");
            pairs(op, kernel, "loss_parts", values, sums, (kernels, params) -> {
                params.set("row_loss", kernels.new Buffer(4L * values.length, 4).set(values));
                if (op.equals("nll_loss")) {
                    params.set("outer", (long) values.length).set("classes", 1L).set("inner", 1L);
                } else {
                    params.set("rows", (long) values.length);
                }
            });
        }
        pairs("cross_entropy_general", "cross_entropy_general_begin", "weight_parts", values, sums,
                (kernels, params) -> params.set("rows", (long) values.length).set("all_classes", 1L)
                        .set("targets", zeros(kernels, values.length))
                        .set("weights", kernels.new Buffer(4L * values.length, 4).set(values))
                        .set("ignore_index", -100L).set("flags", 1 | 2 | 32));
        // By one block, which may not write lanes that it still sums.
        suite.add(new Check("cross_entropy_general", "weights of two segments by one block", true, kernels -> {
            PtxKernels.Buffer parts = kernels.new Buffer(8, 4);
            kernels.launch("cross_entropy_general", "cross_entropy_general_begin", 1, 256, 0,
                    kernels.new Struct("cross_entropy_general_params").set("rows", 2L * 8192).set("all_classes", 1L)
                            .set("targets", zeros(kernels, 2 * 8192))
                            .set("weights", kernels.new Buffer(8L * 8192, 4).set(Arrays.copyOf(values, 2 * 8192)))
                            .set("weight_parts", parts).set("ignore_index", -100L).set("flags", 1 | 2 | 32));
            assertArrayEquals(Arrays.copyOf(sums, 2), parts.floats());
            assertEquals(List.of(), kernels.device.findings());
        }));
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
            addBcePairs(dtype, values, sums);
        }
    }

    private static void addBcePairs(DType dtype, float[] values, float[] sums) {
        String type = "_" + dtype.name().toLowerCase(Locale.ROOT);
        pairs("bce_with_logits" + suffix(dtype), "bce_with_logits_weigh" + type, "weight_parts", values, sums,
                (kernels, params) -> params.set("count", (long) values.length)
                        .set("weights", kernels.new Buffer(4L * values.length, 4).set(values))
                        .set("flags", 1 | 2 | 32 | 1024));
        // The loss is the weight times the logit, which is a power of two.
        for (String what : List.of("_loss", "_loss_grad")) {
            for (String op : List.of("bce_with_logits", "bce_with_logits_focal")) {
                pairs(op + suffix(dtype), op + what + type, "loss_parts", values, sums, (kernels, params) -> {
                    float[] logits = new float[values.length];
                    Arrays.fill(logits, 64);
                    float[] weights = values.clone();
                    for (int i = 0; i < weights.length; i++) {
                        weights[i] /= 64;
                    }
                    long bytes = (long) dtype.byteSize() * values.length;
                    params.set("count", (long) values.length)
                            .set("logits", kernels.new Buffer(bytes, 0).set(dtype, logits))
                            .set("targets", zeros(kernels, values.length))
                            .set("weights", kernels.new Buffer(4L * values.length, 0).set(weights))
                            .set("grad_logits", kernels.new Buffer(bytes, 0)).set("keep", 1f)
                            .set("focal_alpha", 1f).set("focal_rest", 1f).set("focal_gamma", 1f).set("focal_halves", 2)
                            .set("flags", 32 | 256);
                });
            }
        }
    }

    private static PtxKernels.Buffer zeros(PtxKernels kernels, int count) {
        PtxKernels.Buffer buffer = kernels.new Buffer(count, 0);
        buffer.memory().fill((byte) 0);
        return buffer;
    }

    private static void pairs(String op, String kernel, String parts, float[] values, float[] sums,
            BiConsumer<PtxKernels, PtxKernels.Struct> operands) {
        suite.add(new Check(op, kernel + " of pairs", false, kernels -> {
            PtxKernels.Struct params = kernels.new Struct(op.replaceAll("_focal|_b?f16", "") + "_params");
            PtxKernels.Buffer found = kernels.new Buffer(4L * sums.length, 4);
            params.set(parts, found).set("loss", kernels.new Buffer(4, 4))
                    .set("arrivals", kernels.new Buffer(4, 4).set(new float[1]));
            operands.accept(kernels, params);
            boolean isNarrow = kernel.matches(".*_loss(_grad)?_b?f16");
            kernels.launch(op, kernel, 3, isNarrow ? 128 : 256, 0, params);
            assertArrayEquals(sums, found.floats());
        }));
    }

    /** Losses of 1 each, over a sum of weights that is a power of two. */
    private static void weightedMean(PtxKernels kernels, int rows) {
        float[] losses = new float[rows];
        Arrays.fill(losses, 1);
        float[] parts = new float[rows / 8192 + 1];
        Arrays.fill(parts, 0.25f);
        parts[0] = 8 - 0.25f * (parts.length - 1);
        PtxKernels.Buffer loss = kernels.new Buffer(4, 4);
        kernels.launch("cross_entropy_general", "cross_entropy_general_reduce", 2, 256, 0,
                kernels.new Struct("cross_entropy_general_params").set("rows", (long) rows).set("loss", loss)
                        .set("row_loss", kernels.new Buffer(4L * rows, 4).set(losses))
                        .set("weight_parts", kernels.new Buffer(4L * parts.length, 8).set(parts))
                        .set("loss_parts", kernels.new Buffer(4L * parts.length, 4))
                        .set("arrivals", kernels.new Buffer(4, 4).set(new float[1])).set("flags", 1 | 2));
        assertArrayEquals(new float[] {rows / 8f}, loss.floats());
    }

    private static List<String> bce(DType dtype) {
        return List.of("bce_with_logits" + suffix(dtype), "bce_with_logits_focal" + suffix(dtype));
    }

    /** So many seeds of fewer than 1000 elements, of fewer than 5000, and of more. */
    private static void addBce(DType dtype, int few, int some, int many) {
        int[][] shapes =
                {{0, 3}, {1, 3}, {3, 5}, {2, 4}, {5, 8}, {16, 4}, {3, 67}, {7, 64}, {1, 1025}, {41, 200}, {3, 5461},
                    {2, 20_000}};
        for (int[] shape : shapes) {
            int count = shape[0] * shape[1];
            for (long seed = 0; seed < (count < 1000 ? few : count < 5000 ? some : many); seed++) {
                var c = new BceKernelCase(shape[0], shape[1], dtype, seed).expect(cpu);
                c.grid = 1 + (int) seed % 3;
                c.aligned = seed % 3 == 0;
                suite.add(new Check(bce(dtype), c.toString(),
                        count < 2000 && seed % 2 == 0, c::check));
            }
        }
        addFarBce(dtype);
        addPackedBce(dtype);
        for (int segments : new int[] {1, 700, 1023, 1024, 1025, 2048, 3000}) {
            suite.add(new Check("bce_with_logits" + suffix(dtype), dtype + " denominator of " + segments, false,
                    kernels -> denominator(kernels, dtype, segments)));
        }
    }

    /** Logits at which the roundings of exponentials and logarithms show, in whole accesses and one by one. */
    private static void addRoundedBce(DType dtype) {
        Random random = new Random(9);
        List<Float> values = new ArrayList<>(ROUNDED.get(dtype).exps().get(0));
        values.addAll(ROUNDED.get(dtype).logs().get(false).get(0));
        for (int turn = 0; turn < 60; turn++) {
            var options = new BceWithLogitsOptions(Reduction.NONE, false, 0, Double.NaN);
            options = turn % 2 == 0 ? options : options.withFocal(turn / 2 % 3, turn % 4 == 1 ? Double.NaN : 0.25);
            BceInputs in = BceInputs.of(random, options, null, null, null, 1, turn < 12 ? 8011 : 14);
            float[] logits = in.logits();
            for (int i = 0; i < logits.length; i++) {
                logits[i] = values.get(random.nextInt(values.size())) * (random.nextBoolean() ? 1 : -1);
                in.targets()[i] = random.nextInt(2);
            }
            var c = new BceKernelCase(in, dtype, turn % 3 != 1, turn % 3 > 0, true, turn / 2);
            c.aligned = turn % 4 < 2;
            add(dtype, c);
        }
    }

    /** Any infinity, zero or NaN times any other. */
    private static void addSpecialBce(DType dtype) {
        Random random = new Random(10);
        float[] logits = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f, 30, -30, 1, -2};
        float[] weights = {0, -0f, 1, 3, Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
        float[] targets = {0, 1, 0.5f, 2, Float.NaN, Float.POSITIVE_INFINITY};
        for (int turn = 0; turn < 24; turn++) {
            boolean focal = turn % 2 == 1;
            long[] shape = {3, 1367};
            var options = new BceWithLogitsOptions(Reduction.NONE, false, turn % 8 < 4 ? 0 : 0.1, Double.NaN);
            BceInputs in = BceInputs.of(random, focal ? options.withFocal(turn / 2 % 4 / 2.0, turn % 4 / 3) : options,
                    focal ? null : shape, shape, null, shape);
            for (int i = 0; i < in.logits().length; i++) {
                in.logits()[i] = logits[random.nextInt(logits.length)];
                in.targets()[i] = targets[random.nextInt(random.nextBoolean() ? 2 : targets.length)];
                in.weights()[i] = weights[random.nextInt(random.nextBoolean() ? 3 : weights.length)];
                in.gradLoss()[i] = random.nextInt(4) == 0 ? 0 : 1;
                if (!focal) {
                    in.posWeight()[i] = weights[random.nextInt(random.nextBoolean() ? 3 : weights.length)];
                }
            }
            var c = new BceKernelCase(in, dtype, turn % 3 != 1, turn % 3 > 0, turn % 4 == 0, turn);
            c.aligned = turn % 4 < 2;
            add(dtype, c);
        }
    }

    /** The last block of so many segments that the block that joins them loads several a thread. */
    private static void addJoinedBce(DType dtype) {
        for (String what : List.of("_loss", "_loss_grad")) {
            for (String focal : List.of("", "_focal")) {
                for (int segments : new int[] {2, 300, 1024, 1500}) {
                    suite.add(new Check("bce_with_logits" + focal + suffix(dtype),
                            dtype + " joined" + focal + what + " of " + segments, true,
                            kernels -> joined(kernels, dtype, focal + what, segments)));
                }
            }
        }
    }

    private static void joined(PtxKernels kernels, DType dtype, String what, int segments) {
        Random random = new Random(segments);
        float[] parts = new float[segments];
        double sum = 0;
        for (int i = 0; i < segments - 1; i++) {
            parts[i] = random.nextInt(8192);
            sum += parts[i];
        }
        // What the last one has is the loss of zeros that weigh nothing.
        int left = 3;
        long before = 8192L * (segments - 1);
        int size = dtype.byteSize();
        PtxKernels.Buffer logits = kernels.new Buffer(left * size, 0).set(dtype, new float[left]);
        PtxKernels.Buffer loss = kernels.new Buffer(4, 4);
        kernels.firstBlock = segments - 1;
        kernels.launch("bce_with_logits" + (what.contains("focal") ? "_focal" : "") + suffix(dtype),
                "bce_with_logits" + what + "_" + dtype.name().toLowerCase(Locale.ROOT), 1,
                dtype == DType.F32 ? 256 : 128, 0,
                kernels.new Struct("bce_with_logits_params").set("count", before + left)
                        .set("logits", logits.address - before * size)
                        .set("targets", zeros(kernels, left).address - before)
                        .set("grad_logits", kernels.new Buffer(left * size, 0).address - before * size)
                        .set("weights", kernels.new Buffer(4, 4).set(new float[1])).set("loss", loss)
                        .set("loss_parts", kernels.new Buffer(4L * segments, 4).set(parts))
                        .set("arrivals", kernels.new Buffer(4, 4).set(new float[1])).set("keep", 1f)
                        .set("focal_alpha", 1f).set("focal_rest", 1f).set("focal_gamma", 1f).set("focal_halves", 2)
                        .set("flags", 256));
        kernels.firstBlock = 0;
        assertEquals((float) sum, loss.floats()[0], "joined" + what + " of " + segments);
        assertEquals(List.of(), kernels.device.findings());
    }

    private static void add(DType dtype, BceKernelCase c) {
        c.expect(cpu);
        suite.add(new Check(bce(dtype), c.toString(), false, c::check));
    }

    /** Elements whose numbers do not fit in 31 bits, or in 32; rows, too. */
    private static void addFarBce(DType dtype) {
        for (int[] shape : new int[][] {{16, 4}, {3, 67}, {41, 200}}) {
            for (long seed = 0; seed < (shape[1] == 4 ? 120 : 40); seed++) {
                var c = new BceKernelCase(shape[0], shape[1], dtype, seed);
                if (c.canBeFar()) {
                    c.aligned = seed % 3 == 0;
                    c.firstSegment = shape[1] * (seed % 4 == 0 ? (3L << 17) / shape[1] : (1L << 20) + 3);
                    add(dtype, c);
                }
            }
        }
        Random random = new Random(7);
        // Products of indices that have 32 bits, and more.
        for (int turn = 0; dtype != DType.F32 && turn < 48; turn++) {
            boolean focal = turn % 2 == 1;
            long[] full = {3, 67};
            var options = new BceWithLogitsOptions(Reduction.NONE, false, 0.1, Double.NaN);
            BceInputs in = BceInputs.of(random, focal ? options.withFocal(2, 0.25) : options,
                    focal ? null : full, full, full, full);
            var c = new BceKernelCase(in, dtype, turn % 3 != 1, turn % 3 > 0, true, turn);
            c.byAxes = 1 + turn / 12;
            c.firstSegment = 67 * (turn / 6 % 2 == 0 ? (3L << 17) / 67 : (1L << 20) + 3);
            add(dtype, c);
        }
        // One weight for each row, of more rows than 32 bits count.
        long[] ofRows = {20, 1};
        for (int turn = 0; turn < 32; turn++) {
            boolean none = turn % 4 > 0;
            boolean focal = turn / 4 % 2 == 1;
            var options = new BceWithLogitsOptions(none ? Reduction.NONE : Reduction.MEAN, true, 0.1, Double.NaN);
            BceInputs in = BceInputs.of(random, focal ? options.withFocal(2, 0.25) : options,
                    focal ? null : ofRows, ofRows, turn % 8 < 3 ? null : ofRows, 20, 7);
            var c = new BceKernelCase(in, dtype, turn % 2 == 1, turn % 4 != 1, turn < 16, turn);
            c.aligned = turn < 8;
            c.firstSegment = 7L << 20;
            add(dtype, c);
        }
    }

    /** The loop in which everything is aligned, with any number of elements behind its last access. */
    private static void addPackedBce(DType dtype) {
        Random random = new Random(5);
        for (int columns = 1027; columns < 1035; columns++) {
            for (int wanted = 1; wanted <= 3; wanted++) {
                for (boolean focal : new boolean[] {false, true}) {
                    for (Reduction reduction : Reduction.values()) {
                        var options = new BceWithLogitsOptions(reduction, false, random.nextInt(2) * 0.1,
                                random.nextBoolean() ? 1 : Double.NaN);
                        BceInputs in = BceInputs.of(random,
                                focal ? options.withFocal(1.5, 0.25) : options, null,
                                random.nextBoolean() ? new long[] {1, columns} : null, null, 1, columns);
                        var c = new BceKernelCase(in, dtype, (wanted & 1) != 0, (wanted & 2) != 0, random.nextBoolean(),
                                random.nextLong());
                        add(dtype, c);
                    }
                }
            }
        }
    }

    /** The kernel that joins weights alone, over so many parts that every thread loads several. */
    private static void denominator(PtxKernels kernels, DType dtype, int segments) {
        Random random = new Random(segments);
        float[] parts = new float[segments];
        double sum = 0;
        for (int i = 0; i < segments; i++) {
            parts[i] = random.nextFloat() * 8192;
            sum += parts[i];
        }
        PtxKernels.Buffer denominator = kernels.new Buffer(8, 8);
        kernels.launch("bce_with_logits" + suffix(dtype),
                "bce_with_logits_begin_" + dtype.name().toLowerCase(Locale.ROOT), 1, 256, 0,
                kernels.new Struct("bce_with_logits_params").set("count", 8192L * segments - 5)
                        .set("weight_parts", kernels.new Buffer(4L * segments, 4).set(parts))
                        .set("denominator", denominator).set("flags", 1 | 2));
        assertEquals(sum, denominator.view().get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 0), "denominator of " + segments);
    }

    private static void addAdam() {
        float[] special = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f, Float.MIN_VALUE,
            -Float.MAX_VALUE, Float.MAX_VALUE, 1e-30f, -1};
        for (AdamOptions options : AdamPtxTest.options()) {
            for (int from : new int[] {1, 29, 61, 125, 1000}) {
                for (boolean even : new boolean[] {true, false}) {
                    for (float[] values : new float[][] {null, special}) {
                        long firstChunk = from == 125 ? 3L << 31 : 0;
                        suite.add(new Check("adam", "adam from " + from, from < 100, kernels -> {
                            Random random = new Random(from);
                            List<AdamPtxTest.Parameter> parameters = new ArrayList<>();
                            for (int n = from; n < from + 8; n++) {
                                int skip = 4 * (n % 4);
                                int[] skips = {skip, skip, skip, skip};
                                if (!even) {
                                    skips[n / 4 % 4] = (skip + 4) % 16;
                                }
                                parameters.add(new AdamPtxTest.Parameter(kernels, n, skips, random, values));
                            }
                            AdamPtxTest.check(kernels, cpu, options, parameters, 2048, 1, 1, firstChunk);
                        }));
                    }
                }
            }
        }
    }

    private static void addSgd() {
        float[] special = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f, Float.MIN_VALUE,
            -Float.MAX_VALUE, Float.MAX_VALUE, 1e-30f, -1};
        for (SgdOptions options : SgdContract.options()) {
            for (int from : new int[] {1, 29, 61, 125, 1000}) {
                for (boolean even : new boolean[] {true, false}) {
                    long firstChunk = from == 125 ? 3L << 31 : 0;
                    suite.add(new Check("sgd", "sgd from " + from, from < 100, kernels -> {
                        Random random = new Random(from);
                        List<SgdPtxTest.Parameter> parameters = new ArrayList<>();
                        for (int n = from; n < from + 8; n++) {
                            int skip = 4 * (n % 4);
                            int[] skips = {skip, skip, skip};
                            if (!even) {
                                skips[n / 4 % 3] = (skip + 4) % 16;
                            }
                            parameters.add(new SgdPtxTest.Parameter(kernels, n, skips, random,
                                    n % 2 == 0 ? special : null));
                        }
                        SgdPtxTest.check(kernels, cpu, options, parameters, 2048, 1, 2, firstChunk);
                    }));
                }
            }
        }
    }

    private static void addAccumulate() {
        for (DType dtype : new DType[] {DType.F32, DType.BF16, DType.F16}) {
            for (int from : new int[] {1, 29, 61, 125, 384, 1000}) {
                for (boolean even : new boolean[] {true, false}) {
                    for (boolean zeroes : new boolean[] {true, false}) {
                        long firstChunk = from == 125 ? 3L << 31 : 0;
                        suite.add(new Check("accumulate", dtype + " added from " + from, from < 100, kernels -> {
                            Random random = new Random(from);
                            List<AccumulatePtxTest.Parameter> parameters = new ArrayList<>();
                            for (int n = from; n < from + 9; n++) {
                                int skip = n % 8;
                                int other = even ? skip : skip + 1 + n % 3;
                                parameters.add(new AccumulatePtxTest.Parameter(kernels, dtype, n, n % 3,
                                        new int[] {4 * skip, dtype.byteSize() * other}, random, n % 2 == 0));
                            }
                            AccumulatePtxTest.check(kernels, parameters, zeroes, 1, 2, firstChunk);
                        }));
                    }
                }
            }
        }
    }

    private static void addMixedSteps() {
        addMixedSteps("of one array elsewhere", false, 1, 0,
                kernels -> MixedStepPtxTest.misaligned(kernels, new Random(3)));
        for (int from : new int[] {1, 29, 125, 600}) {
            for (boolean special : new boolean[] {false, true}) {
                boolean far = from == 125;
                addMixedSteps("from " + from, from == 1, far ? 1_000_000_000 : 1, far ? 3L << 31 : 0,
                        kernels -> MixedStepPtxTest.parameters(kernels, from, 18, special, new Random(from)));
            }
        }
    }

    private static void addMixedSteps(String what, boolean watched, int firstStep, long firstChunk,
            Function<PtxKernels, List<MixedParameter>> parameters) {
        for (AdamOptions options : MixedStepPtxTest.adamOptions()) {
            suite.add(new Check("adam_mixed", "adam over several types " + what, watched,
                    kernels -> MixedStepPtxTest.check(kernels, cpu, options, parameters.apply(kernels), 2048, firstStep,
                            firstChunk)));
        }
        for (SgdOptions options : MixedStepPtxTest.sgdOptions()) {
            suite.add(new Check("sgd_mixed", "sgd over several types " + what, watched,
                    kernels -> MixedStepPtxTest.check(kernels, cpu, options, parameters.apply(kernels), 2048, firstStep,
                            firstChunk)));
        }
    }

    private static void addMixedGuards() {
        for (int optimizer = 0; optimizer < 3; optimizer++) {
            for (boolean mixed : new boolean[] {false, true}) {
                String op = (optimizer < 2 ? "adam" : "sgd") + (mixed ? "_mixed" : "") + "_guarded";
                int of = optimizer;
                suite.add(new Check(op, op + " of many groups", true,
                        kernels -> GuardPtxTest.manyGroups(kernels, cpu, of, mixed, 3)));
            }
        }
        for (long far : new long[] {0, 3L << 29}) {
            suite.add(new Check("guard", "runs from " + far, false, kernels -> GuardPtxTest.runs(kernels, far)));
        }
        for (String kernel : List.of("guard_square_f32", "guard_square_mixed")) {
            for (long far : new long[] {0, 3L << 29}) {
                suite.add(new Check("guard", kernel + " from segment " + far, false,
                        kernels -> GuardPtxTest.squares(kernels, kernel, far)));
            }
            suite.add(new Check("guard", kernel + " of pairs", false,
                    kernels -> GuardPtxTest.squaresOfPairs(kernels, kernel)));
        }
        for (StepOptions options : GuardPtxTest.options()) {
            for (int from : new int[] {1, 121, 1700}) {
                for (int kind = 0; kind < 3; kind++) {
                    boolean amsgrad = kind == 1;
                    String op = kind == 2 ? "sgd_mixed" : "adam_mixed";
                    List<AdamOptions> adam = kind < 2 ? GuardPtxTest.adamOptions(amsgrad) : null;
                    List<SgdOptions> sgd = kind < 2 ? null : GuardPtxTest.sgdOptions();
                    for (int blocks : new int[] {0, 1 + kind % 3}) {
                        suite.add(new Check(blocks == 0 ? op : op + "_guarded",
                                op + " guarded from " + from + " by " + blocks + " blocks", from == 1,
                                kernels -> GuardPtxTest.check(kernels, cpu, options, adam, sgd,
                                        GuardPtxTest.mixedGroups(kernels, 6, from, new Random(from)),
                                        amsgrad == (from == 121) ? 1 : 1_000_000, 0, blocks)));
                    }
                }
            }
        }
    }

    private static void addSoftmax(DType dtype) {
        Random random = new Random(3);
        int turn = 0;
        for (boolean logarithm : new boolean[] {false, true}) {
            for (boolean gradient : new boolean[] {false, true}) {
                for (int classes : new int[] {1, 3, 5, 31, 32, 33, 65, 127, 128, 255, 257, 500, 1000, 1023, 1024, 1025,
                    4099, 8192, 8193, 20_000}) {
                    int rows = classes <= 256 ? 37 : classes <= 1024 ? 11 : 3;
                    for (int place = 0; place < 3; place++) {
                        softmax(dtype, new SoftmaxCase(rows, classes, 1, logarithm, gradient, random).mixed(random),
                                turn++,
                                place);
                    }
                    if (classes <= 1025) {
                        softmax(dtype, new SoftmaxCase(2, classes, classes <= 33 ? 150 : 5, logarithm, gradient, random)
                                .mixed(random), turn++, turn % 3);
                    }
                }
                for (int classes : new int[] {40, 200, 300, 8192}) {
                    SoftmaxCase far = new SoftmaxCase(3, classes, 1, logarithm, gradient, random);
                    far.firstRow = classes <= 300 ? 3L << 31 : 1L << 30;
                    softmax(dtype, far, turn++, 0);
                }
                softmax(dtype, new SoftmaxCase(1, 8200, 2, logarithm, gradient, random), turn++, 0);
                SoftmaxCase column = new SoftmaxCase(2, 5, 64, logarithm, gradient, random);
                column.firstRow = 3L << 29;
                softmax(dtype, column, turn++, 0);
            }
        }
        for (int classes : new int[] {7, 40, 300, 1000, 5000, 8192, 8200, 17_000}) {
            for (int kind = 0; kind < 4; kind++) {
                SoftmaxCase small = new SoftmaxCase(3, classes, kind < 3 || classes > 1000 ? 1 : 40, kind % 2 == 1,
                        kind == 2, random);
                for (int i = 0; i < small.input.length; i++) {
                    small.input[i] = -88 - 16 * random.nextFloat();
                    small.gradOutput[i] = 0x1p20f * random.nextFloat();
                }
                for (int row = 0; row < small.outer * small.inner; row++) {
                    int top = random.nextInt(classes);
                    small.input[small.at(row, top)] = 0;
                }
                softmax(dtype, small, turn++, 0);
            }
        }
        // More segments than there is room for; the maximum, of a segment far below it, where only every step of every
        // reduction finds it: the first of a thread that is the last of a warp that is the first.
        int pack = 16 / dtype.byteSize();
        SoftmaxCase wide = new SoftmaxCase(1, 1024 / pack * 8192 + 5, 1, false, false, random);
        Arrays.fill(wide.input, 100 * 8192, 101 * 8192, -150);
        wide.input[100 * 8192 + 32 * pack - 1] = 50;
        softmax(dtype, wide, 1, 0);
    }

    /** Rows at which a rounding shows in 16 bits. */
    private static void addRoundedSoftmax(DType dtype) {
        Random random = new Random(4);
        SoftmaxTies ties = new SoftmaxTies(dtype, random);
        Rounded rounded = ROUNDED.get(dtype);
        List<Float> logProbabilities = new ArrayList<>(rounded.exps().get(0));
        logProbabilities.removeIf(y -> y < -12);
        for (int i = 0; i < 20; i++) {
            logProbabilities.add(RoundedLogits.narrow(dtype, 3 * random.nextFloat()));
        }
        List<SoftmaxTies.Element> cancelling = ties.cancelling(logProbabilities);
        List<SoftmaxTies.Element> onTies = ties.onTies(16);
        for (int classes : new int[] {64, 256, 1024, 8192}) {
            for (boolean columns : classes == 64 ? new boolean[] {false, true} : new boolean[] {false}) {
                softmax(dtype, ties.probabilities(classes, columns, rounded.decided()), 1, 0);
                softmax(dtype, ties.gradients(classes, columns, true, cancelling), 2, 0);
                softmax(dtype, ties.gradients(classes, columns, false, onTies), 3, 0);
                softmax(dtype, ties.sums(48, classes, columns), 5, 0);
            }
        }
    }

    private static void softmax(DType dtype, SoftmaxCase c, int turn, int place) {
        int size = dtype.byteSize();
        int pack = 16 / size;
        c.dtype = dtype;
        c.inputSkip = size * (turn % pack);
        c.gradSkip = turn % 3 == 0 ? size * (turn / pack % pack) : c.inputSkip;
        c.resultSkip = turn % 5 == 0 ? size * (turn / 2 % pack) : c.inputSkip;
        c.place = place;
        c.grid = 1 + turn % 3;
        c.expect(cpu);
        suite.add(new Check("softmax" + suffix(dtype), c.toString(), turn % 4 == 0, c::check));
    }

    private static void addNllLoss(DType dtype) {
        int[][] shapes = {{1, 1, 1}, {3, 5, 1}, {300, 2, 1}, {257, 33, 1}, {2, 9001, 1}, {8193, 2, 1}, {20_000, 1, 1},
            {1, 3, 7}, {2, 5, 300}, {1, 1, 8200}, {1500, 2, 1}, {1600, 1, 1}, {2500, 1, 1}, {5000, 2, 1}, {7000, 1, 1}};
        for (int[] shape : shapes) {
            for (Reduction reduction : Reduction.values()) {
                for (int grid = 1; grid <= 4; grid++) {
                    int of = grid;
                    suite.add(new Check("nll_loss" + suffix(dtype), dtype + " nll_loss of " + Arrays.toString(shape),
                            grid == 2,
                            kernels -> NllLossPtxTest.check(kernels, cpu, dtype, shape[0], shape[1], shape[2],
                                    reduction, of,
                                    new Random(of))));
                }
            }
        }
    }

    private static void addGuard() {
        for (StepOptions options : GuardPtxTest.options()) {
            for (int from : new int[] {1, 29, 121, 1000}) {
                for (int kind = 0; kind < 6; kind++) {
                    boolean even = kind < 3;
                    boolean amsgrad = kind % 3 == 1;
                    boolean isSgd = kind % 3 == 2;
                    suite.add(new Check(List.of("guard", isSgd ? "sgd" : "adam"), "guarded from " + from, from < 100,
                            kernels -> GuardPtxTest.check(kernels, cpu, options,
                                    isSgd ? null : GuardPtxTest.adamOptions(amsgrad),
                                    isSgd ? GuardPtxTest.sgdOptions() : null,
                                    GuardPtxTest.groups(kernels, 6, from, even, new Random(from)),
                                    amsgrad == (from == 121) ? 1 : 1_000_000, 0)));
                    int blocks = 1 + kind % 3;
                    suite.add(new Check(isSgd ? "sgd_guarded" : "adam_guarded", "guarded from " + from
                            + " by " + blocks + " blocks", from < 100, kernels -> {
                                kernels.seed = from + blocks;
                                GuardPtxTest.check(kernels, cpu, options,
                                        isSgd ? null : GuardPtxTest.adamOptions(amsgrad),
                                        isSgd ? GuardPtxTest.sgdOptions() : null,
                                        GuardPtxTest.groups(kernels, 6, from, even, new Random(from)),
                                        amsgrad == (from == 121) ? 1 : 1_000_000, 0, blocks);
                            }));
                }
            }
        }
        for (String op : List.of("adam", "sgd")) {
            for (int segments : new int[] {1, 1024, 2000, 6500}) {
                suite.add(new Check(op, segments + " segments", segments < 2000,
                        kernels -> GuardPtxTest.manySegments(kernels, op, segments, 0)));
            }
            for (String kind : GuardPtxTest.kinds(op)) {
                for (int segments : kind.equals("f32") ? new int[] {900, 1500, 6500} : new int[] {900, 2500}) {
                    suite.add(new Check(op + (kind.startsWith("mixed") ? "_mixed_guarded" : "_guarded"),
                            segments + " segments in one launch, " + kind, false,
                            kernels -> GuardPtxTest.manySegments(kernels, op, kind, segments, 3)));
                }
            }
        }
        suite.add(new Check(List.of("guard", "adam", "sgd"), "guarded far", false,
                kernels -> GuardPtxTest.far(kernels, cpu)));
    }

    /** Checks that execute the line of a mutant, or would if the one before it went on. */
    private static List<Check> checksOf(PtxMutant mutant) {
        String[] lines = mutant.shipped().split("\n", -1);
        int before = mutant.line() - 1;
        while (!lines[before - 1].strip().matches("(@|[a-z]).*;.*")) {
            before--;
        }
        int previous = before;
        return suite.stream().filter(check -> check.ops.stream().anyMatch(op -> mutant.file().startsWith(op + ".")))
                .filter(check -> check.lines.get(mutant.line()) || check.lines.get(previous)).toList();
    }

    private static String failure(PtxMutant mutant) {
        String text = mutant.text();
        assertNotEquals(mutant.shipped(), text, mutant.toString());
        Map<String, PtxModule> modules = new HashMap<>(Map.of(text, PtxModule.parse(text)));
        for (Check check : checksOf(mutant)) {
            String failure = check.failure(mutant, text, modules);
            if (failure != null) {
                return failure;
            }
        }
        return null;
    }

    /** Lines {@code operator; kernel; line -> changed line} with the reason below, indented. */
    private static List<String> equivalents() throws IOException {
        return mutants("equivalent-mutants.txt");
    }

    private static List<String> mutants(String file) throws IOException {
        try (var in = MutationTest.class.getResourceAsStream(file)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8).lines()
                    .filter(line -> !line.isBlank() && !line.startsWith(" ") && !line.startsWith("#")).toList();
        }
    }

    private static String key(PtxMutant mutant) {
        List<Integer> same = linesOf(mutant.file(), mutant.entry(), plain(mutant.original()));
        String which = same.size() == 1
                ? ""
                : " (" + (same.indexOf(mutant.line()) + 1) + " of " + same.size() + ")";
        return mutant.operator() + "; " + mutant.entry() + "; " + plain(mutant.original()) + which + " -> "
                + (mutant.changed().isEmpty() ? "nothing" : plain(mutant.changed()));
    }

    /** Numbers, from 1, of the lines of a kernel that are equal to one. */
    private static List<Integer> linesOf(String file, String entry, String plain) {
        String[] lines = PtxMutant.only(PtxKernels.read(file), entry).split("\n", -1);
        return IntStream.rangeClosed(1, lines.length).filter(i -> plain(lines[i - 1].strip()).equals(plain)).boxed()
                .toList();
    }

    private static String plain(String line) {
        return line.replaceAll("\\s+", " ").replaceAll(";$", "");
    }

    @Test
    void everyMistakeIsSeen() throws Exception {
        List<String> equivalents = equivalents();
        List<String> unjudged = mutants("unjudged-mutants.txt");
        Map<String, int[]> table = new TreeMap<>();
        PtxMutant.operators().forEach(operator -> table.put(operator, new int[4]));
        List<String> survivors = new ArrayList<>();
        List<PtxMutant> mutants = new ArrayList<>();
        for (String op : OPS) {
            List<PtxMutant> ofOp = PtxMutant.choose(op.endsWith("16") ? (COUNT + 1) / 2 : COUNT, SEED, op);
            assertFalse(ofOp.isEmpty(), op);
            mutants.addAll(WHICH.matcher(op).find() ? ofOp : List.of());
        }
        List<Optional<String>> failures = onAllProcessors(mutants.stream().map(mutant -> () -> {
            long start = System.nanoTime();
            boolean isTried = JUDGES || !unjudged.contains(key(mutant));
            String failure = isTried ? failure(mutant) : null;
            if (Boolean.getBoolean("isobit.mutants.verbose")) {
                System.out.printf("%.1f s, %s: %s%n", (System.nanoTime() - start) * 1e-9, mutant, failure);
            }
            return Optional.ofNullable(failure);
        }));
        for (int i = 0; i < failures.size(); i++) {
            PtxMutant mutant = mutants.get(i);
            String failure = failures.get(i).orElse(null);
            int[] counts = table.get(mutant.operator());
            counts[0]++;
            if (failure != null) {
                counts[1]++;
                assertFalse(equivalents.contains(key(mutant)), "not equivalent: " + mutant + ": " + failure);
                assertFalse(unjudged.contains(key(mutant)), "judged: " + mutant + ": " + failure);
            } else if (equivalents.contains(key(mutant))) {
                counts[2]++;
            } else if (unjudged.contains(key(mutant))) {
                counts[3]++;
            } else {
                survivors.add(key(mutant) + "\n    " + mutant.file() + ":" + mutant.line() + ", "
                        + checksOf(mutant).size() + " checks");
            }
        }
        System.out.printf("mutants of seed %d%n%-24s mutants  killed  equivalent  unjudged%n", SEED, "operator");
        int[] sum = new int[4];
        table.values().forEach(counts -> Arrays.setAll(sum, i -> sum[i] + counts[i]));
        Map<String, int[]> rows = new LinkedHashMap<>(table);
        rows.put("all", sum);
        rows.forEach((operator, counts) -> System.out.printf("%-24s %7d %7d %11d %9d%n", operator, counts[0], counts[1],
                counts[2], counts[3]));
        assertTrue(survivors.isEmpty(), survivors.size() + " mutants pass:\n" + String.join("\n", survivors));
    }

    /** Or a reason would be taken for that of another instruction, or stay behind when the kernel changes. */
    @Test
    void everyEquivalentNamesALineOfItsKernel() throws IOException {
        for (String equivalent : equivalents()) {
            String[] parts = equivalent.split("; ", 3);
            Matcher original = Pattern.compile("(.*?)(?: \\(\\d+ of (\\d+)\\))? -> .*").matcher(parts[2]);
            assertTrue(original.matches(), equivalent);
            int same = original.group(2) == null ? 1 : Integer.parseInt(original.group(2));
            String entry = ".entry " + parts[1] + "(";
            String op = OPS.stream().filter(known -> PtxKernels.read(known + ".sm_90.ptx").contains(entry)).findAny()
                    .orElseThrow();
            // As a rule the two are the same text.
            assertTrue(Stream.of(".sm_75.ptx", ".sm_90.ptx")
                    .anyMatch(file -> linesOf(op + file, parts[1], original.group(1)).size() == same), equivalent);
        }
    }
}
