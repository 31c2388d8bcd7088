package dev.isobit.cpu;

import java.util.Arrays;

/** Works on rows of a batch: the same code over scalar and vector stages. One per worker, reused. */
final class CrossEntropyRows {
    private static final int SEGMENT = SegmentWork.SEGMENT;
    private static final long NONE = -1;
    /** Segments whose maxima are found before their exponentials: as float32 they and their gradients stay in the second cache. */
    private static final int GROUP = 8;
    /** Elements that go one way, about, before another one may be tried: the JIT is to see enough of both. */
    private static final int RUN = 1 << 16;

    final SegmentWork work = SegmentWork.create();
    final RowState state = RowState.create();
    private final SmallRows smallRows = new SmallRows(work);
    private final ShortRows shortRows = ShortRows.create(work, state);
    private final ScratchRows scratchRows = new ScratchRows();
    /** Of a group of segments. */
    private final float[] maxima = new float[GROUP];
    /** Of the two ways through rows of so many classes, see {@link #reduce}. */
    private final Trial trial = new Trial();
    private long tried;
    private boolean tries;
    private long firstOfRun;
    /** Whether the next segment's maximum is found while exponentials are computed. */
    private boolean looksAhead;
    /** The segment that the one before it has looked at, as its first element, and how many of its elements. */
    private long seenSegment = NONE;
    private int seen;

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
            SegmentStages ofRows = batch.logits.isNarrow() ? stages.longRows() : stages.of(batch.classes);
            reserve(batch);
            while (row < to) {
                for (long end = beginRun(batch, ofRows, row, to); row < end; row++) {
                    batch.rowLoss[(int) (row - batch.firstRow)] = row(batch, ofRows, row, to * batch.classes);
                }
                endRun(batch, row);
            }
        }
        work.clear();
    }

    /** Computes a row by segments. */
    void run(CrossEntropyBatch batch, SegmentStages stages, long row) {
        looksAhead = false;
        batch.rowLoss[(int) (row - batch.firstRow)] = row(batch, stages, row, (row + 1) * batch.classes);
    }

    private float row(CrossEntropyBatch batch, SegmentStages stages, long row, long end) {
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
        if (!reduce(batch, stages, first, end)) {
            if (gradient) {
                batch.gradLogits.fill(first, classes, Float.NaN);
            }
            return Float.NaN;
        }
        state.join();
        if (gradient) {
            double upstream = batch.upstream(row);
            float targetExp = exponential(batch, stages, first, target);
            scale(batch, stages, first, upstream);
            batch.gradLogits.set(first + target,
                    state.targetGradient(targetLogit, targetExp, (int) (target / SEGMENT), upstream));
        }
        return state.loss(targetLogit);
    }

    /** Begins a run of rows, which all go the same way; returns the row behind them. */
    long beginRun(CrossEntropyBatch batch, SegmentStages stages, long row, long to) {
        firstOfRun = row;
        tries = batch.classes >= SegmentStages.MANY_CLASSES;
        if (!tries) {
            looksAhead = stages.canLookAhead();
            return to;
        }
        if (batch.classes != tried) {
            tried = batch.classes;
            trial.forget();
        }
        looksAhead = !trial.begin() && stages.canLookAhead();
        return Math.min(to, row + Math.max(2, RUN / batch.classes));
    }

    void endRun(CrossEntropyBatch batch, long end) {
        if (tries) {
            trial.end((end - firstOfRun) * batch.classes);
        }
    }

    /** Scales the exponentials that wait for a row's factors. */
    void scale(CrossEntropyBatch batch, SegmentStages stages, long first, double upstream) {
        int j = 0;
        for (long offset = 0; offset < batch.classes; offset += SEGMENT) {
            place(batch, first, offset);
            work.factor = state.factor(j++, upstream);
            stages.scale(work);
        }
    }

    /**
     * Reduces all segments, leaving exponentials for the gradient. There are two ways. In one the next segment's maximum is found
     * while exponentials of one are computed, and written where memory waits to be read. In the other the maxima of some segments
     * are found first, by a loop so short that a CPU has many of its lines on the way. Which is faster depends on the CPU, see
     * bench/NOTES.md; rows of few classes always go the first way.
     *
     * @param end behind the elements of the rows that follow this one and may be looked at: its own end if there is none
     * @return false for a row that has no softmax
     */
    boolean reduce(CrossEntropyBatch batch, SegmentStages stages, long first, long end) {
        long classes = batch.classes;
        state.begin(classes);
        for (long offset = 0; offset < classes; offset += SEGMENT) {
            if (!looksAhead && offset % (GROUP * SEGMENT) == 0) {
                maxima(batch, stages, first, offset);
            }
            place(batch, first, offset);
            if (looksAhead) {
                max(batch, stages, first + offset);
            } else {
                work.max = maxima[(int) (offset / SEGMENT % GROUP)];
            }
            if (work.max == Float.POSITIVE_INFINITY) {
                return false;
            }
            if (work.max == Float.NEGATIVE_INFINITY) {
                if (batch.logits.hasNaN(first + offset, work.length)) {
                    return false;
                }
                if (batch.wantsGradient && batch.logits.isNarrow()) {
                    Arrays.fill(work.waiting, work.waitingAt, work.waitingAt + SEGMENT, 0);
                } else if (batch.wantsGradient) {
                    batch.gradLogits.fill(first + offset, work.length, 0);
                }
                work.count = 0;
                work.sum = 0;
            } else {
                long next = first + offset + work.length;
                long left = next < first + classes ? first + classes - next : Math.min(classes, end - next);
                lookAhead(batch, stages, next, looksAhead ? (int) Math.min(SEGMENT, left) : 0);
                stages.reduce(work);
                if (work.sum != work.sum) {
                    return false;
                }
            }
            state.add(work.max, work.count, work.sum);
        }
        return !state.isInvalid();
    }

    private void maxima(CrossEntropyBatch batch, SegmentStages stages, long first, long offset) {
        long end = Math.min(offset + GROUP * SEGMENT, batch.classes);
        int j = 0;
        for (long at = offset; at < end; at += SEGMENT) {
            place(batch, first, at);
            stages.max(work);
            maxima[j++] = work.max;
        }
    }

    private void max(CrossEntropyBatch batch, SegmentStages stages, long segment) {
        float max = work.nextMax;
        if (segment != seenSegment || !(max >= 0)) {
            stages.max(work);
            return;
        }
        int length = work.length;
        if (seen < length) {
            work.at = batch.logits.position(segment + seen);
            work.length = length - seen;
            stages.max(work);
            max = Math.max(max, work.max);
            work.at = batch.logits.position(segment);
            work.length = length;
        }
        work.max = max;
    }

    /** Tells the segment in place which one comes next. One that has no whole vector is not looked at. */
    private void lookAhead(CrossEntropyBatch batch, SegmentStages stages, long next, int length) {
        boolean looks = length >= stages.width();
        seen = Math.min(length, work.length - work.length % stages.width());
        seenSegment = looks && seen > 0 ? next : NONE;
        work.nextAt = looks ? batch.logits.position(next) : work.at;
        work.nextLength = looks ? length : work.length;
        work.nextMax = SegmentWork.UNKNOWN;
    }

    private void place(CrossEntropyBatch batch, long first, long offset) {
        work.at = batch.logits.position(first + offset);
        work.outAt = batch.gradLogits.position(first + offset);
        work.waitingAt = (int) offset;
        work.length = (int) Math.min(SEGMENT, batch.classes - offset);
    }

    /** Of 16 bits the exponentials of a row wait as float32; the memory grows with the longest row so far. */
    private void reserve(CrossEntropyBatch batch) {
        long length = Math.ceilDiv(batch.classes, SEGMENT) * SEGMENT;
        if (batch.logits.isNarrow() && batch.wantsGradient && work.waiting.length < length) {
            work.waiting = new float[Math.toIntExact(length)];
        }
    }

    /** The exponential that waits for the target's class, around its segment's maximum. */
    private float exponential(CrossEntropyBatch batch, SegmentStages stages, long first, long target) {
        if (!batch.logits.isNarrow()) {
            return SegmentWork.exponential(batch.gradLogits.get(first + target));
        }
        long place = target % stages.width();
        return work.waiting[(int) (target - place + place / 2 + place % 2 * (stages.width() / 2))];
    }
}
