package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The maximum of a segment, NaN left out: it will show in the sum. Written out as {@link VectorShortRow} is. Copied by
 * {@link Specialized}.
 */
final class VectorMax implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int WIDTH = VectorAccess.WIDTH;

    VectorMax() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment segment = work.inSegment;
        VectorAccess.require(IN_NATIVE, segment);
        long at = work.at;
        int length = work.length;
        int whole = SPECIES.loopBound(length);
        // A loop must not start from a static final vector: merged with a computed one, it is boxed on every turn.
        FloatVector a = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        FloatVector b = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        FloatVector c = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        FloatVector d = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        int step = VectorAccess.step();
        int i = 0;
        // Comparing and blending are two instructions; MAX, which must keep NaN, is six.
        for (; i < whole - 3 * WIDTH; i += 4 * step) {
            FloatVector x = IN_ARRAY
                    ? FloatVector.fromArray(SPECIES, in, (int) at + i)
                    : FloatVector.fromMemorySegment(SPECIES, segment, at + i * 4L, ORDER);
            FloatVector y = IN_ARRAY
                    ? FloatVector.fromArray(SPECIES, in, (int) at + i + WIDTH)
                    : FloatVector.fromMemorySegment(SPECIES, segment, at + (i + WIDTH) * 4L, ORDER);
            FloatVector z = IN_ARRAY
                    ? FloatVector.fromArray(SPECIES, in, (int) at + i + 2 * WIDTH)
                    : FloatVector.fromMemorySegment(SPECIES, segment, at + (i + 2 * WIDTH) * 4L, ORDER);
            FloatVector w = IN_ARRAY
                    ? FloatVector.fromArray(SPECIES, in, (int) at + i + 3 * WIDTH)
                    : FloatVector.fromMemorySegment(SPECIES, segment, at + (i + 3 * WIDTH) * 4L, ORDER);
            a = a.blend(x, x.compare(VectorOperators.GT, a));
            b = b.blend(y, y.compare(VectorOperators.GT, b));
            c = c.blend(z, z.compare(VectorOperators.GT, c));
            d = d.blend(w, w.compare(VectorOperators.GT, d));
        }
        for (; i < whole; i += step) {
            FloatVector x = IN_ARRAY
                    ? FloatVector.fromArray(SPECIES, in, (int) at + i)
                    : FloatVector.fromMemorySegment(SPECIES, segment, at + i * 4L, ORDER);
            a = a.blend(x, x.compare(VectorOperators.GT, a));
        }
        b = b.blend(c, c.compare(VectorOperators.GT, b));
        a = a.blend(d, d.compare(VectorOperators.GT, a));
        if (whole < length) {
            float[] tail = work.tail;
            Arrays.fill(tail, Float.NEGATIVE_INFINITY);
            for (i = whole; i < length; i++) {
                tail[i - whole] = VectorAccess.get(IN_ARRAY, in, segment, at, i);
            }
            FloatVector z = FloatVector.fromArray(SPECIES, tail, 0);
            b = b.blend(z, z.compare(VectorOperators.GT, b));
        }
        a = a.blend(b, b.compare(VectorOperators.GT, a));
        work.max = a.reduceLanes(VectorOperators.MAX);
    }
}
