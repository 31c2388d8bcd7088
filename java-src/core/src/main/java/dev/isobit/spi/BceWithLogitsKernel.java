package dev.isobit.spi;

/** Binary cross-entropy with logits prepared on a backend and stream. Used by one thread at a time. */
public interface BceWithLogitsKernel extends AutoCloseable {
    /**
     * Runs, or queues, one call.
     *
     * @param call checked operands; not kept
     */
    void run(BceWithLogitsCall call);

    /** Releases scratch memory. Idempotent. */
    @Override
    void close();
}
