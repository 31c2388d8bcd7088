package dev.isobit.harness.verify;

import dev.isobit.AdamOptions;
import dev.isobit.AdamSemantics;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.SgdOptions;
import dev.isobit.harness.Rng;
import dev.isobit.harness.verify.AdamProblem.Values;
import dev.isobit.harness.verify.CrossEntropyProblem.Ignore;
import dev.isobit.harness.verify.CrossEntropyProblem.Logits;
import dev.isobit.harness.verify.CrossEntropyProblem.Upstream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * The problems, the same list in every JVM, each size with its reason.
 *
 * @param name {@code default}, {@code full}, {@code simulated} or {@code small}
 * @param problems in the order in which they are run
 */
record Grid(String name, List<Problem> problems) {
    static final String DEFAULT = "default";
    static final String FULL = "full";
    /** Few enough for an interpreter: every kernel, both sides of every bound between them. */
    static final String SIMULATED = "simulated";
    /** A few problems of each operation: for tests. */
    static final String SMALL = "small";

    /** Of logits, in grids that are not recorded. */
    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16};

    /** What is met with everything else: sums have a place of their own. */
    private static final List<GuardedProblem.Guard> GUARDS = Arrays.stream(GuardedProblem.Guard.values())
            .filter(guard -> guard != GuardedProblem.Guard.SUMS).toList();

    /** How many times more combinations of options small shapes meet in a full run. */
    private static final int SMALL_TIMES = 8;

    private static final int[] CLASSES = {
        // one lane, and around the lanes of 128-, 256- and 512-bit vectors, and a warp of a GPU
        1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33,
        // digits; two multiples of no power of two
        10, 100, 1000,
        // around the 1024 lanes of the definition
        1023, 1024, 1025,
        // around the segment of 8192, and two segments
        8191, 8192, 8193, 16385,
        // vocabularies: Llama 2, GPT-2 (odd), Llama 3
        32000, 50257, 128256};

    /** Rows: none, one, few, and more than the lanes of a warp; by how much memory they take. */
    private static int[] rows(int classes, boolean full) {
        if (classes <= 33) {
            return full ? new int[] {0, 1, 3, 67, 1025, 8193} : new int[] {0, 1, 3, 67};
        }
        if (classes <= 1025) {
            return full ? new int[] {0, 1, 3, 67, 257} : new int[] {0, 1, 3, 40};
        }
        if (classes <= 16385) {
            return full ? new int[] {0, 1, 5, 40} : new int[] {1, 5};
        }
        return full ? new int[] {0, 1, 3, 9} : new int[] {2};
    }

    /** How many problems there are of each operation. */
    Map<String, Integer> operations() {
        Map<String, Integer> counts = new TreeMap<>();
        problems.forEach(problem -> counts.merge(problem.operation(), 1, Integer::sum));
        return counts;
    }

    static Grid of(String name) {
        return switch (name) {
            case DEFAULT -> build(false);
            case FULL -> build(true);
            case SIMULATED -> simulated();
            case SMALL -> small();
            default -> throw new IllegalArgumentException(
                    "no grid \"" + name + "\"; there are default, full, simulated, small");
        };
    }

    private static Grid build(boolean full) {
        List<Problem> problems = new ArrayList<>();
        crossEntropy(problems, full);
        generalCrossEntropy(problems, full ? 20 : 2);
        nllLoss(problems, full);
        bce(problems, full ? 8 : 1);
        adam(problems, full);
        sgd(problems, full);
        softmax(problems, full);
        guarded(problems, full);
        return new Grid(full ? FULL : DEFAULT, Collections.unmodifiableList(problems));
    }

    private static Grid simulated() {
        List<Problem> problems = new ArrayList<>();
        long seed = 1L << 33;
        // A thread per row, more rows than a block has; a warp per row, four rows or one at a time; a block per row, one
        // segment or two. Each of the options is met with each kind of logits, if not at each size.
        int[][] shapes = {{0, 3}, {1, 1}, {5, 2}, {129, 10}, {3, 31}, {67, 32}, {3, 33}, {17, 128}, {5, 255}, {3, 256},
            {5, 257}, {2, 1000}, {1, 1023}, {2, 1024}, {2, 1025}, {1, 3000}};
        for (int[] shape : shapes) {
            for (Logits logits : Logits.values()) {
                seed++;
                problems.add(picked(shape[0], shape[1], logits, seed));
            }
        }
        for (int classes : new int[] {8191, 8192, 8193, 16385}) {
            seed++;
            problems.add(picked(1, classes, Logits.values()[(int) (seed % Logits.values().length)], seed));
        }
        generalCrossEntropy(problems, 1);
        // The batch itself is a row of the sum: more than its lanes, more than a segment.
        for (Reduction reduction : Reduction.values()) {
            for (int rows : new int[] {1025, 8193}) {
                seed++;
                problems.add(new CrossEntropyProblem(rows, 3, Logits.NORMAL, reduction, Upstream.PER_ROW,
                        Ignore.DEFAULT_INDEX, seed));
            }
        }
        for (int[] shape : new int[][] {{0, 3}, {1, 1}, {3, 5}, {10, 100}, {1, 1025}, {41, 200}, {8193, 1},
            {3, 5461}}) {
            for (BceProblem.Logits elements : BceProblem.Logits.values()) {
                seed++;
                problems.add(bce(shape[0], shape[1], elements, Reduction.values()[(int) (seed % 3)], seed));
            }
        }
        for (int[] shape : new int[][] {{0, 3, 1}, {1, 1, 1}, {5, 3, 1}, {300, 2, 1}, {17, 1000, 1}, {8193, 2, 1},
            {3, 5, 2}, {2, 3, 300}}) {
            for (NllLossProblem.Values values : NllLossProblem.Values.values()) {
                seed++;
                problems.add(new NllLossProblem(shape[0], shape[1], shape[2], values,
                        Reduction.values()[(int) (seed % 3)], seed, TYPES[(int) (seed / 3 % TYPES.length)]));
            }
        }
        for (int[] shape : new int[][] {{1, 1, 1}, {37, 3, 1}, {17, 64, 1}, {5, 257, 1}, {3, 1024, 1}, {2, 1025, 1},
            {1, 8193, 1}, {3, 10, 50}, {2, 1025, 3}}) {
            seed++;
            SoftmaxProblem.Logits kind = SoftmaxProblem.Logits.values()[(int) (seed % 8)];
            for (boolean logarithm : new boolean[] {false, true}) {
                for (DType dtype : TYPES) {
                    problems.add(new SoftmaxProblem(shape[0], shape[1], shape[2], kind, logarithm, seed, dtype));
                }
            }
        }
        // Around the four elements of a vector, the warp, the chunk of 2048.
        List<List<Integer>> sizes = List.of(List.of(), List.of(0), List.of(1), List.of(33), List.of(2047, 2048, 2049),
                List.of(1, 0, 17, 1024, 3, 5, 64, 4100, 2),
                IntStream.range(0, 60).map(i -> 1 + i * 7 % 70).boxed().toList());
        for (List<Integer> each : sizes) {
            for (Values values : Values.values()) {
                seed++;
                var rng = new Rng(seed);
                problems.add(new AdamProblem(each.size() + " sizes", each, pick(rng, allAdamOptions()), values,
                        1 + rng.nextInt(20), 1 + rng.nextInt(2), seed));
                problems.add(new SgdProblem(each.size() + " sizes", each, pick(rng, sgdOptions()), values,
                        1 + rng.nextInt(2), 1 + rng.nextInt(2), seed));
                problems.add(new AdamProblem(each.size() + " sizes", each, pick(rng, allAdamOptions()), values,
                        1 + rng.nextInt(20), 1 + rng.nextInt(2), seed, true));
                problems.add(new SgdProblem(each.size() + " sizes", each, pick(rng, sgdOptions()), values,
                        1 + rng.nextInt(2), 1 + rng.nextInt(2), seed, true));
            }
        }
        List<List<List<Integer>>> groups = List.of(List.of(List.of(0)), List.of(List.of(5, 0, 33), List.of(7)),
                List.of(List.of(1023, 2, 1024), List.of(17), List.of(6130, 1)));
        for (List<List<Integer>> shape : groups) {
            for (GuardedProblem.Optimizer optimizer : GuardedProblem.Optimizer.values()) {
                for (GuardedProblem.Guard guard : GUARDS) {
                    for (GuardedProblem.Values values : GuardedProblem.Values.values()) {
                        seed++;
                        if (new Rng(seed).nextInt(4) == 0) {
                            problems.add(guarded(shape, optimizer, guard, values, seed % 3 == 0 ? 5 : 1, seed));
                        }
                    }
                }
            }
        }
        sums(problems, groups, false);
        trajectories(problems);
        return new Grid(SIMULATED, Collections.unmodifiableList(problems));
    }

    private static CrossEntropyProblem picked(int rows, int classes, Logits logits, long seed) {
        var rng = new Rng(seed);
        return new CrossEntropyProblem(rows, classes, logits, pick(rng, Reduction.values()),
                pick(rng, Upstream.values()), pick(rng, Ignore.values()), seed, TYPES[(int) (seed % TYPES.length)]);
    }

    private static Grid small() {
        List<Problem> problems = new ArrayList<>();
        for (Logits logits : Logits.values()) {
            for (Reduction reduction : Reduction.values()) {
                problems.add(new CrossEntropyProblem(3, 17, logits, reduction, Upstream.SCALAR, Ignore.DEFAULT_INDEX,
                        problems.size(), TYPES[logits.ordinal() % TYPES.length]));
            }
        }
        for (GeneralCrossEntropyProblem.Logits logits : GeneralCrossEntropyProblem.Logits.values()) {
            problems.add(new GeneralCrossEntropyProblem(3, 17, logits.ordinal() % 3, logits, problems.size(),
                    TYPES[logits.ordinal() % TYPES.length]));
        }
        for (BceProblem.Logits logits : BceProblem.Logits.values()) {
            problems.add(bce(3, 17, logits, Reduction.values()[logits.ordinal() % 3], problems.size()));
        }
        for (Values values : Values.values()) {
            problems.add(new AdamProblem("[33]", List.of(33), AdamOptions.adamW(), values, 2, 1, problems.size()));
            problems.add(new AdamProblem("3 sizes", List.of(9, 20, 4), AdamOptions.adamW(), values, 2, 1,
                    problems.size(), true));
        }
        problems.add(new AdamProblem("2 sizes", List.of(5, 20), AdamOptions.adam(), Values.FRESH, 1, 3,
                problems.size()));
        for (Values values : Values.values()) {
            problems.add(new SgdProblem("[33]", List.of(33), sgdOptions().get(4), values, 2, 1, problems.size()));
            problems.add(new SgdProblem("3 sizes", List.of(9, 20, 4), sgdOptions().get(4), values, 2, 1,
                    problems.size(), true));
        }
        for (SoftmaxProblem.Logits logits : SoftmaxProblem.Logits.values()) {
            problems.add(new SoftmaxProblem(3, 17, 1 + logits.ordinal() % 2, logits, logits.ordinal() % 3 == 0,
                    problems.size(), TYPES[logits.ordinal() % TYPES.length]));
        }
        for (NllLossProblem.Values values : NllLossProblem.Values.values()) {
            problems.add(new NllLossProblem(3, 17, 1 + values.ordinal() % 2, values,
                    Reduction.values()[values.ordinal() % 3], problems.size(),
                    TYPES[values.ordinal() % TYPES.length]));
        }
        for (GuardedProblem.Guard guard : GuardedProblem.Guard.values()) {
            for (GuardedProblem.Optimizer optimizer : GuardedProblem.Optimizer.values()) {
                problems.add(guarded(List.of(List.of(5, 20), List.of(3)), optimizer, guard,
                        optimizer.ordinal() == guard.ordinal() % 3
                                ? GuardedProblem.Values.NAN
                                : GuardedProblem.Values.NORMAL,
                        1 + 4 * (problems.size() % 2), problems.size()));
            }
        }
        return new Grid(SMALL, Collections.unmodifiableList(problems));
    }

    private static void crossEntropy(List<Problem> problems, boolean full) {
        long seed = 0;
        for (int classes : CLASSES) {
            for (int rows : rows(classes, full)) {
                for (Logits logits : Logits.values()) {
                    for (Reduction reduction : Reduction.values()) {
                        seed++;
                        // In the default grid a large row meets one of them with each kind of logits.
                        if (!full && classes > 1025
                                && reduction.ordinal() != (classes + rows + logits.ordinal()) % 3) {
                            continue;
                        }
                        if (full) {
                            for (Upstream upstream : Upstream.values()) {
                                for (Ignore ignore : Ignore.values()) {
                                    problems.add(new CrossEntropyProblem(rows, classes, logits, reduction, upstream,
                                            ignore, seed, TYPES[(int) (seed % TYPES.length)]));
                                    seed++;
                                }
                            }
                        } else {
                            // Each of the options is met with each kind of logits, if not at each size.
                            var rng = new Rng(seed);
                            problems.add(new CrossEntropyProblem(rows, classes, logits, reduction,
                                    pick(rng, Upstream.values()), pick(rng, Ignore.values()), seed));
                        }
                    }
                }
            }
        }
        // The batch itself is a row of the sum: around its lanes and segments.
        for (int rows : new int[] {1023, 1024, 1025, 8191, 8193, 20000}) {
            for (Reduction reduction : Reduction.values()) {
                seed++;
                problems.add(new CrossEntropyProblem(rows, 3, Logits.NORMAL, reduction, Upstream.PER_ROW,
                        Ignore.DEFAULT_INDEX, seed));
            }
        }
    }

    /** Both sides of a thread's, a block's and a segment's classes; layouts; combinations of options by seed. */
    private static void generalCrossEntropy(List<Problem> problems, int times) {
        long seed = 5L << 34;
        int[][] shapes = {{0, 3, 0}, {1, 1, 0}, {3, 2, 0}, {300, 5, 0}, {7, 10, 0}, {5, 32, 0}, {3, 33, 0},
            {2, 100, 0}, {2, 1000, 0}, {1, 1025, 0}, {1, 8192, 0}, {1, 8193, 0}, {1, 20001, 0}, {2, 3, 5}, {1, 21, 40},
            {3, 1, 4}, {1, 1030, 3}, {1, 8200, 2}, {8193, 2, 0}};
        for (int[] shape : shapes) {
            for (GeneralCrossEntropyProblem.Logits logits : GeneralCrossEntropyProblem.Logits.values()) {
                // In a full run small shapes meet most combinations, large ones take their time.
                int combinations = times > 2 && shape[0] * shape[1] <= 1000 ? SMALL_TIMES * times : times;
                for (int i = 0; i < combinations; i++) {
                    seed++;
                    // On the simulator one of several kinds of a large shape must do.
                    if (times > 1 || shape[1] < 1000 || seed % 3 == 0) {
                        // As without options, the default grid is of F32.
                        problems.add(new GeneralCrossEntropyProblem(shape[0], shape[1], shape[2], logits, seed,
                                times == 2 ? DType.F32 : TYPES[(int) (seed / TYPES.length % TYPES.length)]));
                    }
                }
            }
        }
    }

    /** Around vectors, lanes and segments of rows; classes together and apart. */
    private static void nllLoss(List<Problem> problems, boolean full) {
        long seed = 6L << 34;
        int[][] shapes = {{0, 3, 1}, {1, 1, 1}, {5, 3, 1}, {300, 2, 1}, {1025, 3, 1}, {17, 1000, 1}, {3, 20000, 1},
            {8193, 5, 1}, {20000, 2, 1}, {0, 3, 4}, {1, 1, 7}, {3, 5, 2}, {4, 19, 300}, {2, 3, 9000}, {2, 1100, 5}};
        for (int[] shape : shapes) {
            for (NllLossProblem.Values values : NllLossProblem.Values.values()) {
                for (Reduction reduction : Reduction.values()) {
                    for (int i = 0; i < (full ? 8 : 1); i++) {
                        problems.add(new NllLossProblem(shape[0], shape[1], shape[2], values, reduction, seed++,
                                full ? TYPES[i % TYPES.length] : DType.F32));
                    }
                }
            }
        }
    }

    /** Tensors of less than the lanes, over lanes, over segments; many small ones. */
    private static void guarded(List<Problem> problems, boolean full) {
        long seed = 7L << 34;
        List<List<List<Integer>>> shapes = List.of(List.of(List.of(0)), List.of(List.of(1)),
                List.of(List.of(5, 0, 33), List.of(7)), List.of(List.of(1023, 2, 1024), List.of(17), List.of(6130, 1)),
                List.of(List.of(8191, 3), List.of(20_001), List.of(8192)),
                List.of(IntStream.range(0, 300).map(i -> 1 + i * 7 % 70).boxed().toList(), List.of(3)));
        for (List<List<Integer>> shape : shapes) {
            for (GuardedProblem.Optimizer optimizer : GuardedProblem.Optimizer.values()) {
                for (GuardedProblem.Guard guard : GUARDS) {
                    for (GuardedProblem.Values values : GuardedProblem.Values.values()) {
                        for (int steps : new int[] {1, 5}) {
                            seed++;
                            if (full || new Rng(seed).nextInt(6) == 0) {
                                GuardedProblem problem = guarded(shape, optimizer, guard, values, steps, seed);
                                problems.add(problem);
                                if (full) {
                                    problems.add(problem.withMixed(!problem.mixed()));
                                }
                            }
                        }
                    }
                }
            }
        }
        sums(problems, shapes, full);
        // More than a chunk for every thread or block.
        problems.add(guarded(List.of(List.of(300_003, 5), List.of(100_000)), GuardedProblem.Optimizer.ADAM,
                GuardedProblem.Guard.ALL, GuardedProblem.Values.NORMAL, 1, seed));
        if (full) {
            trajectories(problems);
        }
    }

    /** Gradients added to accumulators; not among the others, so that these keep their seeds. */
    private static void sums(List<Problem> problems, List<List<List<Integer>>> shapes, boolean full) {
        long seed = 9L << 34;
        for (List<List<Integer>> shape : shapes) {
            for (GuardedProblem.Optimizer optimizer : GuardedProblem.Optimizer.values()) {
                for (GuardedProblem.Values values : GuardedProblem.Values.values()) {
                    for (int steps : new int[] {1, 5}) {
                        seed++;
                        if (full || new Rng(seed).nextInt(3) == 0) {
                            GuardedProblem problem =
                                    guarded(shape, optimizer, GuardedProblem.Guard.SUMS, values, steps, seed);
                            problems.add(problem.withMixed(seed % 2 == 0));
                            if (full) {
                                problems.add(problem.withMixed(seed % 2 == 1));
                            }
                        }
                    }
                }
            }
        }
    }

    /** A thousand steps, scheduled and clipped, of which one is skipped; of F32 and of mixed types. */
    private static void trajectories(List<Problem> problems) {
        for (GuardedProblem.Optimizer optimizer : GuardedProblem.Optimizer.values()) {
            GuardedProblem problem = guarded(List.of(List.of(37), List.of(5)), optimizer, GuardedProblem.Guard.NORM,
                    GuardedProblem.Values.NORMAL, 1000, (8L << 34) + 4 * optimizer.ordinal());
            problems.add(problem.withMixed(false));
            problems.add(problem.withMixed(true));
            problems.add(guarded(problem.groups(), optimizer, GuardedProblem.Guard.SUMS, GuardedProblem.Values.NORMAL,
                    1000, problem.seed()).withMixed(optimizer != GuardedProblem.Optimizer.ADAM));
        }
    }

    private static GuardedProblem guarded(List<List<Integer>> shape, GuardedProblem.Optimizer optimizer,
            GuardedProblem.Guard guard, GuardedProblem.Values values, int steps, long seed) {
        long sizes = shape.stream().mapToLong(List::size).sum();
        boolean mixed = seed % 5 == 0;
        return new GuardedProblem(sizes == 1 ? shape.getFirst().toString() : sizes + " sizes", shape, optimizer, guard,
                values, steps, seed, mixed);
    }

    /** Around vectors, warps, lanes and segments; weights along either axis or both. */
    private static void bce(List<Problem> problems, int times) {
        long seed = 1L << 34;
        int[][] shapes = {{0, 3}, {1, 1}, {1, 3}, {3, 5}, {1, 15}, {16, 1}, {1, 17}, {4, 33}, {10, 100}, {1, 1023},
            {32, 32}, {1, 1025}, {41, 199}, {64, 128}, {8193, 1}, {3, 5461}, {5, 8192}, {257, 1000}};
        for (int[] shape : shapes) {
            for (BceProblem.Logits logits : BceProblem.Logits.values()) {
                for (Reduction reduction : Reduction.values()) {
                    // Of large shapes one of several kinds must do in the default grid.
                    boolean taken = times > 1 || shape[0] * shape[1] < 40_000 || seed % 4 == 0;
                    int combinations = times > 1 && shape[0] * shape[1] <= 1100 ? SMALL_TIMES * times : times;
                    for (int i = 0; i < combinations; i++) {
                        if (taken) {
                            problems.add(bce(shape[0], shape[1], logits, reduction, seed));
                        }
                        seed++;
                    }
                }
            }
        }
    }

    private static BceProblem bce(int rows, int columns, BceProblem.Logits logits, Reduction reduction, long seed) {
        var rng = new Rng(seed);
        var options = new BceWithLogitsOptions(reduction, rng.nextInt(2) == 0,
                new double[] {0, 0, 0.1}[rng.nextInt(3)], rng.nextInt(3) == 0 ? 1 : Double.NaN);
        boolean focal = seed % 7 == 2;
        BceProblem.Spread posWeight = pick(rng, BceProblem.Spread.values());
        return new BceProblem(rows, columns, logits, focal ? BceProblem.Spread.NONE : posWeight,
                pick(rng, BceProblem.Spread.values()),
                focal ? options.withFocal((1 + seed % 16) / 2.0, seed % 3 == 0 ? Double.NaN : 0.25) : options,
                pick(rng, Upstream.values()), rng.nextInt(2) == 0,
                seed, new DType[] {DType.F32, DType.F32, DType.BF16, DType.F16}[rng.nextInt(4)]);
    }

    private static <T> T pick(Rng rng, T[] of) {
        return of[rng.nextInt(of.length)];
    }

    private static <T> T pick(Rng rng, List<T> of) {
        return of.get(rng.nextInt(of.size()));
    }

    private static List<AdamOptions> adamOptions() {
        AdamOptions adam = AdamOptions.adam();
        AdamOptions adamW = AdamOptions.adamW();
        return List.of(adam, adam.withWeightDecay(0.01), adamW, adamW.withLr(0.5).withWeightDecay(0.1),
                adamW.withBetas(0, 0), adamW.withBetas(0.5, 0.9).withEps(1e-3), adam.withEps(0),
                adam.withMaximize(true).withWeightDecay(0.5), adamW.withLr(0),
                adamW.withBetas(0.95, 0.99999).withMaximize(true));
    }

    /** AMSGrad, and Adam as others read it. */
    private static List<AdamOptions> adamVariants() {
        AdamOptions adam = AdamOptions.adam();
        AdamOptions adamW = AdamOptions.adamW();
        return List.of(adamW.withAmsgrad(true),
                adam.withWeightDecay(0.1).withAmsgrad(true), adamW.withSemantics(AdamSemantics.APEX),
                adamW.withSemantics(AdamSemantics.KERAS), adam.withSemantics(AdamSemantics.KERAS).withEps(1e-3),
                adamW.withSemantics(AdamSemantics.ONNX), adam.withWeightDecay(0.01).withSemantics(AdamSemantics.ONNX),
                adamW.withSemantics(AdamSemantics.HF).withWeightDecay(0.1),
                adamW.withSemantics(AdamSemantics.HF).withAmsgrad(true).withMaximize(true));
    }

    private static List<AdamOptions> allAdamOptions() {
        return Stream.concat(adamOptions().stream(), adamVariants().stream()).toList();
    }

    private static List<SgdOptions> sgdOptions() {
        SgdOptions plain = SgdOptions.defaults().withLr(0.1);
        SgdOptions momentum = plain.withMomentum(0.9);
        return List.of(plain, plain.withWeightDecay(0.01).withMaximize(true), momentum, momentum.withDampening(0.1),
                momentum.withNesterov(true).withWeightDecay(0.01), momentum.withMaximize(true));
    }

    /** Around vectors, lanes and segments; a row's classes side by side, and apart by a tile of columns and more. */
    private static void softmax(List<Problem> problems, boolean full) {
        long seed = 5L << 32;
        for (int classes : new int[] {1, 2, 3, 8, 15, 16, 17, 33, 100, 257, 1000, 1024, 1025, 8191, 8193, 50257}) {
            for (int inner : new int[] {1, 2, 33}) {
                for (SoftmaxProblem.Logits logits : SoftmaxProblem.Logits.values()) {
                    for (boolean logarithm : new boolean[] {false, true}) {
                        int outer = classes <= 1024 && inner < 3 ? 5 : 1;
                        seed++;
                        // A third of the combinations, of large shapes a twelfth.
                        if (full || new Rng(seed).nextInt(classes * inner < 9000 ? 3 : 12) == 0) {
                            for (DType dtype : full ? TYPES : new DType[] {DType.F32}) {
                                problems.add(
                                        new SoftmaxProblem(outer, classes, inner, logits, logarithm, seed, dtype));
                            }
                        }
                    }
                }
            }
        }
    }

    private static void sgd(List<Problem> problems, boolean full) {
        long seed = 3L << 32;
        for (List<Integer> sizes : List.of(List.of(0), List.of(1), List.of(15), List.of(33), List.of(1025),
                List.of(1, 0, 17, 1024, 3, 8193, 5, 64, 40_001, 2))) {
            for (SgdOptions options : sgdOptions()) {
                for (Values values : Values.values()) {
                    for (long first : new long[] {1, 2}) {
                        for (int steps = 1; steps <= 2; steps++) {
                            seed++;
                            if (full || new Rng(seed).nextInt(4) == 0) {
                                String shape = sizes.size() == 1 ? sizes.toString() : "10 mixed sizes";
                                boolean isMixed = seed % 3 == 0;
                                problems.add(new SgdProblem(shape, sizes, options, values, first, steps, seed,
                                        isMixed));
                                if (full) {
                                    problems.add(new SgdProblem(shape, sizes, options, values, first, steps, seed,
                                            !isMixed));
                                }
                            }
                        }
                    }
                }
            }
        }
        problems.add(new SgdProblem("[2097153]", List.of(2_097_153), sgdOptions().get(4), Values.NORMAL, 2, 1, seed));
    }

    private static void adam(List<Problem> problems, boolean full) {
        List<AdamOptions> options = allAdamOptions();
        long[] firstSteps = {1, 2, 10, 1_000_000};
        long seed = 1L << 32;
        record Shape(String name, List<Integer> sizes) {}
        List<Shape> shapes = new ArrayList<>();
        for (int size : new int[] {0, 1, 3, 15, 16, 17, 33, 1000, 1023, 1024, 1025, 8193}) {
            shapes.add(new Shape("[" + size + "]", List.of(size)));
        }
        List<Integer> mixed = List.of(1, 0, 17, 1024, 3, 8193, 5, 64, 40_001, 2);
        shapes.add(new Shape("10 mixed sizes", mixed));
        shapes.add(new Shape("300 small sizes", IntStream.range(0, 300).map(i -> 1 + i * 7 % 70).boxed().toList()));
        for (Shape shape : shapes) {
            for (AdamOptions o : options) {
                for (Values values : Values.values()) {
                    for (long first : firstSteps) {
                        seed++;
                        var rng = new Rng(seed);
                        int total = shape.sizes.stream().mapToInt(Integer::intValue).sum();
                        // A fifth of the combinations, of large shapes a tenth.
                        if (full || rng.nextInt(total < 5000 ? 5 : 10) == 0) {
                            int steps = first == 2 && rng.nextInt(2) == 0 ? 3 : 1;
                            boolean isMixed = seed % 3 == 0;
                            problems.add(new AdamProblem(shape.name, shape.sizes, o, values, first, steps, seed,
                                    isMixed));
                            if (full) {
                                problems.add(new AdamProblem(shape.name, shape.sizes, o, values, first, steps, seed,
                                        !isMixed));
                            }
                        }
                    }
                }
            }
        }
        // More than a chunk for every thread or block.
        for (AdamOptions o : full ? options : List.of(AdamOptions.adamW())) {
            seed++;
            problems.add(new AdamProblem("[2097153]", List.of(2_097_153), o, Values.NORMAL, 10, 1, seed));
        }
    }
}
