package dev.isobit.cpu;

import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The stages for one combination of operands. The fields are not final: the JIT must not take them for constants. */
final class SegmentStages {
    private final int width;
    private SegmentStage max;
    private SegmentStage firstExponentials;
    private SegmentStage moreExponentials;
    private SegmentStage tail;
    private SegmentStage sum;
    private SegmentStage scale;
    private @Nullable SegmentStage shortRow;

    /**
     * Bundles stages.
     *
     * @param width elements of a vector
     * @param max sets {@code max}, NaN left out
     * @param firstExponentials leaves exponentials in the gradient's memory and in the lanes, up to one a lane
     * @param moreExponentials adds those of the other elements
     * @param tail does so for the elements behind the whole vectors
     * @param sum sets {@code count} and {@code sum}, NaN if the segment has one
     * @param scale multiplies the gradient's memory by {@code factor}
     */
    SegmentStages(int width, SegmentStage max, SegmentStage firstExponentials, SegmentStage moreExponentials,
            SegmentStage tail, SegmentStage sum, SegmentStage scale) {
        this.width = width;
        this.max = max;
        this.firstExponentials = firstExponentials;
        this.moreExponentials = moreExponentials;
        this.tail = tail;
        this.sum = sum;
        this.scale = scale;
    }

    /**
     * Adds what rows of at most {@link SegmentWork#LANES} classes, but at least a vector, go through instead.
     *
     * @param row sets {@code count}, {@code maxAt}, the lanes and {@code nextMax}, and writes the previous row's gradient
     */
    SegmentStages withShortRows(SegmentStage row) {
        shortRow = row;
        return this;
    }

    boolean hasShortRows(long classes) {
        return shortRow != null && classes >= width && classes <= SegmentWork.LANES;
    }

    void shortRow(SegmentWork work) {
        run(Objects.requireNonNull(shortRow), work);
        run(sum, work);
    }

    void reduce(SegmentWork work) {
        run(firstExponentials, work);
        if (work.length > SegmentWork.LANES) {
            run(moreExponentials, work);
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

    private static void run(SegmentStage stage, SegmentWork work) {
        stage.run(work);
    }
}
