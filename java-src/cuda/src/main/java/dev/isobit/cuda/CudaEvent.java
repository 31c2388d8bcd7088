package dev.isobit.cuda;

import dev.isobit.cuda.HandleRegistry.OwnedHandle;

/**
 * A mark in a stream, to order streams and to time what ran between two marks.
 *
 * <p>Threading: one thread at a time. Ownership: whoever made it closes it; the backend closes what is left.
 */
public final class CudaEvent implements AutoCloseable {
    private final CudaDriver driver;
    private final Handles.Event handle;
    private final OwnedHandle owned;

    CudaEvent(CudaDriver driver, HandleRegistry handles, String operation) {
        this.driver = driver;
        Handles.Event created = driver.createEvent(operation);
        this.handle = created;
        this.owned = handles.own(this, "CudaEvent", () -> driver.destroyEvent("CudaEvent.close", created));
    }

    Handles.Event handle(String operation) {
        driver.checkUsable(operation);
        if (!owned.isAlive()) {
            throw new IllegalStateException(operation + ": the event is closed");
        }
        return handle;
    }

    /**
     * Marks what is queued on a stream so far.
     *
     * @param stream a stream of the same backend
     */
    public void record(CudaStream stream) {
        stream.checkOpen("CudaEvent.record");
        driver.recordEvent("CudaEvent.record", handle("CudaEvent.record"), stream.handleObject());
    }

    /** Waits until the device has passed the mark. Targets out of range are raised by streams, not here. */
    public void synchronize() {
        driver.synchronizeEvent("CudaEvent.synchronize", handle("CudaEvent.synchronize"));
    }

    /**
     * Time between two marks that the device has passed.
     *
     * @param earlier an event recorded and passed before
     * @return milliseconds, to about half a microsecond
     */
    public float millisecondsSince(CudaEvent earlier) {
        String operation = "CudaEvent.millisecondsSince";
        return driver.elapsedMilliseconds(operation, earlier.handle(operation), handle(operation));
    }

    /** Releases the event. Idempotent. */
    @Override
    public void close() {
        owned.release();
    }
}
