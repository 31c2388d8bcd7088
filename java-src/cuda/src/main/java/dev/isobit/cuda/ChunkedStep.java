package dev.isobit.cuda;

import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.LongToIntFunction;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * An optimizer's step: one launch over a table of chunks, which is built once and stays on the device; where there are
 * more groups than an argument block holds, a launch for each so many. Closing waits for the stream.
 */
final class ChunkedStep implements AutoCloseable, StreamOperation {
    /** Groups of a launch: the same for all optimizers. */
    static final int GROUPS = 64;
    /** The first fields of every optimizer's argument block. */
    private static final long CHUNKS = 0;
    private static final long CHUNK_COUNT = Long.BYTES;
    private static final long FIRST_GROUP = 2 * Long.BYTES;

    /** A launch; no blocks where it has no chunks. */
    private record Part(Launcher launcher, int grid) {}

    private final String optimizer;
    /** The operation, for messages. */
    private final String operation;
    private final CudaDriver driver;
    private final CudaStream stream;
    private final CudaFunction function;
    private final Part[] parts;
    private final MemorySegment[] groupParams;
    private final @Nullable OwnedHandle tableMemory;
    private boolean closed;

    /**
     * Builds the table.
     *
     * @param owner for the report of what is not closed
     * @param optimizer its name in messages
     * @param function the kernel
     * @param params its argument block
     * @param group the struct of a group in it
     * @param tensors of all groups
     * @param grid the blocks for a number of chunks
     */
    ChunkedStep(CudaBackend backend, Object owner, CudaStream stream, String optimizer, CudaFunction function,
            StructLayout params, StructLayout group, ChunkTable tensors, LongToIntFunction grid) {
        this.optimizer = optimizer;
        this.operation = optimizer + ".step";
        this.driver = backend.driver();
        this.stream = stream;
        this.function = function;
        int groups = tensors.groups().size();
        long[] chunks = new long[(groups + GROUPS - 1) / GROUPS];
        for (int g = 0; g < groups; g++) {
            chunks[g / GROUPS] += tensors.chunks(g);
        }
        long all = LongStream.of(chunks).sum();
        long chunkBytes = tensors.chunkBytes();
        String making = optimizer + ".on";
        long table = 0;
        OwnedHandle memory = null;
        if (all > 0) {
            long pointer = driver.allocate(making, all * chunkBytes);
            CudaDriver releasing = driver;
            memory = backend.handles().own(owner, "chunk table of an " + optimizer,
                    () -> releasing.free(optimizer + ".close", pointer));
            table = pointer;
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment host = arena.allocate(all * chunkBytes, Long.BYTES);
                tensors.fill(host, GROUPS);
                backend.copies().toDevice(making, host, pointer);
            } catch (RuntimeException e) {
                memory.release();
                throw e;
            }
        }
        this.tableMemory = memory;
        this.parts = new Part[chunks.length];
        this.groupParams = new MemorySegment[groups];
        for (int i = 0; i < parts.length; i++) {
            ArgumentBlock arguments = new ArgumentBlock(params);
            arguments.struct().set(ValueLayout.JAVA_LONG, CHUNKS, table);
            arguments.struct().set(ValueLayout.JAVA_LONG, CHUNK_COUNT, chunks[i]);
            parts[i] = new Part(backend.launcher(stream, arguments),
                    chunks[i] == 0 ? 0 : grid.applyAsInt(chunks[i]));
            table += chunks[i] * chunkBytes;
            for (int g = i * GROUPS; g < Math.min(groups, (i + 1) * GROUPS); g++) {
                groupParams[g] = arguments.struct().asSlice(FIRST_GROUP + g % GROUPS * group.byteSize(),
                        group.byteSize(), group.byteAlignment());
            }
        }
    }

    /** A group's struct in an argument block, for the caller to write before a launch. */
    MemorySegment groupParams(int group) {
        return groupParams[group];
    }

    /** Before anything is written to the blocks. */
    void check() {
        stream.admitStep(operation, this);
    }

    /** Queues the step. */
    void launch() {
        for (Part part : parts) {
            if (part.grid == 0) {
                continue;
            }
            driver.checkLaunch(operation, function, part.grid, LaunchTable.OPTIMIZER_THREADS, 0,
                    part.launcher.launch(function, part.grid, LaunchTable.OPTIMIZER_THREADS, 0));
        }
    }

    @Override
    public boolean isClosed() {
        return closed;
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        List<RuntimeException> failures = new ArrayList<>();
        stream.rest(optimizer + ".close", failures);
        if (tableMemory != null) {
            HandleRegistry.attempt(failures, tableMemory::release);
        }
        HandleRegistry.raise(failures);
    }
}
