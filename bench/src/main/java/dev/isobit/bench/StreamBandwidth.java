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
 * What memory gives to one thread: the floor that optimizer steps and gradients are held against. {@code inPlace} moves
 * 8 bytes per element (reads and writes the same 4), {@code copy} moves 8 bytes (reads 4, writes 4 elsewhere).
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class StreamBandwidth {
    /** Elements: larger than a last-level cache by default. */
    @Param("16777216")
    public int elements;

    private Arena arena;
    private MemorySegment from;
    private MemorySegment to;

    @Setup(Level.Trial)
    public void allocate() {
        arena = Arena.ofShared();
        from = arena.allocate(4L * elements, 64);
        to = arena.allocate(4L * elements, 64);
        for (long i = 0; i < elements; i++) {
            from.setAtIndex(ValueLayout.JAVA_INT, i, (int) i);
        }
    }

    /** A stream that moved nothing would be fast: see that every element arrived. */
    @TearDown(Level.Trial)
    public void check() {
        int turns = from.get(ValueLayout.JAVA_INT, 0);
        for (long i = 0; i < elements; i++) {
            int in = from.getAtIndex(ValueLayout.JAVA_INT, i);
            int out = to.getAtIndex(ValueLayout.JAVA_INT, i);
            // One of the two ran in this fork: either "from" went up by the number of turns, or "to" equals it.
            if (in != (int) i + turns || turns == 0 && out != (int) i) {
                throw new IllegalStateException("element " + i + ": " + in + ", " + out + " after " + turns);
            }
        }
        arena.close();
    }

    @Benchmark
    public void inPlace() {
        for (long i = 0; i < elements; i++) {
            from.setAtIndex(ValueLayout.JAVA_INT, i, from.getAtIndex(ValueLayout.JAVA_INT, i) + 1);
        }
    }

    @Benchmark
    public void copy() {
        MemorySegment.copy(from, 0, to, 0, from.byteSize());
    }
}
