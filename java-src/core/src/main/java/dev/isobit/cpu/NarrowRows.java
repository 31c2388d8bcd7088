package dev.isobit.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Rows of BF16 or F16: as many as the cache has room for, at least one, are widened into scratch memory, worked on there in
 * place as rows of float32, and written as gradients. One per worker, reused.
 */
final class NarrowRows {
    /** Elements at a time, where a row has no more: 64 KiB, which stay in the second cache. */
    private static final long AT_ONCE = 1 << 14;
    /** Elements of one conversion. */
    private static final int PIECE = 1 << 20;

    private final CrossEntropyBatch window = new CrossEntropyBatch();
    private MemorySegment floats = MemorySegment.NULL;

    /** Computes rows [from, to). */
    void run(CrossEntropyBatch batch, SegmentStages stages, long from, long to, CrossEntropyRows rows) {
        long classes = batch.classes;
        long step = Math.max(1, AT_ONCE / classes);
        reserve(Math.min(step, to - from) * classes);
        window.share(batch);
        for (long row = from; row < to; row += step) {
            long end = Math.min(row + step, to);
            long first = row * classes;
            long count = (end - row) * classes;
            window.logits.set(floats, first);
            window.gradLogits.set(floats, first);
            for (long at = 0; at < count; at += PIECE) {
                batch.logits.widen(first + at, floats, at * Float.BYTES, (int) Math.min(PIECE, count - at));
            }
            rows.run(window, stages, row, end);
            for (long at = 0; batch.wantsGradient && at < count; at += PIECE) {
                batch.gradLogits.narrow(first + at, floats, at * Float.BYTES, (int) Math.min(PIECE, count - at));
            }
        }
        // Nobody's memory is kept; the rest is scratch memory or the batch's own.
        window.gradLossPerRow(null);
    }

    /** Grows with the longest row so far. */
    private void reserve(long elements) {
        if (floats.byteSize() < elements * Float.BYTES) {
            floats = Arena.ofAuto().allocate(elements * Float.BYTES, 64);
        }
    }
}
