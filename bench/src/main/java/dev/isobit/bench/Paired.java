package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.harness.Json;
import dev.isobit.harness.Machine;
import dev.isobit.harness.Workspace;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * The comparison that speed targets are judged by: the cpu backend against the C baseline, and AdamW against the in-place
 * stream, in one process by alternating pairs. {@code bench/run paired} starts it.
 */
@Command(name = "paired", mixinStandardHelpOptions = true,
        description = "Compares the cpu backend with the C baseline, and AdamW with the in-place stream, in pairs.")
public final class Paired implements Callable<Integer> {
    private static final DateTimeFormatter STAMP =
            DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss", Locale.ROOT).withZone(ZoneOffset.UTC);

    @Option(names = "--only", paramLabel = "REGEX", defaultValue = "",
            description = "Comparisons whose name has a match; see --list.")
    private Pattern only;

    @Option(names = "--list", description = "Name the comparisons and end.")
    private boolean list;

    @Option(names = "--threads", paramLabel = "N", split = ",", defaultValue = "1,2", description = "Threads (1,2).")
    private List<Integer> threads;

    @Option(names = "--pairs", paramLabel = "N", defaultValue = "25", description = "Pairs (${DEFAULT-VALUE}).")
    private int pairs;

    @Option(names = "--warm-up", paramLabel = "SECONDS", defaultValue = "5",
            description = "Warm-up of a comparison, at least (${DEFAULT-VALUE}).")
    private double warmUp;

    @Option(names = "--batch", paramLabel = "MILLIS", defaultValue = "40",
            description = "One measurement of one side, about (${DEFAULT-VALUE}).")
    private double batch;

    @Option(names = "--fresh", description = "Do not use other backends and heap memory in this JVM first.")
    private boolean fresh;

    @Option(names = "--json", paramLabel = "FILE",
            description = "Where the report goes (bench/results/paired-<time>.json).")
    private Path json;

    private final List<PairedResult> results = new ArrayList<>();
    private PairedComparison comparison;

    /** Called by {@link #main}. */
    public Paired() {}

    public static void main(String[] args) {
        System.exit(new CommandLine(new Paired()).execute(args));
    }

    @Override
    public Integer call() {
        if (pairs < 1 || !(warmUp > 0) || !(batch > 0)) {
            throw new IllegalArgumentException("--pairs, --warm-up and --batch must be above 0");
        }
        if (!list && !fresh) {
            pollute();
        }
        Instant start = Instant.now().truncatedTo(ChronoUnit.SECONDS);
        double loadBefore = loadAverage();
        comparison = new PairedComparison(pairs, warmUp, batch);
        if (!list) {
            System.out.printf("%-34s %6s  %-15s %9s %9s %9s %9s %7s%n", "", "ratio", "95 % interval", "G elem/s",
                    "peer", "GB/s", "peer", "B/run");
        }
        for (int count : threads) {
            crossEntropy(512, 1000, count);
            crossEntropy(512, 32000, count);
            crossEntropy(128, 128256, count);
            crossEntropy(65536, 10, count);
            for (DType dtype : List.of(DType.BF16, DType.F16)) {
                for (long[] shape : new long[][] {{512, 1000}, {512, 32000}, {65536, 10}}) {
                    operation("cross-entropy", shape[0] + "x" + shape[1] + " " + dtype, "cross-entropy", dtype, count,
                            shape);
                }
            }
            operation("bce", "16384x64", Workload.PLAIN_BCE, DType.F32, count, 16_384, 64);
            operation("bce posWeight", "16384x64", "bce", DType.F32, count, 16_384, 64);
            operation("bce posWeight", "131072x64", "bce", DType.F32, count, 131_072, 64);
            operation("bce posWeight", "16384x64 BF16", "bce", DType.BF16, count, 16_384, 64);
            operation("bce posWeight", "16384x64 F16", "bce", DType.F16, count, 16_384, 64);
            adamAgainstStream(count);
            adamAgainstBaseline("16M", 1, 1 << 24, count);
            adamAgainstBaseline("1M", 1, 1 << 20, count);
            adamAgainstBaseline("10000x64", 10_000, 64, count);
            narrowAdamAgainstStream("16M BF16", "adamw", DType.BF16, count);
            narrowAdamAgainstStream("16M all BF16", Workload.NARROW_ADAMW, DType.BF16, count);
            narrowAdamAgainstStream("16M F16", "adamw", DType.F16, count);
            operation("adamw", "16M BF16", "adamw", DType.BF16, count, 1, 1 << 24);
            operation("adamw", "16M all BF16", Workload.NARROW_ADAMW, DType.BF16, count, 1, 1 << 24);
            operation("adamw", "1M BF16", "adamw", DType.BF16, count, 1, 1 << 20);
            operation("adamw", "16M F16", "adamw", DType.F16, count, 1, 1 << 24);
            operation("adamw-clipped", "16M", AdamWorkload.CLIPPED, DType.F32, count, 1, 1 << 24);
            operation("adamw-clipped", "1M", AdamWorkload.CLIPPED, DType.F32, count, 1, 1 << 20);
            operation("adamw-clipped", "10000x64", AdamWorkload.CLIPPED, DType.F32, count, 10_000, 64);
            operation("sgd", "16M", "sgd", DType.F32, count, 1, 1 << 24);
            operation("sgd", "1M", "sgd", DType.F32, count, 1, 1 << 20);
            operation("sgd", "10000x64", "sgd", DType.F32, count, 10_000, 64);
        }
        if (!list && !results.isEmpty()) {
            write(start, loadBefore);
        }
        return 0;
    }

    private void crossEntropy(long rows, long classes, int count) {
        String name = "cross-entropy " + rows + "x" + classes + ", " + threads(count);
        if (!wanted(name)) {
            return;
        }
        try (var operands = new CrossEntropyCase(rows, classes, count, false)) {
            Side[] variants = Baseline.Variant.of(classes).stream()
                    .map(variant -> new Side("c " + variant.name().toLowerCase(Locale.ROOT), operands.bytes(),
                            operands.elements(), () -> operands.baseline(variant)))
                    .toArray(Side[]::new);
            Side peer = comparison.fastest(variants);
            Side side = new Side("cpu", operands.bytes(), operands.elements(), operands::isobit);
            measure(name, side, peer);
            for (Side each : new Side[] {side, peer}) {
                operands.poison();
                each.run().run();
                operands.check(each == peer);
            }
        }
    }

    private void adamAgainstStream(int count) {
        String name = "adamw 16M by stream, " + threads(count);
        if (!wanted(name)) {
            return;
        }
        long elements = 1 << 24;
        try (Arena arena = Arena.ofShared(); var operands = new AdamCase(1, elements, count)) {
            // As much memory as the four arrays have.
            measure(name, new Side("cpu", operands.bytes(), elements, operands::isobit),
                    stream(arena, 4 * elements, count));
            operands.check(null);
        }
    }

    private void narrowAdamAgainstStream(String what, String operation, DType dtype, int count) {
        String name = "adamw " + what + " by stream, " + threads(count);
        if (!wanted(name)) {
            return;
        }
        long elements = 1 << 24;
        try (Arena arena = Arena.ofShared();
                Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(count));
                var work = Workload.of(BenchCase.of(operation, dtype, count, 1, elements), Inputs.ORDINARY, true,
                        backend)) {
            work.makeReference();
            CpuTiming.require(work.check("cpu"), CpuTiming.LARGEST_ULP);
            measure(name, new Side("cpu", work.bytes(), elements, work::run), stream(arena, 4 * elements, count));
        }
    }

    private static Side stream(Arena arena, long elements, int count) {
        MemorySegment x = arena.allocate(4 * elements, 64);
        return new Side("c stream in place", 8 * elements, elements, () -> Baseline.stream(x, elements, count));
    }

    private void adamAgainstBaseline(String what, long tensors, long size, int count) {
        String name = "adamw " + what + ", " + threads(count);
        if (!wanted(name)) {
            return;
        }
        try (var operands = new AdamCase(tensors, size, count)) {
            Side plain = new Side("c", operands.bytes(), operands.elements(),
                    () -> operands.baseline(Baseline.Way.PLAIN));
            Side inTurns = new Side("c in turns", operands.bytes(), operands.elements(),
                    () -> operands.baseline(Baseline.Way.OTHER));
            measure(name, new Side("cpu", operands.bytes(), operands.elements(), operands::isobit),
                    comparison.fastest(plain, inTurns));
            operands.check(null);
            operands.check(Baseline.Way.PLAIN);
            operands.check(Baseline.Way.OTHER);
        }
    }

    /** Other operations, as {@code isobit bench} has them. */
    private void operation(String what, String size, String operation, DType dtype, int count, long... shape) {
        String name = what + " " + size + ", " + threads(count);
        if (!wanted(name)) {
            return;
        }
        try (Backend backend = Backend.open("cpu", BackendOptions.defaults().withThreads(count));
                var work = Workload.of(BenchCase.of(operation, dtype, count, shape), Inputs.ORDINARY, true, backend);
                var baseline = BaselinePeer.open();
                Peer.Call call = work.prepare(baseline, why -> {
                    throw new IllegalStateException(why);
                })) {
            work.makeReference();
            CpuTiming.require(work.check("cpu"), CpuTiming.LARGEST_ULP);
            CpuTiming.requireRight(work.check(baseline, call));
            measure(name, new Side("cpu", work.bytes(), work.what.elements(), work::run),
                    new Side("c", work.bytes(), work.what.elements(), call::run));
        }
    }

    private static String threads(int count) {
        return count + (count == 1 ? " thread" : " threads");
    }

    private boolean wanted(String name) {
        boolean wanted = only.matcher(name).find();
        if (wanted && list) {
            System.out.println(name);
        }
        return wanted && !list;
    }

    private void measure(String name, Side side, Side peer) {
        PairedResult r = comparison.compare(name, side, peer);
        results.add(r);
        System.out.printf(Locale.ROOT, "%-34s %6.3f  [%.3f, %.3f]  %9.2f %9.2f %9.1f %9.1f %7.2f  %s%n", name,
                r.ratio().median(), r.ratio().low(), r.ratio().high(), r.side().gigaElements(),
                r.peer().gigaElements(), r.side().gigaBytes(), r.peer().gigaBytes(), r.allocatedBytesPerRun(),
                r.peer().name());
    }

    /** Uses what a program may use before: profiles of the JDK's own classes are shared by all that runs in a JVM. */
    private static void pollute() {
        for (int count = 1; count <= 2; count++) {
            for (boolean heap : new boolean[] {true, false}) {
                try (var operands = new CrossEntropyCase(32, 1003, count, heap)) {
                    for (int i = 0; i < 300; i++) {
                        operands.isobit();
                    }
                    operands.check(false);
                }
            }
        }
        try (var operands = new AdamCase(3, 1003, 2)) {
            for (int i = 0; i < 300; i++) {
                operands.isobit();
            }
            operands.check(null);
        }
    }

    private static double loadAverage() {
        return ManagementFactory.getOperatingSystemMXBean().getSystemLoadAverage();
    }

    private void write(Instant start, double loadBefore) {
        Path file = json != null
                ? json
                : Path.of(System.getProperty("isobit.home", ""), "bench", "results",
                        "paired-" + STAMP.format(start) + ".json");
        String isobit;
        try (var operands = new CrossEntropyCase(1, 1, 1, false)) {
            isobit = operands.description().replaceAll(", 1 thread$", "");
        }
        var report = new PairedReport(System.getProperty("isobit.commit", "unknown"), start.toString(),
                Machine.here(), loadBefore, loadAverage(), isobit, Baseline.description(), !fresh, results);
        try (var workspace = new Workspace()) {
            workspace.write(file, Json.write(report));
        }
        System.out.println(file);
    }
}
