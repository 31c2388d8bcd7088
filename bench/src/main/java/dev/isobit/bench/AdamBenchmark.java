package dev.isobit.bench;

import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
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
 * A step of AdamW, F32: 28 bytes a parameter. 16 M parameters are 268 MB; 1 M are 17 MB, 10,000 tensors of 64 are 10 MB:
 * in many last-level caches. Held against {@link StreamBandwidth}. A step after the last is compared with the reference.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 2, jvmArgsAppend = {"-Xmx2g"})
public class AdamBenchmark {
    /** Tensors x elements of each. */
    @Param({"1x16777216", "1x1048576", "10000x64"})
    public String parameters;

    /** The cpu backend or the C baseline, by one loop or by three. */
    @Param({"cpu", "c", "c-turns"})
    public String side;

    @Param({"1", "2"})
    public int threads;

    private AdamCase operands;
    private Baseline.@Nullable Way way;

    @Setup(Level.Trial)
    public void prepare() {
        String[] sizes = parameters.split("x");
        operands = new AdamCase(Long.parseLong(sizes[0]), Long.parseLong(sizes[1]), threads);
        way = switch (side) {
            case "c" -> Baseline.Way.PLAIN;
            case "c-turns" -> Baseline.Way.OTHER;
            default -> null;
        };
        System.out.println(way == null ? operands.description() : Baseline.description());
    }

    @TearDown(Level.Trial)
    public void check() {
        operands.check(way);
        operands.close();
    }

    @Benchmark
    public void step(Traffic traffic) {
        if (way == null) {
            operands.isobit();
        } else {
            operands.baseline(way);
        }
        traffic.add(operands.elements(), operands.bytes());
    }
}
