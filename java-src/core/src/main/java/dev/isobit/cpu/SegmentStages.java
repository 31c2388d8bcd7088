package dev.isobit.cpu;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The stages for one combination of operands. The fields are not final: the JIT must not take them for constants. */
final class SegmentStages {
    /** After a segment with many elements for which the short cut does not hold, as many are not tried. */
    private static final int PATIENCE = 15;
    /** Classes of 16 bits whose exponentials wait in an array. */
    private static final long LONGEST_NARROW = 1 << 30;

    /** Rows of more classes go two vectors a turn; shorter ones would lose by it. */
    private static final int PAIRED = SegmentWork.LANES / 2;

    /** Classes of rows that there is a choice of ways for, and stages of their own. */
    static final int MANY_CLASSES = SegmentWork.SEGMENT;

    private final int width;
    private SegmentStage max;
    private SegmentStage exponentials;
    private SegmentStage anyExponentials;
    private @Nullable SegmentStage exponentialsAhead;
    private @Nullable SegmentStage anyExponentialsAhead;
    private SegmentStage tail;
    private SegmentStage sum;
    private SegmentStage scale;
    private SegmentStage @Nullable [] smallRows;
    private @Nullable SegmentStage smallGradient;
    private @Nullable SegmentStage shortRow;
    private @Nullable SegmentStage pairedRow;
    private @Nullable SegmentStage anyShortRow;
    private @Nullable SegmentStage shortSum;
    private SegmentStage @Nullable [] joins;
    private @Nullable SegmentStage bf16Row;
    private @Nullable SegmentStage anyBf16Row;
    private @Nullable SegmentStages longRows;
    private @Nullable SegmentStages manyClasses;

    /**
     * Bundles stages.
     *
     * @param width elements of a vector
     * @param max sets {@code max}, NaN left out
     * @param exponentials leaves exponentials in the gradient's memory, and their sums in the lanes; sets {@code unplain}
     * @param anyExponentials the same without a short cut
     * @param tail does so for the elements behind the whole vectors
     * @param sum sets {@code count} and {@code sum}, NaN if the segment has one
     * @param scale multiplies the gradient's memory by {@code factor}
     */
    SegmentStages(int width, SegmentStage max, SegmentStage exponentials, SegmentStage anyExponentials,
            SegmentStage tail, SegmentStage sum, SegmentStage scale) {
        this.width = width;
        this.max = max;
        this.exponentials = exponentials;
        this.anyExponentials = anyExponentials;
        this.tail = tail;
        this.sum = sum;
        this.scale = scale;
    }

    /**
     * Adds what rows of at most {@link SegmentWork#LANES} classes, but at least a vector, go through instead.
     *
     * @param row sets {@code count}, {@code maxAt}, the lanes, {@code nextMax} and {@code unplain}, and writes the previous
     *     row's gradient
     * @param pairedRow the same for rows of many vectors, or {@code row} again
     * @param anyRow the same without a short cut
     * @param rowSum sets {@code sum}
     * @param joined one after the other set the block's losses and gradients at targets from what it has of each row
     */
    SegmentStages withShortRows(SegmentStage row, SegmentStage pairedRow, SegmentStage anyRow, SegmentStage rowSum,
            SegmentStage... joined) {
        shortSum = rowSum;
        joins = joined;
        shortRow = row;
        this.pairedRow = pairedRow;
        anyShortRow = anyRow;
        return this;
    }

    /** Adds the stages of exponentials, with and without a short cut, that set {@code nextMax} on the way. */
    SegmentStages lookingAhead(SegmentStage shortCut, SegmentStage any) {
        exponentialsAhead = shortCut;
        anyExponentialsAhead = any;
        return this;
    }

    /** Whether a segment's exponentials can be computed while the next one's maximum is found. */
    boolean canLookAhead() {
        return exponentialsAhead != null;
    }

    /** Adds what float32 rows of {@link #MANY_CLASSES} and more go through instead, if anything. */
    SegmentStages withManyClasses(@Nullable SegmentStages stages) {
        manyClasses = stages;
        return this;
    }

    /** The stages of float32 rows of so many classes that are no short ones. */
    SegmentStages of(long classes) {
        SegmentStages many = manyClasses;
        return many != null && classes >= MANY_CLASSES ? many : this;
    }

    /** The same stages, but for long rows of 16 bits, which others reach where they stand. */
    SegmentStages withLongRows(SegmentStages others) {
        SegmentStages stages = new SegmentStages(width, max, exponentials, anyExponentials, tail, sum, scale);
        stages.manyClasses = manyClasses;
        stages.exponentialsAhead = exponentialsAhead;
        stages.anyExponentialsAhead = anyExponentialsAhead;
        stages.smallRows = smallRows;
        stages.smallGradient = smallGradient;
        stages.joins = joins;
        stages.shortRow = shortRow;
        stages.pairedRow = pairedRow;
        stages.anyShortRow = anyShortRow;
        stages.shortSum = shortSum;
        stages.longRows = others;
        return stages;
    }

    /** Adds what short rows of BF16 go through, which these stages reach where they stand. */
    SegmentStages withBf16Rows(SegmentStage row, SegmentStage anyRow) {
        bf16Row = row;
        anyBf16Row = anyRow;
        return this;
    }

    /**
     * Adds what rows of 2 classes to {@link SmallBlock#VECTORS} vectors go through instead, as many at a time as a vector has
     * lanes.
     *
     * @param rows one after the other set what the block has of each row
     * @param gradient writes the gradients
     */
    SegmentStages withSmallRows(SegmentStage[] rows, SegmentStage gradient) {
        smallRows = rows;
        smallGradient = gradient;
        return this;
    }

    /** Elements of a vector. */
    int width() {
        return width;
    }

    boolean hasSmallRows(long classes) {
        return smallRows != null && classes >= 2 && classes <= SmallBlock.VECTORS * width;
    }

    void smallRows(SegmentWork work) {
        for (SegmentStage stage : Objects.requireNonNull(smallRows)) {
            run(stage, work);
        }
    }

    void smallGradient(SegmentWork work) {
        run(Objects.requireNonNull(smallGradient), work);
    }

    boolean hasShortRows(long classes) {
        return shortRow != null && classes >= width && classes <= SegmentWork.LANES;
    }

    void shortRow(SegmentWork work) {
        run(Objects.requireNonNull(work.length > PAIRED ? pairedRow : shortRow), Objects.requireNonNull(anyShortRow),
                work);
        run(Objects.requireNonNull(shortSum), work);
    }

    /** Joins the rows of the block that short rows have left there. */
    void join(SegmentWork work) {
        for (SegmentStage stage : Objects.requireNonNull(joins)) {
            run(stage, work);
        }
    }

    /** Whether rows of 16 bits are reached where they stand, by {@link #bf16Row} or {@link #longRows}. */
    boolean reachesNarrow(long classes) {
        return classes > SegmentWork.LANES
                ? longRows != null && classes <= LONGEST_NARROW
                : bf16Row != null && hasShortRows(classes) && !hasSmallRows(classes);
    }

    /** The stages of long rows of 16 bits; {@link #width()} is that of a pair of vectors, see {@link VectorExponentials}. */
    SegmentStages longRows() {
        return Objects.requireNonNull(longRows);
    }

    void bf16Row(SegmentWork work) {
        run(Objects.requireNonNull(bf16Row), Objects.requireNonNull(anyBf16Row), work);
        run(Objects.requireNonNull(shortSum), work);
    }

    void reduce(SegmentWork work) {
        if (work.looksAhead()) {
            run(Objects.requireNonNull(exponentialsAhead), Objects.requireNonNull(anyExponentialsAhead), work);
        } else {
            run(exponentials, anyExponentials, work);
        }
        if (work.length % width != 0) {
            run(tail, work);
        }
        run(sum, work);
    }

    void max(SegmentWork work) {
        run(max, work);
    }

    void scale(SegmentWork work) {
        run(scale, work);
    }

    private void run(SegmentStage stage, SegmentStage any, SegmentWork work) {
        if (work.patience > 0) {
            work.patience--;
            run(any, work);
        } else {
            run(stage, work);
            work.patience = work.unplain > work.length / (4 * width) ? PATIENCE : 0;
        }
    }

    static void run(SegmentStage stage, SegmentWork work) {
        stage.run(work);
    }
}
