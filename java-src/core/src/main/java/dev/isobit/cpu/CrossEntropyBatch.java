package dev.isobit.cpu;

import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import dev.isobit.spi.HostTargets;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * What the rows of one call have in common, laid out for the row kernels; reused from call to call. Workers read it
 * between the pool's barriers.
 */
final class CrossEntropyBatch {
    long classes;
    long ignoreIndex;
    boolean wantsGradient;
    /** Elements of the logits of the call; more may not be read. */
    long elements;

    final FloatOperand logits = new FloatOperand();
    final FloatOperand gradLogits = new FloatOperand();

    HostTargets targets = new HostTargets();

    /** The factor of every row's gradient in float64, used where there is none per row. */
    double upstream;
    private @Nullable MemorySegment gradLoss;
    private long gradLossOffset;

    /** Row losses of the chunk in work; row {@code firstRow} stands at 0. */
    float[] rowLoss = new float[0];
    long firstRow;

    /** One upstream gradient per row, or null for {@link #upstream} alone. */
    void gradLossPerRow(@Nullable Tensor tensor) {
        gradLoss = tensor == null ? null : ((HostMemory) tensor.memory()).segment();
        gradLossOffset = tensor == null ? 0 : tensor.byteOffset();
    }

    /** Takes all from another batch but the logits and their gradient. */
    void share(CrossEntropyBatch batch) {
        classes = batch.classes;
        ignoreIndex = batch.ignoreIndex;
        wantsGradient = batch.wantsGradient;
        targets = batch.targets;
        upstream = batch.upstream;
        gradLoss = batch.gradLoss;
        gradLossOffset = batch.gradLossOffset;
        rowLoss = batch.rowLoss;
        firstRow = batch.firstRow;
    }

    boolean hasUpstreamPerRow() {
        return gradLoss != null;
    }

    double upstream(long row) {
        MemorySegment perRow = gradLoss;
        return perRow == null ? upstream : perRow.get(ValueLayout.JAVA_FLOAT_UNALIGNED, gradLossOffset + row * 4);
    }

    /** Drops the operands, so that an idle operation keeps nobody's memory. */
    void clear() {
        logits.clear();
        gradLogits.clear();
        targets.clear();
        gradLoss = null;
    }
}
