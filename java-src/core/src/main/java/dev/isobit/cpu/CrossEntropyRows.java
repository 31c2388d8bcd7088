package dev.isobit.cpu;

/** Works on rows of a batch. Has no state of its own. */
interface CrossEntropyRows {
    /**
     * Computes rows [from, to): their losses, and their gradients if these are wanted.
     *
     * @param batch the operands
     * @param from first row
     * @param to row after the last
     * @param row the caller's state
     */
    void run(CrossEntropyBatch batch, long from, long to, CrossEntropyRow row);
}
