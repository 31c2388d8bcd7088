package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * A row of one vector to {@link SegmentWork#LANES} classes: its exponentials, and meanwhile the maximum of the next row
 * and the gradient of the previous one. Each of the three waits for something else: arithmetic, reading, writing.
 *
 * <p>One element is one lane, so the exponentials themselves are the lanes. The last vector ends with the row and
 * overlaps the one before, which computes some elements twice and none differently.
 *
 * <p>Everything is written out in one method, {@link VectorMath#expDifference} as well: what C2 does not inline, since
 * the method is large, would take its vectors boxed; methods of the Vector API are always inlined. Copied by
 * {@link Specialized}.
 */
final class VectorShortRow implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 4);
    /** Whether the error of z - max is found for any two numbers, or only where {@link VectorMath#plainAbove} allows it. */
    private static final boolean KNUTH = Specialized.flag(MethodHandles.lookup(), 5);
    /** Logits and gradients are BF16: widened and rounded in registers. */
    private static final boolean BF16 = Specialized.flag(MethodHandles.lookup(), 6);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final VectorSpecies<Integer> INTS = NarrowLanes.INTS;
    private static final VectorSpecies<Short> SHORTS = NarrowLanes.SHORTS;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorShortRow() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        short[] inShorts = work.inShorts;
        MemorySegment inSegment = work.inSegment;
        float[] out = work.previousOut();
        short[] outShorts = work.previousOutShorts();
        MemorySegment outSegment = work.previousOutSegment();
        long at = work.at;
        long nextAt = work.nextAt;
        long outAt = work.previousOutAt;
        int length = work.length;
        // From -0 either zero is +0 away, which counts as special below; from +0 the other one would be -0, which does not.
        float maxOrMinusZero = work.max == 0 ? -0f : work.max;
        // Before any vector is loaded: a call that is not inlined would move all of them to the stack, for the loop as well.
        float plain = KNUTH ? VectorMath.NORMAL_ABOVE : VectorMath.plainAbove(work.max);
        FloatVector one = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.ONE);
        FloatVector log2e = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.LOG2E);
        FloatVector magic = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.MAGIC);
        FloatVector max = FloatVector.broadcast(SPECIES, maxOrMinusZero).mul(one);
        IntVector plainAbove = FloatVector.broadcast(SPECIES, plain).mul(one).reinterpretAsInts();
        FloatVector factor = FloatVector.broadcast(SPECIES, work.factor).mul(one);
        IntVector nextMax = BF16 ? null : IntVector.broadcast(INTS, Integer.MIN_VALUE);
        ShortVector nextShorts = BF16 ? ShortVector.broadcast(SHORTS, Short.MIN_VALUE) : null;
        long lanes = work.lanesAt();
        long previous = work.previousAt();
        long bytes = length * (BF16 ? 2L : 4L);
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
        int whole = SPECIES.loopBound(length);
        // j = (i ^ turned) + shift is i, or what is as far from the end.
        int turned = work.ascending ? 0 : -1;
        int step = VectorAccess.step();
        int count = 0;
        int unplain = 0;
        int maxAt = 0;
        for (int pass = 0; pass < 2; pass++) {
            int i = pass == 0 ? 0 : length - WIDTH;
            int end = pass == 0 ? whole : length;
            int shift = turned & (pass == 0 ? whole - WIDTH : 2 * (length - WIDTH)) + 1;
            long fresh = pass == 0 ? -1L : -1L << WIDTH - (length - whole);
            for (; i < end; i += step) {
                FloatVector z = BF16
                        ? ((IntVector) (IN_ARRAY
                                ? ShortVector.fromArray(SHORTS, inShorts, (int) at + i)
                                : ShortVector.fromMemorySegment(SHORTS, row, i * 2L, ORDER))
                                .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                                .reinterpretAsFloats()
                        : IN_ARRAY
                                ? FloatVector.fromArray(SPECIES, in, (int) at + i)
                                : FloatVector.fromMemorySegment(SPECIES, row, i * 4L, ORDER);
                if (BF16) {
                    nextShorts = nextShorts.max(IN_ARRAY
                            ? ShortVector.fromArray(SHORTS, inShorts, (int) nextAt + i)
                            : ShortVector.fromMemorySegment(SHORTS, next, i * 2L, ORDER));
                } else {
                    FloatVector following = IN_ARRAY
                            ? FloatVector.fromArray(SPECIES, in, (int) nextAt + i)
                            : FloatVector.fromMemorySegment(SPECIES, next, i * 4L, ORDER);
                    nextMax = nextMax.max(following.reinterpretAsInts());
                }
                if (GRADIENT) {
                    int j = (i ^ turned) + shift;
                    FloatVector g = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY,
                            previous + j * 4L & ScratchPool.INSIDE, ORDER).mul(factor);
                    if (BF16) {
                        ShortVector bits = (ShortVector) g.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(1)
                                .add(g.reinterpretAsInts()).add(0x7fff).lanewise(VectorOperators.LSHR, 16)
                                .convertShape(VectorOperators.I2S, SHORTS, 0);
                        if (OUT_ARRAY) {
                            bits.intoArray(outShorts, (int) outAt + j);
                        } else {
                            bits.intoMemorySegment(gradients, j * 2L, ORDER);
                        }
                    } else if (OUT_ARRAY) {
                        g.intoArray(out, (int) outAt + j);
                    } else {
                        g.intoMemorySegment(gradients, j * 4L, ORDER);
                    }
                }
                FloatVector d = z.sub(max);
                FloatVector t = d.fma(log2e, magic);
                FloatVector n = t.sub(magic);
                FloatVector error;
                if (KNUTH) {
                    FloatVector b = d.sub(z);
                    error = z.sub(d.sub(b)).sub(b.add(max));
                } else {
                    error = z.sub(d.add(max));
                }
                // As integers, 0, NaN and everything below a negative float are above that float's bits.
                boolean special = d.reinterpretAsInts().compare(VectorOperators.GT, plainAbove).anyTrue();
                if (special && !KNUTH) {
                    FloatVector b = d.sub(z);
                    error = z.sub(d.sub(b)).sub(b.add(FloatVector.broadcast(SPECIES, maxOrMinusZero)));
                }
                // From here on each constant is broadcast where it is used: see Kept.
                FloatVector r = n.fma(FloatVector.broadcast(SPECIES, -ExactMath.LN2_HI), d)
                        .add(n.fma(FloatVector.broadcast(SPECIES, -ExactMath.LN2_LO), error));
                FloatVector p = r.fma(FloatVector.broadcast(SPECIES, ExactMath.EXP_C6),
                        FloatVector.broadcast(SPECIES, ExactMath.EXP_C5))
                        .fma(r, FloatVector.broadcast(SPECIES, ExactMath.EXP_C4))
                        .fma(r, FloatVector.broadcast(SPECIES, ExactMath.EXP_C3))
                        .fma(r, FloatVector.broadcast(SPECIES, ExactMath.EXP_C2))
                        .fma(r, FloatVector.broadcast(SPECIES, 1))
                        .fma(r, FloatVector.broadcast(SPECIES, 1));
                // Each way stores by itself: where the two meet, a vector may be boxed.
                if (special) {
                    FloatVector e = p.mul(t.reinterpretAsInts().add(VectorMath.BIAS)
                            .lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).mul(ExactMath.EXP_LAST)
                            .blend(0, d.lt(ExactMath.EXP_ZERO_BELOW));
                    VectorMask<Float> isMax = d.eq(0);
                    unplain++;
                    e.blend(0, isMax).intoMemorySegment(ScratchPool.MEMORY, lanes + i * 4L & ScratchPool.INSIDE, ORDER);
                    long bits = isMax.toLong() & fresh;
                    if (bits != 0) {
                        count += Long.bitCount(bits);
                        maxAt = i + Long.numberOfTrailingZeros(bits);
                    }
                } else {
                    p.reinterpretAsInts().add(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23))
                            .reinterpretAsFloats()
                            .intoMemorySegment(ScratchPool.MEMORY, lanes + i * 4L & ScratchPool.INSIDE, ORDER);
                }
            }
        }
        work.count = count;
        work.unplain = unplain;
        work.maxAt = maxAt;
        work.nextMax = Float.intBitsToFloat(BF16
                ? nextShorts.reduceLanes(VectorOperators.MAX) << 16
                : nextMax.reduceLanes(VectorOperators.MAX));
    }
}
