package dev.isobit.cpu;

/**
 * Scratch memory for groups of small rows. A group has as many rows as a vector has lanes. They lie one behind the other as
 * in the operand, so that a group's elements are as many whole vectors as a row has classes. One per worker.
 */
final class SmallBlock {
    /** Vectors that a row takes at most. */
    static final int VECTORS = 4;
    /** Groups at a time, at most: what they take stays in the first cache. */
    private static final int GROUPS = 8;
    private static final int ELEMENTS = 2048;

    final int width;
    final float[] exponentials;
    /** The same without those of the maxima. */
    final float[] others;
    /** A vector for each row while rows are folded. */
    final float[] folded;
    /** Groups in work. */
    int groups;
    /** Whether logits end less than a vector behind the beginning of the last row. */
    boolean atEnd;
    private final int capacity;

    /** Of each row. */
    final float[] maxima;
    final float[] sums;
    final float[] counts;
    final float[] logSums;
    /** Class indices. */
    final long[] targets;
    /** Where rows begin, in bytes from the first one's first element. */
    final long[] firstOffsets;
    /** Of targets, as {@link #firstOffsets}; of an ignored row, where it begins. */
    final long[] targetOffsets;
    final float[] targetLogits;
    final float[] targetExps;
    final double[] upstream;
    final float[] factors;
    final float[] targetGradients;
    final float[] losses;

    /** The row within its group of each element. */
    final int[] rows;
    /** The first row of the group of each vector of elements. */
    final int[] firsts;
    private int classes;
    /** Elements that equal their row's maximum. */
    int equal;
    /** Whether each row has one such element. */
    boolean single;
    /** Whether all maxima, sums and factors are. */
    boolean finite;
    /** Whether there are rows that {@link #skips} names. */
    boolean skipsSome;
    /** Rows whose gradient is not to be written. */
    final boolean[] skips;

    /**
     * Allocates for a vector's width.
     *
     * @param width its lanes
     */
    SmallBlock(int width) {
        this.width = width;
        capacity = Math.max(ELEMENTS, VECTORS * width * width);
        // Behind the last row a vector reads on.
        int elements = capacity + width;
        exponentials = new float[elements];
        others = new float[elements];
        folded = new float[GROUPS * width * width];
        maxima = new float[GROUPS * width];
        sums = new float[GROUPS * width];
        counts = new float[GROUPS * width];
        logSums = new float[GROUPS * width];
        targets = new long[GROUPS * width];
        firstOffsets = new long[GROUPS * width];
        targetOffsets = new long[GROUPS * width];
        targetLogits = new float[GROUPS * width];
        targetExps = new float[GROUPS * width];
        upstream = new double[GROUPS * width];
        factors = new float[GROUPS * width];
        targetGradients = new float[GROUPS * width];
        losses = new float[GROUPS * width];
        skips = new boolean[GROUPS * width];
        rows = new int[capacity];
        firsts = new int[width == 0 ? 0 : capacity / width];
    }

    /** How many groups of rows are worked on at a time. */
    int groupsAtOnce(int ofClasses) {
        return Math.min(GROUPS, capacity / (ofClasses * width));
    }

    /** Leaves what joins to numbers, of which nobody asks. */
    void leaveOut(int row) {
        take(row, 0, 1, 0, 0, 0, 0);
        skips[row] = true;
    }

    /** Takes what is known of a row, to be joined. */
    void take(int row, float max, int count, float sum, float targetLogit, float targetExp, double rowUpstream) {
        maxima[row] = max;
        counts[row] = count;
        single &= count == 1;
        sums[row] = sum;
        targetLogits[row] = targetLogit;
        targetExps[row] = targetExp;
        upstream[row] = rowUpstream;
        skips[row] = false;
    }

    /** Prepares for rows of so many classes. */
    void use(int ofClasses) {
        if (classes != ofClasses) {
            classes = ofClasses;
            int groupsAtOnce = groupsAtOnce(classes);
            for (int i = 0; i < groupsAtOnce * classes * width; i++) {
                rows[i] = i / classes % width;
                firsts[i / width] = i / (classes * width) * width;
            }
            for (int r = 0; r < groupsAtOnce * width; r++) {
                firstOffsets[r] = (long) r * classes * Float.BYTES;
            }
        }
    }
}
