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
    private double firstBest = Double.MAX_VALUE;
    private double secondBest = Double.MAX_VALUE;
    private boolean second;
    private long start;

    /** Begins anew: what comes cannot be compared with what was. */
    void forget() {
        calls = 0;
        firstBest = Double.MAX_VALUE;
        secondBest = Double.MAX_VALUE;
    }

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
        end(1);
    }

    /** The call has ended, which had so much to do. */
    void end(long amount) {
        double took = (double) (System.nanoTime() - start) / amount;
        if (second) {
            secondBest = Math.min(secondBest, took);
        } else {
            firstBest = Math.min(firstBest, took);
        }
    }
}
