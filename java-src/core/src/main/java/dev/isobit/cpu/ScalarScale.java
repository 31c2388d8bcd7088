package dev.isobit.cpu;

/** Scalar twin of {@link VectorScale}. */
final class ScalarScale extends ScalarStage {
    @Override
    public void run(SegmentWork work) {
        for (int i = 0; i < work.length; i++) {
            setOut(work, i, SegmentWork.canonical(getOut(work, i) * work.factor));
        }
    }
}
