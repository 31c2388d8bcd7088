package dev.isobit;

/**
 * An order of execution. Operations given one stream run in the order in which they were called. On the CPU every call
 * has finished when it returns; on a device it has been queued.
 *
 * <p>Ownership: the backend owns its default stream; whoever made another closes it.
 */
public interface Stream extends AutoCloseable {
    /**
     * The backend on which this stream runs.
     *
     * @return the backend
     */
    Backend backend();

    /**
     * Waits until all that was queued has finished.
     *
     * @throws IsobitException if something queued failed, or met a target out of range
     */
    void synchronize();

    /** Releases the stream where this object owns it. Idempotent. */
    @Override
    void close();
}
