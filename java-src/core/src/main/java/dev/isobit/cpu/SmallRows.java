package dev.isobit.cpu;

import java.lang.foreign.ValueLayout;

/** Rows of at most a vector's lanes, as many at a time. One per worker, reused. */
final class SmallRows {
    private final SegmentWork work;
    private final float[] targetLogits = new float[SegmentWork.WIDEST];
    private final float[] targetExps = new float[SegmentWork.WIDEST];
    private final double[] upstream = new double[SegmentWork.WIDEST];

    SmallRows(SegmentWork work) {
        this.work = work;
    }

    /**
     * Computes as many of the rows [from, to) as come in whole vectors of rows, with a vector to read behind the last.
     *
     * @param single computes a row that is ignored, or has no softmax or no finite factor
     * @return the first row that is left
     */
    long run(CrossEntropyBatch batch, SegmentStages stages, long from, long to, CrossEntropyRows single) {
        int classes = (int) batch.classes;
        int width = stages.width();
        long row = from;
        for (; (row + width - 1) * classes + width <= to * classes; row += width) {
            work.length = classes;
            work.at = batch.logits.position(row * classes);
            stages.smallRows(work);
            long skipped = rows(batch, row, width);
            if (batch.wantsGradient) {
                work.outAt = batch.gradLogits.position(row * classes);
                work.skipped = skipped;
                stages.smallGradient(work);
            }
            for (; skipped != 0; skipped &= skipped - 1) {
                single.run(batch, stages, row + Long.numberOfTrailingZeros(skipped));
            }
        }
        return row;
    }

    /** The float64 part of rows, as in {@link RowState}; the rows for which it does not hold, as bits. */
    private long rows(CrossEntropyBatch batch, long row, int width) {
        int[] targets = work.targets;
        float[] maxima = work.maxima;
        float[] sums = work.sums;
        float[] counts = work.counts;
        float[] logSums = work.logSums;
        float[] factors = work.factors;
        float[] targetGradients = work.targetGradients;
        float[] rowLoss = batch.rowLoss;
        int firstLoss = (int) (row - batch.firstRow);
        long skipped = 0;
        for (int r = 0; r < width; r++) {
            long target = batch.targets.get(row + r);
            boolean ignored = target == batch.ignoreIndex;
            targets[r] = ignored ? 0 : (int) target;
            long at = (r * width + targets[r]) * 4L;
            targetLogits[r] = work.smallLogits.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at);
            targetExps[r] = work.block.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at);
            upstream[r] = batch.upstream(row + r);
            skipped |= ignored ? 1L << r : 0;
        }
        for (int r = 0; r < width; r++) {
            double others = sums[r];
            double total = counts[r] + others;
            double rest = targetLogits[r] == maxima[r] ? counts[r] - 1.0 + others : total - targetExps[r];
            factors[r] = (float) (upstream[r] / total);
            targetGradients[r] = (float) (0.0 - rest * upstream[r] / total);
            rowLoss[firstLoss + r] = (float) ((double) maxima[r] - targetLogits[r] + logSums[r]);
        }
        for (int r = 0; r < width; r++) {
            targetGradients[r] = SegmentWork.canonical(targetGradients[r]);
            boolean plain = Float.isFinite(maxima[r]) && sums[r] == sums[r] && Float.isFinite(factors[r]);
            skipped |= plain ? 0 : 1L << r;
        }
        return skipped;
    }
}
