package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;

/** Converts elements of a 16-bit operand to float32, or back. Has no state of its own. */
interface NarrowCopy {
    /** How many elements it converts at a time; a count is a multiple. */
    int width();

    /**
     * Converts elements.
     *
     * @param operand the 16-bit side
     * @param element the first
     * @param floats the float32 side
     * @param at the index of its first
     * @param count elements
     */
    void run(FloatOperand operand, long element, float[] floats, int at, int count);

    /**
     * Converts elements.
     *
     * @param operand the 16-bit side
     * @param element the first
     * @param floats the float32 side: native memory
     * @param at the byte offset of its first
     * @param count elements
     */
    void run(FloatOperand operand, long element, MemorySegment floats, long at, int count);
}
