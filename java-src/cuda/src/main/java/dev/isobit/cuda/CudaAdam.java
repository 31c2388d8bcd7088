package dev.isobit.cuda;

import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Tensor;
import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import dev.isobit.cuda.KernelParams.Adam;
import dev.isobit.cuda.KernelParams.AdamChunk;
import dev.isobit.cuda.KernelParams.AdamGroup;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Adam and AdamW as one launch over a table of chunks, which is built once and stays on the device. */
final class CudaAdam implements AdamKernel {
    private static final String MAKING = "Adam.on";
    private static final String STEP = "Adam.step";

    private final CudaDriver driver;
    private final CudaStream stream;
    private final CudaFunction function;
    private final MemorySegment block;
    private final Launcher launcher;
    private final @Nullable OwnedHandle tableMemory;
    private final int grid;
    private boolean closed;

    CudaAdam(CudaBackend backend, AdamOptions options, List<AdamParameter> parameters, CudaStream stream) {
        this.driver = backend.driver();
        this.stream = stream;
        this.function = backend.module(MAKING, "adam").function(MAKING,
                options.amsgrad() ? "adam_step_f32_amsgrad" : "adam_step_f32");
        ArgumentBlock arguments = new ArgumentBlock(Adam.LAYOUT);
        this.block = arguments.struct();
        this.launcher = backend.launcher(stream, arguments);
        long chunks = 0;
        for (AdamParameter parameter : parameters) {
            chunks += LaunchTable.ceil(parameter.param().elementCount(), Adam.CHUNK);
        }
        this.grid = chunks == 0 ? 0 : backend.launchTable().adamGrid(chunks, options.amsgrad());
        long table = 0;
        OwnedHandle memory = null;
        if (chunks > 0) {
            long bytes = chunks * AdamChunk.LAYOUT.byteSize();
            long pointer = driver.allocate(MAKING, bytes);
            CudaDriver releasing = driver;
            memory = backend.handles().own(this, "chunk table of an Adam", () -> releasing.free("Adam.close", pointer));
            table = pointer;
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment host = arena.allocate(bytes, Long.BYTES);
                fill(host, parameters);
                backend.copies().toDevice(MAKING, host, pointer);
            } catch (RuntimeException e) {
                memory.release();
                throw e;
            }
        }
        this.tableMemory = memory;
        boolean gradDecay = !options.decoupled() && options.weightDecay() != 0;
        block.set(ValueLayout.JAVA_LONG, Adam.CHUNKS, table);
        block.set(ValueLayout.JAVA_LONG, Adam.CHUNK_COUNT, chunks);
        block.set(ValueLayout.JAVA_INT, Adam.GROUPS_FIELD + AdamGroup.FLAGS,
                (options.maximize() ? Adam.MAXIMIZE : 0) | (gradDecay ? Adam.GRAD_DECAY_FLAG : 0));
    }

    /** Each tensor is cut at multiples of the chunk size, so that its chunks keep its alignment. */
    private static void fill(MemorySegment table, List<AdamParameter> parameters) {
        long at = 0;
        for (AdamParameter parameter : parameters) {
            Tensor expAvg = parameter.expAvg();
            Tensor expAvgSq = parameter.expAvgSq();
            Tensor maxExpAvgSq = parameter.maxExpAvgSq();
            if (expAvg == null || expAvgSq == null) {
                throw new IllegalArgumentException(MAKING + ": parameter " + parameter.name() + " has no moments");
            }
            long elements = parameter.param().elementCount();
            for (long first = 0; first < elements; first += Adam.CHUNK) {
                long offset = first * Float.BYTES;
                table.set(ValueLayout.JAVA_LONG, at + AdamChunk.PARAM, parameter.param().address() + offset);
                table.set(ValueLayout.JAVA_LONG, at + AdamChunk.GRAD, parameter.grad().address() + offset);
                table.set(ValueLayout.JAVA_LONG, at + AdamChunk.EXP_AVG, expAvg.address() + offset);
                table.set(ValueLayout.JAVA_LONG, at + AdamChunk.EXP_AVG_SQ, expAvgSq.address() + offset);
                table.set(ValueLayout.JAVA_LONG, at + AdamChunk.MAX_EXP_AVG_SQ,
                        maxExpAvgSq == null ? 0 : maxExpAvgSq.address() + offset);
                table.set(ValueLayout.JAVA_INT, at + AdamChunk.COUNT, (int) Math.min(Adam.CHUNK, elements - first));
                table.set(ValueLayout.JAVA_INT, at + AdamChunk.GROUP, 0);
                at += AdamChunk.LAYOUT.byteSize();
            }
        }
    }

    @Override
    public void step(AdamScalars scalars) {
        stream.checkOpen(STEP);
        if (closed) {
            throw new IllegalStateException(STEP + ": closed");
        }
        if (grid == 0) {
            return;
        }
        MemorySegment to = block;
        long group = Adam.GROUPS_FIELD;
        to.set(ValueLayout.JAVA_FLOAT, group + AdamGroup.W1, scalars.w1);
        to.set(ValueLayout.JAVA_FLOAT, group + AdamGroup.W2, scalars.w2);
        to.set(ValueLayout.JAVA_FLOAT, group + AdamGroup.NEG_STEP_SIZE, scalars.negStepSize);
        to.set(ValueLayout.JAVA_FLOAT, group + AdamGroup.RSQRT_BC2, scalars.rsqrtBc2);
        to.set(ValueLayout.JAVA_FLOAT, group + AdamGroup.EPS, scalars.eps);
        to.set(ValueLayout.JAVA_FLOAT, group + AdamGroup.PARAM_DECAY, scalars.paramDecay);
        to.set(ValueLayout.JAVA_FLOAT, group + AdamGroup.GRAD_DECAY, scalars.gradDecay);
        int result = launcher.launch(function, grid, LaunchTable.ADAM_THREADS, 0);
        if (result != 0) {
            driver.check(STEP,
                    "cuLaunchKernel(" + function.name() + ", grid " + grid + ", block " + LaunchTable.ADAM_THREADS
                            + ")",
                    result);
        }
    }

    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        List<RuntimeException> failures = new ArrayList<>();
        if (stream.isOpen() && !driver.isLost()) {
            HandleRegistry.attempt(failures, () -> stream.synchronize("Adam.close"));
        }
        if (tableMemory != null) {
            HandleRegistry.attempt(failures, tableMemory::release);
        }
        HandleRegistry.raise(failures);
    }
}
