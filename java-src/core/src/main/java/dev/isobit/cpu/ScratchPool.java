package dev.isobit.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Scratch memory for inner loops, of which whoever works on rows borrows a slot meanwhile. It is one segment that nobody can close,
 * a constant to the JIT, which therefore tests neither that it is open nor whose it is, and not even bounds where it knows the range
 * of an offset. And its slots begin with a cache line, as an array's elements never do: a vector of 64 bytes out of an array
 * straddles two lines each time.
 */
final class ScratchPool {
    /** Bytes of a slot. */
    static final int SLOT = 16 << 10;

    private static final int PAGE = 4096;
    /** Words of {@link #TAKEN}; a borrower waits for nothing but arithmetic, so more threads than slots only take turns. */
    private static final int WORDS = Math.ceilDiv(Runtime.getRuntime().availableProcessors(), Long.SIZE / 2);

    static final MemorySegment MEMORY = Arena.global().allocate((long) WORDS * Long.SIZE * SLOT, PAGE);

    /** A bit for each slot, set while it is lent. */
    private static final AtomicLongArray TAKEN = new AtomicLongArray(WORDS);

    private ScratchPool() {}

    /** Lends a slot, whose contents are what was left there; waits while all are lent. Returns where in the memory it begins. */
    static long take() {
        for (;;) {
            for (int word = 0; word < WORDS; word++) {
                for (long bits = TAKEN.get(word); bits != -1; bits = TAKEN.get(word)) {
                    long free = Long.lowestOneBit(~bits);
                    if (TAKEN.compareAndSet(word, bits, bits | free)) {
                        return ((long) word * Long.SIZE + Long.numberOfTrailingZeros(free)) * SLOT;
                    }
                }
            }
            Thread.yield();
        }
    }

    static void giveBack(long slot) {
        int number = (int) (slot / SLOT);
        TAKEN.getAndUpdate(number / Long.SIZE, bits -> bits & ~(1L << number));
    }
}
