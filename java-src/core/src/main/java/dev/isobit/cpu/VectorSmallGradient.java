package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorSpecies;

/**
 * The gradients of small rows: the exponentials that {@link VectorSmallRows} has left, times
 * {@code factors}, and {@code targetGradients}; those in {@code skipped} stay as they are. Copied by {@link Specialized}.
 */
final class VectorSmallGradient implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorSmallGradient() {}

    @Override
    public void run(SegmentWork work) {
        float[] out = work.out;
        MemorySegment outSegment = work.outSegment;
        MemorySegment block = work.block;
        VectorAccess.require(OUT_NATIVE, outSegment);
        VectorAccess.require(true, block);
        long at = work.outAt;
        int classes = work.length;
        float[] factors = work.factors;
        float[] targetGradients = work.targetGradients;
        int[] targets = work.targets;
        long skipped = work.skipped;
        VectorMask<Float> inRow = SPECIES.indexInRange(0, classes);
        for (int r = 0; r < WIDTH; r++) {
            FloatVector g = FloatVector.fromMemorySegment(SPECIES, block, r * WIDTH * 4L, ORDER).mul(factors[r]);
            // What is written behind a row is overwritten by the rows that follow, if it is theirs.
            if (skipped == 0 && r * classes + WIDTH <= WIDTH * classes) {
                VectorAccess.store(OUT_ARRAY, out, outSegment, at, r * classes, g);
            } else if ((skipped >> r & 1) == 0) {
                if (OUT_ARRAY) {
                    g.intoArray(out, (int) at + r * classes, inRow);
                } else {
                    g.intoMemorySegment(outSegment, at + r * classes * 4L, ORDER, inRow);
                }
            } else {
                continue;
            }
            VectorAccess.set(OUT_ARRAY, out, outSegment, at, r * classes + targets[r], targetGradients[r]);
        }
    }
}
