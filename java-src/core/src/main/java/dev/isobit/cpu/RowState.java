package dev.isobit.cpu;

import dev.isobit.math.ExactMath;

/**
 * One row's state, and the float64 part of its definition: joining the segments, the loss, the factors of the gradient.
 * One per worker, reused.
 */
class RowState extends LinesBefore {
    /** Of segment 0 at {@link #IN_ARRAY}, and so on. */
    private float[] segmentMax = new float[0];
    private int[] segmentCount = new int[0];
    private float[] segmentSum = new float[0];
    /** The index behind the last segment. */
    private int end;

    private float max;
    private long count;
    private double sum;
    private double total;

    private RowState() {}

    static RowState create() {
        return new Padded();
    }

    final void begin(long classes) {
        int needed = 2 * IN_ARRAY + Math.toIntExact((classes + SegmentWork.SEGMENT - 1) / SegmentWork.SEGMENT);
        if (needed > segmentMax.length) {
            segmentMax = new float[needed];
            segmentCount = new int[needed];
            segmentSum = new float[needed];
        }
        end = IN_ARRAY;
        max = Float.NEGATIVE_INFINITY;
    }

    /**
     * Adds a segment.
     *
     * @param ofSegment its maximum
     * @param equal how many elements equal it, 0 for -inf
     * @param others the lane sum of the others
     */
    final void add(float ofSegment, int equal, float others) {
        segmentMax[end] = ofSegment;
        segmentCount[end] = equal;
        segmentSum[end] = others;
        end++;
        max = Math.max(max, ofSegment);
    }

    /** Joins the segments. */
    final void join() {
        count = 0;
        sum = 0;
        for (int j = IN_ARRAY; j < end; j++) {
            if (segmentMax[j] == max) {
                count += segmentCount[j];
                sum += segmentSum[j];
            } else {
                sum += weight(j) * ((double) segmentCount[j] + segmentSum[j]);
            }
        }
        total = count + sum;
    }

    /** exp(m_j - m), of the segment at index j: what a segment's exponentials count for in the row. */
    private double weight(int j) {
        return segmentMax[j] == max ? 1 : ExactMath.exp64((double) segmentMax[j] - max);
    }

    final boolean isInvalid() {
        return !Float.isFinite(max);
    }

    final float max() {
        return max;
    }

    /** log of the sum of all exponentials around the maximum. */
    final float logSum() {
        return count == 1 ? ExactMath.log1p((float) sum) : ExactMath.log((float) total);
    }

    final float loss(float targetLogit) {
        return (float) (((double) max - targetLogit) + logSum());
    }

    /** The factor that turns segment j's exponentials into gradients. */
    final float factor(int j, double upstream) {
        return (float) (upstream * weight(IN_ARRAY + j) / total);
    }

    /**
     * The gradient at the target, where p - 1 would cancel.
     *
     * @param targetLogit the target's logit
     * @param targetExp its exponential around its segment's maximum
     * @param j its segment
     * @param upstream the row's upstream factor
     */
    final float targetGradient(float targetLogit, float targetExp, int j, double upstream) {
        double others = targetLogit == max ? (count - 1) + sum : total - targetExp * weight(IN_ARRAY + j);
        return SegmentWork.canonical((float) (0.0 - others * upstream / total));
    }

    /** Lines behind the fields, see {@link LinesBefore}. */
    @SuppressWarnings("unused")
    private static final class Padded extends RowState {
        private long behind0, behind1, behind2, behind3, behind4, behind5, behind6, behind7;
        private long behind8, behind9, behind10, behind11, behind12, behind13, behind14, behind15;
    }
}
