package dev.isobit.cpu;

/** The stages for one combination of operands. The fields are not final: the JIT must not take them for constants. */
final class SegmentStages {
    private SegmentStage max;
    private SegmentStage exponentials;
    private SegmentStage sum;
    private SegmentStage scale;

    /**
     * Bundles stages.
     *
     * @param max sets {@code max}, NaN left out
     * @param exponentials leaves exponentials in the gradient's memory and in the lanes
     * @param sum sets {@code count} and {@code sum}, NaN if the segment has one
     * @param scale multiplies the gradient's memory by {@code factor}
     */
    SegmentStages(SegmentStage max, SegmentStage exponentials, SegmentStage sum, SegmentStage scale) {
        this.max = max;
        this.exponentials = exponentials;
        this.sum = sum;
        this.scale = scale;
    }

    void reduce(SegmentWork work) {
        run(exponentials, work);
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
