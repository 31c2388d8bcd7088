package dev.isobit.cuda;

import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.AllIgnored;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.cuda.KernelParams.General;
import dev.isobit.spi.CrossEntropyCall;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy with options as launches: begin, rows, reduce, each where it is needed, as
 * kernels/cross_entropy_general_params.h says.
 * Made by {@link CudaCrossEntropy} when first needed, which waits for its launches before it releases.
 */
final class CudaGeneralCrossEntropy {
    private static final String MAKING = "CrossEntropy.on";
    private static final long ALIGNMENT = 256;

    private final CudaDriver driver;
    private final LaunchTable table;
    private final CrossEntropyOptions options;
    private final boolean mean;
    private final boolean reduces;
    private final CudaBackend backend;
    private final CudaFunction begin;
    private final ByType<Rows> byType;
    private final CudaFunction reduce;
    private final MemorySegment block;
    private final Launcher launcher;
    private final StatusBoard.Slot status;
    private final ScratchMemory scratch;
    private final long arrivals;
    private long rowLoss;
    private long lossParts;
    private long weightParts;
    private long capacity;

    CudaGeneralCrossEntropy(CudaBackend backend, CrossEntropyOptions options, CudaStream stream,
            StatusBoard.Slot status) {
        this.backend = backend;
        this.driver = backend.driver();
        this.scratch = new ScratchMemory(this, "CrossEntropy", backend);
        this.table = backend.launchTable();
        this.options = options;
        this.status = status;
        mean = options.reduction() == Reduction.MEAN;
        reduces = options.reduction() != Reduction.NONE;
        CudaModule module = backend.module(MAKING, "cross_entropy_general");
        begin = module.function(MAKING, "cross_entropy_general_begin");
        byType = new ByType<>(MAKING, this::load);
        reduce = module.function(MAKING, "cross_entropy_general_reduce");
        ArgumentBlock arguments = new ArgumentBlock(General.LAYOUT);
        block = arguments.struct();
        launcher = backend.launcher(stream, arguments);
        arrivals = scratch.allocate(MAKING, ALIGNMENT);
        float softcap = (float) options.softcap();
        block.set(ValueLayout.JAVA_LONG, General.STATUS, status.address());
        block.set(ValueLayout.JAVA_LONG, General.IGNORE_INDEX, options.ignoreIndex());
        block.set(ValueLayout.JAVA_FLOAT, General.KEEP, (float) (1 - options.labelSmoothing()));
        block.set(ValueLayout.JAVA_FLOAT, General.Z_LOSS, (float) options.zLoss());
        block.set(ValueLayout.JAVA_FLOAT, General.SCALE, (float) options.scale());
        block.set(ValueLayout.JAVA_FLOAT, General.SOFTCAP, softcap);
        block.set(ValueLayout.JAVA_FLOAT, General.SOFTCAP_RATE, softcap == 0 ? 0 : (float) (2 / options.softcap()));
    }

    /** The kernels for one type of logits. */
    private record Rows(CudaFunction lossColumn, CudaFunction lossBlock, CudaFunction gradientColumn,
            CudaFunction gradientBlock, int blockThreads) {
        CudaFunction of(boolean gradient, boolean column) {
            return column ? gradient ? gradientColumn : lossColumn : gradient ? gradientBlock : lossBlock;
        }
    }

    private Rows load(String operation, DType dtype) {
        String suffix = "_" + dtype.name().toLowerCase(Locale.ROOT);
        boolean narrow = dtype != DType.F32;
        CudaModule module = backend.module(operation, "cross_entropy_general" + (narrow ? suffix : ""));
        String loss = "cross_entropy_general_loss" + suffix;
        String gradient = "cross_entropy_general_loss_grad" + suffix;
        return new Rows(column(operation, module, loss), module.function(operation, loss + "_block"),
                column(operation, module, gradient), module.function(operation, gradient + "_block"),
                narrow ? LaunchTable.GENERAL_NARROW_THREADS : LaunchTable.GENERAL_THREADS);
    }

    private CudaFunction column(String operation, CudaModule module, String phase) {
        CudaFunction function = module.function(operation, phase + "_column");
        driver.allowSharedBytes(operation, function.handle(), table.columnSharedBytes());
        return function;
    }

    /** Room for row losses and sums of segments, as {@link CudaCrossEntropy} has it. */
    private void reserve(String operation, long rows) {
        if (rows > capacity) {
            long enlarged = Math.max(rows, Math.min(2 * capacity, Long.MAX_VALUE / 16));
            long lossBytes = aligned(enlarged * Float.BYTES);
            long partsBytes = aligned(LaunchTable.ceil(enlarged, General.SEGMENT) * Float.BYTES);
            rowLoss = scratch.allocate(operation, lossBytes + 2 * partsBytes);
            lossParts = rowLoss + lossBytes;
            weightParts = lossParts + partsBytes;
            capacity = enlarged;
        }
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    void run(String operation, CrossEntropyCall call) {
        long rows = call.rows;
        boolean reduced = reduces && call.loss != null;
        boolean divides = mean && call.joins();
        boolean sums = divides && options.denominator() == Denominator.WEIGHTS && !call.probabilities;
        if (reduced || sums) {
            // With no rows too: the reduce kernel runs, and scratch is never a null pointer.
            reserve(operation, Math.max(rows, 1));
        }
        DType logitsType = Objects.requireNonNull(call.logits).dtype();
        Rows kernels = byType.get(operation, logitsType);
        DType targetType = Objects.requireNonNull(call.targets).dtype();
        boolean column = call.inner > 1 || call.classes <= LaunchTable.GENERAL_COLUMN_CLASSES;
        int keptBytes = column ? table.columnSharedBytes(call.classes, logitsType.byteSize()) : 0;
        MemorySegment to = block;
        to.set(ValueLayout.JAVA_LONG, General.LOGITS, address(call.logits));
        to.set(ValueLayout.JAVA_LONG, General.TARGETS, address(call.targets));
        to.set(ValueLayout.JAVA_LONG, General.CLASS_WEIGHTS, address(call.classWeights));
        to.set(ValueLayout.JAVA_LONG, General.WEIGHTS, address(call.weights));
        to.set(ValueLayout.JAVA_LONG, General.GRAD_LOSS, address(call.gradLoss));
        to.set(ValueLayout.JAVA_LONG, General.DIVISOR, address(call.denominator));
        to.set(ValueLayout.JAVA_LONG, General.ROW_LOSS, reduced ? rowLoss : address(call.loss));
        to.set(ValueLayout.JAVA_LONG, General.LOSS, reduced ? address(call.loss) : 0);
        to.set(ValueLayout.JAVA_LONG, General.GRAD_LOGITS, address(call.gradLogits));
        to.set(ValueLayout.JAVA_LONG, General.LSE, address(call.lse));
        to.set(ValueLayout.JAVA_LONG, General.ENTROPY, address(call.entropy));
        to.set(ValueLayout.JAVA_LONG, General.ARGMAX, address(call.argmax));
        to.set(ValueLayout.JAVA_LONG, General.HITS, address(call.hits));
        to.set(ValueLayout.JAVA_LONG, General.LOG_PROBABILITIES, address(call.logProbabilities));
        to.set(ValueLayout.JAVA_LONG, General.STATES, address(call.states));
        to.set(ValueLayout.JAVA_LONG, General.TARGET_LOGITS, address(call.targetLogits));
        to.set(ValueLayout.JAVA_LONG, General.SAVED_STATES, address(call.savedStates));
        to.set(ValueLayout.JAVA_LONG, General.SAVED_TARGET_LOGITS, address(call.savedTargetLogits));
        to.set(ValueLayout.JAVA_LONG, General.WEIGHT_PARTS, sums ? weightParts : 0);
        to.set(ValueLayout.JAVA_LONG, General.LOSS_PARTS, reduced ? lossParts : 0);
        to.set(ValueLayout.JAVA_LONG, General.ARRIVALS, reduced ? arrivals : 0);
        to.set(ValueLayout.JAVA_LONG, General.ROWS, rows);
        to.set(ValueLayout.JAVA_LONG, General.CLASSES, call.classes);
        to.set(ValueLayout.JAVA_LONG, General.FIRST_CLASS, call.firstClass);
        to.set(ValueLayout.JAVA_LONG, General.ALL_CLASSES, call.allClasses);
        to.set(ValueLayout.JAVA_LONG, General.STRIDE, call.stride);
        to.set(ValueLayout.JAVA_LONG, General.INNER, call.inner);
        to.set(ValueLayout.JAVA_FLOAT, General.SMOOTH, (float) (options.labelSmoothing() / call.allClasses));
        to.set(ValueLayout.JAVA_FLOAT, General.GRAD_LOSS_SCALE, call.gradLossScale);
        to.set(ValueLayout.JAVA_INT, General.FLAGS,
                (divides ? General.MEAN : 0) | (sums ? General.SUMMED_DENOMINATOR : 0)
                        | (call.gradLossPerRow ? General.GRAD_LOSS_PER_ROW : 0)
                        | (targetType == DType.I32 ? General.TARGETS_I32 : 0)
                        | (targetType == DType.I16 ? General.TARGETS_I16 : 0)
                        | (targetType == DType.U8 ? General.TARGETS_U8 : 0)
                        | (call.probabilities ? General.PROBABILITIES : 0)
                        | (call.probabilities && targetType != DType.F32 ? General.TARGETS_NARROW : 0)
                        | (call.entropyTerms ? General.ENTROPY_FLAG : 0)
                        | (call.places ? General.PLACES : 0)
                        | (keptBytes > 0 ? General.KEPT : 0)
                        | (options.accumulate() ? General.ACCUMULATE : 0)
                        | (options.allIgnored() == AllIgnored.ZERO ? General.ZERO : 0));
        if (sums && rows > 0 || call.hits != null) {
            launch(operation, begin, sums ? LaunchTable.ceil(rows, General.SEGMENT) : 1, LaunchTable.GENERAL_THREADS,
                    0);
        }
        if (rows > 0) {
            status.use(operation);
            launch(operation, kernels.of(call.gradLogits != null, column),
                    column ? LaunchTable.ceil(rows, LaunchTable.GENERAL_THREADS) : rows,
                    column ? LaunchTable.GENERAL_THREADS : kernels.blockThreads, keptBytes);
        }
        if (reduced) {
            launch(operation, reduce, LaunchTable.ceil(rows, General.SEGMENT), LaunchTable.GENERAL_THREADS, 0);
        }
    }

    private static long address(@Nullable Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    private void launch(String operation, CudaFunction function, long pieces, int threads, int sharedBytes) {
        int grid = table.generalGrid(pieces, threads);
        driver.checkLaunch(operation, function, grid, threads, sharedBytes,
                launcher.launch(function, grid, threads, sharedBytes));
    }

    /** Frees scratch memory; no launch may be left that uses it. */
    void release(List<RuntimeException> failures) {
        scratch.release(failures);
    }
}
