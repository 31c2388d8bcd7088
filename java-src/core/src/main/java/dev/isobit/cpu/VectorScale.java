package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;

/** Exponentials to gradients, in place. Copied by {@link Specialized}. */
final class VectorScale implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final int WIDTH = VectorAccess.WIDTH;

    VectorScale() {}

    @Override
    public void run(SegmentWork work) {
        float[] out = work.out;
        MemorySegment segment = work.outSegment;
        VectorAccess.require(OUT_NATIVE, segment);
        long at = work.outAt;
        float factor = work.factor;
        int whole = Float.isFinite(factor) ? VectorMath.SPECIES.loopBound(work.length) : 0;
        FloatVector f = VectorMath.constant(factor);
        for (int i = 0; i < whole; i += WIDTH) {
            VectorAccess.store(OUT_ARRAY, out, segment, at, i,
                    VectorAccess.load(OUT_ARRAY, out, segment, at, i).mul(f));
        }
        for (int i = whole; i < work.length; i++) {
            VectorAccess.set(OUT_ARRAY, out, segment, at, i,
                    SegmentWork.canonical(VectorAccess.get(OUT_ARRAY, out, segment, at, i) * factor));
        }
    }
}
