package dev.isobit.spi;

/** SGD prepared on a backend and stream over fixed parameters. Used by one thread at a time. */
public interface SgdKernel extends AutoCloseable {
    /**
     * Runs, or queues, one step over all parameters.
     *
     * @param scalars what changes from step to step, of each group; not kept
     */
    void step(SgdScalars[] scalars);

    /** Releases tables. Idempotent. */
    @Override
    void close();
}
