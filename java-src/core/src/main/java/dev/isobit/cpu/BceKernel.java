package dev.isobit.cpu;

/** Binary cross-entropy of the elements of a block. Has no state of its own. */
interface BceKernel {
    /**
     * Computes what the block wants. Focal losses are never added to the lanes.
     *
     * @param block operands and room for results
     * @param from first element within the block
     * @param to element after the last
     */
    void run(BceBlock block, int from, int to);
}
