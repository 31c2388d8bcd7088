package dev.isobit.cpu;

/**
 * Chooses between two ways to the same bits, of which one is faster on some machines and the other on others: by turns at
 * first, then the one that took less time at its best. One thread at a time.
 */
final class Trial {
    /** Of both. The JIT is done long before. */
    private static final int CALLS = 256;

    private int calls;
    private long firstBest = Long.MAX_VALUE;
    private long secondBest = Long.MAX_VALUE;
    private boolean second;
    private long start;

    /** Whether the call that begins is to go the second way. */
    boolean begin() {
        second = calls < CALLS ? calls++ % 2 != 0 : secondBest < firstBest;
        start = System.nanoTime();
        return second;
    }

    /** The call has ended. */
    void end() {
        long took = System.nanoTime() - start;
        if (second) {
            secondBest = Math.min(secondBest, took);
        } else {
            firstBest = Math.min(firstBest, took);
        }
    }
}
