package dev.isobit.math;

/**
 * BF16 and F16 as bits: conversions from and to float32, with the same bits on every CPU and GPU.
 *
 * <p>To float32 they are exact. From float32 they round to nearest, ties to even, subnormal results included; what is too
 * large becomes an infinity, and every NaN the one with bits 0x7fc0 (BF16) or 0x7e00 (F16). A NaN becomes some NaN.
 *
 * <p>This is the definition; {@code dev.isobit.cpu.NarrowLanes} and {@code kernels/dtypes.cuh} are its twins.
 *
 * <p>Thread-safe: no state.
 */
public final class NarrowFloats {
    /** The NaN of BF16 that is stored. */
    public static final short BF16_NAN = 0x7fc0;
    /** The NaN of F16 that is stored. */
    public static final short F16_NAN = 0x7e00;

    private NarrowFloats() {}

    /**
     * The value of a BF16.
     *
     * @param bits its bits
     * @return the same number
     */
    public static float fromBf16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /**
     * The nearest BF16.
     *
     * @param x any float
     * @return its bits
     */
    public static short toBf16(float x) {
        int bits = Float.floatToRawIntBits(x);
        return x != x ? BF16_NAN : (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }

    /**
     * The float whose upper half rounds to a BF16, see {@link #beforeRemainder}.
     *
     * @param bf16 bits of a BF16
     * @param remainder what is missing
     * @return {@code bf16·2^16 + remainder} as the bits of a float
     */
    public static float withRemainder(short bf16, short remainder) {
        return Float.intBitsToFloat((bf16 << 16) + remainder);
    }

    /**
     * The nearest BF16, ties away from zero: together with {@link #remainder} it makes the float again.
     *
     * @param x any float; of NaNs the canonical one
     * @return its bits
     */
    public static short beforeRemainder(float x) {
        return (short) (Float.floatToRawIntBits(x) + 0x8000 >>> 16);
    }

    /**
     * What {@link #beforeRemainder} leaves of a float.
     *
     * @param x any float
     * @return the lower half of its bits, from -32768 to 32767
     */
    public static short remainder(float x) {
        return (short) Float.floatToRawIntBits(x);
    }

    /**
     * The value of an F16.
     *
     * @param bits its bits
     * @return the same number
     */
    public static float fromF16(short bits) {
        return Float.float16ToFloat(bits);
    }

    /**
     * The nearest F16.
     *
     * @param x any float
     * @return its bits
     */
    public static short toF16(float x) {
        return x != x ? F16_NAN : Float.floatToFloat16(x);
    }

    /**
     * The float32 that rounds to BF16 or F16 as a float64 itself would: towards zero, and odd where it is not exact.
     *
     * @param x any double
     * @return a float for {@link #toBf16} or {@link #toF16}
     */
    public static float roundedToOdd(double x) {
        float nearest = (float) x;
        if (nearest == x || nearest != nearest) {
            return nearest;
        }
        int bits = Float.floatToRawIntBits(nearest);
        return Float.intBitsToFloat((Math.abs(nearest) > Math.abs(x) ? bits - 1 : bits) | 1);
    }
}
