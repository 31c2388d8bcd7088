package dev.isobit.cpu;

import dev.isobit.spi.AdamScalars;

/** Updates elements of one parameter. Has no state of its own. */
interface AdamUpdate {
    /** How many elements it updates at a time; a range is so many, or a multiple. */
    int width();

    /**
     * Updates elements [from, to).
     *
     * @param tensors the parameter, its gradient and moments
     * @param from first element
     * @param to element after the last
     * @param scalars the step's scalars
     */
    void run(AdamOperands tensors, long from, long to, AdamScalars scalars);
}
