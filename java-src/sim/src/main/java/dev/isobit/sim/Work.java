package dev.isobit.sim;

import org.jspecify.annotations.Nullable;

/** Something that a stream was given, done when its turn comes. Guarded by the driver's lock. */
final class Work {
    final SimStream stream;
    /** In the order in which all streams were given work. */
    final long sequence;
    /** What has to be done before, of another stream; null for nothing. */
    final @Nullable Work after;
    private final Runnable action;
    private boolean done;
    private long doneAt;

    Work(SimStream stream, long sequence, @Nullable Work after, Runnable action) {
        this.stream = stream;
        this.sequence = sequence;
        this.after = after;
        this.action = action;
    }

    boolean isDone() {
        return done;
    }

    /** When it was done, in nanoseconds of an arbitrary origin. */
    long doneAt() {
        return doneAt;
    }

    void run() {
        action.run();
        done = true;
        doneAt = System.nanoTime();
    }
}
