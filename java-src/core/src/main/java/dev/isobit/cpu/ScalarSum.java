package dev.isobit.cpu;

/** Scalar twin of {@link VectorSum}. */
final class ScalarSum extends ScalarStage {
    @Override
    public void run(SegmentWork work) {
        work.sum = work.fold();
    }
}
