package dev.isobit.cpu;

import dev.isobit.math.ExactMath;

/** Scalar twin of {@link VectorExponentials}, its tail included. */
final class ScalarExponentials extends ScalarStage {
    private final boolean first;

    ScalarExponentials(boolean first) {
        this.first = first;
    }

    @Override
    public void run(SegmentWork work) {
        if (first) {
            work.lanes.fill((byte) 0);
            work.count = 0;
        }
        boolean gradient = work.gradient;
        int count = 0;
        int end = first ? Math.min(work.length, SegmentWork.LANES) : work.length;
        for (int i = first ? 0 : SegmentWork.LANES; i < end; i++) {
            float z = get(work, i);
            float e = ExactMath.expDifference(z, work.max);
            if (z == work.max) {
                count++;
            } else {
                work.add(i % SegmentWork.LANES, e);
            }
            if (gradient) {
                setOut(work, i, e);
            }
        }
        work.count += count;
    }
}
