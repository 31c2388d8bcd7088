package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import dev.isobit.spi.CrossEntropyCall;

/**
 * One row's state, where there are options, and the float64 part of its definition: joining the segments, loss, factors
 * of the gradient. One per worker, reused.
 */
class GeneralRowState extends LinesBefore {
    /** What a segment's state consists of, in the order in which it is stored: see CrossEntropyCall. */
    private static final int MAX = 0;

    private static final int COUNT = 1;
    private static final int SUM = 2;
    private static final int LABEL_SUM = 3;
    private static final int LABEL_TERM = 4;
    private static final int ENTROPY_TERM = 5;
    private static final int PLACE = 6;

    /** The states one behind the other from {@link #IN_ARRAY} on. */
    private float[] states = new float[0];
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

    private GeneralRowState() {}

    static GeneralRowState create() {
        return new Padded();
    }

    private static int segments(long classes) {
        return Math.toIntExact(Math.ceilDiv(classes, SegmentWork.SEGMENT));
    }

    final void begin(long classes) {
        int needed = 2 * IN_ARRAY + segments(classes) * CrossEntropyCall.STATE;
        if (needed > states.length) {
            states = new float[needed];
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
    final void add(float ofSegment, int equal, float others) {
        set(segments, MAX, ofSegment);
        set(segments, COUNT, equal);
        set(segments, SUM, others);
        set(segments, LABEL_SUM, 0);
        set(segments, LABEL_TERM, 0);
        set(segments, ENTROPY_TERM, 0);
        set(segments, PLACE, -1);
        segments++;
        max = Math.max(max, ofSegment);
    }

    private float get(int segment, int number) {
        return states[IN_ARRAY + segment * CrossEntropyCall.STATE + number];
    }

    private void set(int segment, int number, float value) {
        states[IN_ARRAY + segment * CrossEntropyCall.STATE + number] = value;
    }

    /** The label's sums of the segment added last. */
    final void addLabels(float sumOfLabels, float sumOfTerms) {
        set(segments - 1, LABEL_SUM, sumOfLabels);
        set(segments - 1, LABEL_TERM, sumOfTerms);
    }

    /** The entropy's sum of the segment added last. */
    final void addEntropy(float sumOfTerms) {
        set(segments - 1, ENTROPY_TERM, sumOfTerms);
    }

    /** Where the maximum of the segment added last is; NaN in one with NaN. */
    final void addPlace(float place) {
        set(segments - 1, PLACE, place);
    }

    /** Writes a row's segments. */
    final void store(FloatOperand to, long row, long rows) {
        for (int j = 0; j < segments; j++) {
            long at = (j * rows + row) * CrossEntropyCall.STATE;
            boolean valid = get(j, MAX) < Float.POSITIVE_INFINITY && get(j, SUM) == get(j, SUM);
            for (int i = 0; i < CrossEntropyCall.STATE - 1; i++) {
                to.set(at + i, valid ? SegmentWork.canonical(get(j, i)) : Float.NaN);
            }
            to.set(at + CrossEntropyCall.STATE - 1, SegmentWork.canonical(get(j, PLACE)));
        }
    }

    /** Reads a row's segments; false for a row that has no softmax. */
    final boolean load(FloatOperand from, long row, long rows, long classes) {
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
    final long argmax() {
        float highest = Float.NEGATIVE_INFINITY;
        long argmax = -1;
        for (int j = 0; j < segments; j++) {
            if (!(get(j, PLACE) >= 0)) {
                return -1;
            }
            // Of a segment without a NaN: +inf.
            float top = get(j, MAX) != get(j, MAX) ? Float.POSITIVE_INFINITY : get(j, MAX);
            if (top > highest || argmax < 0) {
                highest = top;
                argmax = (long) j * SegmentWork.SEGMENT + (int) get(j, PLACE);
            }
        }
        return argmax;
    }

    /** Joins the segments; {@code hasLabels} where they have sums of labels. */
    final void join(boolean hasLabels) {
        count = 0;
        sum = 0;
        labels = 0;
        distances = 0;
        for (int j = 0; j < segments; j++) {
            if (get(j, MAX) == max) {
                count += (long) get(j, COUNT);
                sum += get(j, SUM);
            } else {
                sum += weight(j) * ((double) get(j, COUNT) + get(j, SUM));
            }
            if (hasLabels) {
                labels += get(j, LABEL_SUM);
                distances += get(j, LABEL_TERM) + get(j, LABEL_SUM) * ((double) max - base(j));
            }
        }
        total = count + sum;
        logSum = count == 1 ? ExactMath.log1p((float) sum) : ExactMath.log((float) total);
    }

    /** exp(m_j - m): what a segment's exponentials count for in the row. */
    private double weight(int j) {
        return get(j, MAX) == max ? 1 : ExactMath.exp64((double) get(j, MAX) - max);
    }

    private float base(int j) {
        return base(get(j, MAX));
    }

    /** What exponentials are taken around: -inf would make NaN of a difference, around 0 all are the +0 that they are. */
    static float base(float max) {
        return max == Float.NEGATIVE_INFINITY ? 0 : max;
    }

    /** What segment j's exponentials were taken around. */
    final float segmentBase(int j) {
        return base(j);
    }

    final boolean isInvalid() {
        return !Float.isFinite(max);
    }

    /** log of the sum of all exponentials around the maximum. */
    final float logSum() {
        return logSum;
    }

    final float lse() {
        return (float) lse64();
    }

    private double lse64() {
        return (double) max + logSum;
    }

    final float entropy() {
        double terms = 0;
        for (int j = 0; j < segments; j++) {
            double weight = weight(j);
            if (weight != 0) {
                terms += weight
                        * (get(j, ENTROPY_TERM) + ((double) get(j, COUNT) + get(j, SUM)) * ((double) max - base(j)));
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
    final void scalars(double keep, double targetWeight, double spread, double zLoss) {
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
    final float loss(float targetLogit, double rowWeight) {
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
    final void upstream(double factor) {
        upstream = factor;
    }

    /** What p is multiplied by: all of the label, and the z-loss. */
    private double mass() {
        double mass = spread == 0 ? hard : hard + spread * labels;
        return zLoss == 0 ? mass : mass + 2 * zLoss * lse64();
    }

    /** The factor that turns segment j's exponentials into p's share of the gradients. */
    final float factor(int j) {
        return (float) (upstream * weight(j) * mass() / total);
    }

    /** What the label is multiplied by where it is subtracted. */
    final float labelFactor() {
        return (float) (upstream * spread);
    }

    /**
     * The gradient at a target that is an index, where p - 1 would cancel.
     *
     * @param targetLogit the target's logit
     * @param targetExp its exponential around its segment's maximum
     * @param j its segment
     */
    final float targetGradient(float targetLogit, float targetExp, int j) {
        double own = targetExp * weight(j);
        double others = targetLogit == max ? (count - 1) + sum : total - own;
        double gradient = 0.0 - others * upstream * hard / total;
        if (spread != 0 || zLoss != 0) {
            double mass = (spread == 0 ? 0 : spread * labels) + (zLoss == 0 ? 0 : 2 * zLoss * lse64());
            gradient += upstream * (mass * (own / total) - spread * targetWeight);
        }
        return (float) gradient;
    }

    /** Lines behind the fields, see {@link LinesBefore}. */
    @SuppressWarnings("unused")
    private static final class Padded extends GeneralRowState {
        private long behind0, behind1, behind2, behind3, behind4, behind5, behind6, behind7;
        private long behind8, behind9, behind10, behind11, behind12, behind13, behind14, behind15;
    }
}
