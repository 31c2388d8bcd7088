package dev.isobit.bench;

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
import java.util.stream.Stream;
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
            adamAgainstStream(count);
            adamAgainstBaseline("16M", 1, 1 << 24, count);
            adamAgainstBaseline("1M", 1, 1 << 20, count);
            adamAgainstBaseline("10000x64", 10_000, 64, count);
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
            Side[] variants = Stream.of(Baseline.Variant.values())
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
            long streamed = 4 * elements;
            MemorySegment x = arena.allocate(4 * streamed, 64);
            measure(name, new Side("cpu", operands.bytes(), elements, operands::isobit),
                    new Side("c stream in place", 8 * streamed, streamed, () -> Baseline.stream(x, streamed, count)));
            operands.check(false);
        }
    }

    private void adamAgainstBaseline(String what, long tensors, long size, int count) {
        String name = "adamw " + what + ", " + threads(count);
        if (!wanted(name)) {
            return;
        }
        try (var operands = new AdamCase(tensors, size, count)) {
            measure(name, new Side("cpu", operands.bytes(), operands.elements(), operands::isobit),
                    new Side("c", operands.bytes(), operands.elements(), operands::baseline));
            operands.check(false);
            operands.check(true);
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
            operands.check(false);
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
