package dev.isobit.contract;

/** How BF16 parameters are kept and rounded, as kernels/NUMERICS.md defines it to the bit, written from its text. */
public final class RoundingDefinition {
    private RoundingDefinition() {}

    private static int mix(int x) {
        x = x ^ (x >>> 16);
        x = x * 0x85ebca6b;
        x = x ^ (x >>> 13);
        x = x * 0xc2b2ae35;
        return x ^ (x >>> 16);
    }

    private static int key(int start, long seed, long step, int parameter, long element) {
        int[] words = {(int) seed, (int) (seed >> 32), parameter, (int) (element >> 32), (int) step,
            (int) (step >> 32)};
        int key = start;
        for (int word : words) {
            key = mix((key * 0x9e3779b1) ^ word);
        }
        return key;
    }

    /**
     * A number of BF16 in place of a float.
     *
     * @param x any float
     * @param seed of a run
     * @param step from 1
     * @param parameter number of the parameter
     * @param element its index
     * @return one of the two around it
     */
    public static float stochastic(float x, long seed, long step, int parameter, long element) {
        int first = key(0x243f6a88, seed, step, parameter, element);
        int second = key(0x85a308d3, seed, step, parameter, element);
        int noise = mix(mix((int) element ^ first) ^ second) >>> 16;
        int bits = Float.floatToRawIntBits(x);
        int lower = bits & 0xffff;
        int upper = (bits >>> 16) + (lower + noise > 0xffff ? 1 : 0);
        return Float.intBitsToFloat(upper << 16);
    }

    /**
     * The BF16 that stands beside a remainder.
     *
     * @param x any float but a NaN that is not canonical
     * @return the nearest, ties away from zero
     */
    public static float beside(float x) {
        int bits = Float.floatToRawIntBits(x);
        int upper = (bits >>> 16) + ((bits & 0xffff) >= 0x8000 ? 1 : 0);
        return Float.intBitsToFloat(upper << 16);
    }

    /**
     * The remainder of a float.
     *
     * @param x any float
     * @return its bits less those of {@link #beside}
     */
    public static short remainder(float x) {
        return (short) (Float.floatToRawIntBits(x) - Float.floatToRawIntBits(beside(x)));
    }
}
