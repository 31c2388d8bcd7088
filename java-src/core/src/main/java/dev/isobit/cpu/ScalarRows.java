package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Rows by scalar code: any memory, any JVM. The contract read aloud; {@link VectorRows} must match it to the bit.
 */
final class ScalarRows implements CrossEntropyRows {
    private static final int SEGMENT = CrossEntropyRow.SEGMENT;
    private static final int LANES = CrossEntropyRow.LANES;

    @Override
    public void run(CrossEntropyBatch batch, long from, long to, CrossEntropyRow row) {
        for (long i = from; i < to; i++) {
            batch.rowLoss[(int) (i - batch.firstRow)] = row(batch, i, row);
        }
    }

    private static float row(CrossEntropyBatch batch, long index, CrossEntropyRow row) {
        long classes = batch.classes;
        MemorySegment in = batch.logits.segment;
        long start = batch.logits.byteBase() + index * classes * Float.BYTES;
        boolean gradient = batch.wantsGradient;
        MemorySegment out = batch.gradLogits.segment;
        long outStart = batch.gradLogits.byteBase() + index * classes * Float.BYTES;

        long target = batch.target(index);
        if (target == batch.ignoreIndex) {
            if (gradient) {
                fill(out, outStart, classes, 0);
            }
            return 0;
        }
        // Read before anything is written: the gradient may lie over the logits.
        float targetLogit = get(in, start, target);
        row.begin(classes);
        boolean invalid = false;
        for (long offset = 0; offset < classes && !invalid; offset += SEGMENT) {
            int length = (int) Math.min(SEGMENT, classes - offset);
            invalid = segment(in, start + offset * Float.BYTES, length, out, outStart + offset * Float.BYTES, gradient,
                    row);
        }
        if (invalid || row.isInvalid()) {
            if (gradient) {
                fill(out, outStart, classes, Float.NaN);
            }
            return Float.NaN;
        }
        row.join();
        if (gradient) {
            double upstream = batch.upstream(index);
            float targetExp = get(out, outStart, target);
            int j = 0;
            for (long offset = 0; offset < classes; offset += SEGMENT) {
                float factor = row.factor(j++, upstream);
                long end = Math.min(offset + SEGMENT, classes);
                for (long k = offset; k < end; k++) {
                    set(out, outStart, k, CrossEntropyRow.canonical(get(out, outStart, k) * factor));
                }
            }
            set(out, outStart, target, row.targetGradient(targetLogit, targetExp, (int) (target / SEGMENT), upstream));
        }
        return row.loss(targetLogit);
    }

    /** Adds one segment to the row and leaves its exponentials in {@code out}; returns whether it holds a NaN or +inf. */
    private static boolean segment(MemorySegment in, long at, int length, MemorySegment out, long outAt,
            boolean gradient, CrossEntropyRow row) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = 0; i < length; i++) {
            float z = get(in, at, i);
            if (!(z < Float.POSITIVE_INFINITY)) {
                return true;
            }
            if (z > max) {
                max = z;
            }
        }
        int count = 0;
        Arrays.fill(row.lanes, 0);
        for (int i = 0; i < length; i++) {
            float z = get(in, at, i);
            float e = max == Float.NEGATIVE_INFINITY ? 0 : ExactMath.expDifference(z, max);
            if (z != max) {
                row.lanes[i % LANES] += e;
            } else if (max != Float.NEGATIVE_INFINITY) {
                count++;
            }
            if (gradient) {
                set(out, outAt, i, e);
            }
        }
        row.add(max, count, fold(row.lanes));
        return false;
    }

    /** Folds the lanes from the highest bit of the lane number to the lowest. */
    static float fold(float[] lanes) {
        for (int half = LANES / 2; half >= 1; half /= 2) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }

    private static void fill(MemorySegment out, long at, long length, float value) {
        for (long i = 0; i < length; i++) {
            set(out, at, i, value);
        }
    }

    private static float get(MemorySegment segment, long at, long i) {
        return segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + i * Float.BYTES);
    }

    private static void set(MemorySegment segment, long at, long i, float value) {
        segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at + i * Float.BYTES, value);
    }
}
