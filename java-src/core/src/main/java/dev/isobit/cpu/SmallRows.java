package dev.isobit.cpu;

import java.util.Arrays;

/** Rows of a few classes, as many at a time as a vector has lanes. One per worker, reused. */
final class SmallRows {
    private final SegmentWork work;

    SmallRows(SegmentWork work) {
        this.work = work;
    }

    /**
     * Computes as many of the rows [from, to) as come in whole groups.
     *
     * @param single computes a row that is ignored, or has no softmax or no finite factor
     * @return the first row that is left
     */
    long run(CrossEntropyBatch batch, SegmentStages stages, long from, long to, CrossEntropyRows single) {
        int classes = (int) batch.classes;
        int width = stages.width();
        work.useBlock(width);
        SmallBlock block = work.block;
        block.use(classes);
        Arrays.fill(block.upstream, batch.upstream);
        long whole = (to - from) / width;
        int most = block.groupsAtOnce(classes);
        long row = from;
        for (; whole > 0; whole -= block.groups) {
            block.groups = (int) Math.min(most, whole);
            int rows = block.groups * width;
            work.length = classes;
            work.at = batch.logits.position(row * classes);
            block.atEnd = (row + rows - 1) * classes + width > batch.elements;
            boolean someIgnored = targets(batch, row, rows);
            stages.smallRows(work);
            System.arraycopy(block.losses, 0, batch.rowLoss, (int) (row - batch.firstRow), rows);
            block.skipsSome = someIgnored || !block.finite;
            if (block.skipsSome) {
                skip(batch, row, rows);
            }
            if (batch.wantsGradient) {
                work.outAt = batch.gradLogits.position(row * classes);
                stages.smallGradient(work);
            }
            for (int r = 0; block.skipsSome && r < rows; r++) {
                if (block.skips[r]) {
                    single.run(batch, stages, row + r);
                }
            }
            row += rows;
        }
        return row;
    }

    /** Takes what the batch has of each row; whether some are ignored. */
    private boolean targets(CrossEntropyBatch batch, long row, int rows) {
        SmallBlock block = work.block;
        long[] targets = block.targets;
        long[] offsets = block.targetOffsets;
        long[] firsts = block.firstOffsets;
        batch.targets.copy(row, rows, targets);
        long ignoreIndex = batch.ignoreIndex;
        long kept = 0;
        // Neither branches nor comparisons: the JIT makes vectors of this.
        for (int r = 0; r < rows; r++) {
            long difference = targets[r] ^ ignoreIndex;
            long isKept = (difference | -difference) >>> 63;
            offsets[r] = firsts[r] + ((targets[r] & -isKept) << 2);
            kept += isKept;
        }
        for (int r = 0; batch.hasUpstreamPerRow() && r < rows; r++) {
            block.upstream[r] = batch.upstream(row + r);
        }
        return kept < rows;
    }

    /** Names the rows that go another way. */
    private void skip(CrossEntropyBatch batch, long row, int rows) {
        SmallBlock block = work.block;
        for (int r = 0; r < rows; r++) {
            block.skips[r] = batch.targets.get(row + r) == batch.ignoreIndex || !Float.isFinite(block.maxima[r])
                    || !Float.isFinite(block.sums[r]) || !Float.isFinite(block.factors[r]);
        }
    }
}
