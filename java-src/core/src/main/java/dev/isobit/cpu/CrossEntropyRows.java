package dev.isobit.cpu;

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
            for (; row < to; row++) {
                run(batch, stages, row);
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
            float targetExp = batch.gradLogits.get(first + target);
            int j = 0;
            for (long offset = 0; offset < classes; offset += SEGMENT) {
                place(batch, first + offset, (int) Math.min(SEGMENT, classes - offset));
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
            int length = (int) Math.min(SEGMENT, classes - offset);
            place(batch, first + offset, length);
            stages.max(work);
            if (work.max == Float.POSITIVE_INFINITY) {
                return false;
            }
            if (work.max == Float.NEGATIVE_INFINITY) {
                if (batch.logits.hasNaN(first + offset, length)) {
                    return false;
                }
                if (batch.wantsGradient) {
                    batch.gradLogits.fill(first + offset, length, 0);
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

    private void place(CrossEntropyBatch batch, long element, int length) {
        work.at = batch.logits.position(element);
        work.outAt = batch.gradLogits.position(element);
        work.length = length;
    }
}
