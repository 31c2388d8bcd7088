package dev.isobit.cpu;

import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.spi.BceWithLogitsCall;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.Broadcast;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Binary cross-entropy on the CPU: segments are split over the workers, each works through its own block by block of as
 * many elements as there are lanes; the calling thread joins the segments' sums.
 */
final class CpuBceWithLogits implements BceWithLogitsKernel, Workers.Task {
    private static final int SEGMENT = SegmentWork.SEGMENT;
    private static final int BLOCK = SegmentWork.LANES;
    /** Segments between two joins: bounds the scratch memory, not the tensor. */
    private static final int CHUNK = 1 << 14;

    private final CpuBackend backend;
    private final BceWithLogitsOptions options;
    private final Workers workers;
    private final BceBlock[] blocks;
    private final LaneSum[] sums;
    private float[] segmentSums = new float[0];

    private final FloatOperand logits = new FloatOperand();
    private final FloatOperand targets = new FloatOperand();
    private final ByteOperand narrowTargets = new ByteOperand();
    private final ByteOperand mask = new ByteOperand();
    private final FloatOperand posWeight = new FloatOperand();
    private final FloatOperand weights = new FloatOperand();
    private final FloatOperand gradLoss = new FloatOperand();
    private final FloatOperand losses = new FloatOperand();
    private final FloatOperand gradLogits = new FloatOperand();
    private final FloatOperand sigmoid = new FloatOperand();
    private Broadcast posWeightBroadcast = new Broadcast();
    private Broadcast weightsBroadcast = new Broadcast();
    private Broadcast maskBroadcast = new Broadcast();
    /** Targets have the shape of the logits. */
    private final Broadcast targetsBroadcast = new Broadcast();
    private BceKernel kernel = new ScalarBce();
    private boolean hasNarrowTargets;
    private boolean targetBits;
    private boolean hasMask;
    private boolean ignores;
    private boolean perElement;
    private boolean parallel;
    /** Whether segments of weights, or of elements that are not ignored, are summed, not of losses. */
    private boolean weighs;
    private long count;
    private long firstSegment;
    private int segments;

    CpuBceWithLogits(CpuBackend backend, BceWithLogitsOptions options) {
        this.backend = backend;
        this.options = options;
        this.workers = backend.workers();
        blocks = new BceBlock[workers.count()];
        sums = new LaneSum[workers.count()];
        Arrays.setAll(blocks, i -> new BceBlock());
        Arrays.setAll(sums, i -> new LaneSum());
        for (BceBlock block : blocks) {
            block.keep = (float) (1 - options.labelSmoothing());
            block.half = (float) (options.labelSmoothing() / 2);
            block.ignoreValue = (float) options.ignoreValue();
            boolean weighs = !Double.isNaN(options.focalAlpha());
            block.focalAlpha = weighs ? (float) options.focalAlpha() : 1;
            block.focalRest = weighs ? (float) (1 - options.focalAlpha()) : 1;
            block.focalGamma = (float) options.focalGamma();
            block.focalHalves = (int) (2 * options.focalGamma());
        }
    }

    @Override
    public void run(BceWithLogitsCall call) {
        backend.requireOpen();
        Reduction reduction = options.reduction();
        Tensor loss = call.loss;
        count = call.count;
        parallel = true;
        perElement = call.gradLossPerElement;
        posWeightBroadcast = call.posWeightBroadcast;
        weightsBroadcast = call.weightsBroadcast;
        maskBroadcast = call.maskBroadcast;
        Tensor callTargets = Objects.requireNonNull(call.targets);
        hasNarrowTargets = callTargets.dtype() == DType.U8;
        targetBits = call.targetBits;
        hasMask = call.mask != null;
        ignores = hasMask || options.ignores();
        targetsBroadcast.set(callTargets, callTargets);
        try {
            set(logits, call.logits);
            set(targets, hasNarrowTargets ? null : callTargets);
            set(narrowTargets, hasNarrowTargets ? callTargets : null);
            set(mask, call.mask);
            set(posWeight, call.posWeight);
            set(weights, call.weights);
            set(gradLogits, call.gradLogits);
            set(sigmoid, call.sigmoid);
            set(gradLoss, perElement ? call.gradLoss : null);
            set(losses, reduction == Reduction.NONE ? loss : null);
            int chunk = (int) Math.min(CHUNK, (count + SEGMENT - 1) / SEGMENT);
            if (segmentSums.length < chunk) {
                segmentSums = new float[chunk];
            }
            for (BceBlock block : blocks) {
                block.wantsLoss = loss != null;
                block.wantsGradient = call.gradLogits != null;
                block.wantsSigmoid = call.sigmoid != null;
                block.hasPosWeight = call.posWeight != null;
                block.hasWeights = call.weights != null;
                fillScalar(block.posWeight, call.posWeight, posWeightBroadcast);
                fillScalar(block.weights, call.weights, weightsBroadcast);
            }
            double denominator = 1;
            if (reduction == Reduction.MEAN) {
                weighs = options.weightedMean() || ignores;
                denominator = LaneSum.denominator(weighs ? sum() : count);
            }
            double upstream = call.gradLoss == null || perElement ? 1 : scalar(call.gradLoss);
            for (BceBlock block : blocks) {
                block.upstream.fill((float) (upstream / denominator));
            }
            boolean direct = !options.isFocal() && !ignores;
            for (BceBlock block : blocks) {
                block.addsLosses = direct && block.wantsLoss && reduction != Reduction.NONE;
                reach(block.logits, direct ? logits : null);
                reach(block.targets, direct && !hasNarrowTargets ? targets : null);
                reach(block.gradLogits, direct && block.wantsGradient ? gradLogits : null);
            }
            kernel = options.isFocal()
                    ? backend.kernels().focal(loss != null, call.gradLogits != null, call.sigmoid != null)
                    : backend.kernels().bce(blocks[0]);
            weighs = false;
            double total = sum();
            if (loss != null && reduction != Reduction.NONE) {
                MemorySegment segment = ((HostMemory) loss.memory()).segment();
                segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, loss.byteOffset(),
                        SegmentWork.canonical((float) (total / denominator)));
            }
        } finally {
            clear();
        }
    }

    private void set(FloatOperand operand, @Nullable Tensor tensor) {
        if (tensor == null) {
            operand.clear();
        } else {
            operand.set(tensor, backend.kernels());
            parallel &= workers.mayAccess(operand.segment);
        }
    }

    private void set(ByteOperand operand, @Nullable Tensor tensor) {
        if (tensor == null) {
            operand.clear();
        } else {
            operand.set(tensor);
            parallel &= workers.mayAccess(operand.segment);
        }
    }

    private void reach(BlockView view, @Nullable FloatOperand operand) {
        view.reach(operand != null && backend.kernels().streams(operand) ? operand : null);
    }

    private static void fillScalar(BlockView view, @Nullable Tensor operand, Broadcast broadcast) {
        if (broadcast.isScalar()) {
            view.fill(operand == null ? 1 : scalar(operand));
        }
    }

    private static float scalar(Tensor tensor) {
        return ((HostMemory) tensor.memory()).segment().get(ValueLayout.JAVA_FLOAT_UNALIGNED, tensor.byteOffset());
    }

    /** Works through all segments and joins their sums. */
    private double sum() {
        double total = 0;
        long all = (count + SEGMENT - 1) / SEGMENT;
        for (firstSegment = 0; firstSegment < all; firstSegment += CHUNK) {
            segments = (int) Math.min(CHUNK, all - firstSegment);
            workers.run(this, segments, Workers.worthSharing(SEGMENT), parallel);
            for (int segment = 0; segment < segments; segment++) {
                total += segmentSums[segment];
            }
        }
        return total;
    }

    @Override
    public void run(int member, long from, long to) {
        LaneSum sum = sums[member];
        for (int segment = (int) from; segment < to; segment++) {
            long first = (firstSegment + segment) * SEGMENT;
            long end = Math.min(first + SEGMENT, count);
            sum.clear();
            for (long at = first; at < end; at += BLOCK) {
                int length = (int) Math.min(BLOCK, end - at);
                if (weighs) {
                    weigh(blocks[member], sum, at, length);
                } else {
                    compute(blocks[member], sum, at, length);
                }
            }
            segmentSums[segment] = sum.fold();
        }
        if (!weighs) {
            blocks[member].clear();
        }
    }

    private void weigh(BceBlock block, LaneSum sum, long first, int length) {
        boolean weighted = options.weightedMean();
        if (weighted && !weightsBroadcast.isScalar()) {
            block.weights.read(weights, weightsBroadcast, first, length);
        }
        if (!ignores) {
            sum.add(block.weights.array, block.weights.at, length);
            return;
        }
        readTargets(block, first, length);
        for (int i = 0; i < length; i++) {
            if (block.live[i] != 0 && weighted) {
                block.live[i] = block.weights.array[block.weights.at + i];
            }
        }
        sum.add(block.live, 0, length);
    }

    /** The targets, and which elements are ignored. */
    private void readTargets(BceBlock block, long first, int length) {
        if (targetBits) {
            block.targets.readBits(narrowTargets, first, length);
        } else if (hasNarrowTargets) {
            block.targets.read(narrowTargets, targetsBroadcast, first, length);
        } else {
            block.targets.read(targets, first, length);
        }
        if (!ignores) {
            return;
        }
        if (hasMask) {
            block.mask.read(mask, maskBroadcast, first, length);
        }
        for (int i = 0; i < length; i++) {
            boolean live = (!hasMask || block.mask.array[i] != 0)
                    && block.targets.array[block.targets.at + i] != block.ignoreValue;
            block.live[i] = live ? 1 : 0;
        }
    }

    private void compute(BceBlock block, LaneSum sum, long first, int length) {
        block.logits.read(logits, first, length);
        readTargets(block, first, length);
        if (!posWeightBroadcast.isScalar()) {
            block.posWeight.read(posWeight, posWeightBroadcast, first, length);
        }
        if (!weightsBroadcast.isScalar()) {
            block.weights.read(weights, weightsBroadcast, first, length);
        }
        if (perElement) {
            block.upstream.read(gradLoss, first, length);
        }
        if (block.wantsGradient) {
            block.gradLogits.place(gradLogits, first);
        }
        if (block.wantsSigmoid) {
            block.sigmoid.place(sigmoid, first);
        }
        block.lanes = sum.lanes();
        kernel.run(block, 0, length);
        if (ignores) {
            block.dropIgnored(length);
        }
        if (block.wantsGradient) {
            block.gradLogits.write(gradLogits, first, length);
        }
        if (block.wantsSigmoid) {
            block.sigmoid.write(sigmoid, first, length);
        }
        if (block.wantsLoss && options.reduction() == Reduction.NONE) {
            losses.copyFrom(block.loss, first, length);
        } else if (block.wantsLoss && !block.addsLosses) {
            sum.add(block.loss, 0, length);
        }
    }

    private void clear() {
        logits.clear();
        targets.clear();
        narrowTargets.clear();
        mask.clear();
        posWeight.clear();
        weights.clear();
        gradLoss.clear();
        losses.clear();
        gradLogits.clear();
        sigmoid.clear();
        for (BceBlock block : blocks) {
            block.clear();
            block.logits.reach(null);
            block.targets.reach(null);
            block.gradLogits.reach(null);
        }
    }

    @Override
    public void close() {
        segmentSums = new float[0];
    }
}
