package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;

/**
 * Rows of at most {@link SegmentWork#LANES} classes, by vectors. While a row's exponentials are computed, the maximum of
 * the row behind it is found, and the gradient of the row before it is written. One per worker, reused.
 */
class ShortRows extends LinesBefore {
    /**
     * Gradients of more bytes, which no second cache holds, are written from each row's beginning: one stream through memory, which
     * the hardware runs ahead of. Below that from each row's end: else a store shares the low 12 bits of its address with loads
     * that soon follow it, which then wait. See bench/NOTES.md.
     */
    private static final long LARGE = 4L << 20;

    private final SegmentWork work;
    private final RowState state;
    /** The row whose exponentials wait in {@link SegmentWork#previousAt} for being written as a gradient, if there is one. */
    private boolean isPending;
    private long first;
    private float factor;
    private long target;
    /** The gradient there, once the row's group has been joined. */
    private float targetGradient;
    private boolean knowsTargetGradient;
    /** Where its maximum is: there the exponential, 1, has been left out of the lanes. */
    private final int[] maxAt = new int[SegmentWork.LANES + 2 * IN_ARRAY];
    /** Behind the last of them, which begin at {@link #IN_ARRAY}. */
    private int maxEnd;

    static ShortRows create(SegmentWork work, RowState state) {
        return new Padded(work, state);
    }

    private ShortRows(SegmentWork work, RowState state) {
        this.work = work;
        this.state = state;
    }

    /** Computes rows [from, to). */
    final void run(CrossEntropyBatch batch, SegmentStages stages, long from, long to) {
        work.takeSlot();
        try {
            groups(batch, stages, from, to);
        } finally {
            work.giveSlotBack();
        }
    }

    private void groups(CrossEntropyBatch batch, SegmentStages stages, long from, long to) {
        work.length = (int) batch.classes;
        work.ascending = batch.elements * (batch.gradLogits.isNarrow() ? Short.BYTES : Float.BYTES) > LARGE;
        work.nextMax = SegmentWork.UNKNOWN;
        work.useBlock(stages.width());
        isPending = false;
        for (long row = from; row < to; row += stages.width()) {
            group(batch, stages, row, to);
        }
        flush(batch, stages);
    }

    private static void fill(CrossEntropyBatch batch, long row, float value) {
        if (batch.wantsGradient) {
            batch.gradLogits.fill(row * batch.classes, batch.classes, value);
        }
    }

    /** As many rows as a vector has lanes: what is float64 or a logarithm is done for all at once. */
    private void group(CrossEntropyBatch batch, SegmentStages stages, long row, long to) {
        SmallBlock block = work.block;
        int rows = (int) Math.min(stages.width(), to - row);
        float[] losses = batch.rowLoss;
        int lossAt = (int) (row - batch.firstRow);
        batch.targets.copy(row, rows, block.targets);
        block.groups = 1;
        block.single = true;
        for (int r = 0; r < stages.width(); r++) {
            block.leaveOut(r);
        }
        for (int r = 0; r < rows; r++) {
            if (block.targets[r] == batch.ignoreIndex) {
                work.nextMax = SegmentWork.UNKNOWN;
                losses[lossAt + r] = 0;
                fill(batch, row + r, 0);
            } else if (!row(batch, stages, r, row + r, Math.min(row + r + 1, to - 1))) {
                losses[lossAt + r] = Float.NaN;
                fill(batch, row + r, Float.NaN);
            }
        }
        stages.join(work);
        for (int r = 0; r < rows; r++) {
            if (block.skips[r]) {
                continue;
            }
            losses[lossAt + r] = block.losses[r];
            long start = (row + r) * batch.classes;
            if (isPending && start == first) {
                targetGradient = block.targetGradients[r];
                knowsTargetGradient = true;
            } else if (batch.wantsGradient) {
                batch.gradLogits.set(start + block.targets[r], block.targetGradients[r]);
            }
        }
    }

    /** Leaves in the block what is to be joined; false for a row that has no softmax. */
    private boolean row(CrossEntropyBatch batch, SegmentStages stages, int r, long row, long next) {
        long start = row * batch.classes;
        work.at = batch.logits.position(start);
        // The look ahead compares bits as integers, which puts negative floats and NaN in no useful order.
        if (work.nextMax >= 0) {
            work.max = work.nextMax;
        } else {
            findMax(batch, stages, start);
        }
        work.nextMax = SegmentWork.UNKNOWN;
        if (!Float.isFinite(work.max)) {
            return false;
        }
        work.nextAt = batch.logits.position(next * batch.classes);
        work.previousGradient(isPending ? batch.gradLogits : null, first, factor);
        if (batch.logits.isNarrow()) {
            stages.bf16Row(work);
        } else {
            stages.shortRow(work);
        }
        correct(batch);
        work.swap();
        if (work.sum != work.sum) {
            return false;
        }
        SmallBlock block = work.block;
        long targetClass = block.targets[r];
        float targetLogit = batch.logits.get(start + targetClass);
        double upstream = batch.wantsGradient ? batch.upstream(row) : 0;
        // The factor of RowState, with one segment.
        factor = (float) (upstream / (work.count + (double) work.sum));
        block.take(r, work.max, work.count, work.sum, targetLogit, work.previous((int) targetClass), upstream);
        if (batch.wantsGradient) {
            isPending = true;
            knowsTargetGradient = false;
            first = start;
            target = targetClass;
            findMaxima(batch);
            if (!Float.isFinite(factor)) {
                alone(batch, stages, r, row);
            }
        }
        return true;
    }

    /** Writes a gradient whose factor is not finite. */
    private void alone(CrossEntropyBatch batch, SegmentStages stages, int r, long row) {
        SmallBlock block = work.block;
        state.begin(batch.classes);
        state.add(work.max, work.count, work.sum);
        state.join();
        targetGradient = state.targetGradient(block.targetLogits[r], block.targetExps[r], 0, block.upstream[r]);
        knowsTargetGradient = true;
        batch.rowLoss[(int) (row - batch.firstRow)] = state.loss(block.targetLogits[r]);
        flush(batch, stages);
        block.leaveOut(r);
    }

    private void findMax(CrossEntropyBatch batch, SegmentStages stages, long start) {
        if (batch.logits.isNarrow()) {
            MemorySegment segment = work.inSegment;
            batch.logits.widen(start, work.spareSegment, 0, work.length);
            work.inSegment = work.spareSegment;
            work.at = 0;
            stages.max(work);
            work.inSegment = segment;
            work.at = batch.logits.position(start);
        } else {
            stages.max(work);
        }
    }

    /** Now, since the gradient may lie over the logits. */
    private void findMaxima(CrossEntropyBatch batch) {
        if (work.count == 1) {
            maxAt[IN_ARRAY] = work.maxAt;
            maxEnd = IN_ARRAY + 1;
            return;
        }
        maxEnd = IN_ARRAY;
        for (int i = 0; i < batch.classes; i++) {
            if (batch.logits.get(first + i) == work.max) {
                maxAt[maxEnd++] = i;
            }
        }
    }

    /** Writes the pending gradient where there is no row behind it that would, or where its factor is not finite. */
    private void flush(CrossEntropyBatch batch, SegmentStages stages) {
        if (isPending && batch.gradLogits.isNarrow()) {
            float[] exponentials = work.copyOfPrevious((int) batch.classes);
            for (int i = 0; i < batch.classes; i++) {
                exponentials[i] = SegmentWork.canonical(exponentials[i] * factor);
            }
            batch.gradLogits.copyFrom(exponentials, first, (int) batch.classes);
        } else if (isPending) {
            batch.gradLogits.copyFrom(work.copyOfPrevious((int) batch.classes), first, (int) batch.classes);
            work.outAt = batch.gradLogits.position(first);
            work.factor = factor;
            stages.scale(work);
        }
        correct(batch);
    }

    /** What is not exponential times factor in the pending gradient. */
    private void correct(CrossEntropyBatch batch) {
        if (isPending) {
            for (int i = IN_ARRAY; i < maxEnd; i++) {
                batch.gradLogits.set(first + maxAt[i], SegmentWork.canonical(factor));
            }
            if (knowsTargetGradient) {
                batch.gradLogits.set(first + target, targetGradient);
            }
            isPending = false;
        }
    }

    /** Lines behind the fields, see {@link LinesBefore}. */
    @SuppressWarnings("unused")
    private static final class Padded extends ShortRows {
        private long behind0, behind1, behind2, behind3, behind4, behind5, behind6, behind7;
        private long behind8, behind9, behind10, behind11, behind12, behind13, behind14, behind15;

        private Padded(SegmentWork work, RowState state) {
            super(work, state);
        }
    }
}
