package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * Rows of at most {@link SegmentWork#LANES} classes, by vectors. While a row's exponentials are computed, the maximum of
 * the row behind it is found, and the gradient of the row before it is written. One per worker, reused.
 */
class ShortRows extends LinesBefore {
    private final SegmentWork work;
    private final RowState state;
    /** The row whose exponentials wait in {@link SegmentWork#previous()} for being written as a gradient, if there is one. */
    private boolean isPending;
    private long first;
    private float factor;
    private long target;
    private float targetGradient;
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
        Arrays.fill(work.lanes(), 0);
        Arrays.fill(work.previous(), 0);
        work.length = (int) batch.classes;
        work.nextMax = SegmentWork.UNKNOWN;
        isPending = false;
        for (long row = from; row < to; row++) {
            float loss;
            if (batch.targets.get(row) == batch.ignoreIndex) {
                work.nextMax = SegmentWork.UNKNOWN;
                loss = 0;
                fill(batch, row, 0);
            } else {
                loss = row(batch, stages, row, row + 1 < to ? row + 1 : row);
                if (loss != loss) {
                    fill(batch, row, Float.NaN);
                }
            }
            batch.rowLoss[(int) (row - batch.firstRow)] = loss;
        }
        flush(batch);
    }

    private static void fill(CrossEntropyBatch batch, long row, float value) {
        if (batch.wantsGradient) {
            batch.gradLogits.fill(row * batch.classes, batch.classes, value);
        }
    }

    /** The loss of a row; NaN if it has no softmax. */
    private float row(CrossEntropyBatch batch, SegmentStages stages, long row, long next) {
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
            return Float.NaN;
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
            return Float.NaN;
        }
        state.begin(batch.classes);
        state.add(work.max, work.count, work.sum);
        state.join();
        long targetClass = batch.targets.get(row);
        float targetLogit = batch.logits.get(start + targetClass);
        if (batch.wantsGradient) {
            double upstream = batch.upstream(row);
            isPending = true;
            first = start;
            factor = state.factor(0, upstream);
            target = targetClass;
            targetGradient = state.targetGradient(targetLogit,
                    work.previous()[(int) targetClass], 0, upstream);
            findMaxima(batch);
            if (!Float.isFinite(factor)) {
                flush(batch);
            }
        }
        return state.loss(targetLogit);
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
    private void flush(CrossEntropyBatch batch) {
        if (isPending) {
            float[] exponentials = work.previous();
            for (int i = 0; i < batch.classes; i++) {
                exponentials[i] = SegmentWork.canonical(exponentials[i] * factor);
            }
            batch.gradLogits.copyFrom(exponentials, first, (int) batch.classes);
            correct(batch);
        }
    }

    /** What is not exponential times factor in the pending gradient. */
    private void correct(CrossEntropyBatch batch) {
        if (isPending) {
            for (int i = IN_ARRAY; i < maxEnd; i++) {
                batch.gradLogits.set(first + maxAt[i], SegmentWork.canonical(factor));
            }
            batch.gradLogits.set(first + target, targetGradient);
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
