package dev.isobit.cpu;

/** A stage with a short cut that holds for most segments, and sets {@code unplain} where it does not. */
final class StageWithShortCut implements SegmentStage {
    /** After one for which it does not hold, as many are not tried. */
    private static final int PATIENCE = 15;

    private final SegmentStage shortCut;
    private final SegmentStage any;

    StageWithShortCut(SegmentStage shortCut, SegmentStage any) {
        this.shortCut = shortCut;
        this.any = any;
    }

    @Override
    public void run(SegmentWork work) {
        if (work.patience > 0) {
            work.patience--;
            any.run(work);
            return;
        }
        shortCut.run(work);
        if (work.unplain > 0) {
            work.patience = PATIENCE;
            any.run(work);
        }
    }
}
