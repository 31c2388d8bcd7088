package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The maximum of a long segment if it is not negative, found among the bits as integers: one operation a vector where
 * {@link VectorMax} has two, so that more of what it waits for is on its way. Else what it finds is below 0 or NaN. Written out as {@link VectorShortRow} is. Copied by {@link Specialized}.
 */
final class VectorIntegerMax implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final int MINUS_INFINITY = Float.floatToRawIntBits(Float.NEGATIVE_INFINITY);
    private static final VectorSpecies<Integer> INTS = NarrowLanes.INTS;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int WIDTH = VectorAccess.WIDTH;

    VectorIntegerMax() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment segment = work.inSegment;
        VectorAccess.require(IN_NATIVE, segment);
        long at = work.at;
        int length = work.length;
        int whole = INTS.loopBound(length);
        int step = VectorAccess.step();
        // As an integer -infinity is above all negative numbers, and above -0.
        IntVector a = IntVector.broadcast(INTS, MINUS_INFINITY);
        IntVector b = IntVector.broadcast(INTS, MINUS_INFINITY);
        IntVector c = IntVector.broadcast(INTS, MINUS_INFINITY);
        IntVector d = IntVector.broadcast(INTS, MINUS_INFINITY);
        int i = 0;
        if (IN_NATIVE) {
            // See VectorAccess on slices.
            for (; i < whole - 7 * WIDTH; i += 8 * step) {
                MemorySegment eight = segment.asSlice(at + i * 4L, 8 * WIDTH * 4, 1);
                a = a.max(IntVector.fromMemorySegment(INTS, eight, 0, ORDER));
                b = b.max(IntVector.fromMemorySegment(INTS, eight, WIDTH * 4, ORDER));
                c = c.max(IntVector.fromMemorySegment(INTS, eight, 2 * WIDTH * 4, ORDER));
                d = d.max(IntVector.fromMemorySegment(INTS, eight, 3 * WIDTH * 4, ORDER));
                a = a.max(IntVector.fromMemorySegment(INTS, eight, 4 * WIDTH * 4, ORDER));
                b = b.max(IntVector.fromMemorySegment(INTS, eight, 5 * WIDTH * 4, ORDER));
                c = c.max(IntVector.fromMemorySegment(INTS, eight, 6 * WIDTH * 4, ORDER));
                d = d.max(IntVector.fromMemorySegment(INTS, eight, 7 * WIDTH * 4, ORDER));
            }
        }
        for (; i < whole; i += step) {
            a = a.max(IN_ARRAY
                    ? FloatVector.fromArray(VectorMath.SPECIES, in, (int) at + i).reinterpretAsInts()
                    : IntVector.fromMemorySegment(INTS, segment, at + i * 4L, ORDER));
        }
        float max = Float.intBitsToFloat(a.max(b).max(c.max(d)).reduceLanes(VectorOperators.MAX));
        for (i = whole; i < length; i++) {
            float x = VectorAccess.get(IN_ARRAY, in, segment, at, i);
            if (x > max) {
                max = x;
            }
        }
        work.max = max;
    }
}
