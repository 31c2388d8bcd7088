package dev.isobit.cuda;

import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * An optimizer's step with the scalars of its groups in the argument block: one launch over a table of chunks, which is built
 * once and stays on the device. Closing waits for the stream.
 */
final class ChunkedStep implements AutoCloseable, StreamOperation {
    /** The most that an argument block holds: the same for all optimizers. */
    static final int GROUPS = 64;
    /** The first fields of every optimizer's argument block. */
    private static final long CHUNKS = 0;
    private static final long CHUNK_COUNT = Long.BYTES;
    private static final long FIRST_GROUP = 2 * Long.BYTES;

    private final String optimizer;
    /** The operation, for messages. */
    private final String operation;
    private final CudaDriver driver;
    private final CudaStream stream;
    private final CudaFunction function;
    private final Launcher launcher;
    /** 0 where there are no chunks. */
    private final int grid;
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
     * @param tensors of all groups, {@link #GROUPS} of them at most
     * @param blocks how many for a number of chunks
     */
    ChunkedStep(CudaBackend backend, Object owner, CudaStream stream, String optimizer, CudaFunction function,
            StructLayout params, StructLayout group, ChunkTable tensors, LongToIntFunction blocks) {
        this.optimizer = optimizer;
        this.operation = optimizer + ".step";
        this.driver = backend.driver();
        this.stream = stream;
        this.function = function;
        long chunks = tensors.chunks();
        long tableBytes = chunks * tensors.chunkBytes();
        String making = optimizer + ".on";
        long table = 0;
        OwnedHandle memory = null;
        if (chunks > 0) {
            long pointer = driver.allocate(making, tableBytes);
            CudaDriver releasing = driver;
            memory = backend.handles().own(owner, "chunk table of an " + optimizer,
                    () -> releasing.free(optimizer + ".close", pointer));
            table = pointer;
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment host = arena.allocate(tableBytes, Long.BYTES);
                tensors.fill(host);
                backend.copies().toDevice(making, host, pointer);
            } catch (RuntimeException e) {
                memory.release();
                throw e;
            }
        }
        this.tableMemory = memory;
        ArgumentBlock arguments = new ArgumentBlock(params);
        arguments.struct().set(ValueLayout.JAVA_LONG, CHUNKS, table);
        arguments.struct().set(ValueLayout.JAVA_LONG, CHUNK_COUNT, chunks);
        this.launcher = backend.launcher(stream, arguments);
        this.grid = chunks == 0 ? 0 : blocks.applyAsInt(chunks);
        this.groupParams = new MemorySegment[tensors.groups().size()];
        Arrays.setAll(groupParams, g -> arguments.struct().asSlice(FIRST_GROUP + g * group.byteSize(),
                group.byteSize(), group.byteAlignment()));
    }

    /** A group's struct in the argument block, for the caller to write before a launch. */
    MemorySegment groupParams(int group) {
        return groupParams[group];
    }

    /** Before anything is written to the block. */
    void check() {
        stream.admitStep(operation, this);
    }

    /** Queues the step. */
    void launch() {
        if (grid > 0) {
            driver.checkLaunch(operation, function, grid, LaunchTable.OPTIMIZER_THREADS, 0,
                    launcher.launch(function, grid, LaunchTable.OPTIMIZER_THREADS, 0));
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
