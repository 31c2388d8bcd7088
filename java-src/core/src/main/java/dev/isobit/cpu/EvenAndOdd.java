package dev.isobit.cpu;

/** A stage of long rows of 16 bits in two loops, over the even elements of a segment and then over the odd ones. */
record EvenAndOdd(SegmentStage even, SegmentStage odd) implements SegmentStage {
    @Override
    public void run(SegmentWork work) {
        SegmentStages.run(even, work);
        SegmentStages.run(odd, work);
    }
}
