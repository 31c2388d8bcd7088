package dev.isobit.cpu;

import dev.isobit.CrossEntropyOptions;
import dev.isobit.HostMemory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.CrossEntropyKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy on the CPU: targets are checked and counted, rows are split over the workers, row losses are reduced by
 * the calling thread. Logits are read once from memory, segment by segment, each while the exponentials of the one before are
 * computed; these wait in the gradient's own memory for their factor, of 16 bits in scratch memory. Rows of 16 bits that are
 * widened: see {@link ScratchRows}. What has options goes to {@link CpuGeneralCrossEntropy}.
 */
final class CpuCrossEntropy implements CrossEntropyKernel, Workers.Task {
    /** Rows between two reductions, a multiple of the segment: bounds the scratch memory, not the batch. */
    private static final int CHUNK = 128 * SegmentWork.SEGMENT;

    private final CrossEntropyOptions options;
    private final CpuBackend backend;
    private final Workers workers;
    private final CrossEntropyBatch batch = new CrossEntropyBatch();
    private final CrossEntropyRows[] rows;
    private final LaneSum laneSum = new LaneSum();
    private SegmentStages stages;
    private @Nullable CpuGeneralCrossEntropy general;

    CpuCrossEntropy(CpuBackend backend, CrossEntropyOptions options) {
        this.backend = backend;
        this.options = options;
        this.workers = backend.workers();
        this.stages = ScalarKernels.STAGES;
        rows = new CrossEntropyRows[workers.count()];
        Arrays.setAll(rows, i -> new CrossEntropyRows());
    }

    @Override
    public void run(CrossEntropyCall call) {
        backend.requireOpen();
        if (!call.plain) {
            general().run(call);
            return;
        }
        Tensor logits = Objects.requireNonNull(call.logits);
        Tensor targets = Objects.requireNonNull(call.targets);
        Tensor loss = call.loss;
        Tensor gradLogits = call.gradLogits;
        Tensor gradLoss = call.gradLoss;
        batch.targets.view(targets);
        long kept = batch.targets.countNotIgnored("CrossEntropy", call.classes, options.ignoreIndex());
        batch.classes = call.classes;
        batch.elements = call.rows * call.classes;
        batch.ignoreIndex = options.ignoreIndex();
        batch.wantsGradient = gradLogits != null;
        batch.logits.set(logits, backend.kernels());
        if (gradLogits != null) {
            batch.gradLogits.set(gradLogits, backend.kernels());
        }
        boolean perRow = gradLoss != null && call.gradLossPerRow;
        batch.gradLossPerRow(perRow ? gradLoss : null);
        double upstream = gradLoss == null || perRow ? 1 : scalar(gradLoss);
        batch.upstream = options.reduction() == Reduction.MEAN ? upstream / kept : upstream;
        stages = batch.logits.isNarrow()
                ? backend.kernels().narrowStages(batch.logits, batch.gradLogits, batch.wantsGradient)
                : backend.kernels().stages(batch.logits, batch.gradLogits, batch.wantsGradient);
        int chunk = (int) Math.min(CHUNK, call.rows);
        if (batch.rowLoss.length < chunk) {
            batch.rowLoss = new float[chunk];
        }
        boolean parallel = mayShare(logits) && mayShare(targets) && (gradLogits == null || mayShare(gradLogits))
                && (!perRow || mayShare(gradLoss));
        try {
            double sum = 0;
            for (long first = 0; first < call.rows; first += CHUNK) {
                int count = (int) Math.min(CHUNK, call.rows - first);
                batch.firstRow = first;
                workers.run(this, count, Workers.worthSharing(call.classes), parallel);
                if (loss != null && options.reduction() == Reduction.NONE) {
                    MemorySegment.copy(batch.rowLoss, 0, ((HostMemory) loss.memory()).segment(),
                            ValueLayout.JAVA_FLOAT_UNALIGNED, loss.byteOffset() + first * Float.BYTES, count);
                } else {
                    sum = laneSum.addSegments(sum, batch.rowLoss, count);
                }
            }
            if (loss != null && options.reduction() != Reduction.NONE) {
                float result = (float) (options.reduction() == Reduction.MEAN ? sum / kept : sum);
                ((HostMemory) loss.memory()).segment().set(ValueLayout.JAVA_FLOAT_UNALIGNED, loss.byteOffset(),
                        result == result ? result : Float.NaN);
            }
        } finally {
            batch.clear();
        }
    }

    private CpuGeneralCrossEntropy general() {
        CpuGeneralCrossEntropy made = general;
        if (made == null) {
            made = new CpuGeneralCrossEntropy(backend, options);
            general = made;
        }
        return made;
    }

    @Override
    public void run(int member, long from, long to) {
        rows[member].run(batch, stages, batch.firstRow + from, batch.firstRow + to);
    }

    private static float scalar(Tensor tensor) {
        return ((HostMemory) tensor.memory()).segment().get(ValueLayout.JAVA_FLOAT_UNALIGNED, tensor.byteOffset());
    }

    private boolean mayShare(Tensor tensor) {
        return workers.mayAccess(((HostMemory) tensor.memory()).segment());
    }

    @Override
    public void close() {
        batch.rowLoss = new float[0];
        if (general != null) {
            general.close();
        }
    }
}
