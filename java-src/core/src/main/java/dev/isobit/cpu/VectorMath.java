package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The vector twin of {@link ExactMath}: the same operations in the same order, a lane an element. In hot loops a constant
 * is broadcast where it is used or, better, {@link Kept}; a static final vector is read from the heap on every turn.
 */
final class VectorMath {
    /** The widest vector of this JVM. */
    static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;

    private static final FloatVector LOG2E = constant(ExactMath.LOG2E);
    private static final FloatVector MINUS_LN2_HI = constant(-ExactMath.LN2_HI);
    private static final FloatVector MINUS_LN2_LO = constant(-ExactMath.LN2_LO);
    private static final FloatVector EXP_MAGIC = constant(ExactMath.EXP_MAGIC);
    private static final FloatVector EXP_LAST = constant(ExactMath.EXP_LAST);
    private static final FloatVector ZERO_BELOW = constant(ExactMath.EXP_ZERO_BELOW);
    private static final FloatVector C6 = constant(ExactMath.EXP_C6);
    private static final FloatVector C5 = constant(ExactMath.EXP_C5);
    private static final FloatVector C4 = constant(ExactMath.EXP_C4);
    private static final FloatVector C3 = constant(ExactMath.EXP_C3);
    private static final FloatVector C2 = constant(ExactMath.EXP_C2);
    private static final FloatVector ONE = constant(1);
    private static final FloatVector ZERO = constant(0);

    /**
     * The polynomial of {@link #expDifference} carries this power of two, which costs nothing and saves the last product
     * of the definition: the one that is left rounds as that one would.
     */
    static final float SCALE = 0x1p-24f;
    /** {@link ExactMath#EXP_MAGIC} with 24 in the place of 64. */
    static final float MAGIC = ExactMath.EXP_MAGIC - 64 + 24;

    /** e^d is normal where d is not below this. */
    static final float NORMAL_ABOVE = -87;
    /** {@link ExactMath#EXP_MAGIC} without bias. */
    static final float MAGIC_0 = 0x1.8p23f;
    /** What is missing from its low bits. */
    static final int BIAS = (int) (ExactMath.EXP_MAGIC - MAGIC_0);

    private VectorMath() {}

    /** Constants to be {@link Kept}, {@link #SPECIES} wide each. */
    static float[] table(float... values) {
        float[] table = new float[values.length * SPECIES.length()];
        for (int i = 0; i < table.length; i++) {
            table[i] = values[i / SPECIES.length()];
        }
        return table;
    }

    /**
     * For d = z - max, as bits of an integer the greatest d of those that are not plain. A plain d, whose bits are not
     * above, gives a normal e^d; z is below the next power of two above max, so that {@code z - (d + max)} is the error
     * of d (Dekker's sum, two operations where Knuth's has five); and d is neither 0 nor NaN.
     */
    static float plainAbove(float max) {
        if (max == 0) {
            return NORMAL_ABOVE;
        }
        // Written out: calls before the loops that use it are dear where the JIT does not inline them.
        float power =
                Float.intBitsToFloat(Float.floatToRawIntBits(max) & Float.floatToRawIntBits(Float.POSITIVE_INFINITY));
        float distance = Math.max(2 * power, Float.MIN_NORMAL) + max;
        float above = -Float.intBitsToFloat(Float.floatToRawIntBits(distance) - 1);
        return above > NORMAL_ABOVE ? above : NORMAL_ABOVE;
    }

    /** Whether whole vectors of an array are finite. */
    static boolean areFinite(float[] values, int count) {
        IntVector greatest = FloatVector.fromArray(SPECIES, Kept.TABLE, Kept.ZERO).reinterpretAsInts();
        for (int i = 0; i < count; i += SPECIES.length()) {
            greatest =
                    greatest.max(FloatVector.fromArray(SPECIES, values, i).reinterpretAsInts().and(Integer.MAX_VALUE));
        }
        return greatest.lt(Float.floatToRawIntBits(Float.POSITIVE_INFINITY)).allTrue();
    }

    static FloatVector constant(float value) {
        return FloatVector.broadcast(SPECIES, value);
    }

    /**
     * Twin of {@link ExactMath#expDifference}.
     *
     * @param z at most m
     * @param m finite
     * @param d z - m, which the caller has
     * @return e^(z - m)
     */
    static FloatVector expDifference(FloatVector z, FloatVector m, FloatVector d) {
        FloatVector b = d.sub(z);
        FloatVector e = z.sub(d.sub(b)).sub(m.add(b));
        FloatVector t = d.fma(constant(ExactMath.LOG2E), constant(MAGIC));
        FloatVector n = t.sub(constant(MAGIC));
        FloatVector hi = n.fma(constant(-ExactMath.LN2_HI), d);
        FloatVector lo = n.fma(constant(-ExactMath.LN2_LO), e);
        FloatVector r = hi.add(lo);
        FloatVector p = constant(ExactMath.EXP_C6 * SCALE).fma(r, constant(ExactMath.EXP_C5 * SCALE));
        p = p.fma(r, constant(ExactMath.EXP_C4 * SCALE));
        p = p.fma(r, constant(ExactMath.EXP_C3 * SCALE));
        p = p.fma(r, constant(ExactMath.EXP_C2 * SCALE));
        p = p.fma(r, constant(SCALE));
        p = p.fma(r, constant(SCALE));
        FloatVector scale = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
        return p.mul(scale).blend(constant(0),
                d.lt(constant(ExactMath.EXP_ZERO_BELOW)));
    }

    /** Twin of {@link ExactMath#softcapDecay}. */
    static FloatVector softcapDecay(FloatVector y, FloatVector rate) {
        FloatVector minus = y.abs().neg();
        FloatVector d = minus.mul(rate);
        FloatVector e = minus.fma(rate, d.neg());
        FloatVector t = d.fma(constant(ExactMath.LOG2E), constant(ExactMath.EXP_MAGIC));
        FloatVector n = t.sub(constant(ExactMath.EXP_MAGIC));
        FloatVector r = n.fma(constant(-ExactMath.LN2_HI), d).add(n.fma(constant(-ExactMath.LN2_LO), e));
        FloatVector p = constant(ExactMath.EXP_C6).fma(r, constant(ExactMath.EXP_C5));
        p = p.fma(r, constant(ExactMath.EXP_C4));
        p = p.fma(r, constant(ExactMath.EXP_C3));
        p = p.fma(r, constant(ExactMath.EXP_C2));
        p = p.fma(r, constant(1));
        p = p.fma(r, constant(1));
        FloatVector scale = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
        return p.mul(scale).mul(constant(ExactMath.EXP_LAST)).blend(constant(0),
                d.lt(constant(ExactMath.EXP_ZERO_BELOW)));
    }

    /** Twin of {@link ExactMath#softcap}. */
    static FloatVector softcap(FloatVector y, FloatVector cap, FloatVector rate, FloatVector decay) {
        FloatVector v = y.abs().mul(rate);
        FloatVector q = v.mul(v);
        FloatVector p = constant(ExactMath.TANH_C11).fma(q, constant(ExactMath.TANH_C9));
        p = p.fma(q, constant(ExactMath.TANH_C7));
        p = p.fma(q, constant(ExactMath.TANH_C5));
        p = p.fma(q, constant(ExactMath.TANH_C3));
        p = p.fma(q, constant(0.5f));
        FloatVector one = constant(1);
        FloatVector tanh = one.sub(decay).div(one.add(decay)).blend(v.mul(p), v.lt(constant(ExactMath.TANH_NEAR_END)));
        FloatVector z = cap.mul(tanh);
        return z.blend(z.neg(), y.lt(constant(0)));
    }

    /** Twin of {@link ExactMath#softcapSlope}. */
    static FloatVector softcapSlope(FloatVector decay) {
        FloatVector s = constant(1).add(decay);
        return constant(4).mul(decay).div(s.mul(s));
    }

    /**
     * Twin of {@link ExactMath#log(float)}, for the whole vectors of an array. The loop is here: where the JIT does not inline
     * a method, since it has compiled it before its caller, vectors that this takes or returns are boxed.
     */
    static void log(float[] from, float[] to, int count) {
        for (int i = 0; i < count; i += SPECIES.length()) {
            FloatVector x = FloatVector.fromArray(SPECIES, from, i);
            var tiny = x.lt(Float.MIN_NORMAL);
            FloatVector y = x.mul(0x1p24f, tiny);
            FloatVector k0 = ZERO.blend(-24, tiny);
            IntVector bits = y.reinterpretAsInts();
            IntVector k = bits.sub(ExactMath.SQRT_HALF_BITS).lanewise(VectorOperators.ASHR, 23);
            FloatVector significand = bits.sub(k.lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
            FloatVector kf = ((FloatVector) k.convertShape(VectorOperators.I2F, SPECIES, 0)).add(k0);
            FloatVector result = log(significand.sub(ONE), ZERO, kf);
            result = result.blend(Float.POSITIVE_INFINITY, x.eq(Float.POSITIVE_INFINITY));
            result = result.blend(Float.NaN, x.compare(VectorOperators.GE, ZERO).not());
            result.blend(Float.NEGATIVE_INFINITY, x.eq(ZERO)).intoArray(to, i);
        }
    }

    /**
     * Twin of {@link ExactMath#log1p(float)}, for the whole vectors of an array, as {@link #log(float[], float[], int)}.
     */
    static void log1p(float[] from, float[] to, int count) {
        for (int i = 0; i < count; i += SPECIES.length()) {
            FloatVector x = FloatVector.fromArray(SPECIES, from, i);
            FloatVector u = x.add(ONE);
            FloatVector c = ONE.sub(u.sub(x)).blend(x.sub(u.sub(ONE)), x.compare(VectorOperators.LE, ONE));
            IntVector bits = u.reinterpretAsInts();
            IntVector k = bits.sub(ExactMath.SQRT_HALF_BITS).lanewise(VectorOperators.ASHR, 23);
            FloatVector significand = bits.sub(k.lanewise(VectorOperators.LSHL, 23)).reinterpretAsFloats();
            FloatVector scale = k.neg().add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats()
                    .blend(ZERO, k.compare(VectorOperators.GE, 126).cast(SPECIES));
            var near = x.compare(VectorOperators.GT, ExactMath.LOG1P_NEAR_START).and(x.lt(ExactMath.LOG1P_NEAR_END));
            FloatVector f = significand.sub(ONE).blend(x, near);
            FloatVector correction = c.mul(scale).div(significand).blend(ZERO, near);
            FloatVector kf = ((FloatVector) k.convertShape(VectorOperators.I2F, SPECIES, 0)).blend(ZERO, near);
            FloatVector result = log(f, correction, kf);
            result = result.blend(x, x.eq(Float.POSITIVE_INFINITY).or(x.eq(ZERO)));
            result = result.blend(Float.NaN, x.compare(VectorOperators.GE, -1).not());
            result.blend(Float.NEGATIVE_INFINITY, x.eq(-1)).intoArray(to, i);
        }
    }

    private static FloatVector log(FloatVector f, FloatVector c, FloatVector k) {
        FloatVector q = constant(ExactMath.LOG_C10).fma(f, constant(ExactMath.LOG_C9));
        q = q.fma(f, constant(ExactMath.LOG_C8));
        q = q.fma(f, constant(ExactMath.LOG_C7));
        q = q.fma(f, constant(ExactMath.LOG_C6));
        q = q.fma(f, constant(ExactMath.LOG_C5));
        q = q.fma(f, constant(ExactMath.LOG_C4));
        q = q.fma(f, constant(ExactMath.LOG_C3));
        FloatVector f2 = f.mul(f);
        FloatVector inner = q.fma(f, constant(-0.5f)).fma(f2, k.fma(constant(ExactMath.LN2_LO), c));
        FloatVector hi = k.mul(ExactMath.LN2_HI);
        FloatVector sum = hi.add(f);
        FloatVector error = f.sub(sum.sub(hi));
        return sum.add(error.add(inner));
    }

    /** Twin of {@link ExactMath#exp(float)}. */
    static FloatVector exp(FloatVector x) {
        var positive = x.compare(VectorOperators.GT, ZERO);
        FloatVector magic = EXP_MAGIC.blend(ExactMath.EXP_MAGIC_POSITIVE, positive);
        FloatVector last = EXP_LAST.blend(ExactMath.EXP_LAST_POSITIVE, positive);
        FloatVector t = x.fma(LOG2E, magic);
        FloatVector n = t.sub(magic);
        FloatVector hi = n.fma(MINUS_LN2_HI, x);
        FloatVector lo = n.fma(MINUS_LN2_LO, ZERO);
        FloatVector r = hi.add(lo);
        FloatVector p = C6.fma(r, C5);
        p = p.fma(r, C4);
        p = p.fma(r, C3);
        p = p.fma(r, C2);
        p = p.fma(r, ONE);
        p = p.fma(r, ONE);
        FloatVector scale = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
        FloatVector result = p.mul(scale).mul(last).blend(ZERO, x.lt(ZERO_BELOW));
        return result.blend(Float.POSITIVE_INFINITY, x.compare(VectorOperators.GT, ExactMath.EXP_INFINITE_ABOVE));
    }

    /** {@link #exp} for x at most 0, or NaN. */
    static FloatVector expNotPositive(FloatVector x) {
        FloatVector t = x.fma(constant(ExactMath.LOG2E), constant(ExactMath.EXP_MAGIC));
        FloatVector n = t.sub(constant(ExactMath.EXP_MAGIC));
        FloatVector hi = n.fma(constant(-ExactMath.LN2_HI), x);
        FloatVector lo = n.mul(constant(-ExactMath.LN2_LO));
        FloatVector r = hi.add(lo);
        FloatVector p = constant(ExactMath.EXP_C6).fma(r, constant(ExactMath.EXP_C5));
        p = p.fma(r, constant(ExactMath.EXP_C4));
        p = p.fma(r, constant(ExactMath.EXP_C3));
        p = p.fma(r, constant(ExactMath.EXP_C2));
        p = p.fma(r, constant(1));
        p = p.fma(r, constant(1));
        FloatVector scale = t.reinterpretAsInts().lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
        return p.mul(scale).mul(constant(ExactMath.EXP_LAST)).blend(constant(0),
                x.lt(constant(ExactMath.EXP_ZERO_BELOW)));
    }

    /** {@link #log1p} for x in [0, 1], or NaN: the branch near 0, or the exponent 1. */
    static FloatVector log1pOfUnit(FloatVector x) {
        FloatVector one = constant(1);
        FloatVector u = x.add(one);
        FloatVector zero = constant(0);
        var far = x.compare(VectorOperators.GE, constant(ExactMath.LOG1P_NEAR_END));
        FloatVector c = zero.blend(x.sub(u.sub(one)).div(u), far);
        FloatVector f = x.blend(u.mul(constant(0.5f)).sub(one), far);
        return log(f, c, zero.blend(one, far));
    }
}
