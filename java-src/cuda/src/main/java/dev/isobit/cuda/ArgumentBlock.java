package dev.isobit.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The one argument of a kernel, off the heap: a struct of kernels/params.h, written through its layout, and the array
 * of one pointer to it that a launch wants. The driver copies the struct when it takes the launch, so that a block
 * serves launch after launch.
 */
final class ArgumentBlock {
    private final MemorySegment struct;
    private final MemorySegment pointers;

    ArgumentBlock(MemoryLayout layout) {
        Arena arena = Arena.ofAuto();
        struct = arena.allocate(layout);
        pointers = arena.allocate(ValueLayout.ADDRESS);
        pointers.set(ValueLayout.ADDRESS, 0, struct);
    }

    /** The struct, to be written. */
    MemorySegment struct() {
        return struct;
    }

    /** The address of the array of one pointer. */
    long pointersAddress() {
        return pointers.address();
    }
}
