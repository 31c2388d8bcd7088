package dev.isobit.cpu;

import dev.isobit.spi.AdamScalars;

/** Updates elements of one parameter. Has no state of its own. */
interface AdamUpdate {
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
