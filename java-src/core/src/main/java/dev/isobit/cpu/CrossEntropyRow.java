package dev.isobit.cpu;

import dev.isobit.math.ExactMath;

/**
 * One row's state, and the float64 part of its definition: joining the segments, the loss, the factors of the gradient.
 * One per worker, reused.
 */
final class CrossEntropyRow {
    /** Elements of a segment. */
    static final int SEGMENT = 8192;
    /** Lanes of a reduction. */
    static final int LANES = 1024;

    final float[] lanes = new float[LANES];
    private float[] segmentMax = new float[1];
    private int[] segmentCount = new int[1];
    private float[] segmentSum = new float[1];
    private int segments;

    private float max;
    private long count;
    private double sum;
    private double total;

    void begin(long classes) {
        int needed = Math.toIntExact((classes + SEGMENT - 1) / SEGMENT);
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
     * @param segmentMax its maximum
     * @param count how many elements equal it, 0 for -inf
     * @param sum the lane sum of the others
     */
    void add(float segmentMax, int count, float sum) {
        this.segmentMax[segments] = segmentMax;
        segmentCount[segments] = count;
        segmentSum[segments] = sum;
        segments++;
        max = Math.max(max, segmentMax);
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

    float loss(float targetLogit) {
        float logSum = count == 1 ? ExactMath.log1p((float) sum) : ExactMath.log((float) total);
        return (float) (((double) max - targetLogit) + logSum);
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
     */
    float targetGradient(float targetLogit, float targetExp, int j, double upstream) {
        double others = targetLogit == max ? (count - 1) + sum : total - targetExp * weight(j);
        return canonical((float) (0.0 - others * upstream / total));
    }

    /** Devices differ in the NaN that they make; only one is stored. */
    static float canonical(float value) {
        return value == value ? value : Float.NaN;
    }
}
