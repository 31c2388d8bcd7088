package dev.isobit.cuda;

import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import dev.isobit.cuda.KernelParams.Bce;
import dev.isobit.cuda.KernelParams.BceAxes;
import dev.isobit.cuda.KernelParams.BceGroup;
import dev.isobit.spi.BceWithLogitsCall;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.Broadcast;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Binary cross-entropy as launches: weigh (for a {@code MEAN} over weights or
 * over what is not ignored), begin (for that, and for {@code SUM} and
 * {@code MEAN} where a loss is asked for), elements, as kernels/params.h says. All of one call get the same argument block.
 */
final class CudaBceWithLogits implements BceWithLogitsKernel {
    private static final String MAKING = "BceWithLogits.on";
    private static final long ALIGNMENT = 256;
    private static final long[] GROUPS = new long[BceAxes.GROUPS];

    static {
        for (int group = 0; group < GROUPS.length; group++) {
            GROUPS[group] = BceAxes.group(group);
        }
    }

    private final CudaDriver driver;
    private final HandleRegistry handles;
    private final LaunchTable table;
    private final CudaStream stream;
    private final boolean reduces;
    private final boolean mean;
    private final boolean ignoresValue;
    private final int flags;
    private final CudaFunction weigh;
    private final CudaFunction begin;
    private final CudaFunction lossElements;
    private final CudaFunction gradientElements;
    private final CudaFunction bothElements;
    private final MemorySegment block;
    private final Launcher launcher;
    private final List<OwnedHandle> scratch = new ArrayList<>();
    private final long denominator;
    private final long arrivals;
    private long weightParts;
    private long lossParts;
    private long capacity;
    private boolean closed;

    CudaBceWithLogits(CudaBackend backend, BceWithLogitsOptions options, CudaStream stream) {
        this.driver = backend.driver();
        this.handles = backend.handles();
        this.table = backend.launchTable();
        this.stream = stream;
        this.mean = options.reduction() == Reduction.MEAN;
        this.reduces = options.reduction() != Reduction.NONE;
        this.ignoresValue = options.ignores();
        this.flags = (mean ? Bce.MEAN : 0) | (mean && options.weightedMean() ? Bce.WEIGHTED_MEAN : 0)
                | (ignoresValue ? Bce.IGNORE_VALUE_FLAG : 0);
        CudaModule module = backend.module(MAKING, "bce_with_logits");
        weigh = module.function(MAKING, "bce_with_logits_weigh_f32");
        begin = module.function(MAKING, "bce_with_logits_begin_f32");
        lossElements = module.function(MAKING, "bce_with_logits_loss_f32");
        gradientElements = module.function(MAKING, "bce_with_logits_grad_f32");
        bothElements = module.function(MAKING, "bce_with_logits_loss_grad_f32");
        ArgumentBlock arguments = new ArgumentBlock(Bce.LAYOUT);
        block = arguments.struct();
        launcher = backend.launcher(stream, arguments);
        denominator = allocate(MAKING, 2 * ALIGNMENT);
        arrivals = denominator + ALIGNMENT;
        block.set(ValueLayout.JAVA_FLOAT, Bce.IGNORE_VALUE, (float) options.ignoreValue());
        block.set(ValueLayout.JAVA_FLOAT, Bce.KEEP, (float) (1 - options.labelSmoothing()));
        block.set(ValueLayout.JAVA_FLOAT, Bce.HALF, (float) (options.labelSmoothing() / 2));
    }

    private long allocate(String operation, long bytes) {
        long pointer = driver.allocate(operation, bytes);
        CudaDriver releasing = driver;
        scratch.add(handles.own(this, "scratch memory of a BceWithLogits",
                () -> releasing.free("BceWithLogits.close", pointer)));
        return pointer;
    }

    /**
     * Room for the sums of segments. What there was stays until close: launches that use it may be queued, and to wait
     * for them is not for an operation. Doubling keeps that to as much again.
     */
    private void reserve(String operation, long segments) {
        if (segments > capacity) {
            long enlarged = Math.max(segments, 2 * capacity);
            long bytes = (enlarged * Float.BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            lossParts = allocate(operation, 2 * bytes);
            weightParts = lossParts + bytes;
            capacity = enlarged;
        }
    }

    @Override
    public void run(BceWithLogitsCall call) {
        String operation = call.gradLogits == null
                ? "BceWithLogits.loss"
                : call.loss == null ? "BceWithLogits.gradient" : "BceWithLogits.lossAndGradient";
        stream.checkOpen(operation);
        if (closed) {
            throw new IllegalStateException(operation + ": closed");
        }
        long count = call.count;
        boolean reduced = reduces && call.loss != null;
        boolean weighs =
                mean && ((flags & Bce.WEIGHTED_MEAN) != 0 || ignoresValue || call.mask != null);
        if (reduced || weighs) {
            // With no elements too: scratch is never a null pointer.
            reserve(operation, Math.max(1, LaunchTable.ceil(count, Bce.SEGMENT)));
        }
        MemorySegment to = block;
        to.set(ValueLayout.JAVA_LONG, Bce.LOGITS, address(call.logits));
        to.set(ValueLayout.JAVA_LONG, Bce.TARGETS, address(call.targets));
        to.set(ValueLayout.JAVA_LONG, Bce.MASK, address(call.mask));
        to.set(ValueLayout.JAVA_LONG, Bce.POS_WEIGHT, address(call.posWeight));
        to.set(ValueLayout.JAVA_LONG, Bce.WEIGHTS, address(call.weights));
        to.set(ValueLayout.JAVA_LONG, Bce.GRAD_LOSS, address(call.gradLoss));
        to.set(ValueLayout.JAVA_LONG, Bce.LOSS, address(call.loss));
        to.set(ValueLayout.JAVA_LONG, Bce.GRAD_LOGITS, address(call.gradLogits));
        to.set(ValueLayout.JAVA_LONG, Bce.SIGMOID, address(call.sigmoid));
        to.set(ValueLayout.JAVA_LONG, Bce.WEIGHT_PARTS, weighs ? weightParts : 0);
        to.set(ValueLayout.JAVA_LONG, Bce.DENOMINATOR, weighs ? denominator : 0);
        to.set(ValueLayout.JAVA_LONG, Bce.LOSS_PARTS, reduced ? lossParts : 0);
        to.set(ValueLayout.JAVA_LONG, Bce.ARRIVALS, reduced ? arrivals : 0);
        to.set(ValueLayout.JAVA_LONG, Bce.COUNT, count);
        setAxes(Bce.POS_WEIGHT_AXES, call.posWeightBroadcast);
        setAxes(Bce.WEIGHTS_AXES, call.weightsBroadcast);
        setAxes(Bce.MASK_AXES, call.maskBroadcast);
        boolean narrowTargets = call.targets != null && call.targets.dtype() == DType.U8;
        to.set(ValueLayout.JAVA_INT, Bce.FLAGS,
                flags | (weighs ? Bce.SUMMED_DENOMINATOR : 0) | (narrowTargets ? Bce.TARGETS_U8 : 0)
                        | (call.gradLossPerElement ? Bce.GRAD_LOSS_PER_ELEMENT : 0)
                        | (reduces || call.loss == null ? 0 : Bce.LOSS_PER_ELEMENT)
                        | (call.posWeightBroadcast.isFull() ? Bce.POS_WEIGHT_FULL : 0)
                        | (call.weightsBroadcast.isFull() ? Bce.WEIGHTS_FULL : 0)
                        | (call.maskBroadcast.isFull() ? Bce.MASK_FULL : 0)
                        | (count > 0xffffffffL ? Bce.WIDE_INDEX : 0));
        int grid = table.bceGrid(count);
        if (weighs && count > 0) {
            launch(operation, weigh, grid);
        }
        if (reduced || weighs && count > 0) {
            launch(operation, begin, 1);
        }
        if (reduced || count > 0) {
            launch(operation,
                    call.gradLogits == null ? lossElements : call.loss == null ? gradientElements : bothElements, grid);
        }
    }

    private void setAxes(long axes, Broadcast broadcast) {
        for (int group = 0; group < GROUPS.length; group++) {
            boolean used = group < broadcast.groups();
            long at = axes + GROUPS[group];
            block.set(ValueLayout.JAVA_LONG, at + BceGroup.INNER, used ? broadcast.inner(group) : 1);
            block.set(ValueLayout.JAVA_LONG, at + BceGroup.SIZE, used ? broadcast.size(group) : 1);
            block.set(ValueLayout.JAVA_LONG, at + BceGroup.STRIDE, used ? broadcast.stride(group) : 0);
        }
    }

    private static long address(@Nullable Tensor tensor) {
        return tensor == null ? 0 : tensor.address();
    }

    private void launch(String operation, CudaFunction function, int grid) {
        int result = launcher.launch(function, grid, LaunchTable.BCE_THREADS, 0);
        if (result != 0) {
            driver.check(operation, "cuLaunchKernel(" + function.name() + ", grid " + grid + ", block "
                    + LaunchTable.BCE_THREADS + ", shared 0)", result);
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
            HandleRegistry.attempt(failures, () -> stream.synchronize("BceWithLogits.close"));
        }
        for (OwnedHandle handle : scratch) {
            HandleRegistry.attempt(failures, handle::release);
        }
        HandleRegistry.raise(failures);
    }
}
