package dev.isobit.cpu;

import dev.isobit.spi.SgdScalars;

/** Updates elements of one parameter. Has no state of its own. */
interface SgdUpdate {
    /** How many elements it updates at a time; a range is so many, or a multiple. */
    int width();

    /**
     * Updates elements [from, to).
     *
     * @param tensors the parameter, its gradient and momentum buffer
     * @param from first element
     * @param to element after the last
     * @param scalars the step's scalars
     */
    void run(SgdOperands tensors, long from, long to, SgdScalars scalars);
}
