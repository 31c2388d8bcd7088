package dev.isobit.cpu;

/** Adds the squares of gradients to lanes. */
interface SquareSum {
    /**
     * Adds squares, each by itself: element {@code element + i} belongs to lane {@code (lane + i) % LANES}.
     *
     * @param grad of the kind that the kernel was chosen for
     * @param element the first
     * @param lanes float32 sums
     * @param lane of the first element
     * @param count elements
     */
    void add(FloatOperand grad, long element, float[] lanes, int lane, int count);
}
