package dev.isobit.harness;

import dev.isobit.DType;

/** Distances between floating-point numbers. */
public final class Ulp {
    /** The binary exponent of the smallest normal float. */
    private static final int MIN_EXPONENT = Float.MIN_EXPONENT;

    private Ulp() {}

    /**
     * How many floats lie from one to the other; 0 for equal numbers and for two NaNs.
     *
     * @param a a float
     * @param b another
     * @return the distance; {@link Long#MAX_VALUE} if exactly one is NaN
     */
    public static long between(float a, float b) {
        if (Float.isNaN(a) || Float.isNaN(b)) {
            return Float.isNaN(a) && Float.isNaN(b) ? 0 : Long.MAX_VALUE;
        }
        return Math.abs(rank(a) - rank(b));
    }

    /** Neighbouring floats have neighbouring ranks; both zeros have rank 0. */
    private static long rank(float value) {
        int bits = Float.floatToRawIntBits(value);
        return bits >= 0 ? bits : -(long) (bits & 0x7fffffff);
    }

    /**
     * The distance of the numbers of a type at a magnitude.
     *
     * @param dtype F32, BF16 or F16
     * @param x any number
     * @return one unit in the last place at x; NaN for NaN, of the largest number for infinities
     */
    public static double at(DType dtype, double x) {
        return switch (dtype) {
            case BF16 -> ofFloatAt(x) * 0x1p16;
            case F16 -> Double.isNaN(x) ? x : Math.scalb(1.0, Math.clamp(Math.getExponent(x), -14, 15) - 10);
            default -> ofFloatAt(x);
        };
    }

    /**
     * The distance of the floats at a magnitude: 2^(e - 23) for 2^e &lt;= |x| &lt; 2^(e + 1), 2^-149 below.
     *
     * @param x any number
     * @return one unit in the last place of float at x; NaN for NaN, of the largest float for infinities
     */
    public static double ofFloatAt(double x) {
        if (Double.isNaN(x)) {
            return Double.NaN;
        }
        int exponent = Math.clamp(Math.getExponent(x), MIN_EXPONENT, Float.MAX_EXPONENT);
        return Math.scalb(1.0, exponent - 23);
    }
}
