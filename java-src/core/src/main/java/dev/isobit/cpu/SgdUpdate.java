package dev.isobit.cpu;

import dev.isobit.spi.SgdScalars;

/** Updates elements of one parameter. Has no state of its own. */
interface SgdUpdate {
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
