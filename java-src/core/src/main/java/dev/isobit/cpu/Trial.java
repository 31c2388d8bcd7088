package dev.isobit.cpu;

/**
 * Chooses between two ways to the same bits, of which one is faster on some machines and the other on others: by turns at
 * first, then the one that took less time at its best. Now and then the other one again, which may have been slow only
 * because it was not compiled yet or something else ran. One thread at a time.
 */
final class Trial {
    /** Calls of both at first. */
    static final int TURNS = 16;
    /** One call of so many goes the way that was slower. */
    static final int AGAIN = 64;

    private long calls;
    private long firstBest = Long.MAX_VALUE;
    private long secondBest = Long.MAX_VALUE;
    private boolean second;
    private long start;

    /** Whether the call that begins is to go the second way. */
    boolean begin() {
        boolean faster = secondBest < firstBest;
        second = calls < TURNS ? calls % 2 != 0 : faster ^ calls % AGAIN == 0;
        calls++;
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
