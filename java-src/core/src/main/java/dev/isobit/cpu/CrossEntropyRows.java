package dev.isobit.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;

/** Works on rows of a batch: the same code over scalar and vector stages. One per worker, reused. */
final class CrossEntropyRows {
    private static final int SEGMENT = SegmentWork.SEGMENT;

    final SegmentWork work = SegmentWork.create();
    final RowState state = RowState.create();
    private final SmallRows smallRows = new SmallRows(work);
    private final ShortRows shortRows = ShortRows.create(work, state);
    private final ScratchRows scratchRows = new ScratchRows();

    /** Computes rows [from, to): their losses, and their gradients if these are wanted. */
    void run(CrossEntropyBatch batch, SegmentStages stages, long from, long to) {
        if (ScratchRows.take(batch, stages)) {
            scratchRows.run(batch, stages, from, to, this);
        } else {
            direct(batch, stages, from, to);
        }
    }

    /** Computes rows [from, to) where they are. */
    void direct(CrossEntropyBatch batch, SegmentStages stages, long from, long to) {
        work.operands(batch.logits, batch.gradLogits, batch.wantsGradient);
        long row = stages.hasSmallRows(batch.classes) ? smallRows.run(batch, stages, from, to, this) : from;
        if (stages.hasShortRows(batch.classes)) {
            shortRows.run(batch, stages, row, to);
        } else {
            SegmentStages ofRows = batch.logits.isNarrow() ? stages.longRows() : stages;
            reserve(batch);
            for (; row < to; row++) {
                run(batch, ofRows, row);
            }
        }
        work.clear();
    }

    /** Computes a row by segments. */
    void run(CrossEntropyBatch batch, SegmentStages stages, long row) {
        batch.rowLoss[(int) (row - batch.firstRow)] = row(batch, stages, row);
    }

    private float row(CrossEntropyBatch batch, SegmentStages stages, long row) {
        long classes = batch.classes;
        long first = row * classes;
        boolean gradient = batch.wantsGradient;
        long target = batch.targets.get(row);
        if (target == batch.ignoreIndex) {
            if (gradient) {
                batch.gradLogits.fill(first, classes, 0);
            }
            return 0;
        }
        // Read before anything is written: the gradient may lie over the logits.
        float targetLogit = batch.logits.get(first + target);
        if (!reduce(batch, stages, first)) {
            if (gradient) {
                batch.gradLogits.fill(first, classes, Float.NaN);
            }
            return Float.NaN;
        }
        state.join();
        if (gradient) {
            double upstream = batch.upstream(row);
            float targetExp = exponential(batch, stages, first, target);
            int j = 0;
            for (long offset = 0; offset < classes; offset += SEGMENT) {
                place(batch, first, offset);
                work.factor = state.factor(j++, upstream);
                stages.scale(work);
            }
            batch.gradLogits.set(first + target,
                    state.targetGradient(targetLogit, targetExp, (int) (target / SEGMENT), upstream));
        }
        return state.loss(targetLogit);
    }

    /** Reduces all segments, leaving exponentials for the gradient; false for a row that has no softmax. */
    boolean reduce(CrossEntropyBatch batch, SegmentStages stages, long first) {
        long classes = batch.classes;
        state.begin(classes);
        for (long offset = 0; offset < classes; offset += SEGMENT) {
            place(batch, first, offset);
            stages.max(work);
            if (work.max == Float.POSITIVE_INFINITY) {
                return false;
            }
            if (work.max == Float.NEGATIVE_INFINITY) {
                if (batch.logits.hasNaN(first + offset, work.length)) {
                    return false;
                }
                if (batch.wantsGradient && batch.logits.isNarrow()) {
                    work.waiting.asSlice(work.waitingAt, SEGMENT * (long) Float.BYTES).fill((byte) 0);
                } else if (batch.wantsGradient) {
                    batch.gradLogits.fill(first + offset, work.length, 0);
                }
                work.count = 0;
                work.sum = 0;
            } else {
                stages.reduce(work);
                if (work.sum != work.sum) {
                    return false;
                }
            }
            state.add(work.max, work.count, work.sum);
        }
        return !state.isInvalid();
    }

    private void place(CrossEntropyBatch batch, long first, long offset) {
        work.at = batch.logits.position(first + offset);
        work.outAt = batch.gradLogits.position(first + offset);
        work.waitingAt = offset * Float.BYTES;
        work.length = (int) Math.min(SEGMENT, batch.classes - offset);
    }

    /** Of 16 bits the exponentials of a row wait as float32; the memory grows with the longest row so far. */
    private void reserve(CrossEntropyBatch batch) {
        long bytes = Math.ceilDiv(batch.classes, SEGMENT) * SEGMENT * Float.BYTES;
        if (batch.logits.isNarrow() && batch.wantsGradient && work.waiting.byteSize() < bytes) {
            work.waiting = Arena.ofAuto().allocate(bytes, 64);
        }
    }

    /** The exponential that waits for the target's class, around its segment's maximum. */
    private float exponential(CrossEntropyBatch batch, SegmentStages stages, long first, long target) {
        if (!batch.logits.isNarrow()) {
            return batch.gradLogits.get(first + target);
        }
        long place = target % stages.width();
        return work.waiting.getAtIndex(ValueLayout.JAVA_FLOAT,
                target - place + place / 2 + place % 2 * (stages.width() / 2));
    }
}
