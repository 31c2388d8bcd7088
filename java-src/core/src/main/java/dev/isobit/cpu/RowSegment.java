package dev.isobit.cpu;

import java.util.Arrays;

/**
 * A segment of a row of cross-entropy with options, in arrays of its own: {@link RowStages} turn one array into another.
 * Behind the last element stand some that count for nothing, so that vector code needs no tail. One per worker, reused.
 */
class RowSegment extends LinesBefore {
    private static final int ROOM = SegmentWork.SEGMENT + SegmentWork.WIDEST;

    /** Elements. */
    int length;
    /** Logits, then what they are after scale and softcap. */
    final float[] logits = new float[ROOM];
    /** What the softcap multiplies a gradient by. */
    final float[] slopes = new float[ROOM];
    /** Exponentials around {@link #base}, of the maximum 1. */
    final float[] exponentials = new float[ROOM];
    /** The label's share of each class, or the class weights. */
    final float[] labels = new float[ROOM];
    /** What a sum is made of; gradients. */
    final float[] terms = new float[ROOM];
    /** What the gradient is added to. */
    final float[] previous = new float[ROOM];

    float scale;
    /** 0: none. */
    float softcap;
    float softcapRate;
    /** Label smoothing: what targets are multiplied by, and what is added then. */
    float keep;
    float smooth;

    /** The greatest logit, NaN left out; what exponentials are taken around; where it stands first; how often. */
    float max;
    float base;
    int maxAt;
    int count;

    /** The gradient: exponentials times this minus labels times that. */
    float factor;
    boolean subtracts;
    float labelFactor;
    boolean accumulates;

    private RowSegment() {}

    static RowSegment create() {
        return new Padded();
    }

    final void pad() {
        Arrays.fill(logits, length, length + SegmentWork.WIDEST, Float.NEGATIVE_INFINITY);
        Arrays.fill(labels, length, length + SegmentWork.WIDEST, 0);
    }

    /** Lines behind the fields, see {@link LinesBefore}. */
    @SuppressWarnings("unused")
    private static final class Padded extends RowSegment {
        private long behind0, behind1, behind2, behind3, behind4, behind5, behind6, behind7;
        private long behind8, behind9, behind10, behind11, behind12, behind13, behind14, behind15;
    }
}
