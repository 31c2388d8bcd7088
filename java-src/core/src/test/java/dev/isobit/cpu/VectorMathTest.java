package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import dev.isobit.math.ExactMath;
import dev.isobit.math.FloatInputs;
import java.util.SplittableRandom;
import jdk.incubator.vector.FloatVector;
import org.junit.jupiter.api.Test;

/** The vector twins have the bits of the scalar definition; a NaN equals a NaN. */
class VectorMathTest {
    private interface ScalarFunction {
        float apply(float x);
    }

    private interface VectorFunction {
        FloatVector apply(FloatVector x);
    }

    private static void checkAll(String name, float[] inputs, ScalarFunction scalar, VectorFunction vector) {
        int width = VectorMath.SPECIES.length();
        float[] results = new float[inputs.length];
        for (int i = 0; i < inputs.length; i += width) {
            vector.apply(FloatVector.fromArray(VectorMath.SPECIES, inputs, i)).intoArray(results, i);
        }
        for (int i = 0; i < inputs.length; i++) {
            float expected = scalar.apply(inputs[i]);
            if (Float.floatToIntBits(expected) != Float.floatToIntBits(results[i])) {
                fail("%s of %a (0x%08x) is %a, by vectors %a".formatted(name, inputs[i],
                        Float.floatToRawIntBits(inputs[i]), expected, results[i]));
            }
        }
        assertTrue(inputs.length > 0, "nothing was compared");
    }

    @Test
    void exp() {
        checkAll("exp", FloatInputs.ofExp(), ExactMath::exp, VectorMath::exp);
    }

    @Test
    void log() {
        checkAll("log", FloatInputs.ofLog(), ExactMath::log, ofArrays(VectorMath::log));
    }

    @Test
    void log1p() {
        checkAll("log1p", FloatInputs.ofLog(), ExactMath::log1p, ofArrays(VectorMath::log1p));
    }

    private static VectorFunction ofArrays(ArrayFunction function) {
        float[] lanes = new float[VectorMath.SPECIES.length()];
        return x -> {
            x.intoArray(lanes, 0);
            function.apply(lanes, lanes, lanes.length);
            return FloatVector.fromArray(VectorMath.SPECIES, lanes, 0);
        };
    }

    private interface ArrayFunction {
        void apply(float[] from, float[] to, int count);
    }

    @Test
    void expNotPositive() {
        float[] inputs = FloatInputs.ofExp();
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = -Math.abs(inputs[i]);
        }
        checkAll("expNotPositive", inputs, ExactMath::exp, VectorMath::expNotPositive);
    }

    /** From 0 to 1, in small steps of the bits, and around the end of the first branch. */
    @Test
    void log1pOfUnit() {
        float[] inputs = new float[1 << 22];
        int one = Float.floatToRawIntBits(1);
        int near = Float.floatToRawIntBits(ExactMath.LOG1P_NEAR_END);
        for (int i = 0; i < inputs.length; i++) {
            inputs[i] = Float.intBitsToFloat(switch (i % 4) {
                case 0 -> near + i / 8 - inputs.length / 16;
                case 1 -> one - i / 4;
                default -> (int) ((long) one * i / inputs.length);
            });
        }
        inputs[2] = Float.NaN;
        checkAll("log1pOfUnit", inputs, ExactMath::log1p, VectorMath::log1pOfUnit);
    }

    @Test
    void softcap() {
        for (float cap : new float[] {30, 0.01f, 1e30f}) {
            float rate = 2 / cap;
            FloatVector caps = VectorMath.constant(cap);
            FloatVector rates = VectorMath.constant(rate);
            checkAll("softcapDecay", FloatInputs.of(40), x -> ExactMath.softcapDecay(x, rate),
                    x -> VectorMath.softcapDecay(x, rates));
            checkAll("softcap", FloatInputs.of(40),
                    x -> ExactMath.softcap(x, cap, rate, ExactMath.softcapDecay(x, rate)),
                    x -> VectorMath.softcap(x, caps, rates, VectorMath.softcapDecay(x, rates)));
            checkAll("softcapSlope", FloatInputs.of(40),
                    x -> ExactMath.softcapSlope(ExactMath.softcapDecay(x, rate)),
                    x -> VectorMath.softcapSlope(VectorMath.softcapDecay(x, rates)));
        }
    }

    /** The same over all inputs below each of many maxima. */
    @Test
    void expDifference() {
        SplittableRandom random = new SplittableRandom(11);
        float[] maxima = {0, -0f, 1, -1, 88, 1e-40f, -1e-40f, 1e10f, -1e10f, 3e38f, -3e38f, Float.MIN_VALUE,
            Float.MAX_VALUE, 0.1f, 16777216, -16777215, 5, 6, 7, 8, 9, 10};
        for (int i = 16; i < maxima.length; i++) {
            maxima[i] = (float) (random.nextDouble() * 200 - 100);
        }
        float[] inputs = FloatInputs.of(40);
        float[] z = new float[inputs.length];
        for (float m : maxima) {
            for (int i = 0; i < z.length; i++) {
                // NaN, anything that is not above, and numbers close below.
                z[i] = inputs[i] > m || i % 3 == 0 ? (float) (m - 110 * random.nextDouble()) : inputs[i];
            }
            FloatVector max = VectorMath.constant(m);
            checkAll("expDifference to " + m, z, x -> ExactMath.expDifference(x, m),
                    x -> VectorMath.expDifference(x, max, x.sub(max)));
        }
    }
}
