package dev.isobit.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Rows whose gradients are made in scratch memory, some at a time. Of BF16 or F16 as many as the cache has room for, at
 * least one: they are widened there, worked on in place as rows of float32, and written as gradients. Long rows of
 * float32 whose gradients no cache holds: as many as the JDK copies past the caches, so that memory which is written is
 * not read first. One per worker, reused.
 */
final class ScratchRows {
    /** Elements of 16 bits at a time, where a row has no more: 64 KiB as float32, which stay in the second cache. */
    private static final long AT_ONCE = 1 << 14;
    /** Elements of one conversion. */
    private static final int PIECE = 1 << 20;
    /** Gradients of a call of which none is still in a cache at its end, in elements: 32 MiB. */
    private static final long MANY = 1 << 23;
    /** A copy of more elements than this, 2.5 MiB, goes past the caches. */
    private static final long LARGE_COPY = 5 << 17;
    private static final long LONGEST = 1 << 21;

    private final CrossEntropyBatch window = new CrossEntropyBatch();
    private MemorySegment floats = MemorySegment.NULL;

    /** Whether rows go this way. */
    static boolean take(CrossEntropyBatch batch, SegmentStages stages) {
        return batch.logits.isNarrow()
                ? !stages.hasBf16Rows(batch.classes)
                : batch.wantsGradient && batch.elements >= MANY
                        && batch.classes > SegmentWork.SEGMENT && batch.classes <= LONGEST
                        && batch.gradLogits.kind == FloatOperand.Kind.NATIVE
                        && !batch.gradLogits.isSameAs(batch.logits);
    }

    /** Computes rows [from, to). */
    void run(CrossEntropyBatch batch, SegmentStages stages, long from, long to, CrossEntropyRows rows) {
        long classes = batch.classes;
        boolean narrow = batch.logits.isNarrow();
        long step = narrow ? Math.max(1, AT_ONCE / classes) : LARGE_COPY / classes + 1;
        if (stages.hasSmallRows(classes)) {
            step -= step % stages.width();
        }
        reserve(narrow ? Math.min(step, to - from) * classes : step * classes);
        window.share(batch);
        if (!narrow) {
            window.logits.set(batch.logits);
        }
        for (long row = from; row < to; row += step) {
            long end = Math.min(row + step, to);
            long first = row * classes;
            long count = (end - row) * classes;
            window.elements = first + count + SegmentWork.WIDEST;
            window.gradLogits.set(floats, first);
            if (narrow) {
                window.logits.set(floats, first);
                for (long at = 0; at < count; at += PIECE) {
                    batch.logits.widen(first + at, floats, at * Float.BYTES, (int) Math.min(PIECE, count - at));
                }
            }
            rows.direct(window, stages, row, end);
            if (!narrow) {
                batch.gradLogits.copyFrom(floats, first, count);
            }
            for (long at = 0; narrow && batch.wantsGradient && at < count; at += PIECE) {
                batch.gradLogits.narrow(first + at, floats, at * Float.BYTES, (int) Math.min(PIECE, count - at));
            }
        }
        // Nobody's memory is kept; the rest is scratch memory or the batch's own.
        window.logits.clear();
        window.gradLossPerRow(null);
    }

    /** Grows with the longest row so far; behind the elements a vector may be read. */
    private void reserve(long elements) {
        long bytes = (elements + SegmentWork.WIDEST) * Float.BYTES;
        if (floats.byteSize() < bytes) {
            floats = Arena.ofAuto().allocate(bytes, 64);
        }
    }
}
