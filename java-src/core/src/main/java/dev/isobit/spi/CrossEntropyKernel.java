package dev.isobit.spi;

/** Cross-entropy prepared on a backend and stream. Used by one thread at a time. */
public interface CrossEntropyKernel extends AutoCloseable {
    /**
     * Runs, or queues, one call.
     *
     * @param call checked operands; not kept
     */
    void run(CrossEntropyCall call);

    /** Releases scratch memory. Idempotent. */
    @Override
    void close();
}
