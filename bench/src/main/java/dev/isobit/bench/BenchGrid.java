package dev.isobit.bench;

import dev.isobit.DType;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Which cases are measured. Why each size: {@code bench/NOTES.md}. */
final class BenchGrid {
    /** Logits of a case of {@link #CLASSES}: 32 MB. */
    private static final long LOGITS = 1 << 23;
    private static final long QUICK_LOGITS = 1 << 21;
    /** More than a second-level cache: 128 MB, and as much of gradients. */
    private static final long DEVICE_LOGITS = 1 << 25;
    /** From a thread's registers to a vocabulary; powers of two and their neighbours in use. */
    private static final long[] CLASSES = {2, 3, 10, 32, 100, 128, 256, 1000, 1024, 2048, 4096, 8192, 10_000, 32_000,
        50_257, 128_256, 262_144};
    /** Beside those of the targets, which have 10, 1000 and 32,000. */
    private static final long[] QUICK_CLASSES = {100};
    private static final long[] DEVICE_CLASSES = {10, 100, 1000, 2048, 4096, 8192, 32_000, 50_257, 65_536, 128_256,
        151_936, 262_144};
    /** Parameters in one tensor. */
    private static final long[] PARAMETERS = {1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24,
        1 << 26};
    /** "At 100 M parameters and more": 512 MB an array. */
    private static final long DEVICE_PARAMETERS = 1 << 27;

    private BenchGrid() {}

    /** Cases of the host, with one thread and with all; of a quick run in other forks than the first, those that are compared. */
    static List<BenchCase> host(boolean quick, boolean firstFork, List<String> operations, List<DType> dtypes,
            int processors) {
        Set<BenchCase> cases = new LinkedHashSet<>();
        for (DType dtype : dtypes) {
            for (int count : threads(processors)) {
                targets(cases, dtype, count, quick && !(firstFork && count == processors), quick);
                if (!quick || firstFork && count == processors) {
                    classes(cases, quick ? QUICK_CLASSES : CLASSES, quick ? QUICK_LOGITS : LOGITS, dtype, count);
                    add(cases, "adamw", dtype, count, new long[][] {{10_000, 64}});
                    add(cases, "sgd", dtype, count, new long[][] {{1, 1 << 20}});
                }
                if (!quick) {
                    add(cases, "adamw", dtype, count, new long[][] {{1, 1 << 24}});
                    add(cases, AdamWorkload.CLIPPED, dtype, count, new long[][] {{1, 1 << 24}});
                    add(cases, "bce", dtype, count, new long[][] {{131_072, 64}});
                    add(cases, "sgd", dtype, count, new long[][] {{1, 1 << 24}});
                }
            }
            if (!quick) {
                for (long size : PARAMETERS) {
                    add(cases, "adamw", dtype, processors, new long[][] {{1, size}});
                    add(cases, "sgd", dtype, processors, new long[][] {{1, size}});
                }
            }
        }
        return chosen(cases, operations);
    }

    private static List<BenchCase> chosen(Set<BenchCase> cases, List<String> operations) {
        return cases.stream().filter(what -> operations.contains(what.operation())
                && BenchCase.dtypes(what.operation()).contains(what.dtype())).toList();
    }

    /** One, and all. */
    static List<Integer> threads(int processors) {
        return processors == 1 ? List.of(1) : List.of(1, processors);
    }

    /** What NOTES.md and others' benchmarks speak of. */
    private static void targets(Set<BenchCase> cases, DType dtype, int threads, boolean fewer, boolean quick) {
        add(cases, "cross-entropy", dtype, threads, new long[][] {{512, 1000}, {512, 32_000}});
        if (!fewer) {
            add(cases, "cross-entropy", dtype, threads, new long[][] {{65_536, 10}});
        }
        if (!quick) {
            add(cases, "cross-entropy", dtype, threads, new long[][] {{4096, 1000}});
        }
        add(cases, "bce", dtype, threads, new long[][] {{16_384, 64}});
        add(cases, "adamw", dtype, threads, new long[][] {{1, 1 << 20}});
    }

    /** Cases at which peers stand beside. */
    static List<BenchCase> peers(List<String> operations, int threads) {
        Set<BenchCase> cases = new LinkedHashSet<>();
        targets(cases, DType.F32, threads, false, false);
        add(cases, "sgd", DType.F32, threads, new long[][] {{1, 1 << 20}});
        return chosen(cases, operations);
    }

    private static void classes(Set<BenchCase> cases, long[] sizes, long logits, DType dtype, int threads) {
        for (long classes : sizes) {
            long rows = Math.max(1, logits / classes);
            cases.add(BenchCase.of("cross-entropy", dtype, threads, rows, classes));
        }
    }

    private static void add(Set<BenchCase> cases, String operation, DType dtype, int threads, long[][] shapes) {
        for (long[] shape : shapes) {
            cases.add(BenchCase.of(operation, dtype, threads, shape));
        }
    }

    /** Cases of a device: the host's sizes, AdamW's target and, unless it is quick, other large ones, which no cache holds. */
    static List<BenchCase> device(boolean quick, List<String> operations, List<DType> dtypes) {
        Set<BenchCase> cases = new LinkedHashSet<>();
        for (BenchCase what : host(quick, true, operations, dtypes, 1)) {
            cases.add(new BenchCase(what.operation(), what.dtype(), what.shape(), 0));
        }
        for (DType dtype : dtypes) {
            add(cases, "adamw", dtype, 0, new long[][] {{1, DEVICE_PARAMETERS}});
            add(cases, AdamWorkload.CLIPPED, dtype, 0, new long[][] {{1, DEVICE_PARAMETERS}});
            if (!quick) {
                classes(cases, DEVICE_CLASSES, DEVICE_LOGITS, dtype, 0);
                add(cases, "bce", dtype, 0, new long[][] {{524_288, 64}});
            }
        }
        return chosen(cases, operations);
    }

    /** What a simulated device does in seconds: each operation once. */
    static List<BenchCase> simulated(List<String> operations) {
        return operations.stream().map(operation -> AccuracySuite.problem(operation, DType.F32, 0)).toList();
    }
}
