package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import java.util.Arrays;

/** Scalar twin of {@link VectorExponentials}, its tail included. */
final class ScalarExponentials extends ScalarStage {
    @Override
    public void run(SegmentWork work) {
        Arrays.fill(work.lanes, 0);
        boolean gradient = work.gradient;
        int count = 0;
        for (int i = 0; i < work.length; i++) {
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
        work.count = count;
    }
}
