package dev.isobit.bench;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * What memory gives, measured beside an operation: a copy, and a stream in place. By the C baseline where there is one,
 * else by Java. 8 bytes an element: 4 are read, 4 written. Used by one thread.
 */
final class MemoryStreams implements AutoCloseable {
    static final String COPY = "copy";
    static final String IN_PLACE = "in-place stream";
    /** 128 MB each: beyond last-level caches. */
    private static final long ELEMENTS = 1 << 25;
    private static final long BYTES_PER_ELEMENT = 8;
    /** Elements of a turn of the Java loop, whose index is an int. */
    private static final int TURN = 1 << 20;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment from = arena.allocate(4 * ELEMENTS, 64).fill((byte) 0);
    private final MemorySegment to = arena.allocate(4 * ELEMENTS, 64).fill((byte) 0);
    private final boolean baseline;
    private final int threads;
    private final ExecutorService workers;

    MemoryStreams(boolean baseline, int threads) {
        this.baseline = baseline;
        this.threads = threads;
        this.workers = Executors.newFixedThreadPool(threads, work -> {
            var thread = new Thread(work, "isobit-stream");
            thread.setDaemon(true);
            return thread;
        });
    }

    /** Copy and stream, after one of each has been looked at. */
    List<Side> sides() {
        var copy = new Side(COPY, BYTES_PER_ELEMENT * ELEMENTS, ELEMENTS,
                baseline ? () -> Baseline.copy(to, from, ELEMENTS, threads) : () -> split(this::copy));
        var stream = new Side(IN_PLACE, BYTES_PER_ELEMENT * ELEMENTS, ELEMENTS,
                baseline ? () -> Baseline.stream(from, ELEMENTS, threads) : () -> split(this::add));
        stream.run().run();
        copy.run().run();
        for (long i = 0; i < ELEMENTS; i += 1021) {
            if (from.getAtIndex(ValueLayout.JAVA_FLOAT, i) != 1 || to.getAtIndex(ValueLayout.JAVA_FLOAT, i) != 1) {
                throw new IllegalStateException("element " + i + " was not copied");
            }
        }
        return List.of(copy, stream);
    }

    String description() {
        return baseline ? "by " + Baseline.description() : "by Java";
    }

    private interface Part {
        void run(long first, long end);
    }

    private void split(Part part) {
        List<Callable<Void>> parts = new ArrayList<>();
        long size = Math.ceilDiv(ELEMENTS, threads);
        for (long first = 0; first < ELEMENTS; first += size) {
            long begin = first;
            parts.add(() -> {
                part.run(begin, Math.min(ELEMENTS, begin + size));
                return null;
            });
        }
        try {
            for (var done : workers.invokeAll(parts)) {
                done.get();
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException("a stream failed", e.getCause());
        }
    }

    private void copy(long first, long end) {
        MemorySegment.copy(from, 4 * first, to, 4 * first, 4 * (end - first));
    }

    private void add(long first, long end) {
        for (long begin = first; begin < end; begin += TURN) {
            MemorySegment part = from.asSlice(4 * begin, 4 * Math.min(TURN, end - begin));
            int count = (int) (part.byteSize() / 4);
            for (int i = 0; i < count; i++) {
                part.set(ValueLayout.JAVA_FLOAT, 4L * i, part.get(ValueLayout.JAVA_FLOAT, 4L * i) + 1);
            }
        }
    }

    @Override
    public void close() {
        workers.shutdownNow();
        arena.close();
    }
}
