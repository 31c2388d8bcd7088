package dev.isobit.bench;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * Cross-entropy, loss and gradient fused, F32 with class indices. 512x1000 stays in a last-level cache of 8 MB; the other
 * shapes are 131 MB. What each fork computed last is compared with the reference.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = {"-Xmx2g"})
public class CrossEntropyBenchmark {
    /** Rows x classes. */
    @Param({"512x1000", "512x32000", "128x128256"})
    public String shape;

    /** The cpu backend, on native memory or on arrays, or a variant of the C baseline. */
    @Param({"cpu", "cpu-arrays", "c-passes", "c-overlapped", "c-streaming", "c-groups"})
    public String side;

    @Param({"1", "2"})
    public int threads;

    private CrossEntropyCase operands;
    private Baseline.Variant variant;

    @Setup(Level.Trial)
    public void prepare() {
        String[] sizes = shape.split("x");
        operands = new CrossEntropyCase(Long.parseLong(sizes[0]), Long.parseLong(sizes[1]), threads,
                side.equals("cpu-arrays"));
        variant = switch (side) {
            case "c-passes" -> Baseline.Variant.PASSES;
            case "c-overlapped" -> Baseline.Variant.OVERLAPPED;
            case "c-streaming" -> Baseline.Variant.STREAMING;
            case "c-groups" -> Baseline.Variant.GROUPS;
            default -> null;
        };
        System.out.println(variant == null ? operands.description() : Baseline.description());
    }

    @TearDown(Level.Trial)
    public void check() {
        operands.check(variant != null);
        operands.close();
    }

    @Benchmark
    public void lossAndGradient(Traffic traffic) {
        if (variant == null) {
            operands.isobit();
        } else {
            operands.baseline(variant);
        }
        traffic.add(operands.elements(), operands.bytes());
    }
}
