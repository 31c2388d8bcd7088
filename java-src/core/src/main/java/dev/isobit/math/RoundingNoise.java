package dev.isobit.math;

/**
 * Stochastic rounding of float32 to BF16: a number between two of BF16 becomes the upper one with a probability of its
 * distance from the lower one, in units of the two's distance, to 2^-16. So that the same bits come on every device, in any
 * order and after a resumed run, the noise is a function of where and when a number is stored:
 * <pre>
 * mix(x)     = x ^= x >>> 16;  x *= 0x85ebca6b;  x ^= x >>> 13;  x *= 0xc2b2ae35;  x ^= x >>> 16
 * keys k1, k2: from 0x243f6a88 and 0x85a308d3, k = mix(k·0x9e3779b1 ^ word) for the words
 *              seed, seed >>> 32, parameter, element >>> 32, step, step >>> 32
 * noise      = mix(mix(element ^ k1) ^ k2) >>> 16
 * BF16       = upper half of (bits + noise)
 * </pre>
 * in integers of 32 bits, by multiplication, xor and shifts alone. {@code mix} is the finalizer of MurmurHash3. Infinities
 * and the canonical NaN stay what they are, as do numbers of BF16; what is next to the largest number may become infinity.
 *
 * <p>This is the definition; {@code dev.isobit.cpu.VectorBf16Block} and {@code kernels/mixed_chunks.cuh} are its twins.
 *
 * <p>Thread-safe: no state.
 */
public final class RoundingNoise {
    private static final int FIRST = 0x243f6a88;
    private static final int SECOND = 0x85a308d3;

    private RoundingNoise() {}

    static int mix(int x) {
        x ^= x >>> 16;
        x *= 0x85ebca6b;
        x ^= x >>> 13;
        x *= 0xc2b2ae35;
        return x ^ x >>> 16;
    }

    private static int absorb(int key, int word) {
        return mix(key * 0x9e3779b1 ^ word);
    }

    private static int absorb(int key, long word) {
        return absorb(absorb(key, (int) word), (int) (word >>> 32));
    }

    /**
     * The keys of 2^32 elements of a parameter, whatever the step.
     *
     * @param seed of a run
     * @param parameter its number in the optimizer, from 0
     * @param element one of the elements
     * @return k1 in the lower half, k2 in the upper
     */
    public static long key(long seed, int parameter, long element) {
        int upper = (int) (element >>> 32);
        return pair(absorb(absorb(absorb(FIRST, seed), parameter), upper),
                absorb(absorb(absorb(SECOND, seed), parameter), upper));
    }

    /**
     * The keys of a step.
     *
     * @param key of some elements
     * @param step the step, from 1
     * @return k1 in the lower half, k2 in the upper
     */
    public static long atStep(long key, long step) {
        return pair(absorb((int) key, step), absorb((int) (key >>> 32), step));
    }

    private static long pair(int first, int second) {
        return first & 0xffffffffL | (long) second << 32;
    }

    /**
     * The noise of an element.
     *
     * @param key of its step
     * @param element the lower half of its index
     * @return from 0 to 65535
     */
    public static int of(long key, int element) {
        return mix(mix(element ^ (int) key) ^ (int) (key >>> 32)) >>> 16;
    }

    /**
     * A number of BF16.
     *
     * @param x any float; of NaNs the canonical one
     * @param noise from 0 to 65535
     * @return x, if BF16 has it, else one of the two neighbours
     */
    public static float round(float x, int noise) {
        return Float.intBitsToFloat(Float.floatToRawIntBits(x) + noise & 0xffff0000);
    }
}
