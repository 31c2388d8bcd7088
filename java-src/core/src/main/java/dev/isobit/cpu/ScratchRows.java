package dev.isobit.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Rows of BF16 or F16 which no stage reaches where they stand: in scratch memory, as many at a time as the cache has room
 * for, at least one, they are widened, worked on in place as rows of float32, and written as gradients. One per worker,
 * reused.
 */
final class ScratchRows {
    /** Elements of 16 bits at a time, where a row has no more: 64 KiB as float32, which stay in the second cache. */
    private static final long AT_ONCE = 1 << 14;
    /** Elements of one conversion. */
    private static final int PIECE = 1 << 20;

    private final CrossEntropyBatch window = new CrossEntropyBatch();
    private MemorySegment scratch = MemorySegment.NULL;

    /** Whether rows go this way. */
    static boolean take(CrossEntropyBatch batch, SegmentStages stages) {
        return batch.logits.isNarrow() && !stages.reachesNarrow(batch.classes);
    }

    /** Computes rows [from, to). */
    void run(CrossEntropyBatch batch, SegmentStages stages, long from, long to, CrossEntropyRows rows) {
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
