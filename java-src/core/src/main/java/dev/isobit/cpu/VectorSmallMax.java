package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The maxima of small rows, NaN left out: it will show in the sums. What is behind a row's end is read as well.
 * Copied by {@link Specialized}.
 */
final class VectorSmallMax implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorSmallMax() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment inSegment = work.inSegment;
        MemorySegment folded = work.block.folded;
        VectorAccess.require(IN_NATIVE, inSegment);
        VectorAccess.require(true, folded);
        long at = work.at;
        int classes = work.length;
        int last = (classes - 1) / WIDTH * WIDTH;
        VectorMask<Float> behind = SPECIES.indexInRange(last, classes).not();
        int groups = work.block.groups;
        for (int g = 0; g < groups; g++) {
            int first = g * WIDTH * classes;
            for (int r = 0; r < WIDTH; r++) {
                FloatVector max = VectorAccess.load(IN_ARRAY, in, inSegment, at, first + r * classes + last)
                        .blend(Float.NEGATIVE_INFINITY, behind);
                for (int i = 0; i < last; i += WIDTH) {
                    FloatVector z = VectorAccess.load(IN_ARRAY, in, inSegment, at, first + r * classes + i);
                    max = max.blend(z, z.compare(VectorOperators.GT, max));
                }
                max.intoMemorySegment(folded, (r * groups + g) * WIDTH * 4L, ORDER);
            }
        }
        VectorSmallFold.maxima(folded, groups, work.block.maxima);
    }
}
