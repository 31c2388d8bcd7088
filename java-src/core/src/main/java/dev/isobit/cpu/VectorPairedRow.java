package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * A row as {@link VectorShortRow} has it, two vectors a turn. What goes wrong in turns with an element that is not plain (see
 * {@link VectorMath#plainAbove}), the maximum's at least, {@link VectorRareExponentials} puts right. The last turn ends with the
 * row and overlaps the one before. Written out and copied as that is.
 */
final class VectorPairedRow implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 4);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final VectorSpecies<Integer> INTS = NarrowLanes.INTS;
    private static final int WIDTH = VectorAccess.WIDTH;
    /** Elements of a turn. */
    static final int PAIR = 2 * WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorPairedRow() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment inSegment = work.inSegment;
        float[] out = work.previousOut();
        MemorySegment outSegment = work.previousOutSegment();
        long at = work.at;
        long nextAt = work.nextAt;
        long outAt = work.previousOutAt;
        int length = work.length;
        // From -0 either zero is +0 away, which counts as special below; from +0 the other one would be -0, which does not.
        float maxOrMinusZero = work.max == 0 ? -0f : work.max;
        // Before any vector is loaded: a call that is not inlined would move all of them to the stack, for the loop as well.
        float plain = VectorMath.plainAbove(work.max);
        FloatVector one = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.ONE);
        FloatVector log2e = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.LOG2E);
        FloatVector magic = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.MAGIC);
        FloatVector max = FloatVector.broadcast(SPECIES, maxOrMinusZero).mul(one);
        IntVector plainAbove = FloatVector.broadcast(SPECIES, plain).mul(one).reinterpretAsInts();
        FloatVector factor = FloatVector.broadcast(SPECIES, work.factor).mul(one);
        IntVector nextMax = IntVector.broadcast(INTS, Integer.MIN_VALUE);
        int whole = length - length % PAIR;
        long bytes = length * 4L;
        long lanes = work.lanesAt();
        long previous = work.previousAt();
        // See VectorAccess.
        VectorAccess.require(IN_NATIVE, inSegment);
        VectorAccess.require(GRADIENT && OUT_NATIVE, outSegment);
        MemorySegment row = IN_ARRAY ? inSegment : inSegment.asSlice(at, bytes, 1);
        MemorySegment next = IN_ARRAY ? inSegment : inSegment.asSlice(nextAt, bytes, 1);
        MemorySegment gradients =
                GRADIENT && !OUT_ARRAY ? outSegment.asSlice(outAt, bytes, 1) : outSegment;
        VectorAccess.require(IN_NATIVE, row);
        VectorAccess.require(IN_NATIVE, next);
        VectorAccess.require(GRADIENT && OUT_NATIVE, gradients);
        // j = (i ^ turned) + shift is i, or what is as far from the end.
        int turned = work.ascending ? 0 : -1;
        int step = 2 * VectorAccess.step();
        long special = 0;
        for (int pass = 0; pass < (whole < length ? 2 : 1); pass++) {
            int i = pass == 0 ? 0 : length - PAIR;
            int end = pass == 0 ? whole : length;
            int shift = turned & (pass == 0 ? whole - PAIR : 2 * (length - PAIR)) + 1;
            for (; i < end; i += step) {
                FloatVector z0 = IN_ARRAY
                        ? FloatVector.fromArray(SPECIES, in, (int) at + i)
                        : FloatVector.fromMemorySegment(SPECIES, row, i * 4L, ORDER);
                FloatVector z1 = IN_ARRAY
                        ? FloatVector.fromArray(SPECIES, in, (int) at + i + WIDTH)
                        : FloatVector.fromMemorySegment(SPECIES, row, i * 4L + WIDTH * 4, ORDER);
                FloatVector next0 = IN_ARRAY
                        ? FloatVector.fromArray(SPECIES, in, (int) nextAt + i)
                        : FloatVector.fromMemorySegment(SPECIES, next, i * 4L, ORDER);
                FloatVector next1 = IN_ARRAY
                        ? FloatVector.fromArray(SPECIES, in, (int) nextAt + i + WIDTH)
                        : FloatVector.fromMemorySegment(SPECIES, next, i * 4L + WIDTH * 4, ORDER);
                nextMax = nextMax.max(next0.reinterpretAsInts().max(next1.reinterpretAsInts()));
                if (GRADIENT) {
                    int j = (i ^ turned) + shift;
                    FloatVector g0 = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY,
                            previous + j * 4L & ScratchPool.INSIDE, ORDER).mul(factor);
                    FloatVector g1 =
                            FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY,
                                    (previous + j * 4L & ScratchPool.INSIDE) + WIDTH * 4, ORDER).mul(factor);
                    if (OUT_ARRAY) {
                        g0.intoArray(out, (int) outAt + j);
                        g1.intoArray(out, (int) outAt + j + WIDTH);
                    } else {
                        g0.intoMemorySegment(gradients, j * 4L, ORDER);
                        g1.intoMemorySegment(gradients, j * 4L + WIDTH * 4, ORDER);
                    }
                }
                FloatVector d0 = z0.sub(max);
                FloatVector d1 = z1.sub(max);
                FloatVector t0 = d0.fma(log2e, magic);
                FloatVector t1 = d1.fma(log2e, magic);
                FloatVector n0 = t0.sub(magic);
                FloatVector n1 = t1.sub(magic);
                FloatVector error0 = z0.sub(d0.add(max));
                FloatVector error1 = z1.sub(d1.add(max));
                // As integers, 0, NaN and everything below a negative float are above that float's bits. No branch: where the
                // maximum is nobody can predict.
                special = special << 1 | -d0.reinterpretAsInts().max(d1.reinterpretAsInts())
                        .compare(VectorOperators.GT, plainAbove).toLong() >>> 63;
                // From here on each constant is broadcast where it is used: see Kept.
                FloatVector r0 = n0.fma(FloatVector.broadcast(SPECIES, -ExactMath.LN2_HI), d0)
                        .add(n0.fma(FloatVector.broadcast(SPECIES, -ExactMath.LN2_LO), error0));
                FloatVector r1 = n1.fma(FloatVector.broadcast(SPECIES, -ExactMath.LN2_HI), d1)
                        .add(n1.fma(FloatVector.broadcast(SPECIES, -ExactMath.LN2_LO), error1));
                FloatVector p0 = r0.fma(FloatVector.broadcast(SPECIES, ExactMath.EXP_C6),
                        FloatVector.broadcast(SPECIES, ExactMath.EXP_C5))
                        .fma(r0, FloatVector.broadcast(SPECIES, ExactMath.EXP_C4))
                        .fma(r0, FloatVector.broadcast(SPECIES, ExactMath.EXP_C3))
                        .fma(r0, FloatVector.broadcast(SPECIES, ExactMath.EXP_C2))
                        .fma(r0, FloatVector.broadcast(SPECIES, 1))
                        .fma(r0, FloatVector.broadcast(SPECIES, 1));
                p0.reinterpretAsInts().add(t0.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23))
                        .reinterpretAsFloats()
                        .intoMemorySegment(ScratchPool.MEMORY, lanes + i * 4L & ScratchPool.INSIDE, ORDER);
                FloatVector p1 = r1.fma(FloatVector.broadcast(SPECIES, ExactMath.EXP_C6),
                        FloatVector.broadcast(SPECIES, ExactMath.EXP_C5))
                        .fma(r1, FloatVector.broadcast(SPECIES, ExactMath.EXP_C4))
                        .fma(r1, FloatVector.broadcast(SPECIES, ExactMath.EXP_C3))
                        .fma(r1, FloatVector.broadcast(SPECIES, ExactMath.EXP_C2))
                        .fma(r1, FloatVector.broadcast(SPECIES, 1))
                        .fma(r1, FloatVector.broadcast(SPECIES, 1));
                p1.reinterpretAsInts().add(t1.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23))
                        .reinterpretAsFloats()
                        .intoMemorySegment(ScratchPool.MEMORY, (lanes + i * 4L & ScratchPool.INSIDE) + WIDTH * 4,
                                ORDER);
            }
        }
        work.special = special;
        work.nextMax = Float.intBitsToFloat(nextMax.reduceLanes(VectorOperators.MAX));
    }
}
