package dev.isobit.spi;

/** Negative log-likelihood prepared on a backend and stream. Used by one thread at a time. */
public interface NllLossKernel extends AutoCloseable {
    /**
     * Runs, or queues, one call.
     *
     * @param call checked operands; not kept
     */
    void run(NllLossCall call);

    /** Releases scratch memory. Idempotent. */
    @Override
    void close();
}
