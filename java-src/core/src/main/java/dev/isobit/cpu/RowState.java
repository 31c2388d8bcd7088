package dev.isobit.cpu;

import dev.isobit.math.ExactMath;

/**
 * One row's state, and the float64 part of its definition: joining the segments, the loss, the factors of the gradient.
 * One per worker, reused.
 */
final class RowState {
    private float[] segmentMax = new float[1];
    private int[] segmentCount = new int[1];
    private float[] segmentSum = new float[1];
    private int segments;

    private float max;
    private long count;
    private double sum;
    private double total;

    void begin(long classes) {
        int needed = Math.toIntExact((classes + SegmentWork.SEGMENT - 1) / SegmentWork.SEGMENT);
        if (needed > segmentMax.length) {
            segmentMax = new float[needed];
            segmentCount = new int[needed];
            segmentSum = new float[needed];
        }
        segments = 0;
        max = Float.NEGATIVE_INFINITY;
    }

    /**
     * Adds a segment.
     *
     * @param ofSegment its maximum
     * @param equal how many elements equal it, 0 for -inf
     * @param others the lane sum of the others
     */
    void add(float ofSegment, int equal, float others) {
        segmentMax[segments] = ofSegment;
        segmentCount[segments] = equal;
        segmentSum[segments] = others;
        segments++;
        max = Math.max(max, ofSegment);
    }

    /** Joins the segments. */
    void join() {
        count = 0;
        sum = 0;
        for (int j = 0; j < segments; j++) {
            if (segmentMax[j] == max) {
                count += segmentCount[j];
                sum += segmentSum[j];
            } else {
                sum += weight(j) * ((double) segmentCount[j] + segmentSum[j]);
            }
        }
        total = count + sum;
    }

    /** exp(m_j - m): what a segment's exponentials count for in the row. */
    private double weight(int j) {
        return segmentMax[j] == max ? 1 : ExactMath.exp64((double) segmentMax[j] - max);
    }

    boolean isInvalid() {
        return !Float.isFinite(max);
    }

    float max() {
        return max;
    }

    /** log of the sum of all exponentials around the maximum. */
    float logSum() {
        return count == 1 ? ExactMath.log1p((float) sum) : ExactMath.log((float) total);
    }

    float loss(float targetLogit) {
        return (float) (((double) max - targetLogit) + logSum());
    }

    /** The factor that turns segment j's exponentials into gradients. */
    float factor(int j, double upstream) {
        return (float) (upstream * weight(j) / total);
    }

    /**
     * The gradient at the target, where p - 1 would cancel.
     *
     * @param targetLogit the target's logit
     * @param targetExp its exponential around its segment's maximum
     * @param j its segment
     * @param upstream the row's upstream factor
     */
    float targetGradient(float targetLogit, float targetExp, int j, double upstream) {
        double others = targetLogit == max ? (count - 1) + sum : total - targetExp * weight(j);
        return SegmentWork.canonical((float) (0.0 - others * upstream / total));
    }
}
