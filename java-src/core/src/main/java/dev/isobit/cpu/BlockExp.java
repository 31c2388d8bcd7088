package dev.isobit.cpu;

/** {@code exp} of a block of floats. */
interface BlockExp {
    /**
     * Computes exponentials.
     *
     * @param from arguments
     * @param at the first of them
     * @param to where the exponentials go, from 0 on
     * @param count how many
     */
    void run(float[] from, int at, float[] to, int count);
}
