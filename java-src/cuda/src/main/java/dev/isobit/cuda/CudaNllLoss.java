package dev.isobit.cuda;

import dev.isobit.DType;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.NllLoss;
import dev.isobit.spi.NllLossCall;
import dev.isobit.spi.NllLossKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Negative log-likelihood as launches: weigh (for {@code MEAN}), rows, reduce (for {@code SUM} and {@code MEAN} where a
 * loss is asked for), as kernels/nll_loss_params.h says. All of one call get the same argument block.
 */
final class CudaNllLoss implements NllLossKernel, StreamOperation {
    private static final String MAKING = "NllLoss.on";
    private static final long ALIGNMENT = 256;

    private final CudaDriver driver;
    private final LaunchTable table;
    private final CudaStream stream;
    private final boolean mean;
    private final boolean reduces;
    private final CudaFunction weigh;
    private final ByType<CudaFunction> byType;
    private final CudaFunction reduce;
    private final MemorySegment block;
    private final Launcher launcher;
    private final StatusBoard.Slot status;
    private final ScratchMemory scratch;
    private final long arrivals;
    private long rowLoss;
    private long weightParts;
    private long lossParts;
    private long capacity;
    private boolean closed;

    CudaNllLoss(CudaBackend backend, NllLossOptions options, CudaStream stream) {
        this.driver = backend.driver();
        this.scratch = new ScratchMemory(this, "NllLoss", backend);
        this.table = backend.launchTable();
        this.stream = stream;
        this.mean = options.reduction() == Reduction.MEAN;
        this.reduces = options.reduction() != Reduction.NONE;
        CudaModule module = backend.module(MAKING, "nll_loss");
        weigh = module.function(MAKING, "nll_loss_weigh_f32");
        byType = new ByType<>(MAKING, (operation, dtype) -> {
            String suffix = "_" + dtype.name().toLowerCase(Locale.ROOT);
            return backend.module(operation, "nll_loss" + (dtype == DType.F32 ? "" : suffix))
                    .function(operation, "nll_loss_rows" + suffix);
        });
        reduce = module.function(MAKING, "nll_loss_reduce_f32");
        ArgumentBlock arguments = new ArgumentBlock(NllLoss.LAYOUT);
        block = arguments.struct();
        launcher = backend.launcher(stream, arguments);
        arrivals = scratch.allocate(MAKING, ALIGNMENT);
        try {
            status = stream.statuses().acquire(MAKING);
        } catch (RuntimeException e) {
            List<RuntimeException> failures = new ArrayList<>(List.of(e));
            scratch.release(failures);
            HandleRegistry.raise(failures);
            throw e;
        }
        block.set(ValueLayout.JAVA_LONG, NllLoss.STATUS, status.address());
        block.set(ValueLayout.JAVA_LONG, NllLoss.IGNORE_INDEX, options.ignoreIndex());
    }

    private static int targetFlag(DType dtype) {
        return switch (dtype) {
            case I32 -> NllLoss.TARGETS_I32;
            case I16 -> NllLoss.TARGETS_I16;
            case U8 -> NllLoss.TARGETS_U8;
            default -> 0;
        };
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /**
     * Room for row losses and sums of segments. What there was stays until close: launches that use it may be queued, and
     * to wait for them is not for an operation. Doubling keeps that to as much again.
     */
    private void reserve(String operation, long count) {
        if (count > capacity) {
            long enlarged = Math.max(count, Math.min(2 * capacity, Long.MAX_VALUE / 16));
            long lossBytes = aligned(enlarged * Float.BYTES);
            long partBytes = aligned(LaunchTable.ceil(enlarged, NllLoss.SEGMENT) * Float.BYTES);
            rowLoss = scratch.allocate(operation, lossBytes + 2 * partBytes);
            weightParts = rowLoss + lossBytes;
            lossParts = weightParts + partBytes;
            capacity = enlarged;
        }
    }

    @Override
    public void run(NllLossCall call) {
        String operation = call.gradLogProbabilities == null
                ? "NllLoss.loss"
                : call.loss == null ? "NllLoss.gradient" : "NllLoss.lossAndGradient";
        stream.admit(operation, this);
        CudaFunction rows = byType.get(operation, Objects.requireNonNull(call.logProbabilities).dtype());
        long count = call.outer * call.inner;
        boolean reduced = reduces && call.loss != null;
        if (reduces) {
            // With no rows too: scratch is never a null pointer.
            reserve(operation, Math.max(count, 1));
        }
        Tensor targets = Objects.requireNonNull(call.targets);
        MemorySegment to = block;
        to.set(ValueLayout.JAVA_LONG, NllLoss.LOG_PROBABILITIES, address(call.logProbabilities));
        to.set(ValueLayout.JAVA_LONG, NllLoss.TARGETS, targets.address());
        to.set(ValueLayout.JAVA_LONG, NllLoss.CLASS_WEIGHTS, address(call.classWeights));
        to.set(ValueLayout.JAVA_LONG, NllLoss.GRAD_LOSS, address(call.gradLoss));
        to.set(ValueLayout.JAVA_LONG, NllLoss.ROW_LOSS, reduced ? rowLoss : address(call.loss));
        to.set(ValueLayout.JAVA_LONG, NllLoss.LOSS, reduced ? address(call.loss) : 0);
        to.set(ValueLayout.JAVA_LONG, NllLoss.GRAD_LOG_PROBABILITIES, address(call.gradLogProbabilities));
        to.set(ValueLayout.JAVA_LONG, NllLoss.WEIGHT_PARTS, mean ? weightParts : 0);
        to.set(ValueLayout.JAVA_LONG, NllLoss.LOSS_PARTS, reduced ? lossParts : 0);
        to.set(ValueLayout.JAVA_LONG, NllLoss.ARRIVALS, reduced ? arrivals : 0);
        to.set(ValueLayout.JAVA_LONG, NllLoss.OUTER, call.outer);
        to.set(ValueLayout.JAVA_LONG, NllLoss.CLASSES, call.classes);
        to.set(ValueLayout.JAVA_LONG, NllLoss.INNER, call.inner);
        to.set(ValueLayout.JAVA_INT, NllLoss.FLAGS,
                (mean ? NllLoss.MEAN : 0) | (call.gradLossPerRow ? NllLoss.GRAD_LOSS_PER_ROW : 0)
                        | targetFlag(targets.dtype()));
        to.set(ValueLayout.JAVA_INT, NllLoss.ROWS_PER_BLOCK, table.nllRowsPerBlock(call.classes));
        if (count > 0) {
            status.use(operation);
            if (mean) {
                launch(operation, weigh, table.nllSegmentsGrid(count));
            }
            launch(operation, rows, table.nllRowsGrid(count, call.classes));
        }
        if (reduced) {
            launch(operation, reduce, table.nllSegmentsGrid(count));
        }
    }

    private static long address(@Nullable Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    private void launch(String operation, CudaFunction function, int grid) {
        driver.checkLaunch(operation, function, grid, LaunchTable.NLL_THREADS, 0,
                launcher.launch(function, grid, LaunchTable.NLL_THREADS, 0));
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
        stream.rest("NllLoss.close", failures);
        stream.statuses().giveBack(status);
        scratch.release(failures);
        HandleRegistry.raise(failures);
    }
}
