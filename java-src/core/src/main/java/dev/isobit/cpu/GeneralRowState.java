package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import dev.isobit.spi.CrossEntropyCall;

/**
 * One row's state, where there are options, and the float64 part of its definition: joining the segments, loss, factors
 * of the gradient. One per worker, reused.
 */
final class GeneralRowState {
    private float[] maxima = new float[1];
    private int[] counts = new int[1];
    private float[] sums = new float[1];
    private float[] labelSums = new float[1];
    private float[] labelTerms = new float[1];
    private float[] entropyTerms = new float[1];
    private float[] places = new float[1];
    private int segments;

    float max;
    private long count;
    private double sum;
    private double total;
    /** Of labels: their sum, and theirs times the distance to the maximum. */
    private double labels;
    private double distances;
    private float logSum;

    /** The row's scalars. */
    private double hard;
    private double targetWeight;
    private double spread;
    private double zLoss;
    private double upstream;

    private static int segments(long classes) {
        return Math.toIntExact(Math.ceilDiv(classes, SegmentWork.SEGMENT));
    }

    void begin(long classes) {
        int needed = segments(classes);
        if (needed > maxima.length) {
            maxima = new float[needed];
            counts = new int[needed];
            sums = new float[needed];
            labelSums = new float[needed];
            labelTerms = new float[needed];
            entropyTerms = new float[needed];
            places = new float[needed];
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
        maxima[segments] = ofSegment;
        counts[segments] = equal;
        sums[segments] = others;
        labelSums[segments] = 0;
        labelTerms[segments] = 0;
        entropyTerms[segments] = 0;
        places[segments] = -1;
        segments++;
        max = Math.max(max, ofSegment);
    }

    /** The label's sums of the segment added last. */
    void addLabels(float sumOfLabels, float sumOfTerms) {
        labelSums[segments - 1] = sumOfLabels;
        labelTerms[segments - 1] = sumOfTerms;
    }

    /** The entropy's sum of the segment added last. */
    void addEntropy(float sumOfTerms) {
        entropyTerms[segments - 1] = sumOfTerms;
    }

    /** Where the maximum of the segment added last is; NaN in one with NaN. */
    void addPlace(float place) {
        places[segments - 1] = place;
    }

    /** Writes a row's segments. */
    void store(FloatOperand to, long row, long rows) {
        for (int j = 0; j < segments; j++) {
            long at = (j * rows + row) * CrossEntropyCall.STATE;
            boolean valid = maxima[j] < Float.POSITIVE_INFINITY && sums[j] == sums[j];
            for (int i = 0; i < CrossEntropyCall.STATE - 1; i++) {
                to.set(at + i, valid ? SegmentWork.canonical(number(j, i)) : Float.NaN);
            }
            to.set(at + CrossEntropyCall.STATE - 1, SegmentWork.canonical(places[j]));
        }
    }

    private float number(int j, int i) {
        return switch (i) {
            case 0 -> maxima[j];
            case 1 -> counts[j];
            case 2 -> sums[j];
            case 3 -> labelSums[j];
            case 4 -> labelTerms[j];
            default -> entropyTerms[j];
        };
    }

    /** Reads a row's segments; false for a row that has no softmax. */
    boolean load(FloatOperand from, long row, long rows, long classes) {
        begin(classes);
        for (int j = 0; j < segments(classes); j++) {
            long at = (j * rows + row) * CrossEntropyCall.STATE;
            add(from.get(at), (int) from.get(at + 1), from.get(at + 2));
            addLabels(from.get(at + 3), from.get(at + 4));
            addEntropy(from.get(at + 5));
            addPlace(from.get(at + 6));
        }
        return !isInvalid();
    }

    /** The first class with the highest logit, by places that were loaded; -1 where one is NaN or was not asked for. */
    long argmax() {
        float highest = Float.NEGATIVE_INFINITY;
        long argmax = -1;
        for (int j = 0; j < segments; j++) {
            if (!(places[j] >= 0)) {
                return -1;
            }
            // Of a segment without a NaN: +inf.
            float top = maxima[j] != maxima[j] ? Float.POSITIVE_INFINITY : maxima[j];
            if (top > highest || argmax < 0) {
                highest = top;
                argmax = (long) j * SegmentWork.SEGMENT + (int) places[j];
            }
        }
        return argmax;
    }

    /** Joins the segments; {@code hasLabels} where they have sums of labels. */
    void join(boolean hasLabels) {
        count = 0;
        sum = 0;
        labels = 0;
        distances = 0;
        for (int j = 0; j < segments; j++) {
            if (maxima[j] == max) {
                count += counts[j];
                sum += sums[j];
            } else {
                sum += weight(j) * ((double) counts[j] + sums[j]);
            }
            if (hasLabels) {
                labels += labelSums[j];
                distances += labelTerms[j] + labelSums[j] * ((double) max - base(j));
            }
        }
        total = count + sum;
        logSum = count == 1 ? ExactMath.log1p((float) sum) : ExactMath.log((float) total);
    }

    /** exp(m_j - m): what a segment's exponentials count for in the row. */
    private double weight(int j) {
        return maxima[j] == max ? 1 : ExactMath.exp64((double) maxima[j] - max);
    }

    private float base(int j) {
        return base(maxima[j]);
    }

    /** What exponentials are taken around: -inf would make NaN of a difference, around 0 all are the +0 that they are. */
    static float base(float max) {
        return max == Float.NEGATIVE_INFINITY ? 0 : max;
    }

    /** What segment j's exponentials were taken around. */
    float segmentBase(int j) {
        return base(j);
    }

    boolean isInvalid() {
        return !Float.isFinite(max);
    }

    /** log of the sum of all exponentials around the maximum. */
    float logSum() {
        return logSum;
    }

    float lse() {
        return (float) lse64();
    }

    private double lse64() {
        return (double) max + logSum;
    }

    float entropy() {
        double terms = 0;
        for (int j = 0; j < segments; j++) {
            double weight = weight(j);
            if (weight != 0) {
                terms += weight * (entropyTerms[j] + ((double) counts[j] + sums[j]) * ((double) max - base(j)));
            }
        }
        return SegmentWork.canonical((float) (logSum + terms / total));
    }

    /**
     * Sets what loss and gradient take beside the sums.
     *
     * @param keep what is left of a target that is an index; 0 for probabilities
     * @param targetWeight the class weight of such a target
     * @param spread what the labels' sums count for: smoothing's share of a class, or 1 for probabilities
     * @param zLoss its factor
     */
    void scalars(double keep, double targetWeight, double spread, double zLoss) {
        hard = keep * targetWeight;
        this.targetWeight = targetWeight;
        this.spread = spread;
        this.zLoss = zLoss;
    }

    /**
     * The row's loss.
     *
     * @param targetLogit the logit of a target that is an index
     * @param rowWeight the row's weight
     */
    float loss(float targetLogit, double rowWeight) {
        double loss = hard == 0 ? 0 : hard * ((double) max - targetLogit + logSum);
        if (spread != 0) {
            loss += spread * (distances + labels * logSum);
        }
        if (zLoss != 0) {
            double lse = lse64();
            loss += zLoss * lse * lse;
        }
        double weighted = rowWeight == 0 && Double.isInfinite(loss) ? 0 : rowWeight * loss;
        return SegmentWork.canonical((float) weighted);
    }

    /** Sets the row's upstream factor, for the gradient. */
    void upstream(double factor) {
        upstream = factor;
    }

    /** What p is multiplied by: all of the label, and the z-loss. */
    private double mass() {
        double mass = spread == 0 ? hard : hard + spread * labels;
        return zLoss == 0 ? mass : mass + 2 * zLoss * lse64();
    }

    /** The factor that turns segment j's exponentials into p's share of the gradients. */
    float factor(int j) {
        return (float) (upstream * weight(j) * mass() / total);
    }

    /** What the label is multiplied by where it is subtracted. */
    float labelFactor() {
        return (float) (upstream * spread);
    }

    /**
     * The gradient at a target that is an index, where p - 1 would cancel.
     *
     * @param targetLogit the target's logit
     * @param targetExp its exponential around its segment's maximum
     * @param j its segment
     */
    float targetGradient(float targetLogit, float targetExp, int j) {
        double own = targetExp * weight(j);
        double others = targetLogit == max ? (count - 1) + sum : total - own;
        double gradient = 0.0 - others * upstream * hard / total;
        if (spread != 0 || zLoss != 0) {
            double mass = (spread == 0 ? 0 : spread * labels) + (zLoss == 0 ? 0 : 2 * zLoss * lse64());
            gradient += upstream * (mass * (own / total) - spread * targetWeight);
        }
        return (float) gradient;
    }
}
