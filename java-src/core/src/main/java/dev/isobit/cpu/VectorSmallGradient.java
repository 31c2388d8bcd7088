package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The gradients of small rows: exponentials times {@code factors}, and {@code targetGradients}; rows that are
 * skipped stay as they are. Copied by {@link Specialized}.
 */
final class VectorSmallGradient implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, SPECIES.vectorShape());
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorSmallGradient() {}

    @Override
    public void run(SegmentWork work) {
        float[] out = work.out;
        MemorySegment outSegment = work.outSegment;
        SmallBlock block = work.block;
        MemorySegment exponentials = block.exponentials;
        VectorAccess.require(OUT_NATIVE, outSegment);
        VectorAccess.require(true, exponentials);
        long at = work.outAt;
        int classes = work.length;
        int count = classes * WIDTH;
        int[] rows = block.rows(classes);
        int groups = block.groups;
        if (!block.skipsSome) {
            for (int g = 0; g < groups; g++) {
                int first = g * count;
                IntVector factors = FloatVector.fromArray(SPECIES, block.factors, g * WIDTH).reinterpretAsInts();
                for (int i = first; i < first + count; i += WIDTH) {
                    FloatVector factor = IntVector.fromArray(INTS, rows, i).selectFrom(factors)
                            .reinterpretAsFloats();
                    VectorAccess.store(OUT_ARRAY, out, outSegment, at, i,
                            FloatVector.fromMemorySegment(SPECIES, exponentials, i * 4L, ORDER).mul(factor));
                }
            }
        }
        for (int r = 0; r < groups * WIDTH; r++) {
            if (block.skips[r]) {
                continue;
            }
            if (block.skipsSome) {
                // One element after the other: a masked store allocates its mask.
                for (int i = r * classes; i < (r + 1) * classes; i++) {
                    VectorAccess.set(OUT_ARRAY, out, outSegment, at, i,
                            exponentials.getAtIndex(ValueLayout.JAVA_FLOAT, i) * block.factors[r]);
                }
            }
            VectorAccess.set(OUT_ARRAY, out, outSegment, at, r * classes + block.targets[r], block.targetGradients[r]);
        }
    }
}
