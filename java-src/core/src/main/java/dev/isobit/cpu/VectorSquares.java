package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/** Squares of float32 where they stand in memory. Written out as {@link VectorShortRow} is. Copied by {@link Specialized}. */
final class VectorSquares implements SquareSum {
    private static final boolean IS_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IS_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int LANES = SegmentWork.LANES;
    private static final int WIDTH = VectorAccess.WIDTH;

    /** Called through {@link Specialized}. */
    VectorSquares() {}

    @Override
    public void add(FloatOperand grad, long element, float[] lanes, int lane, int count) {
        float[] array = grad.array;
        MemorySegment segment = grad.segment;
        VectorAccess.require(IS_NATIVE, segment);
        int step = VectorAccess.step();
        int first = lane;
        int done = 0;
        while (done < count) {
            // From memory two blocks at a time, which would load and store a lane once for both, are slower: two streams.
            long at = grad.position(element + done);
            int length = Math.min(LANES - first, count - done);
            int last = first + length;
            int i = first;
            for (; i <= last - WIDTH; i += step) {
                FloatVector a = IS_ARRAY
                        ? FloatVector.fromArray(SPECIES, array, (int) at + i - first)
                        : FloatVector.fromMemorySegment(SPECIES, segment, at + (i - first) * 4L, ORDER);
                FloatVector.fromArray(SPECIES, lanes, i).add(a.mul(a)).intoArray(lanes, i);
            }
            for (; i < last; i++) {
                float a = VectorAccess.get(IS_ARRAY, array, segment, at, i - first);
                lanes[i] += a * a;
            }
            done += length;
            first = 0;
        }
    }
}
