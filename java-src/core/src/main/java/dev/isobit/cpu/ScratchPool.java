package dev.isobit.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicLongArray;

/**
 * Scratch memory for inner loops, of which whoever works on short rows borrows a slot meanwhile. It is one segment that nobody can
 * close, a constant to the JIT, which therefore tests neither that it is open nor whose it is, and no bounds where it knows the range
 * of an offset, see {@link #INSIDE}. And its slots begin with a cache line, as an array's elements hardly ever do: a vector of 64
 * bytes out of an array straddles two lines.
 */
final class ScratchPool {
    /** Bytes of a slot. */
    static final int SLOT = 16 << 10;

    private static final int PAGE = 4096;
    /**
     * Words of {@link #TAKEN}, a power of two: twice as many slots as processors or more. A borrower waits for nothing but arithmetic,
     * so more threads than slots only take turns.
     */
    private static final int WORDS =
            Integer.highestOneBit(2 * Math.ceilDiv(Runtime.getRuntime().availableProcessors(), Long.SIZE / 2) - 1);

    /**
     * The bits of an offset inside of the slots. Anded with them an offset is what it was, but its range is known to the JIT, and
     * that what is less than {@link #SLOT} behind is in the memory. Around a loop's variable too: loops with tests of
     * bounds are taken apart before these turn out to be none. No method does this, which might not be inlined.
     */
    static final long INSIDE = (long) WORDS * Long.SIZE * SLOT - 1;

    /** With a slot at the end that is not lent, for what is reached from an offset of the last one. */
    static final MemorySegment MEMORY = Arena.global().allocate(INSIDE + 1 + SLOT, PAGE);

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
