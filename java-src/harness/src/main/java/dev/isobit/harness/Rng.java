package dev.isobit.harness;

/**
 * A seeded generator of our own (SplitMix64): the same numbers in every JVM and release. Used by one thread.
 *
 * <p>Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
 */
public final class Rng {
    private long state;

    /**
     * Starts a sequence.
     *
     * @param seed any number; each gives another sequence
     */
    public Rng(long seed) {
        this.state = seed;
    }

    /**
     * The next 64 bits.
     *
     * @return any long
     */
    public long nextLong() {
        state += 0x9e3779b97f4a7c15L;
        return mix(state);
    }

    /**
     * Mixes 64 bits, one to one.
     *
     * @param bits any number
     * @return the mixed number
     */
    public static long mix(long bits) {
        long z = (bits ^ bits >>> 30) * 0xbf58476d1ce4e5b9L;
        z = (z ^ z >>> 27) * 0x94d049bb133111ebL;
        return z ^ z >>> 31;
    }

    /**
     * A number below a bound, each equally likely but for a share of bound/2^32.
     *
     * @param bound 1 to 2^31 - 1
     * @return 0 to bound - 1
     */
    public int nextInt(int bound) {
        return (int) ((nextLong() >>> 32) * bound >>> 32);
    }

    /**
     * A multiple of 2^-24 in [0, 1).
     *
     * @return the number, exact in float
     */
    public float nextFloat() {
        return (nextLong() >>> 40) * 0x1p-24f;
    }

    /**
     * A number of mean 0 and variance 1 from [-6, 6]: the sum of twelve uniform numbers. Additions only, so that it is
     * the same everywhere.
     *
     * @return about a standard normal number
     */
    public float nextNormal() {
        double sum = -6;
        for (int i = 0; i < 6; i++) {
            long bits = nextLong();
            sum += (bits >>> 32) * 0x1p-32 + (bits & 0xffffffffL) * 0x1p-32;
        }
        return (float) sum;
    }

    /**
     * Puts the numbers in another order, each order equally likely.
     *
     * @param values changed in place
     */
    public void shuffle(int[] values) {
        for (int i = values.length - 1; i > 0; i--) {
            int j = nextInt(i + 1);
            int swapped = values[i];
            values[i] = values[j];
            values[j] = swapped;
        }
    }
}
