package dev.isobit.cpu;

/** A stage in two loops: over the even elements and then over the odd ones, or over all and then over what those left. */
record TwoStages(SegmentStage first, SegmentStage second) implements SegmentStage {
    @Override
    public void run(SegmentWork work) {
        SegmentStages.run(first, work);
        SegmentStages.run(second, work);
    }
}
