package dev.isobit.spi;

/** Softmax or log-softmax prepared on a backend and stream. Used by one thread at a time. */
public interface SoftmaxKernel extends AutoCloseable {
    /**
     * Runs, or queues, one call.
     *
     * @param call checked operands; not kept
     */
    void run(SoftmaxCall call);

    /** Releases scratch memory. Idempotent. */
    @Override
    void close();
}
