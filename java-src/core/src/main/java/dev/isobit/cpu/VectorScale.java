package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** Exponentials to gradients, in place; {@link SegmentWork#MAXIMUM} counts as 1. Written out as {@link VectorShortRow} is. Copied by {@link Specialized}. */
final class VectorScale implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean LANES_LATER =
            Specialized.flag(MethodHandles.lookup(), VectorExponentials.LATER_BIT);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int WIDTH = VectorAccess.WIDTH;

    VectorScale() {}

    @Override
    public void run(SegmentWork work) {
        float[] out = work.out;
        MemorySegment segment = work.outSegment;
        VectorAccess.require(OUT_NATIVE, segment);
        long at = work.outAt;
        float factor = work.factor;
        int whole = Float.isFinite(factor) ? SPECIES.loopBound(work.length) : 0;
        FloatVector f = FloatVector.broadcast(SPECIES, factor);
        int step = VectorAccess.step();
        int i = 0;
        if (LANES_LATER && OUT_NATIVE) {
            // See VectorAccess on slices. Rows of few classes hardly ever get here: what they slice might be allocated.
            for (; i < whole - 3 * WIDTH; i += 4 * step) {
                MemorySegment four = segment.asSlice(at + i * 4L, 4 * WIDTH * 4, 1);
                FloatVector a = FloatVector.fromMemorySegment(SPECIES, four, 0, ORDER);
                FloatVector b = FloatVector.fromMemorySegment(SPECIES, four, WIDTH * 4, ORDER);
                FloatVector c = FloatVector.fromMemorySegment(SPECIES, four, 2 * WIDTH * 4, ORDER);
                FloatVector d = FloatVector.fromMemorySegment(SPECIES, four, 3 * WIDTH * 4, ORDER);
                a.mul(f).blend(f, a.reinterpretAsInts().compare(VectorOperators.LT, 0).cast(SPECIES))
                        .intoMemorySegment(four, 0, ORDER);
                b.mul(f).blend(f, b.reinterpretAsInts().compare(VectorOperators.LT, 0).cast(SPECIES))
                        .intoMemorySegment(four, WIDTH * 4, ORDER);
                c.mul(f).blend(f, c.reinterpretAsInts().compare(VectorOperators.LT, 0).cast(SPECIES))
                        .intoMemorySegment(four, 2 * WIDTH * 4, ORDER);
                d.mul(f).blend(f, d.reinterpretAsInts().compare(VectorOperators.LT, 0).cast(SPECIES))
                        .intoMemorySegment(four, 3 * WIDTH * 4, ORDER);
            }
        }
        for (; i < whole; i += step) {
            FloatVector e = OUT_ARRAY
                    ? FloatVector.fromArray(SPECIES, out, (int) at + i)
                    : FloatVector.fromMemorySegment(SPECIES, segment, at + i * 4L, ORDER);
            FloatVector gradient = e.mul(f);
            if (LANES_LATER) {
                gradient = gradient.blend(f, e.reinterpretAsInts().compare(VectorOperators.LT, 0).cast(SPECIES));
            }
            if (OUT_ARRAY) {
                gradient.intoArray(out, (int) at + i);
            } else {
                gradient.intoMemorySegment(segment, at + i * 4L, ORDER);
            }
        }
        for (i = whole; i < work.length; i++) {
            VectorAccess.set(OUT_ARRAY, out, segment, at, i,
                    SegmentWork.canonical(
                            SegmentWork.exponential(VectorAccess.get(OUT_ARRAY, out, segment, at, i)) * factor));
        }
    }
}
