package dev.isobit.cpu;

import dev.isobit.CrossEntropyOptions;
import dev.isobit.HostMemory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.spi.CrossEntropyCall;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy on the CPU with any options and operands: {@link CpuCrossEntropy}'s outline over {@link GeneralRows}. The
 * calling thread sums the denominator before and row losses behind.
 */
final class CpuGeneralCrossEntropy implements Workers.Task {
    /** Rows between two reductions, a multiple of the segment: bounds the scratch memory, not the batch. */
    private static final int CHUNK = 128 * SegmentWork.SEGMENT;

    private final CrossEntropyOptions options;
    private final CpuBackend backend;
    private final Workers workers;
    private final GeneralBatch batch;
    private final GeneralRows[] rows;
    private final LaneSum laneSum = new LaneSum();
    private final float[] shares = new float[SegmentWork.SEGMENT];
    private RowStages stages = ScalarRowStages.STAGES;

    CpuGeneralCrossEntropy(CpuBackend backend, CrossEntropyOptions options) {
        this.backend = backend;
        this.options = options;
        this.workers = backend.workers();
        batch = new GeneralBatch(options, workers, backend.kernels());
        rows = new GeneralRows[workers.count()];
        Arrays.setAll(rows, i -> new GeneralRows());
    }

    void run(CrossEntropyCall call) {
        Reduction reduction = options.reduction();
        Tensor loss = call.loss;
        stages = backend.kernels().rowStages();
        try {
            batch.set(call, reduction);
            long kept = batch.probabilities
                    ? call.rows
                    : batch.targets.countNotIgnored("CrossEntropy", call.allClasses, options.ignoreIndex());
            boolean mean = reduction == Reduction.MEAN && batch.joins;
            double denominator = mean ? denominator(call, kept) : 1;
            boolean zero = mean && denominator == 0
                    && options.allIgnored() == CrossEntropyOptions.AllIgnored.ZERO;
            denominator = LaneSum.denominator(denominator);
            double upstream = (double) call.gradLossScale
                    * (call.gradLoss == null || batch.hasGradLoss ? 1 : scalar(call.gradLoss));
            batch.upstream = zero ? 0 : mean ? upstream / denominator : upstream;
            int chunk = (int) Math.min(CHUNK, call.rows);
            if (batch.rowLoss.length < chunk) {
                batch.rowLoss = new float[chunk];
            }
            for (GeneralRows worker : rows) {
                worker.hits = 0;
            }
            double sum = 0;
            for (long first = 0; first < call.rows; first += CHUNK) {
                int count = (int) Math.min(CHUNK, call.rows - first);
                batch.firstRow = first;
                workers.run(this, count, Workers.worthSharing(call.classes), batch.parallel);
                if (loss != null && reduction == Reduction.NONE) {
                    MemorySegment.copy(batch.rowLoss, 0, segment(loss), ValueLayout.JAVA_FLOAT_UNALIGNED,
                            loss.byteOffset() + first * Float.BYTES, count);
                } else {
                    sum = laneSum.addSegments(sum, batch.rowLoss, count);
                }
            }
            if (loss != null && reduction != Reduction.NONE) {
                float result = zero ? 0 : (float) (mean ? sum / denominator : sum);
                segment(loss).set(ValueLayout.JAVA_FLOAT_UNALIGNED, loss.byteOffset(),
                        SegmentWork.canonical(result));
            }
            if (call.hits != null) {
                long hits = 0;
                for (GeneralRows worker : rows) {
                    hits += worker.hits;
                }
                segment(call.hits).set(ValueLayout.JAVA_LONG_UNALIGNED, call.hits.byteOffset(), hits);
            }
        } finally {
            batch.clear();
        }
    }

    @Override
    public void run(int member, long from, long to) {
        rows[member].run(batch, stages, batch.firstRow + from, batch.firstRow + to);
    }

    private double denominator(CrossEntropyCall call, long kept) {
        return switch (options.denominator()) {
            case ROWS -> call.rows;
            case OPERAND -> scalar(call.denominator);
            case WEIGHTS -> batch.probabilities || !batch.hasWeights && !batch.hasClassWeights ? kept : weight();
        };
    }

    /** The sum of the rows' weights: lanes and segments in float32, segments in float64. */
    private double weight() {
        double total = 0;
        for (long first = 0; first < batch.rows; first += shares.length) {
            int count = (int) Math.min(shares.length, batch.rows - first);
            for (int i = 0; i < count; i++) {
                long target = batch.targets.get(first + i);
                shares[i] = target == batch.ignoreIndex
                        ? 0
                        : batch.weight(first + i) * (batch.hasClassWeights ? batch.classWeights.get(target) : 1);
            }
            total += laneSum.sum(shares, count);
        }
        return total;
    }

    private static MemorySegment segment(Tensor tensor) {
        return ((HostMemory) tensor.memory()).segment();
    }

    private static float scalar(@Nullable Tensor tensor) {
        return tensor == null ? 1 : segment(tensor).get(ValueLayout.JAVA_FLOAT_UNALIGNED, tensor.byteOffset());
    }

    void close() {
        batch.rowLoss = new float[0];
    }
}
