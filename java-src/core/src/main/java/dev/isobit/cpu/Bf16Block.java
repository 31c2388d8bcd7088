package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;

/**
 * What is done to float32 in scratch memory between a BF16 parameter and its update. What {@link #split} and {@link #round}
 * leave has values of BF16. Has no state of its own.
 */
interface Bf16Block {
    /** How many elements it takes at a time; a count is a multiple. */
    int width();

    /**
     * Adds remainders to widened parameters: they become their masters.
     *
     * @param remainders 16 bits each
     * @param element the first of them
     * @param floats the parameters
     * @param count elements
     */
    void join(FloatOperand remainders, long element, MemorySegment floats, int count);

    /**
     * Writes the remainders of masters, which become the parameters.
     *
     * @param remainders 16 bits each
     * @param element the first of them
     * @param floats the masters
     * @param count elements
     */
    void split(FloatOperand remainders, long element, MemorySegment floats, int count);

    /**
     * Rounds stochastically, see {@link dev.isobit.math.RoundingNoise}.
     *
     * @param floats any numbers
     * @param count elements
     * @param key of the step
     * @param element the lower half of the first one's index
     */
    void round(MemorySegment floats, int count, long key, int element);
}
