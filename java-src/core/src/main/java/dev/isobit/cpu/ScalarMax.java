package dev.isobit.cpu;

/** Scalar twin of {@link VectorMax}. */
final class ScalarMax extends ScalarStage {
    @Override
    public void run(SegmentWork work) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < work.length; i++) {
            float z = get(work, i);
            if (z > max) {
                max = z;
            }
        }
        work.max = max;
    }
}
