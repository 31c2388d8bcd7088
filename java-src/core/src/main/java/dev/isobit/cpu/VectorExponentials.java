package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Whole vectors of a segment: exponentials around its maximum into the gradient's memory, their sums into the lanes.
 * Written out as {@link VectorShortRow} is. Copied by {@link Specialized}.
 *
 * <p>Of 16 bits one copy takes the even elements of a segment, another one the odd ones after it: as floats they are the
 * lower and the upper halves of as many ints, moved or masked. Exponentials wait in scratch memory, a vector of even
 * elements and one of odd ones in turn, and the lanes lie in that order.
 */
final class VectorExponentials implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 4);
    /** Whether the error of z - max is found for any two numbers, or only where {@link VectorMath#plainAbove} allows it. */
    private static final boolean KNUTH = Specialized.flag(MethodHandles.lookup(), 5);
    static final int BF16_BIT = 6;
    static final int F16_BIT = 7;
    static final int ODD_BIT = 8;
    static final int AHEAD_BIT = 9;
    static final int LATER_BIT = 10;
    private static final boolean BF16 = Specialized.flag(MethodHandles.lookup(), BF16_BIT);
    private static final boolean F16 = Specialized.flag(MethodHandles.lookup(), F16_BIT);
    private static final boolean NARROW = BF16 || F16;
    private static final boolean ODD = Specialized.flag(MethodHandles.lookup(), ODD_BIT);
    /** With a maximum not below this, -infinity of F16 needs no care: as a float it is -2^16, whose exponential is 0. */
    static final float F16_LOW = -0x1p15f;
    private static final float F16_MINUS_INFINITY = -0x1p16f;
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final VectorSpecies<Short> PAIRS = NarrowLanes.PAIRS;
    /** Whether the maximum of the segment behind this one is found on the way: of 16 bits, while the odd elements are. */
    private static final boolean AHEAD = Specialized.flag(MethodHandles.lookup(), AHEAD_BIT) && (!NARROW || ODD);
    /**
     * Whether {@link VectorLanes} adds exponentials to the lanes afterwards, with {@link SegmentWork#MAXIMUM} among them. Stores leave in order: where those of the gradient wait
     * for memory, one to a lane after each of them halves how many lines are on their way.
     */
    private static final boolean LANES_LATER = Specialized.flag(MethodHandles.lookup(), LATER_BIT);
    /** Elements from one vector to the next, and how many of them come before the first. */
    private static final int STRIDE = NARROW ? 2 : 1;
    private static final int SHIFT = ODD ? VectorAccess.WIDTH : 0;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final boolean SLICES = LANES_LATER && IN_NATIVE && OUT_NATIVE;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorExponentials() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        short[] inShorts = work.inShorts;
        MemorySegment inSegment = work.inSegment;
        float[] out = NARROW ? work.waiting : work.out;
        MemorySegment outSegment = work.outSegment;
        float[] lanes = work.lanes;
        VectorAccess.require(IN_NATIVE, inSegment);
        VectorAccess.require(OUT_NATIVE && !NARROW, outSegment);
        int length = work.length - work.length % (STRIDE * WIDTH);
        if (!ODD && !LANES_LATER) {
            Arrays.fill(lanes, 0, VectorSum.width(work.length, STRIDE * WIDTH), 0);
        }
        long at = work.at;
        long outAt = NARROW ? work.waitingAt + SHIFT : work.outAt;
        MemorySegment nextSegment = inSegment;
        if (SLICES) {
            // See VectorAccess on slices.
            inSegment = inSegment.asSlice(at, length * 4L, 1);
            at = 0;
            outSegment = outSegment.asSlice(outAt, length * 4L, 1);
            outAt = 0;
            VectorAccess.require(true, inSegment);
            VectorAccess.require(true, outSegment);
        }
        // From -0 either zero is +0 away, which counts as special below; from +0 the other one would be -0, which does not.
        float maxOrMinusZero = work.max == 0 ? -0f : work.max;
        // Before any vector is loaded: a call that is not inlined would move all of them to the stack, for the loop as well.
        float plain = KNUTH ? VectorMath.NORMAL_ABOVE : VectorMath.plainAbove(work.max);
        FloatVector one = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.ONE);
        FloatVector log2e = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.LOG2E);
        FloatVector magic = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.MAGIC);
        FloatVector max = FloatVector.broadcast(SPECIES, maxOrMinusZero).mul(one);
        IntVector plainAbove = FloatVector.broadcast(SPECIES, plain).mul(one).reinterpretAsInts();
        IntVector upper = IntVector.fromArray(NarrowLanes.INTS, Kept.MASKS, Kept.UPPER);
        IntVector f16Bits = IntVector.fromArray(NarrowLanes.INTS, Kept.MASKS, Kept.F16_BITS);
        FloatVector f16Scale = FloatVector.broadcast(SPECIES, NarrowLanes.F16_SCALE).mul(one);
        long nextAt = work.nextAt;
        int nextLast = work.nextLength - STRIDE * WIDTH;
        IntVector nextMax = FloatVector.broadcast(SPECIES, -0f).mul(one).reinterpretAsInts();
        ShortVector nextShorts = ShortVector.broadcast(PAIRS, Short.MIN_VALUE);
        int step = STRIDE * VectorAccess.step();
        int count = ODD ? work.count : 0;
        int unplain = ODD ? work.unplain : 0;
        for (int block = 0; block < length; block += SegmentWork.LANES) {
            int end = Math.min(block + SegmentWork.LANES, length);
            int lanesAt = SHIFT - block;
            for (int i = block; i < end; i += step) {
                FloatVector z;
                if (NARROW) {
                    IntVector pair = (IN_ARRAY
                            ? ShortVector.fromArray(PAIRS, inShorts, (int) at + i)
                            : ShortVector.fromMemorySegment(PAIRS, inSegment, at + i * 2L, ORDER)).reinterpretAsInts();
                    if (!ODD) {
                        pair = pair.lanewise(VectorOperators.LSHL, 16);
                    }
                    z = F16
                            ? pair.lanewise(VectorOperators.ASHR, 3).and(f16Bits).reinterpretAsFloats().mul(f16Scale)
                            : (ODD ? pair.and(upper) : pair).reinterpretAsFloats();
                    if (F16 && KNUTH) {
                        z = z.blend(z.reinterpretAsInts().or(NarrowLanes.F32_INFINITY).reinterpretAsFloats(),
                                z.compare(VectorOperators.LE, F16_MINUS_INFINITY));
                    }
                } else {
                    z = IN_ARRAY
                            ? FloatVector.fromArray(SPECIES, in, (int) at + i)
                            : FloatVector.fromMemorySegment(SPECIES, inSegment, at + i * 4L, ORDER);
                }
                if (AHEAD) {
                    // Behind a shorter segment its last vector is read again.
                    int j = Math.min(i, nextLast);
                    if (NARROW) {
                        nextShorts = nextShorts.max(IN_ARRAY
                                ? ShortVector.fromArray(PAIRS, inShorts, (int) nextAt + j)
                                : ShortVector.fromMemorySegment(PAIRS, inSegment, nextAt + j * 2L, ORDER));
                    } else {
                        FloatVector next = IN_ARRAY
                                ? FloatVector.fromArray(SPECIES, in, (int) nextAt + j)
                                : FloatVector.fromMemorySegment(SPECIES, nextSegment, nextAt + j * 4L, ORDER);
                        nextMax = nextMax.max(next.reinterpretAsInts());
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
                FloatVector sum = LANES_LATER ? p : FloatVector.fromArray(SPECIES, lanes, lanesAt + i);
                if (special) {
                    FloatVector e = p.mul(t.reinterpretAsInts().add(VectorMath.BIAS)
                            .lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()).mul(ExactMath.EXP_LAST)
                            .blend(0, d.lt(ExactMath.EXP_ZERO_BELOW));
                    if (F16 && !KNUTH) {
                        e = e.blend(Float.NaN, z.compare(VectorOperators.LT, F16_MINUS_INFINITY));
                    }
                    VectorMask<Float> isMax = d.eq(0);
                    unplain++;
                    count += isMax.trueCount();
                    if (LANES_LATER) {
                        e = e.blend(SegmentWork.MAXIMUM, isMax);
                    } else {
                        sum.add(e.blend(0, isMax)).intoArray(lanes, lanesAt + i);
                    }
                    if (GRADIENT && (OUT_ARRAY || NARROW)) {
                        e.intoArray(out, (int) outAt + i);
                    } else if (GRADIENT) {
                        e.intoMemorySegment(outSegment, outAt + i * 4L, ORDER);
                    }
                } else {
                    FloatVector e = p.reinterpretAsInts()
                            .add(t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
                    if (!LANES_LATER) {
                        sum.add(e).intoArray(lanes, lanesAt + i);
                    }
                    if (GRADIENT && (OUT_ARRAY || NARROW)) {
                        e.intoArray(out, (int) outAt + i);
                    } else if (GRADIENT) {
                        e.intoMemorySegment(outSegment, outAt + i * 4L, ORDER);
                    }
                }
            }
        }
        work.count = count;
        work.unplain = unplain;
        if (AHEAD && NARROW) {
            short bits = nextShorts.reduceLanes(VectorOperators.MAX);
            work.nextMax = F16 ? NarrowFloats.fromF16(bits) : NarrowFloats.fromBf16(bits);
        } else if (AHEAD) {
            work.nextMax = Float.intBitsToFloat(nextMax.reduceLanes(VectorOperators.MAX));
        }
    }
}
