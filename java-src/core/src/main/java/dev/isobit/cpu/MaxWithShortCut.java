package dev.isobit.cpu;

/** A maximum found by a stage whose result holds where it is not negative, else by one whose result always holds. */
record MaxWithShortCut(SegmentStage shortCut, SegmentStage any) implements SegmentStage {
    @Override
    public void run(SegmentWork work) {
        SegmentStages.run(shortCut, work);
        if (!(work.max >= 0)) {
            SegmentStages.run(any, work);
        }
    }
}
