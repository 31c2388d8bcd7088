package dev.isobit.cuda;

import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.CrossEntropy;
import dev.isobit.cuda.LaunchTable.Variant;
import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.CrossEntropyKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy as launches: count (for {@code MEAN}), rows, reduce (for {@code SUM} and {@code MEAN} where a loss is
 * asked for), as kernels/params.h says. All of one call get the same argument block. What has options goes to
 * {@link CudaGeneralCrossEntropy}.
 */
final class CudaCrossEntropy implements CrossEntropyKernel, StreamOperation {
    private static final String MAKING = "CrossEntropy.on";

    private static final long PARTS_BYTES = CrossEntropy.COUNT_BLOCKS * (long) Long.BYTES;
    private static final long ALIGNMENT = 256;

    private final CudaBackend backend;
    private final CrossEntropyOptions options;
    private final CudaDriver driver;
    private final LaunchTable table;
    private final CudaStream stream;
    private final boolean mean;
    private final boolean reduces;
    private final CudaFunction count;
    private final ByType<Rows> byType;
    private final CudaFunction reduce;
    private final MemorySegment block;
    private final Launcher launcher;
    private final StatusBoard.Slot status;
    private final ScratchMemory scratch;
    private final long denominatorParts;
    private final long arrivals;
    private long rowLoss;
    private long lossParts;
    private long rowCapacity;
    private @Nullable CudaGeneralCrossEntropy general;
    private boolean closed;

    CudaCrossEntropy(CudaBackend backend, CrossEntropyOptions options, CudaStream stream) {
        this.backend = backend;
        this.options = options;
        this.driver = backend.driver();
        this.scratch = new ScratchMemory(this, "CrossEntropy", backend);
        this.table = backend.launchTable();
        this.stream = stream;
        this.mean = options.reduction() == Reduction.MEAN;
        this.reduces = options.reduction() != Reduction.NONE;
        CudaModule module = backend.module(MAKING, "cross_entropy");
        count = module.function(MAKING, "cross_entropy_count");
        byType = new ByType<>(MAKING, this::load);
        reduce = module.function(MAKING, "cross_entropy_reduce_loss_f32");
        ArgumentBlock arguments = new ArgumentBlock(CrossEntropy.LAYOUT);
        block = arguments.struct();
        launcher = backend.launcher(stream, arguments);
        denominatorParts = scratch.allocate(MAKING, PARTS_BYTES + ALIGNMENT);
        arrivals = denominatorParts + PARTS_BYTES;
        try {
            status = stream.statuses().acquire(MAKING);
        } catch (RuntimeException e) {
            List<RuntimeException> failures = new ArrayList<>(List.of(e));
            scratch.release(failures);
            HandleRegistry.raise(failures);
            throw e;
        }
        block.set(ValueLayout.JAVA_LONG, CrossEntropy.STATUS, status.address());
        block.set(ValueLayout.JAVA_LONG, CrossEntropy.IGNORE_INDEX, options.ignoreIndex());
        block.set(ValueLayout.JAVA_LONG, CrossEntropy.DENOMINATOR_PARTS, mean ? denominatorParts : 0);
    }

    /** The kernels for one type of logits, by variant. */
    private record Rows(CudaFunction[] loss, CudaFunction[] gradient) {}

    private Rows load(String operation, DType dtype) {
        String suffix = "_" + dtype.name().toLowerCase(Locale.ROOT);
        CudaModule module = backend.module(operation, "cross_entropy" + (dtype == DType.F32 ? "" : suffix));
        return new Rows(rowKernels(operation, module, "loss" + suffix),
                rowKernels(operation, module, "loss_grad" + suffix));
    }

    private CudaFunction[] rowKernels(String operation, CudaModule module, String phase) {
        CudaFunction[] functions = new CudaFunction[Variant.values().length];
        for (Variant variant : Variant.values()) {
            CudaFunction function = module.function(operation, "cross_entropy_" + phase + "_" + variant.suffix);
            if (variant == Variant.BLOCK && table.blockSharedBytes() > 0) {
                driver.allowSharedBytes(operation, function.handle(), table.blockSharedBytes());
            }
            functions[variant.ordinal()] = function;
        }
        return functions;
    }

    /**
     * Room for the row losses. What there was stays until close: launches that use it may be queued, and to wait for
     * them is not for an operation. Doubling keeps that to as much again.
     */
    private void reserve(String operation, long rows) {
        if (rows > rowCapacity) {
            long capacity = Math.max(rows, Math.min(2 * rowCapacity, Long.MAX_VALUE / 8));
            long lossBytes = (capacity * Float.BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            rowLoss = scratch.allocate(operation,
                    lossBytes + LaunchTable.ceil(capacity, CrossEntropy.SEGMENT) * Float.BYTES);
            lossParts = rowLoss + lossBytes;
            rowCapacity = capacity;
        }
    }

    @Override
    public void run(CrossEntropyCall call) {
        String operation = call.gradLogits == null
                ? call.loss == null ? "CrossEntropy.states" : "CrossEntropy.loss"
                : call.loss == null ? "CrossEntropy.gradient" : "CrossEntropy.lossAndGradient";
        stream.admit(operation, this);
        if (!call.plain) {
            general().run(operation, call);
            return;
        }
        Tensor targets = call.targets;
        if (targets == null) {
            throw new IllegalArgumentException(operation + ": no targets");
        }
        DType dtype = Objects.requireNonNull(call.logits).dtype();
        Rows kernels = byType.get(operation, dtype);
        boolean narrow = dtype != DType.F32;
        long rows = call.rows;
        long classes = call.classes;
        boolean reduced = reduces && call.loss != null;
        if (reduced) {
            // With no rows too: the reduce kernel runs, and scratch is never a null pointer.
            reserve(operation, Math.max(rows, 1));
        }
        Variant variant = table.variant(classes);
        int countBlocks = mean ? table.countBlocks(rows) : 0;
        Tensor gradLoss = call.gradLoss;
        boolean perRow = call.gradLossPerRow;
        MemorySegment to = block;
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.LOGITS, address(call.logits));
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.TARGETS, targets.address());
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.GRAD_LOSS, address(gradLoss));
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.ROW_LOSS, reduced ? rowLoss : address(call.loss));
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.LOSS, reduced ? address(call.loss) : 0);
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.GRAD_LOGITS, address(call.gradLogits));
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.LOSS_PARTS, reduced ? lossParts : 0);
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.ARRIVALS, reduced ? arrivals : 0);
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.ROWS, rows);
        to.set(ValueLayout.JAVA_LONG, CrossEntropy.CLASSES, classes);
        to.set(ValueLayout.JAVA_INT, CrossEntropy.FLAGS,
                (mean ? CrossEntropy.MEAN : 0) | (perRow ? CrossEntropy.GRAD_LOSS_PER_ROW : 0)
                        | (targets.dtype() == DType.I32 ? CrossEntropy.TARGETS_I32 : 0));
        to.set(ValueLayout.JAVA_INT, CrossEntropy.COUNT_BLOCKS_FIELD, countBlocks);
        to.set(ValueLayout.JAVA_INT, CrossEntropy.STASH_SEGMENTS, table.stashSegments(variant, classes));
        if (rows > 0) {
            status.use(operation);
            if (mean) {
                launch(operation, count, countBlocks, LaunchTable.COUNT_THREADS, 0);
            }
            boolean gradient = call.gradLogits != null;
            launch(operation, (gradient ? kernels.gradient : kernels.loss)[variant.ordinal()],
                    table.rowGrid(variant, gradient, narrow, rows, classes), variant.threads(narrow),
                    table.rowSharedBytes(variant, narrow, classes));
        }
        if (reduced) {
            launch(operation, reduce, table.reduceGrid(rows), LaunchTable.REDUCE_THREADS, 0);
        }
    }

    private CudaGeneralCrossEntropy general() {
        CudaGeneralCrossEntropy made = general;
        if (made == null) {
            made = new CudaGeneralCrossEntropy(backend, options, stream, status);
            general = made;
        }
        return made;
    }

    private static long address(@Nullable Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    private void launch(String operation, CudaFunction function, int grid, int threads, int sharedBytes) {
        driver.checkLaunch(operation, function, grid, threads, sharedBytes,
                launcher.launch(function, grid, threads, sharedBytes));
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
        stream.rest("CrossEntropy.close", failures);
        if (general != null) {
            general.release(failures);
        }
        stream.statuses().giveBack(status);
        scratch.release(failures);
        HandleRegistry.raise(failures);
    }
}
