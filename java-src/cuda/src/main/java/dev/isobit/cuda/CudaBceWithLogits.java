package dev.isobit.cuda;

import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
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
import java.util.Locale;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Binary cross-entropy as launches: weigh (for a {@code MEAN} over weights or
 * over what is not ignored), begin (for that, and for {@code SUM} and
 * {@code MEAN} where a loss is asked for), elements, with kernels of their own for the focal loss, as
 * kernels/bce_with_logits_params.h says. All of one call get the same argument block.
 */
final class CudaBceWithLogits implements BceWithLogitsKernel, StreamOperation {
    private static final String MAKING = "BceWithLogits.on";
    private static final long ALIGNMENT = 256;
    private static final long[] GROUPS = new long[BceAxes.GROUPS];

    static {
        for (int group = 0; group < GROUPS.length; group++) {
            GROUPS[group] = BceAxes.group(group);
        }
    }

    private final CudaDriver driver;
    private final LaunchTable table;
    private final CudaStream stream;
    private final boolean reduces;
    private final boolean mean;
    private final boolean ignoresValue;
    private final boolean focal;
    private final int flags;
    private final ByType<Entries> byType;
    private final MemorySegment block;
    private final Launcher launcher;
    private final ScratchMemory scratch;
    private final long denominator;
    private final long arrivals;
    private long weightParts;
    private long lossParts;
    private long capacity;
    private boolean closed;

    CudaBceWithLogits(CudaBackend backend, BceWithLogitsOptions options, CudaStream stream) {
        this.driver = backend.driver();
        this.scratch = new ScratchMemory(this, "BceWithLogits", backend);
        this.table = backend.launchTable();
        this.stream = stream;
        this.mean = options.reduction() == Reduction.MEAN;
        this.reduces = options.reduction() != Reduction.NONE;
        this.ignoresValue = options.ignores();
        this.focal = options.isFocal();
        this.flags = (mean ? Bce.MEAN : 0) | (mean && options.weightedMean() ? Bce.WEIGHTED_MEAN : 0)
                | (ignoresValue ? Bce.IGNORE_VALUE_FLAG : 0);
        byType = new ByType<>(MAKING, (operation, dtype) -> Entries.of(backend, operation, dtype, focal));
        ArgumentBlock arguments = new ArgumentBlock(Bce.LAYOUT);
        block = arguments.struct();
        launcher = backend.launcher(stream, arguments);
        denominator = scratch.allocate(MAKING, 2 * ALIGNMENT);
        arrivals = denominator + ALIGNMENT;
        block.set(ValueLayout.JAVA_FLOAT, Bce.IGNORE_VALUE, (float) options.ignoreValue());
        block.set(ValueLayout.JAVA_FLOAT, Bce.KEEP, (float) (1 - options.labelSmoothing()));
        block.set(ValueLayout.JAVA_FLOAT, Bce.HALF, (float) (options.labelSmoothing() / 2));
        boolean weighs = !Double.isNaN(options.focalAlpha());
        block.set(ValueLayout.JAVA_FLOAT, Bce.FOCAL_ALPHA, weighs ? (float) options.focalAlpha() : 1);
        block.set(ValueLayout.JAVA_FLOAT, Bce.FOCAL_REST, weighs ? (float) (1 - options.focalAlpha()) : 1);
        block.set(ValueLayout.JAVA_FLOAT, Bce.FOCAL_GAMMA, (float) options.focalGamma());
        block.set(ValueLayout.JAVA_INT, Bce.FOCAL_HALVES, (int) (2 * options.focalGamma()));
    }

    /** The kernels for one type of logits. */
    private record Entries(CudaFunction weigh, CudaFunction begin, CudaFunction loss, CudaFunction gradient,
            CudaFunction both, int threads) {
        static Entries of(CudaBackend backend, String operation, DType dtype, boolean focal) {
            String suffix = "_" + dtype.name().toLowerCase(Locale.ROOT);
            boolean narrow = dtype != DType.F32;
            CudaModule module = backend.module(operation, "bce_with_logits" + (narrow ? suffix : ""));
            String prefix = "bce_with_logits_" + (focal ? "focal_" : "");
            CudaModule elements = focal
                    ? backend.module(operation, "bce_with_logits_focal" + (narrow ? suffix : ""))
                    : module;
            return new Entries(module.function(operation, "bce_with_logits_weigh" + suffix),
                    module.function(operation, "bce_with_logits_begin" + suffix),
                    elements.function(operation, prefix + "loss" + suffix),
                    elements.function(operation, prefix + "grad" + suffix),
                    elements.function(operation, prefix + "loss_grad" + suffix),
                    narrow ? LaunchTable.NARROW_BCE_THREADS : LaunchTable.BCE_THREADS);
        }
    }

    /**
     * Room for the sums of segments. What there was stays until close: launches that use it may be queued, and to wait
     * for them is not for an operation. Doubling keeps that to as much again.
     */
    private void reserve(String operation, long segments) {
        if (segments > capacity) {
            long enlarged = Math.max(segments, 2 * capacity);
            long bytes = (enlarged * Float.BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
            lossParts = scratch.allocate(operation, 2 * bytes);
            weightParts = lossParts + bytes;
            capacity = enlarged;
        }
    }

    @Override
    public void run(BceWithLogitsCall call) {
        String operation = call.gradLogits == null
                ? "BceWithLogits.loss"
                : call.loss == null ? "BceWithLogits.gradient" : "BceWithLogits.lossAndGradient";
        stream.admit(operation, this);
        DType dtype = Objects.requireNonNull(call.logits).dtype();
        Entries entries = byType.get(operation, dtype);
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
        // Of no elements these may be empty, and one value for all is read before any element is.
        to.set(ValueLayout.JAVA_LONG, Bce.MASK, count == 0 ? 0 : address(call.mask));
        to.set(ValueLayout.JAVA_LONG, Bce.POS_WEIGHT, count == 0 ? 0 : address(call.posWeight));
        to.set(ValueLayout.JAVA_LONG, Bce.WEIGHTS, count == 0 ? 0 : address(call.weights));
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
        DType targets = Objects.requireNonNull(call.targets).dtype();
        to.set(ValueLayout.JAVA_INT, Bce.FLAGS,
                flags | (weighs ? Bce.SUMMED_DENOMINATOR : 0) | (targets == DType.U8 ? Bce.TARGETS_U8 : 0)
                        | (call.targetBits ? Bce.TARGETS_BITS : 0)
                        | (targets == dtype && dtype != DType.F32 ? Bce.TARGETS_NARROW : 0)
                        | (call.gradLossPerElement ? Bce.GRAD_LOSS_PER_ELEMENT : 0)
                        | (reduces || call.loss == null ? 0 : Bce.LOSS_PER_ELEMENT)
                        | (call.posWeightBroadcast.isFull() ? Bce.POS_WEIGHT_FULL : 0)
                        | (call.weightsBroadcast.isFull() ? Bce.WEIGHTS_FULL : 0)
                        | (call.maskBroadcast.isFull() ? Bce.MASK_FULL : 0)
                        | (count > 0xffffffffL ? Bce.WIDE_INDEX : 0));
        int grid = table.bceGrid(count, dtype != DType.F32);
        if (weighs && count > 0) {
            launch(operation, entries.weigh, grid, LaunchTable.BCE_THREADS);
        }
        if (reduced || weighs && count > 0) {
            launch(operation, entries.begin, 1, LaunchTable.BCE_THREADS);
        }
        if (reduced || count > 0) {
            CudaFunction elements =
                    call.gradLogits == null ? entries.loss : call.loss == null ? entries.gradient : entries.both;
            launch(operation, elements, focal ? table.focalGrid(count, dtype != DType.F32) : grid, entries.threads);
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

    private void launch(String operation, CudaFunction function, int grid, int threads) {
        driver.checkLaunch(operation, function, grid, threads, 0,
                launcher.launch(function, grid, threads, 0));
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
        stream.rest("BceWithLogits.close", failures);
        scratch.release(failures);
        HandleRegistry.raise(failures);
    }
}
