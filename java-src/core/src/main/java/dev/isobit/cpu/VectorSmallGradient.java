package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
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

    VectorSmallGradient() {}

    @Override
    public void run(SegmentWork work) {
        float[] out = work.out;
        MemorySegment outSegment = work.outSegment;
        SmallBlock block = work.block;
        float[] exponentials = block.exponentials;
        VectorAccess.require(OUT_NATIVE, outSegment);
        long at = work.outAt;
        int classes = work.length;
        int count = classes * WIDTH;
        int[] rows = block.rows;
        int groups = block.groups;
        if (block.skipsSome) {
            rowByRow(work);
            return;
        }
        float[] factors = block.factors;
        int[] firsts = block.firsts;
        int vectors = block.groups * work.length;
        for (int v = 0; v < vectors; v++) {
            int i = v * WIDTH;
            IntVector factorsHere = FloatVector.fromArray(SPECIES, factors, firsts[v]).reinterpretAsInts();
            FloatVector factor = IntVector.fromArray(INTS, rows, i).selectFrom(factorsHere).reinterpretAsFloats();
            VectorAccess.store(OUT_ARRAY, out, outSegment, at, i,
                    FloatVector.fromArray(SPECIES, exponentials, i).mul(factor));
        }
        long[] targets = block.targetOffsets;
        float[] targetGradients = block.targetGradients;
        for (int r = 0; r < groups * WIDTH; r++) {
            set(out, outSegment, at, targets[r], targetGradients[r]);
        }
    }

    /** One element after the other: a masked store allocates its mask. */
    private static void rowByRow(SegmentWork work) {
        float[] out = work.out;
        MemorySegment outSegment = work.outSegment;
        SmallBlock block = work.block;
        long at = work.outAt;
        int classes = work.length;
        for (int r = 0; r < block.groups * WIDTH; r++) {
            if (block.skips[r]) {
                continue;
            }
            for (int i = r * classes; i < (r + 1) * classes; i++) {
                VectorAccess.set(OUT_ARRAY, out, outSegment, at, i,
                        block.exponentials[i] * block.factors[r]);
            }
            set(out, outSegment, at, block.targetOffsets[r], block.targetGradients[r]);
        }
    }

    private static void set(float[] out, MemorySegment outSegment, long at, long offset, float value) {
        if (OUT_ARRAY) {
            out[(int) (at + offset / Float.BYTES)] = value;
        } else {
            outSegment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at + offset, value);
        }
    }
}
