package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Rows by the Vector API. Never used by its own name: {@link Specialized} defines one copy per kind of memory, with the
 * kinds as class data, so that in each copy every access has one shape and every profile is its own.
 */
final class VectorRows implements CrossEntropyRows {
    private static final boolean LOGITS_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean GRAD_ARRAY = Specialized.flag(MethodHandles.lookup(), 1);

    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = SPECIES.length();
    private static final FloatVector ZERO = VectorMath.constant(0);
    private static final FloatVector ONE = VectorMath.constant(1);
    private static final FloatVector MINUS_INFINITY = VectorMath.constant(Float.NEGATIVE_INFINITY);
    private static final int SEGMENT = CrossEntropyRow.SEGMENT;
    private static final int LANES = CrossEntropyRow.LANES;

    /** Called through {@link Specialized}. */
    VectorRows() {}

    @Override
    public void run(CrossEntropyBatch batch, long from, long to, CrossEntropyRow row) {
        for (long i = from; i < to; i++) {
            batch.rowLoss[(int) (i - batch.firstRow)] = row(batch, i, row);
        }
    }

    /** One row; returns its loss. */
    private static float row(CrossEntropyBatch batch, long index, CrossEntropyRow row) {
        long classes = batch.classes;
        FloatOperand logits = batch.logits;
        FloatOperand grads = batch.gradLogits;
        float[] in = logits.array;
        MemorySegment inSegment = logits.segment;
        long start = logits.base + index * classes * (LOGITS_ARRAY ? 1 : Float.BYTES);
        boolean gradient = batch.wantsGradient;
        float[] out = grads.array;
        MemorySegment outSegment = grads.segment;
        long outStart = grads.base + index * classes * (GRAD_ARRAY ? 1 : Float.BYTES);

        long target = batch.target(index);
        if (target == batch.ignoreIndex) {
            if (gradient) {
                fill(out, outSegment, outStart, classes, ZERO);
            }
            return 0;
        }
        // Read before anything is written: the gradient may lie over the logits.
        float targetLogit = get(in, inSegment, start, target);
        row.begin(classes);
        boolean invalid = false;
        for (long offset = 0; offset < classes && !invalid; offset += SEGMENT) {
            int length = (int) Math.min(SEGMENT, classes - offset);
            long at = start + offset * (LOGITS_ARRAY ? 1 : Float.BYTES);
            long outAt = outStart + offset * (GRAD_ARRAY ? 1 : Float.BYTES);
            float max = max(in, inSegment, at, length);
            if (max == Float.NEGATIVE_INFINITY) {
                invalid = hasNaN(in, inSegment, at, length);
                if (gradient) {
                    fill(out, outSegment, outAt, length, ZERO);
                }
                row.add(max, 0, 0);
            } else if (max == Float.POSITIVE_INFINITY) {
                invalid = true;
            } else {
                FloatVector maxVector = VectorMath.constant(max);
                Arrays.fill(row.lanes, 0, Math.min(LANES, roundUp(length)), 0);
                int count = gradient
                        ? exponentials(in, inSegment, at, length, maxVector, row.lanes, out, outSegment, outAt)
                        : exponentials(in, inSegment, at, length, maxVector, row.lanes);
                float sum = fold(row.lanes, Math.min(LANES, roundUp(length)));
                invalid = sum != sum;
                row.add(max, count, sum);
            }
        }
        if (invalid || row.isInvalid()) {
            if (gradient) {
                fill(out, outSegment, outStart, classes, VectorMath.constant(Float.NaN));
            }
            return Float.NaN;
        }
        row.join();
        if (gradient) {
            double upstream = batch.upstream(index);
            float targetExp = regain(out, outSegment, outStart, target);
            int j = 0;
            for (long offset = 0; offset < classes; offset += SEGMENT) {
                int length = (int) Math.min(SEGMENT, classes - offset);
                scale(out, outSegment, outStart + offset * (GRAD_ARRAY ? 1 : Float.BYTES), length,
                        row.factor(j++, upstream));
            }
            set(out, outSegment, outStart, target,
                    row.targetGradient(targetLogit, targetExp, (int) (target / SEGMENT), upstream));
        }
        return row.loss(targetLogit);
    }

    /** The smallest power of two of lanes that covers a row, at least one vector. */
    private static int roundUp(int length) {
        return Math.max(WIDTH, length <= 1 ? 1 : Integer.highestOneBit(length - 1) << 1);
    }

    private static float max(float[] in, MemorySegment segment, long at, int length) {
        FloatVector a = MINUS_INFINITY;
        FloatVector b = MINUS_INFINITY;
        int i = 0;
        for (; i <= length - 2 * WIDTH; i += 2 * WIDTH) {
            FloatVector x = load(in, segment, at, i);
            FloatVector y = load(in, segment, at, i + WIDTH);
            a = a.blend(x, x.compare(VectorOperators.GT, a));
            b = b.blend(y, y.compare(VectorOperators.GT, b));
        }
        for (; i < length; i += WIDTH) {
            VectorMask<Float> inside = SPECIES.indexInRange(i, length);
            FloatVector x = load(in, segment, at, i, inside);
            a = a.blend(x, x.compare(VectorOperators.GT, a).and(inside));
        }
        a = a.blend(b, b.compare(VectorOperators.GT, a));
        return a.reduceLanes(VectorOperators.MAX);
    }

    private static int exponentials(float[] in, MemorySegment segment, long at, int length, FloatVector max,
            float[] lanes, float[] out, MemorySegment outSegment, long outAt) {
        FloatVector count = ZERO;
        int i = 0;
        for (; i <= length - WIDTH; i += WIDTH) {
            FloatVector z = load(in, segment, at, i);
            FloatVector d = z.sub(max);
            FloatVector e = VectorMath.expDifference(z, max, d);
            store(out, outSegment, outAt, i, e);
            VectorMask<Float> isMax = d.eq(ZERO);
            count = count.add(ONE, isMax);
            int lane = i & LANES - 1;
            FloatVector.fromArray(SPECIES, lanes, lane).add(e.blend(ZERO, isMax)).intoArray(lanes, lane);
        }
        if (i < length) {
            VectorMask<Float> inside = SPECIES.indexInRange(i, length);
            FloatVector z = MINUS_INFINITY.blend(load(in, segment, at, i, inside), inside);
            FloatVector d = z.sub(max);
            FloatVector e = VectorMath.expDifference(z, max, d);
            store(out, outSegment, outAt, i, e, inside);
            VectorMask<Float> isMax = d.eq(ZERO);
            count = count.add(ONE, isMax);
            int lane = i & LANES - 1;
            FloatVector.fromArray(SPECIES, lanes, lane).add(e.blend(ZERO, isMax)).intoArray(lanes, lane);
        }
        return (int) count.reduceLanes(VectorOperators.ADD);
    }

    private static int exponentials(float[] in, MemorySegment segment, long at, int length, FloatVector max,
            float[] lanes) {
        FloatVector count = ZERO;
        int i = 0;
        for (; i <= length - WIDTH; i += WIDTH) {
            FloatVector z = load(in, segment, at, i);
            FloatVector d = z.sub(max);
            FloatVector e = VectorMath.expDifference(z, max, d);
            VectorMask<Float> isMax = d.eq(ZERO);
            count = count.add(ONE, isMax);
            int lane = i & LANES - 1;
            FloatVector.fromArray(SPECIES, lanes, lane).add(e.blend(ZERO, isMax)).intoArray(lanes, lane);
        }
        if (i < length) {
            VectorMask<Float> inside = SPECIES.indexInRange(i, length);
            FloatVector z = MINUS_INFINITY.blend(load(in, segment, at, i, inside), inside);
            FloatVector d = z.sub(max);
            FloatVector e = VectorMath.expDifference(z, max, d);
            VectorMask<Float> isMax = d.eq(ZERO);
            count = count.add(ONE, isMax);
            int lane = i & LANES - 1;
            FloatVector.fromArray(SPECIES, lanes, lane).add(e.blend(ZERO, isMax)).intoArray(lanes, lane);
        }
        return (int) count.reduceLanes(VectorOperators.ADD);
    }

    /** Folds lanes[0, width) from the highest bit of the lane number to the lowest. */
    static float fold(float[] lanes, int width) {
        int half = width >> 1;
        for (; half >= WIDTH; half >>= 1) {
            for (int i = 0; i < half; i += WIDTH) {
                FloatVector.fromArray(SPECIES, lanes, i).add(FloatVector.fromArray(SPECIES, lanes, i + half))
                        .intoArray(lanes, i);
            }
        }
        for (; half >= 1; half >>= 1) {
            for (int i = 0; i < half; i++) {
                lanes[i] += lanes[i + half];
            }
        }
        return lanes[0];
    }

    private static void scale(float[] out, MemorySegment segment, long at, int length, float factor) {
        int i = 0;
        if (!Float.isFinite(factor)) {
            for (; i < length; i++) {
                set(out, segment, at, i, CrossEntropyRow.canonical(regain(out, segment, at, i) * factor));
            }
            return;
        }
        FloatVector f = VectorMath.constant(factor);
        for (; i <= length - WIDTH; i += WIDTH) {
            store(out, segment, at, i, reload(out, segment, at, i).mul(f));
        }
        if (i < length) {
            VectorMask<Float> inside = SPECIES.indexInRange(i, length);
            store(out, segment, at, i, reload(out, segment, at, i, inside).mul(f), inside);
        }
    }

    private static void fill(float[] out, MemorySegment segment, long at, long length, FloatVector value) {
        long i = 0;
        for (; i <= length - WIDTH; i += WIDTH) {
            store(out, segment, at, i, value);
        }
        if (i < length) {
            store(out, segment, at, i, value, SPECIES.indexInRange(i, length));
        }
    }

    private static boolean hasNaN(float[] in, MemorySegment segment, long at, int length) {
        for (int i = 0; i < length; i++) {
            float z = get(in, segment, at, i);
            if (z != z) {
                return true;
            }
        }
        return false;
    }

    private static FloatVector load(float[] in, MemorySegment segment, long at, int i) {
        return LOGITS_ARRAY
                ? FloatVector.fromArray(SPECIES, in, (int) at + i)
                : FloatVector.fromMemorySegment(SPECIES, segment, at + (long) i * Float.BYTES, ByteOrder.nativeOrder());
    }

    private static FloatVector load(float[] in, MemorySegment segment, long at, int i, VectorMask<Float> inside) {
        return LOGITS_ARRAY
                ? FloatVector.fromArray(SPECIES, in, (int) at + i, inside)
                : FloatVector.fromMemorySegment(SPECIES, segment, at + (long) i * Float.BYTES, ByteOrder.nativeOrder(),
                        inside);
    }

    private static float get(float[] in, MemorySegment segment, long at, long i) {
        return LOGITS_ARRAY
                ? in[(int) (at + i)]
                : segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + i * Float.BYTES);
    }

    private static FloatVector reload(float[] out, MemorySegment segment, long at, int i) {
        return GRAD_ARRAY
                ? FloatVector.fromArray(SPECIES, out, (int) at + i)
                : FloatVector.fromMemorySegment(SPECIES, segment, at + (long) i * Float.BYTES, ByteOrder.nativeOrder());
    }

    private static FloatVector reload(float[] out, MemorySegment segment, long at, int i, VectorMask<Float> inside) {
        return GRAD_ARRAY
                ? FloatVector.fromArray(SPECIES, out, (int) at + i, inside)
                : FloatVector.fromMemorySegment(SPECIES, segment, at + (long) i * Float.BYTES, ByteOrder.nativeOrder(),
                        inside);
    }

    private static float regain(float[] out, MemorySegment segment, long at, long i) {
        return GRAD_ARRAY
                ? out[(int) (at + i)]
                : segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + i * Float.BYTES);
    }

    private static void store(float[] out, MemorySegment segment, long at, long i, FloatVector value) {
        if (GRAD_ARRAY) {
            value.intoArray(out, (int) (at + i));
        } else {
            value.intoMemorySegment(segment, at + i * Float.BYTES, ByteOrder.nativeOrder());
        }
    }

    private static void store(float[] out, MemorySegment segment, long at, long i, FloatVector value,
            VectorMask<Float> inside) {
        if (GRAD_ARRAY) {
            value.intoArray(out, (int) (at + i), inside);
        } else {
            value.intoMemorySegment(segment, at + i * Float.BYTES, ByteOrder.nativeOrder(), inside);
        }
    }

    private static void set(float[] out, MemorySegment segment, long at, long i, float value) {
        if (GRAD_ARRAY) {
            out[(int) (at + i)] = value;
        } else {
            segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at + i * Float.BYTES, value);
        }
    }
}
