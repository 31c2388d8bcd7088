package dev.isobit.math;

import dev.isobit.jvm.VmOption;

/**
 * The fused multiply-add of float32, correctly rounded on every CPU and fast on every CPU.
 *
 * <p>{@link Math#fma(float, float, float)} is one instruction where the JVM may use the CPU's FMA, and goes through
 * {@code BigDecimal} (0.4 to 6 µs) where it may not. Then the exact product in double, one addition rounded to odd, and
 * one rounding to float give the same bits in about 10 ns.
 *
 * <p>Thread-safe.
 */
public final class Fma {
    /** Whether the JVM turns {@code Math.fma} into one instruction. */
    public static final boolean HARDWARE = hardware();

    private Fma() {}

    /**
     * a·b + c with one rounding, nearest even.
     *
     * @param a factor
     * @param b factor
     * @param c addend
     * @return the correctly rounded result; NaN and infinities as IEEE 754 has them
     */
    public static float fma(float a, float b, float c) {
        return HARDWARE ? Math.fma(a, b, c) : emulated(a, b, c);
    }

    /**
     * The same without hardware: exact product, sum rounded to odd in double, one rounding to float.
     *
     * @param a factor
     * @param b factor
     * @param c addend
     * @return the correctly rounded result
     */
    public static float emulated(float a, float b, float c) {
        double product = (double) a * b;
        double addend = c;
        double sum = product + addend;
        double virtual = sum - product;
        double error = (product - (sum - virtual)) + (addend - virtual);
        if (error != 0 && Double.isFinite(sum)) {
            // Rounding to odd keeps what the second rounding must know: that something was lost, and on which side.
            long bits = Double.doubleToRawLongBits(sum);
            if ((bits & 1) == 0) {
                sum = Double.longBitsToDouble((error > 0) == (sum > 0) ? bits + 1 : bits - 1);
            }
        }
        return (float) sum;
    }

    /** Asks HotSpot; where it does not answer, times it. */
    private static boolean hardware() {
        String answer = VmOption.get("UseFMA");
        return answer != null ? Boolean.parseBoolean(answer) : isFast();
    }

    private static boolean isFast() {
        float x = 1;
        long start = System.nanoTime();
        for (int i = 0; i < 20_000; i++) {
            x = Math.fma(x, 0.999f, 0.001f);
        }
        return x > 0 && System.nanoTime() - start < 2_000_000;
    }
}
