package dev.isobit.math;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.util.SplittableRandom;
import java.util.function.DoubleUnaryOperator;
import org.junit.jupiter.api.Test;

/** Against the float64 functions of the JDK, themselves within 1 ULP of float64. */
class ExactMathTest {
    private interface FloatFunction {
        float apply(float x);
    }

    /** Distance in ULP of the float binade that holds the exact value; infinity counts as 2^128. */
    private static double error(double exact, float value) {
        double ulp = Math.max(Math.scalb(1.0, Math.getExponent(exact) - 23), Float.MIN_VALUE);
        double found = Float.isInfinite(value) ? Math.copySign(0x1p128, value) : value;
        return Math.abs(found - exact) / ulp;
    }

    private static void checkAll(String name, float[] inputs, FloatFunction function, DoubleUnaryOperator exact) {
        long compared = 0;
        double worst = 0;
        for (float x : inputs) {
            float value = function.apply(x);
            double right = exact.applyAsDouble(x);
            if (Double.isNaN(right) || Double.isInfinite(right) || Math.abs(right) >= 0x1p128) {
                assertEquals((float) right, value, () -> name + " of " + x);
                continue;
            }
            double error = error(right, value);
            if (!(error <= 1)) {
                fail(name + " of " + Float.toHexString(x) + " is " + value + ", " + error + " ULP from " + right);
            }
            worst = Math.max(worst, error);
            compared++;
        }
        assertTrue(compared > 100_000, name + ": only " + compared + " were compared");
        assertTrue(worst > 0.5, name + ": no float32 function is correctly rounded by chance");
    }

    @Test
    void exp() {
        checkAll("exp", FloatInputs.ofExp(), ExactMath::exp, Math::exp);
    }

    @Test
    void log() {
        checkAll("log", FloatInputs.ofLog(), ExactMath::log, Math::log);
    }

    @Test
    void log1p() {
        checkAll("log1p", FloatInputs.ofLog(), ExactMath::log1p, Math::log1p);
    }

    private static void same(float expected, float value) {
        assertEquals(Integer.toHexString(Float.floatToIntBits(expected)),
                Integer.toHexString(Float.floatToIntBits(value)));
    }

    @Test
    void specialValues() {
        float inf = Float.POSITIVE_INFINITY;
        same(1, ExactMath.exp(0));
        same(1, ExactMath.exp(-0f));
        same(0, ExactMath.exp(-inf));
        same(inf, ExactMath.exp(inf));
        same(0, ExactMath.exp(-104.5f));
        same(Float.MIN_VALUE, ExactMath.exp(-103.2f));
        same(inf, ExactMath.exp(88.8f));
        same(0, ExactMath.log(1));
        same(-inf, ExactMath.log(0));
        same(-inf, ExactMath.log(-0f));
        same(inf, ExactMath.log(inf));
        same(0, ExactMath.log1p(0));
        same(-0f, ExactMath.log1p(-0f));
        same(Float.MIN_VALUE, ExactMath.log1p(Float.MIN_VALUE));
        same(-inf, ExactMath.log1p(-1));
        same(inf, ExactMath.log1p(inf));
        for (float bad : new float[] {Float.NaN, Float.intBitsToFloat(0xff812345)}) {
            assertTrue(Float.isNaN(ExactMath.exp(bad)) && Float.isNaN(ExactMath.log(bad))
                    && Float.isNaN(ExactMath.log1p(bad)));
        }
        for (float bad : new float[] {-Float.MIN_VALUE, -1, -Float.MAX_VALUE, -inf}) {
            assertTrue(Float.isNaN(ExactMath.log(bad)), "log of " + bad);
            assertEquals(bad < -1, Float.isNaN(ExactMath.log1p(bad)), "log1p of " + bad);
        }
    }

    /** Against tanh of the JDK; and its slope from e^(-2|y|/cap) of float64. */
    @Test
    void softcap() {
        SplittableRandom random = new SplittableRandom(8);
        double worst = 0;
        for (int i = 0; i < 1_000_000; i++) {
            float cap = i % 2 == 0 ? 30 : (float) Math.exp(random.nextDouble() * 20 - 10);
            float rate = 2 / cap;
            float y = (float) ((i % 3 == 0 ? 0.7 : 30) * cap * (random.nextDouble() - 0.5));
            double v = Math.abs((double) y) * rate;
            float decay = ExactMath.softcapDecay(y, rate);
            double exact = cap * Math.copySign(Math.tanh(v / 2), y);
            double error = error(exact, ExactMath.softcap(y, cap, rate, decay));
            double u = Math.exp(-v);
            double slopeError = error(4 * u / ((1 + u) * (1 + u)), ExactMath.softcapSlope(decay));
            if (!(error <= 4 && slopeError <= 4 && error(u, decay) <= 2)) {
                fail("softcap of " + y + " at " + cap + " is " + error + " ULP off, its slope " + slopeError);
            }
            worst = Math.max(worst, error);
        }
        assertTrue(worst > 0.5, "nothing was compared");
        float inf = Float.POSITIVE_INFINITY;
        same(30, ExactMath.softcap(inf, 30, 1f / 15, ExactMath.softcapDecay(inf, 1f / 15)));
        same(-30, ExactMath.softcap(-inf, 30, 1f / 15, ExactMath.softcapDecay(-inf, 1f / 15)));
        same(0, ExactMath.softcapSlope(ExactMath.softcapDecay(-inf, 1f / 15)));
        same(1, ExactMath.softcapSlope(ExactMath.softcapDecay(0, 1f / 15)));
        same(0, ExactMath.softcap(-0f, 30, 1f / 15, 1));
        assertTrue(Float.isNaN(ExactMath.softcap(Float.NaN, 30, 1f / 15, ExactMath.softcapDecay(Float.NaN, 1f / 15))));
    }

    /** The error of z - m, which alone would be up to 64 ULP, is carried. */
    @Test
    void expDifference() {
        SplittableRandom random = new SplittableRandom(7);
        double worst = 0;
        for (int i = 0; i < 2_000_000; i++) {
            float m = Float.intBitsToFloat(random.nextInt());
            float gap = (float) (110 * random.nextDouble());
            float z = i % 5 == 0 ? Float.intBitsToFloat(random.nextInt()) : m - gap;
            if (i % 3 == 0) {
                m = (float) (random.nextDouble() * 200 - 100);
                z = m - gap;
            }
            if (!Float.isFinite(m) || !(z <= m)) {
                continue;
            }
            float value = ExactMath.expDifference(z, m);
            double exact = Math.exp((double) z - (double) m);
            double error = error(exact, value);
            if (!(error <= 2 && value >= 0 && value <= 1)) {
                fail("expDifference(" + Float.toHexString(z) + ", " + Float.toHexString(m) + ") is " + value + ", "
                        + error + " ULP from " + exact);
            }
            if (z == m) {
                same(1, value);
            }
            worst = Math.max(worst, error);
        }
        assertTrue(worst > 0.5, "nothing was compared");
        same(0, ExactMath.expDifference(Float.NEGATIVE_INFINITY, -Float.MAX_VALUE));
        same(0, ExactMath.expDifference(-Float.MAX_VALUE, Float.MAX_VALUE));
        same(1, ExactMath.expDifference(-0f, 0f));
        same(1, ExactMath.expDifference(0f, -0f));
        same(1, ExactMath.expDifference(Float.MAX_VALUE, Float.MAX_VALUE));
        same(1, ExactMath.expDifference(Float.MIN_VALUE, Float.MIN_NORMAL));
    }

    @Test
    void exp64() {
        SplittableRandom random = new SplittableRandom(9);
        double worst = 0;
        for (int i = 0; i < 500_000; i++) {
            double x = switch (i % 3) {
                case 0 -> -200 * random.nextDouble();
                case 1 -> -Math.scalb(random.nextDouble(), -random.nextInt(60));
                default -> -(random.nextInt(580) * Math.log(2) / 2) + (random.nextInt(9) - 4) * 1e-15;
            };
            if (!(x <= 0 && x >= -200)) {
                continue;
            }
            double exact = StrictMath.exp(x);
            double value = ExactMath.exp64(x);
            double error = Math.abs(value - exact) / Math.scalb(1.0, Math.getExponent(exact) - 52);
            // 2 of its own and 1 of what it is compared with
            if (!(error <= 3 && value <= 1)) {
                fail("exp64(" + x + ") is " + value + ", " + error + " ULP from " + exact);
            }
            worst = Math.max(worst, error);
        }
        assertTrue(worst > 0, "nothing was compared");
        assertEquals(1.0, ExactMath.exp64(0));
        assertEquals(1.0, ExactMath.exp64(-0.0));
        assertEquals(0.0, ExactMath.exp64(-200.0001));
        assertEquals(0.0, ExactMath.exp64(Double.NEGATIVE_INFINITY));
    }
}
