package dev.isobit.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Rows whose gradients are made in scratch memory, some at a time. Of BF16 or F16 which no stage reaches where they stand,
 * as many as the cache has room for, at least one: they are widened there, worked on in place as rows of float32, and
 * written as gradients. Long rows whose gradients no cache holds: as many as the JDK copies past the caches, so that
 * memory which is written is not read first. One per worker, reused.
 */
final class ScratchRows {
    /** Elements of 16 bits at a time, where a row has no more: 64 KiB as float32, which stay in the second cache. */
    private static final long AT_ONCE = 1 << 14;
    /** Elements of one conversion. */
    private static final int PIECE = 1 << 20;
    /** Gradients of a call of which none is still in a cache at its end, in elements: 32 MiB, of 16 bits 16 MiB. */
    private static final long MANY = 1 << 23;
    /** A copy of more bytes than this goes past the caches. */
    private static final long LARGE_COPY = 5 << 19;
    private static final long LONGEST = 1 << 21;

    private final CrossEntropyBatch window = new CrossEntropyBatch();
    private MemorySegment scratch = MemorySegment.NULL;

    /** Whether rows go this way. */
    static boolean take(CrossEntropyBatch batch, SegmentStages stages) {
        return isWidened(batch, stages) || batch.wantsGradient && batch.elements >= MANY
                && batch.classes > SegmentWork.SEGMENT && batch.classes <= LONGEST
                && batch.gradLogits.isNative() && !batch.gradLogits.isSameAs(batch.logits);
    }

    private static boolean isWidened(CrossEntropyBatch batch, SegmentStages stages) {
        return batch.logits.isNarrow() && !stages.reachesNarrow(batch.classes);
    }

    /** Computes rows [from, to). */
    void run(CrossEntropyBatch batch, SegmentStages stages, long from, long to, CrossEntropyRows rows) {
        if (isWidened(batch, stages)) {
            widened(batch, stages, from, to, rows);
            return;
        }
        long classes = batch.classes;
        boolean narrow = batch.logits.isNarrow();
        long bytes = narrow ? Short.BYTES : Float.BYTES;
        long step = LARGE_COPY / (classes * bytes) + 1;
        reserve(step * classes * bytes);
        window.share(batch);
        window.logits.set(batch.logits);
        for (long row = from; row < to; row += step) {
            long end = Math.min(row + step, to);
            long first = row * classes;
            window.elements = batch.elements;
            if (narrow) {
                window.gradLogits.setNarrow(scratch, first, batch.logits.f16);
            } else {
                window.gradLogits.set(scratch, first);
            }
            rows.direct(window, stages, row, end);
            MemorySegment.copy(scratch, 0, batch.gradLogits.segment, batch.gradLogits.position(first),
                    (end - row) * classes * bytes);
        }
        clear();
    }

    private void widened(CrossEntropyBatch batch, SegmentStages stages, long from, long to, CrossEntropyRows rows) {
        long classes = batch.classes;
        long step = Math.max(1, AT_ONCE / classes);
        if (stages.hasSmallRows(classes)) {
            step -= step % stages.width();
        }
        reserve(Math.min(step, to - from) * classes * Float.BYTES);
        window.share(batch);
        for (long row = from; row < to; row += step) {
            long end = Math.min(row + step, to);
            long first = row * classes;
            long count = (end - row) * classes;
            window.elements = first + count + SegmentWork.WIDEST;
            window.gradLogits.set(scratch, first);
            window.logits.set(scratch, first);
            for (long at = 0; at < count; at += PIECE) {
                batch.logits.widen(first + at, scratch, at * Float.BYTES, (int) Math.min(PIECE, count - at));
            }
            rows.direct(window, stages, row, end);
            for (long at = 0; batch.wantsGradient && at < count; at += PIECE) {
                batch.gradLogits.narrow(first + at, scratch, at * Float.BYTES, (int) Math.min(PIECE, count - at));
            }
        }
        clear();
    }

    private void clear() {
        // Nobody's memory is kept; the rest is scratch memory or the batch's own.
        window.logits.clear();
        window.gradLossPerRow(null);
    }

    /** Grows with the longest row so far; behind the elements a vector may be read. */
    private void reserve(long elementBytes) {
        long bytes = elementBytes + SegmentWork.WIDEST * Float.BYTES;
        if (scratch.byteSize() < bytes) {
            scratch = Arena.ofAuto().allocate(bytes, 64);
        }
    }
}
