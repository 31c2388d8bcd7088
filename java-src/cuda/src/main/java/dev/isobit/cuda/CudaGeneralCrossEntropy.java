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
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy with options as launches: weigh, begin, rows, reduce, each where it is needed, as kernels/params.h says.
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
    private final CudaFunction weigh;
    private final CudaFunction begin;
    private final CudaFunction lossColumn;
    private final CudaFunction lossBlock;
    private final CudaFunction gradientColumn;
    private final CudaFunction gradientBlock;
    private final CudaFunction reduce;
    private final MemorySegment block;
    private final Launcher launcher;
    private final StatusBoard.Slot status;
    private final ScratchMemory scratch;
    private final long denominator;
    private final long arrivals;
    private long rowLoss;
    private long lossParts;
    private long weightParts;
    private long capacity;

    CudaGeneralCrossEntropy(CudaBackend backend, CrossEntropyOptions options, CudaStream stream,
            StatusBoard.Slot status) {
        this.driver = backend.driver();
        this.scratch = new ScratchMemory(this, "CrossEntropy", backend);
        this.table = backend.launchTable();
        this.options = options;
        this.status = status;
        mean = options.reduction() == Reduction.MEAN;
        reduces = options.reduction() != Reduction.NONE;
        CudaModule module = backend.module(MAKING, "cross_entropy_general");
        weigh = module.function(MAKING, "cross_entropy_general_weigh_f32");
        begin = module.function(MAKING, "cross_entropy_general_begin_f32");
        lossColumn = module.function(MAKING, "cross_entropy_general_loss_f32_column");
        lossBlock = module.function(MAKING, "cross_entropy_general_loss_f32_block");
        gradientColumn = module.function(MAKING, "cross_entropy_general_loss_grad_f32_column");
        gradientBlock = module.function(MAKING, "cross_entropy_general_loss_grad_f32_block");
        reduce = module.function(MAKING, "cross_entropy_general_reduce_f32");
        ArgumentBlock arguments = new ArgumentBlock(General.LAYOUT);
        block = arguments.struct();
        launcher = backend.launcher(stream, arguments);
        denominator = scratch.allocate(MAKING, 2 * ALIGNMENT);
        arrivals = denominator + ALIGNMENT;
        float softcap = (float) options.softcap();
        block.set(ValueLayout.JAVA_LONG, General.STATUS, status.address());
        block.set(ValueLayout.JAVA_LONG, General.IGNORE_INDEX, options.ignoreIndex());
        block.set(ValueLayout.JAVA_FLOAT, General.KEEP, (float) (1 - options.labelSmoothing()));
        block.set(ValueLayout.JAVA_FLOAT, General.Z_LOSS, (float) options.zLoss());
        block.set(ValueLayout.JAVA_FLOAT, General.SCALE, (float) options.scale());
        block.set(ValueLayout.JAVA_FLOAT, General.SOFTCAP, softcap);
        block.set(ValueLayout.JAVA_FLOAT, General.SOFTCAP_RATE, softcap == 0 ? 0 : (float) (2 / options.softcap()));
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
        boolean sums = mean && options.denominator() == Denominator.WEIGHTS && !call.probabilities;
        if (reduced || sums) {
            // With no rows too: the reduce kernel runs, and scratch is never a null pointer.
            reserve(operation, Math.max(rows, 1));
        }
        DType targetType = Objects.requireNonNull(call.targets).dtype();
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
        to.set(ValueLayout.JAVA_LONG, General.SAVED_STATES, address(call.savedStates));
        to.set(ValueLayout.JAVA_LONG, General.WEIGHT_PARTS, sums ? weightParts : 0);
        to.set(ValueLayout.JAVA_LONG, General.DENOMINATOR, mean ? denominator : 0);
        to.set(ValueLayout.JAVA_LONG, General.LOSS_PARTS, reduced ? lossParts : 0);
        to.set(ValueLayout.JAVA_LONG, General.ARRIVALS, reduced ? arrivals : 0);
        to.set(ValueLayout.JAVA_LONG, General.ROWS, rows);
        to.set(ValueLayout.JAVA_LONG, General.CLASSES, call.classes);
        to.set(ValueLayout.JAVA_LONG, General.STRIDE, call.stride);
        to.set(ValueLayout.JAVA_LONG, General.INNER, call.inner);
        to.set(ValueLayout.JAVA_FLOAT, General.SMOOTH, (float) (options.labelSmoothing() / call.classes));
        to.set(ValueLayout.JAVA_FLOAT, General.GRAD_LOSS_SCALE, call.gradLossScale);
        to.set(ValueLayout.JAVA_INT, General.FLAGS,
                (mean ? General.MEAN : 0) | (sums ? General.SUMMED_DENOMINATOR : 0)
                        | (call.gradLossPerRow ? General.GRAD_LOSS_PER_ROW : 0)
                        | (targetType == DType.I32 ? General.TARGETS_I32 : 0)
                        | (targetType == DType.I16 ? General.TARGETS_I16 : 0)
                        | (targetType == DType.U8 ? General.TARGETS_U8 : 0)
                        | (call.probabilities ? General.PROBABILITIES : 0)
                        | (options.accumulate() ? General.ACCUMULATE : 0)
                        | (options.allIgnored() == AllIgnored.ZERO ? General.ZERO : 0));
        if (sums && rows > 0) {
            launch(operation, weigh, table.generalGrid(LaunchTable.ceil(rows, General.SEGMENT)));
        }
        if (mean || reduced || call.hits != null) {
            launch(operation, begin, 1);
        }
        if (rows > 0) {
            status.use(operation);
            boolean column = call.inner > 1 || call.classes <= LaunchTable.GENERAL_COLUMN_CLASSES;
            boolean gradient = call.gradLogits != null;
            launch(operation,
                    column ? gradient ? gradientColumn : lossColumn : gradient ? gradientBlock : lossBlock,
                    table.generalGrid(column ? LaunchTable.ceil(rows, LaunchTable.GENERAL_THREADS) : rows));
        }
        if (reduced) {
            launch(operation, reduce, table.generalGrid(LaunchTable.ceil(rows, General.SEGMENT)));
        }
    }

    private static long address(@Nullable Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    private void launch(String operation, CudaFunction function, int grid) {
        driver.checkLaunch(operation, function, grid, LaunchTable.GENERAL_THREADS, 0,
                launcher.launch(function, grid, LaunchTable.GENERAL_THREADS, 0));
    }

    /** Frees scratch memory; no launch may be left that uses it. */
    void release(List<RuntimeException> failures) {
        scratch.release(failures);
    }
}
