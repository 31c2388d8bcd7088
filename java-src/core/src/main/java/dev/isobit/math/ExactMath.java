package dev.isobit.math;

import static dev.isobit.math.Fma.fma;

/**
 * {@code exp}, {@code log} and {@code log1p} of float32, at most 1 ULP from the exact value over all 2^32 inputs, results
 * below the normal range included, and the same bits on every CPU and GPU: only exactly rounded operations are used. And
 * what is made of them.
 *
 * <p>This is the definition; {@code dev.isobit.cpu.VectorMath} and {@code kernels/exact_math.cuh} are its twins and use
 * the same constants in the same order. Polynomials: weighted minimax fits of this project (relative error 2^-28.2 for
 * exp on {@code |r| <= ln2/2}, 2^-27.3 for log on [sqrt(1/2), sqrt(2)]).
 *
 * <p>Thread-safe: no state.
 */
public final class ExactMath {
    /** 1/ln 2. */
    public static final float LOG2E = 0x1.715476p+0f;
    /** The upper part of ln 2: 17 bits, so that its product with an exponent is exact. */
    public static final float LN2_HI = 0x1.62e400p-1f;
    /** ln 2 - LN2_HI. */
    public static final float LN2_LO = 0x1.7f7d1cp-20f;
    /** Rounds to an integer n and leaves n + 127 + 64 in the low bits: the exponent of 2^(n+64). For x at most 0. */
    public static final float EXP_MAGIC = 0x1.8p+23f + 191;
    /** The same for 2^(n-64), x above 0. */
    public static final float EXP_MAGIC_POSITIVE = 0x1.8p+23f + 63;
    /** Undoes the 64 of {@link #EXP_MAGIC}; the only product that may round. */
    public static final float EXP_LAST = 0x1p-64f;
    /** Undoes the 64 of {@link #EXP_MAGIC_POSITIVE}. */
    public static final float EXP_LAST_POSITIVE = 0x1p+64f;
    /** Below this exp is 0. */
    public static final float EXP_ZERO_BELOW = -104;
    /** Above this exp is infinite. */
    public static final float EXP_INFINITE_ABOVE = 89;
    /** Coefficient of r^2. */
    public static final float EXP_C2 = 0x1.fffffcp-2f;
    /** Coefficient of r^3. */
    public static final float EXP_C3 = 0x1.555490p-3f;
    /** Coefficient of r^4. */
    public static final float EXP_C4 = 0x1.5558fcp-5f;
    /** Coefficient of r^5. */
    public static final float EXP_C5 = 0x1.123b6ap-7f;
    /** Coefficient of r^6. */
    public static final float EXP_C6 = 0x1.6a21a8p-10f;

    /** Bits of sqrt(1/2): where the significand's interval starts. */
    public static final int SQRT_HALF_BITS = 0x3f3504f3;
    /** Above this, and below {@link #LOG1P_NEAR_END}, log1p takes its argument as it is. */
    public static final float LOG1P_NEAR_START = -0x1.2bec34p-2f;
    /** sqrt(2) - 1. */
    public static final float LOG1P_NEAR_END = 0x1.a8279ap-2f;
    /** Coefficient of f^3. */
    public static final float LOG_C3 = 0x1.555554p-2f;
    /** Coefficient of f^4. */
    public static final float LOG_C4 = -0x1.000228p-2f;
    /** Coefficient of f^5. */
    public static final float LOG_C5 = 0x1.99a010p-3f;
    /** Coefficient of f^6. */
    public static final float LOG_C6 = -0x1.5471f4p-3f;
    /** Coefficient of f^7. */
    public static final float LOG_C7 = 0x1.22d910p-3f;
    /** Coefficient of f^8. */
    public static final float LOG_C8 = -0x1.0d876cp-3f;
    /** Coefficient of f^9. */
    public static final float LOG_C9 = 0x1.056474p-3f;
    /** Coefficient of f^10. */
    public static final float LOG_C10 = -0x1.38c0f2p-4f;

    /** Below this 2|y|/cap, tanh(y/cap) is a polynomial in it: its Taylor series, since 1 - e^(..) would cancel. */
    public static final float TANH_NEAR_END = 0.625f;
    /** Coefficient of v^3, v = 2|y|/cap. */
    public static final float TANH_C3 = (float) (-1.0 / 24);
    /** Coefficient of v^5. */
    public static final float TANH_C5 = (float) (1.0 / 240);
    /** Coefficient of v^7. */
    public static final float TANH_C7 = (float) (-17.0 / 40320);
    /** Coefficient of v^9. */
    public static final float TANH_C9 = (float) (31.0 / 725760);
    /** Coefficient of v^11. */
    public static final float TANH_C11 = (float) (-691.0 / 159667200);

    private static final double LOG2E_64 = 0x1.71547652b82fep+0;
    private static final double LN2_HI_64 = 0x1.62e42fe000000p-1;
    private static final double LN2_LO_64 = 0x1.f473de6af278fp-30;
    private static final double MAGIC_64 = 0x1.8p+52;

    private ExactMath() {}

    /**
     * e^x.
     *
     * @param x any float
     * @return within 1 ULP; +inf above 88.73, 0 below -103.98, NaN for NaN
     */
    public static float exp(float x) {
        if (x > 0) {
            return x > EXP_INFINITE_ABOVE
                    ? Float.POSITIVE_INFINITY
                    : exp(x, 0, EXP_MAGIC_POSITIVE, EXP_LAST_POSITIVE);
        }
        return x < EXP_ZERO_BELOW ? 0 : exp(x, 0, EXP_MAGIC, EXP_LAST);
    }

    /**
     * e^(z - m) where z - m is not rounded: its rounding error, up to 64 ULP of the result, is carried along.
     *
     * @param z at most m; may be -inf
     * @param m finite
     * @return within 2 ULP, in [0, 1]; exactly 1 for z = m
     */
    public static float expDifference(float z, float m) {
        float d = z - m;
        float b = d - z;
        float e = (z - (d - b)) + (-m - b);
        return d < EXP_ZERO_BELOW ? 0 : exp(d, e, EXP_MAGIC, EXP_LAST);
    }

    /**
     * {@code e^(-2|y|/cap)}, from which tanh(y/cap) and its slope come.
     *
     * @param y any float
     * @param rate 2/cap
     * @return within 2 ULP for that rate, in [0, 1]
     */
    public static float softcapDecay(float y, float rate) {
        float a = Math.abs(y);
        float d = -(a * rate);
        return d < EXP_ZERO_BELOW ? 0 : exp(d, fma(-a, rate, -d), EXP_MAGIC, EXP_LAST);
    }

    /**
     * {@code cap·tanh(y/cap)}.
     *
     * @param y any float
     * @param cap above 0
     * @param rate 2/cap
     * @param decay {@link #softcapDecay} of y
     * @return within 4 ULP for that rate; ±cap for ±inf
     */
    public static float softcap(float y, float cap, float rate, float decay) {
        float v = Math.abs(y) * rate;
        float q = v * v;
        float p = fma(TANH_C11, q, TANH_C9);
        p = fma(p, q, TANH_C7);
        p = fma(p, q, TANH_C5);
        p = fma(p, q, TANH_C3);
        p = fma(p, q, 0.5f);
        float tanh = v < TANH_NEAR_END ? v * p : (1 - decay) / (1 + decay);
        float z = cap * tanh;
        return y < 0 ? -z : z;
    }

    /**
     * {@code 1 - tanh(y/cap)^2}, the slope of the softcap.
     *
     * @param decay {@link #softcapDecay} of y
     * @return within 4 ULP of what that decay gives
     */
    public static float softcapSlope(float decay) {
        float s = 1 + decay;
        return 4 * decay / (s * s);
    }

    private static float exp(float d, float e, float magic, float last) {
        float t = fma(d, LOG2E, magic);
        float n = t - magic;
        float hi = fma(n, -LN2_HI, d);
        float lo = fma(n, -LN2_LO, e);
        float r = hi + lo;
        float p = fma(EXP_C6, r, EXP_C5);
        p = fma(p, r, EXP_C4);
        p = fma(p, r, EXP_C3);
        p = fma(p, r, EXP_C2);
        p = fma(p, r, 1);
        p = fma(p, r, 1);
        float scale = Float.intBitsToFloat(Float.floatToRawIntBits(t) << 23);
        return p * scale * last;
    }

    /**
     * ln x.
     *
     * @param x any float
     * @return within 1 ULP; -inf for ±0, NaN below 0 and for NaN, +inf for +inf
     */
    public static float log(float x) {
        if (!(x > 0)) {
            return x == 0 ? Float.NEGATIVE_INFINITY : Float.NaN;
        }
        if (x == Float.POSITIVE_INFINITY) {
            return x;
        }
        float k0 = 0;
        float y = x;
        if (x < Float.MIN_NORMAL) {
            y = x * 0x1p24f;
            k0 = -24;
        }
        int bits = Float.floatToRawIntBits(y);
        int k = bits - SQRT_HALF_BITS >> 23;
        float significand = Float.intBitsToFloat(bits - (k << 23));
        return log(significand - 1, 0, k + k0);
    }

    /**
     * ln(1 + x).
     *
     * @param x any float
     * @return within 1 ULP; -inf for -1, NaN below and for NaN, +inf for +inf, ±0 for ±0
     */
    public static float log1p(float x) {
        if (!(x > -1)) {
            return x == -1 ? Float.NEGATIVE_INFINITY : Float.NaN;
        }
        if (x == Float.POSITIVE_INFINITY || x == 0) {
            return x;
        }
        if (x > LOG1P_NEAR_START && x < LOG1P_NEAR_END) {
            return log(x, 0, 0);
        }
        float u = 1 + x;
        float c = x <= 1 ? x - (u - 1) : 1 - (u - x);
        int bits = Float.floatToRawIntBits(u);
        int k = bits - SQRT_HALF_BITS >> 23;
        float significand = Float.intBitsToFloat(bits - (k << 23));
        float scale = k < 126 ? Float.intBitsToFloat(127 - k << 23) : 0;
        return log(significand - 1, c * scale / significand, k);
    }

    /** ln(1 + f) + c + k·ln 2, f in [sqrt(1/2) - 1, sqrt(2) - 1], c small. */
    private static float log(float f, float c, float k) {
        float q = fma(LOG_C10, f, LOG_C9);
        q = fma(q, f, LOG_C8);
        q = fma(q, f, LOG_C7);
        q = fma(q, f, LOG_C6);
        q = fma(q, f, LOG_C5);
        q = fma(q, f, LOG_C4);
        q = fma(q, f, LOG_C3);
        float f2 = f * f;
        float inner = fma(fma(q, f, -0.5f), f2, fma(k, LN2_LO, c));
        float hi = k * LN2_HI;
        float sum = hi + f;
        float error = f - (sum - hi);
        return sum + (error + inner);
    }

    /**
     * e^x in float64 for x at most 0, without fma; joins the segments of long rows.
     *
     * @param x at most 0; may be -inf
     * @return within 3 ULP of float64, in [0, 1]; 0 below -200
     */
    public static double exp64(double x) {
        if (!(x >= -200)) {
            return 0;
        }
        double n = x * LOG2E_64 + MAGIC_64 - MAGIC_64;
        double r = x - n * LN2_HI_64 - n * LN2_LO_64;
        double p = 1.0 / 479001600;
        p = p * r + 1.0 / 39916800;
        p = p * r + 1.0 / 3628800;
        p = p * r + 1.0 / 362880;
        p = p * r + 1.0 / 40320;
        p = p * r + 1.0 / 5040;
        p = p * r + 1.0 / 720;
        p = p * r + 1.0 / 120;
        p = p * r + 1.0 / 24;
        p = p * r + 1.0 / 6;
        p = p * r + 0.5;
        p = p * r + 1;
        p = p * r + 1;
        return p * Double.longBitsToDouble((long) n + 1023 << 52);
    }
}
