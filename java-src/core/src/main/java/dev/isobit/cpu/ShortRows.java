package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Rows of at most {@link SegmentWork#LANES} classes, by vectors, three at a time: while a row's exponentials are
 * computed, the maximum of the row behind it is found and the gradient of the row two before it is written. The row
 * between is summed after that, when its exponentials have long left the pipeline. One per worker, reused.
 */
final class ShortRows {
    private static final float UNKNOWN = -1;

    /** A row on its way. */
    private static final class Row {
        final MemorySegment lanes;
        /** Where the maximum is, if it is met more than once: there the exponential, 1, is left out of the lanes. */
        final int[] ties = new int[SegmentWork.LANES];
        long index;
        float max;
        int count;
        int maxAt;
        /** Known after the sum. */
        float factor;
        float targetGradient;

        Row(MemorySegment lanes) {
            this.lanes = lanes;
        }
    }

    private final SegmentWork work;
    private final RowState state;
    private Row computed;
    private Row summed;
    private Row free;
    private boolean hasComputed;
    private boolean hasSummed;

    ShortRows(SegmentWork work, RowState state) {
        this.work = work;
        this.state = state;
        computed = new Row(work.shortLanes(0));
        summed = new Row(work.shortLanes(1));
        free = new Row(work.shortLanes(2));
    }

    /** Computes rows [from, to). */
    void run(CrossEntropyBatch batch, SegmentStages stages, long from, long to) {
        computed.lanes.fill((byte) 0);
        summed.lanes.fill((byte) 0);
        free.lanes.fill((byte) 0);
        MemorySegment lanes = work.lanes;
        work.length = (int) batch.classes;
        work.nextMax = UNKNOWN;
        hasComputed = false;
        hasSummed = false;
        for (long row = from; row < to; row++) {
            if (batch.targets.get(row) == batch.ignoreIndex) {
                work.nextMax = UNKNOWN;
                finish(batch, row, 0);
            } else {
                compute(batch, stages, row, row + 1 < to ? row + 1 : row);
            }
        }
        write(batch, stages);
        sum(batch, stages, free);
        write(batch, stages);
        work.lanes = lanes;
    }

    /** A row without exponentials. */
    private static void finish(CrossEntropyBatch batch, long row, float value) {
        batch.rowLoss[(int) (row - batch.firstRow)] = value;
        if (batch.wantsGradient) {
            batch.gradLogits.fill(row * batch.classes, batch.classes, value);
        }
    }

    private void compute(CrossEntropyBatch batch, SegmentStages stages, long index, long next) {
        Row row = free;
        work.at = batch.logits.position(index * batch.classes);
        // The look ahead compares bits as integers, which puts negative floats and NaN in no useful order.
        if (work.nextMax >= 0) {
            work.max = work.nextMax;
        } else {
            stages.max(work);
        }
        work.nextMax = UNKNOWN;
        if (!Float.isFinite(work.max)) {
            finish(batch, index, Float.NaN);
            return;
        }
        work.nextAt = batch.logits.position(next * batch.classes);
        work.lanes = row.lanes;
        work.previousGradient(hasSummed ? batch.gradLogits : null, summed.lanes, summed.index * batch.classes,
                summed.factor);
        stages.shortRow(work);
        row.index = index;
        row.max = work.max;
        row.count = work.count;
        row.maxAt = work.maxAt;
        if (hasSummed) {
            correct(batch);
        }
        sum(batch, stages, row);
        hasComputed = true;
    }

    /** Sums the computed row, which is the summed one then; {@code row} takes its place. */
    private void sum(CrossEntropyBatch batch, SegmentStages stages, Row row) {
        free = summed;
        summed = computed;
        computed = row;
        hasSummed = false;
        if (!hasComputed) {
            return;
        }
        hasComputed = false;
        work.lanes = summed.lanes;
        stages.sum(work);
        if (work.sum != work.sum) {
            finish(batch, summed.index, Float.NaN);
            return;
        }
        state.begin(batch.classes);
        state.add(summed.max, summed.count, work.sum);
        state.join();
        long first = summed.index * batch.classes;
        long target = batch.targets.get(summed.index);
        float targetLogit = batch.logits.get(first + target);
        batch.rowLoss[(int) (summed.index - batch.firstRow)] = state.loss(targetLogit);
        if (batch.wantsGradient) {
            double upstream = batch.upstream(summed.index);
            summed.factor = state.factor(0, upstream);
            summed.targetGradient = state.targetGradient(targetLogit,
                    summed.lanes.getAtIndex(ValueLayout.JAVA_FLOAT, target), 0, upstream);
            if (summed.count > 1) {
                findTies(batch, first);
            }
            hasSummed = true;
            if (!Float.isFinite(summed.factor)) {
                write(batch, stages);
            }
        }
    }

    /** Before a gradient may lie over the logits. */
    private void findTies(CrossEntropyBatch batch, long first) {
        int count = 0;
        for (int i = 0; i < batch.classes; i++) {
            if (batch.logits.get(first + i) == summed.max) {
                summed.ties[count++] = i;
            }
        }
    }

    /** Writes the summed row's gradient where there is no row behind it that would, or where the factor is not finite. */
    private void write(CrossEntropyBatch batch, SegmentStages stages) {
        if (hasSummed) {
            long first = summed.index * batch.classes;
            batch.gradLogits.copyFrom(summed.lanes, first, batch.classes);
            work.outAt = batch.gradLogits.position(first);
            work.factor = summed.factor;
            stages.scale(work);
            correct(batch);
            hasSummed = false;
        }
    }

    /** What is not exponential times factor in the summed row's gradient. */
    private void correct(CrossEntropyBatch batch) {
        long first = summed.index * batch.classes;
        float one = SegmentWork.canonical(summed.factor);
        if (summed.count == 1) {
            batch.gradLogits.set(first + summed.maxAt, one);
        } else {
            for (int i = 0; i < summed.count; i++) {
                batch.gradLogits.set(first + summed.ties[i], one);
            }
        }
        batch.gradLogits.set(first + batch.targets.get(summed.index), summed.targetGradient);
    }
}
