package dev.isobit.cpu;

import dev.isobit.HostMemory;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.spi.HostTargets;
import dev.isobit.spi.NllLossCall;
import dev.isobit.spi.NllLossKernel;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Negative log-likelihood on the CPU: rows are split over the workers; the calling thread sums weights and row losses
 * segment by segment.
 */
final class CpuNllLoss implements NllLossKernel, Workers.Task {
    private static final int SEGMENT = SegmentWork.SEGMENT;
    /** Rows between two reductions, a multiple of the segment: bounds the scratch memory, not the batch. */
    private static final int CHUNK = 128 * SEGMENT;

    private final CpuBackend backend;
    private final NllLossOptions options;
    private final Workers workers;
    private final HostTargets targets = new HostTargets();
    private final FloatOperand input = new FloatOperand();
    private final FloatOperand weights = new FloatOperand();
    private final FloatOperand gradLoss = new FloatOperand();
    private final FloatOperand losses = new FloatOperand();
    private final FloatOperand gradient = new FloatOperand();
    private final LaneSum laneSum = new LaneSum();
    private float[] values = new float[0];
    private boolean weighted;
    private boolean wantsGradient;
    private boolean wantsLoss;
    private boolean perRow;
    private double upstream;
    private double denominator;
    private long classes;
    private long inner;
    private long firstRow;

    CpuNllLoss(CpuBackend backend, NllLossOptions options) {
        this.backend = backend;
        this.options = options;
        this.workers = backend.workers();
    }

    @Override
    public void run(NllLossCall call) {
        backend.requireOpen();
        Tensor input = Objects.requireNonNull(call.logProbabilities);
        classes = call.classes;
        inner = call.inner;
        long rows = call.outer * inner;
        weighted = call.classWeights != null;
        wantsLoss = call.loss != null;
        wantsGradient = call.gradLogProbabilities != null;
        perRow = call.gradLossPerRow;
        Reduction reduction = options.reduction();
        long least = Workers.worthSharing(wantsGradient ? classes : 1);
        boolean parallel =
                mayShare(input) && mayShare(call.targets) && mayShare(call.classWeights) && mayShare(call.gradLoss)
                        && mayShare(call.gradLogProbabilities);
        try {
            targets.view(Objects.requireNonNull(call.targets));
            long kept = targets.countNotIgnored("NllLoss", classes, options.ignoreIndex());
            set(this.input, input);
            set(weights, call.classWeights);
            set(gradLoss, call.gradLoss);
            set(losses, call.loss);
            set(gradient, call.gradLogProbabilities);
            int chunk = (int) Math.min(CHUNK, rows);
            if (values.length < chunk) {
                values = new float[chunk];
            }
            upstream = call.gradLoss == null || perRow ? 1 : gradLoss.get(0);
            denominator = reduction != Reduction.MEAN ? 1 : LaneSum.denominator(weighted ? sumOfWeights(rows) : kept);
            double total = 0;
            for (long first = 0; first < rows; first += CHUNK) {
                firstRow = first;
                int count = (int) Math.min(CHUNK, rows - first);
                workers.run(this, count, least, parallel);
                if (wantsLoss && reduction == Reduction.NONE) {
                    losses.copyFrom(values, first, count);
                } else if (wantsLoss) {
                    total = add(total, count);
                }
            }
            if (wantsLoss && reduction != Reduction.NONE) {
                losses.set(0, SegmentWork.canonical((float) (total / denominator)));
            }
        } finally {
            targets.clear();
            this.input.clear();
            weights.clear();
            gradLoss.clear();
            losses.clear();
            gradient.clear();
        }
    }

    private static void set(FloatOperand operand, @Nullable Tensor tensor) {
        if (tensor != null) {
            operand.set(tensor);
        }
    }

    private boolean mayShare(@Nullable Tensor tensor) {
        return tensor == null || workers.mayAccess(((HostMemory) tensor.memory()).segment());
    }

    private double sumOfWeights(long rows) {
        double total = 0;
        for (long first = 0; first < rows; first += SEGMENT) {
            int count = (int) Math.min(SEGMENT, rows - first);
            for (int i = 0; i < count; i++) {
                long target = targets.get(first + i);
                values[i] = target == options.ignoreIndex() ? 0 : weights.get(target);
            }
            total = add(total, count);
        }
        return total;
    }

    /** Adds values to a sum: lanes and segments in float32, segments in float64. */
    private double add(double sum, int count) {
        double total = sum;
        for (int segment = 0; segment < count; segment += SEGMENT) {
            int end = Math.min(segment + SEGMENT, count);
            laneSum.clear();
            for (int at = segment; at < end; at += SegmentWork.LANES) {
                laneSum.add(values, at, Math.min(SegmentWork.LANES, end - at));
            }
            total += laneSum.fold();
        }
        return total;
    }

    @Override
    public void run(int member, long from, long to) {
        for (long row = firstRow + from; row < firstRow + to; row++) {
            row(row);
        }
    }

    private void row(long row) {
        long target = targets.get(row);
        boolean live = target != options.ignoreIndex();
        long first = row / inner * classes * inner + row % inner;
        float weight = !live ? 0 : weighted ? weights.get(target) : 1;
        if (wantsLoss) {
            // Read before anything is written: the gradient may lie over the log-probabilities.
            float logProbability = live ? input.get(first + target * inner) : 0;
            float loss = weight == 0 && Float.isInfinite(logProbability) ? 0 : weight * (0 - logProbability);
            values[(int) (row - firstRow)] = SegmentWork.canonical(loss);
        }
        if (wantsGradient) {
            if (inner == 1) {
                gradient.fill(first, classes, 0);
            } else {
                for (long k = 0; k < classes; k++) {
                    gradient.set(first + k * inner, 0);
                }
            }
            if (live) {
                double a = (perRow ? gradLoss.get(row) : upstream) / denominator;
                gradient.set(first + target * inner, SegmentWork.canonical((float) (0 - a * weight)));
            }
        }
    }

    @Override
    public void close() {
        values = new float[0];
    }
}
