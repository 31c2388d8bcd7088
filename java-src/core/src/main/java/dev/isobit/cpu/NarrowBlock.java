package dev.isobit.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Elements of an optimizer's BF16 or F16 operand as float32 in scratch memory, in the first cache: the update is that of
 * float32. One per worker and role, reused.
 */
final class NarrowBlock {
    /** Elements at once: a multiple of every vector. */
    static final int LENGTH = 1024;

    private final MemorySegment floats = Arena.ofAuto().allocate(LENGTH * Float.BYTES, 64);

    /** The elements, at the places that they have in the operand. */
    final FloatOperand operand = new FloatOperand();

    NarrowBlock() {
        operand.set(floats, 0);
    }

    /** The elements, the first at the start. */
    MemorySegment floats() {
        return floats;
    }

    /** What an update works on: a 16-bit operand through a block, another one where it is. */
    static FloatOperand window(FloatOperand of, NarrowBlock block) {
        return of.isNarrow() ? block.operand : of;
    }

    /** Takes elements of an operand, if it has 16 bits. */
    void load(FloatOperand of, long first, int count) {
        if (of.isNarrow()) {
            operand.set(floats, first);
            of.widen(first, floats, 0, count);
        }
    }

    /** Writes the elements to an operand, if it has 16 bits. */
    void store(FloatOperand of, long first, int count) {
        if (of.isNarrow()) {
            of.narrow(first, floats, 0, count);
        }
    }
}
