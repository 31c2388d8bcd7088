package dev.isobit.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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
 * What memory gives: the floor that optimizer steps and gradients are held against. {@code inPlace} moves 8 bytes per
 * element (reads and writes the same 4), {@code copy} moves 8 bytes (reads 4, writes 4 elsewhere).
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class StreamBandwidth {
    private static final long BYTES_PER_ELEMENT = 8;
    /** Up to here floats count every step. */
    private static final int EXACT = 1 << 24;

    /** Elements: larger than a last-level cache by default. */
    @Param("67108864")
    public int elements;

    /** A loop in Java (one thread), or the C baseline. */
    @Param({"java", "c"})
    public String side;

    @Param("1")
    public int threads;

    private Arena arena;
    private MemorySegment from;
    private MemorySegment to;

    @Setup(Level.Trial)
    public void allocate() {
        if (side.equals("java") && threads > 1) {
            throw new IllegalArgumentException("the Java loops have one thread: -p side=c, or -p threads=1");
        }
        arena = Arena.ofShared();
        from = arena.allocate(4L * elements, 64);
        to = arena.allocate(4L * elements, 64);
        for (long i = 0; i < elements; i++) {
            from.setAtIndex(ValueLayout.JAVA_FLOAT, i, i & 0xff);
            to.setAtIndex(ValueLayout.JAVA_FLOAT, i, -1);
        }
    }

    /** A stream that moved nothing would be fast: see that every element arrived. */
    @TearDown(Level.Trial)
    public void check() {
        float turns = from.get(ValueLayout.JAVA_FLOAT, 0);
        for (long i = 0; i < elements; i++) {
            float in = from.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            float out = to.getAtIndex(ValueLayout.JAVA_FLOAT, i);
            // One of the two ran in this fork: either "from" went up by the number of turns, or "to" equals it.
            boolean copied = turns == 0 && in == (i & 0xff) && out == in;
            boolean raised = turns > 0 && turns < EXACT - 0xff && in == (i & 0xff) + turns && out == -1;
            if (!copied && !raised) {
                throw new IllegalStateException("element " + i + ": " + in + ", " + out + " after " + turns);
            }
        }
        arena.close();
    }

    @Benchmark
    public void inPlace(Traffic traffic) {
        if (side.equals("c")) {
            Baseline.stream(from, elements, threads);
        } else {
            for (long i = 0; i < elements; i++) {
                from.setAtIndex(ValueLayout.JAVA_FLOAT, i, from.getAtIndex(ValueLayout.JAVA_FLOAT, i) + 1);
            }
        }
        traffic.add(elements, BYTES_PER_ELEMENT * elements);
    }

    @Benchmark
    public void copy(Traffic traffic) {
        if (side.equals("c")) {
            Baseline.copy(to, from, elements, threads);
        } else {
            MemorySegment.copy(from, 0, to, 0, from.byteSize());
        }
        traffic.add(elements, BYTES_PER_ELEMENT * elements);
    }
}
