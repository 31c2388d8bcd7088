package dev.isobit.cpu;

import dev.isobit.math.NarrowFloats;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector twin of {@link NarrowFloats}, in integer operations: the Vector API has no vectors of BF16 or F16. As many
 * elements as a vector of floats has lanes, of which half a vector of shorts holds the bits.
 */
final class NarrowLanes {
    static final VectorSpecies<Short> SHORTS =
            VectorSpecies.of(short.class, VectorShape.forBitSize(VectorMath.SPECIES.vectorBitSize() / 2));
    static final VectorSpecies<Integer> INTS = VectorSpecies.of(int.class, VectorMath.SPECIES.vectorShape());

    /** A vector of shorts as large as one of floats: an even element is the lower half of a lane of ints, an odd one the upper. */
    static final VectorSpecies<Short> PAIRS = VectorSpecies.of(short.class, VectorMath.SPECIES.vectorShape());

    /** Of float32: what the bits of F16, moved to the upper end, are smaller by than those of the same number. */
    static final float F16_SCALE = 0x1p112f;
    /** Infinity of F16, moved so. */
    private static final int F16_INFINITY = 0x7c00 << 13;
    static final int F32_INFINITY = 0x7f800000;
    /** 2^16, the first float whose exponent F16 does not have; 2^-14, the last normal one. */
    static final int F16_END = 0x47800000;
    static final int F16_NORMAL = 0x38800000;

    /**
     * What rounds a magnitude of at most 2^16 when a power of two is added, made of these and of the magnitude's exponent, at least
     * that of 2^-14: 2^13 times that exponent, so that the sum's last place is one of F16, which the addition rounds to nearest,
     * ties to even. The lower 16 bits of the sum then count the last places, and the rest of this is what makes them the bits of
     * F16, together with the exponent's bits moved down by 13.
     */
    static final int F16_COUNTER = (13 << 23) + 0x3c00;
    /** The bits of a magnitude that becomes a NaN so. */
    static final int F16_NAN_BEFORE = 0x47c00000;

    private NarrowLanes() {}

    // A method for each type: code that both are compiled into is too large to be inlined, should the JIT come upon it first.

    /**
     * Floats of the same value.
     *
     * @param narrow bits of F16
     */
    static FloatVector widenF16(ShortVector narrow) {
        IntVector bits = (IntVector) narrow.convertShape(VectorOperators.S2I, INTS, 0);
        IntVector moved = bits.and(0x7fff).lanewise(VectorOperators.LSHL, 13);
        IntVector number = moved.reinterpretAsFloats().mul(F16_SCALE).reinterpretAsInts();
        number = number.blend(number.or(F32_INFINITY), moved.compare(VectorOperators.GE, F16_INFINITY));
        return number.or(bits.and(Integer.MIN_VALUE)).reinterpretAsFloats();
    }

    /**
     * The nearest BF16.
     *
     * @param x any floats
     * @return their bits
     */
    static ShortVector narrowBf16(FloatVector x) {
        IntVector bits = x.reinterpretAsInts();
        return shorts(bits.lanewise(VectorOperators.LSHR, 16).and(1).add(bits).add(0x7fff)
                .lanewise(VectorOperators.LSHR, 16), NarrowFloats.BF16_NAN, x);
    }

    /**
     * The nearest F16.
     *
     * @param x any floats
     * @return their bits
     */
    static ShortVector narrowF16(FloatVector x) {
        IntVector bits = x.reinterpretAsInts();
        IntVector magnitude = bits.and(Integer.MAX_VALUE).min(F16_END);
        IntVector exponent = magnitude.max(F16_NORMAL).and(F32_INFINITY);
        IntVector rounded = magnitude.reinterpretAsFloats().add(exponent.add(F16_COUNTER).reinterpretAsFloats())
                .reinterpretAsInts().add(exponent.lanewise(VectorOperators.LSHR, 13));
        return shorts(rounded.or(bits.lanewise(VectorOperators.LSHR, 16).and(0x8000)), NarrowFloats.F16_NAN, x);
    }

    private static ShortVector shorts(IntVector rounded, short nan, FloatVector x) {
        return (ShortVector) rounded.blend(nan, x.compare(VectorOperators.NE, x).cast(INTS))
                .convertShape(VectorOperators.I2S, SHORTS, 0);
    }
}
