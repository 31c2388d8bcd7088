package dev.isobit.cpu;

import java.lang.foreign.ValueLayout;

/** Rows of a few classes, as many at a time as a vector has lanes. One per worker, reused. */
final class SmallRows {
    private final SegmentWork work;

    SmallRows(SegmentWork work) {
        this.work = work;
    }

    /**
     * Computes as many of the rows [from, to) as come in whole blocks, with a vector to read behind the last.
     *
     * @param single computes a row that is ignored, or has no softmax or no finite factor
     * @return the first row that is left
     */
    long run(CrossEntropyBatch batch, SegmentStages stages, long from, long to, CrossEntropyRows single) {
        int classes = (int) batch.classes;
        int width = stages.width();
        if (work.block.width != width) {
            work.block = new SmallBlock(width);
        }
        SmallBlock block = work.block;
        long reach = (width - 1) * classes + (classes + width - 1) / width * width;
        long whole = Math.floorDiv((to - from) * classes - reach, width * classes) + 1;
        int most = block.groupsAtOnce(classes);
        long row = from;
        for (; whole > 0; whole -= block.groups) {
            block.groups = (int) Math.min(most, whole);
            int rows = block.groups * width;
            work.length = classes;
            work.at = batch.logits.position(row * classes);
            stages.smallSums(work);
            targets(batch, row, rows);
            stages.smallJoin(work);
            take(batch, row, rows);
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

    /** What rows take by their targets. */
    private void targets(CrossEntropyBatch batch, long row, int rows) {
        SmallBlock block = work.block;
        int classes = work.length;
        boolean some = false;
        for (int r = 0; r < rows; r++) {
            long target = batch.targets.get(row + r);
            boolean ignored = target == batch.ignoreIndex;
            int index = ignored ? 0 : (int) target;
            long at = r * classes + index;
            block.targets[r] = index;
            block.targetLogits[r] = block.logits.getAtIndex(ValueLayout.JAVA_FLOAT, at);
            block.targetExps[r] = block.exponentials.getAtIndex(ValueLayout.JAVA_FLOAT, at);
            block.upstream[r] = batch.upstream(row + r);
            block.skips[r] = ignored;
            some |= ignored;
        }
        block.skipsSome = some;
    }

    /** Takes the losses; the rows that go another way are skipped. */
    private void take(CrossEntropyBatch batch, long row, int rows) {
        SmallBlock block = work.block;
        System.arraycopy(block.losses, 0, batch.rowLoss, (int) (row - batch.firstRow), rows);
        boolean some = block.skipsSome;
        for (int r = 0; r < rows; r++) {
            block.targetGradients[r] = SegmentWork.canonical(block.targetGradients[r]);
            boolean plain = Float.isFinite(block.maxima[r]) && block.sums[r] == block.sums[r]
                    && Float.isFinite(block.factors[r]);
            block.skips[r] |= !plain;
            some |= !plain;
        }
        block.skipsSome = some;
    }
}
