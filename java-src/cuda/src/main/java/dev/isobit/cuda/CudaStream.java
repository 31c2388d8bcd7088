package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.Stream;
import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A CUDA stream: one of the backend's own, or a foreign one that was wrapped. What is queued runs in order.
 *
 * <p>Threading: synchronising may be done by any thread; operations on one stream are queued by one thread at a time.
 * Ownership: whoever made or wrapped it closes it; the backend closes what is left. Closing waits for the stream; a
 * wrapped stream is then left to its owner, who must not destroy it before.
 */
public final class CudaStream implements Stream {
    private final CudaBackend backend;
    private final CudaDriver driver;
    private final Handles.Stream handle;
    private final @Nullable OwnedHandle owned;
    private final StatusBoard statuses;
    private volatile boolean closed;

    private CudaStream(CudaBackend backend, Handles.Stream handle, boolean foreign) {
        this.backend = backend;
        this.driver = backend.driver();
        this.handle = handle;
        CudaDriver releasing = driver;
        this.owned = foreign
                ? null
                : backend.handles().own(this, "CudaStream",
                        () -> releasing.destroyStream("Stream.close", handle));
        this.statuses = new StatusBoard(driver, backend.handles(), handle);
        backend.boards().add(statuses);
    }

    static CudaStream create(CudaBackend backend, String operation) {
        return new CudaStream(backend, backend.driver().createStream(operation), false);
    }

    static CudaStream wrap(CudaBackend backend, long raw) {
        String operation = "CudaBackend.wrapStream";
        Handles.Stream handle = backend.driver().foreignStream(operation, raw);
        if (!backend.driver().ownsStream(operation, handle)) {
            throw new IllegalArgumentException(operation + ": 0x" + Long.toHexString(raw) + " is no stream of device "
                    + backend.driver().ordinal() + "'s primary context");
        }
        return new CudaStream(backend, handle, true);
    }

    @Override
    public Backend backend() {
        return backend;
    }

    /**
     * The driver's handle, a {@code CUstream}.
     *
     * @return the raw handle; 0 for the legacy default stream
     */
    public long handle() {
        return handle.raw();
    }

    @Override
    public void synchronize() {
        synchronize("Stream.synchronize");
    }

    void synchronize(String operation) {
        checkOpen(operation);
        statuses.synchronize(operation);
    }

    /** Before memory of launches is freed: waits for them, if they can be waited for. Goes on after a failure. */
    void rest(String operation, List<RuntimeException> failures) {
        if (isOpen() && !driver.isLost()) {
            HandleRegistry.attempt(failures, () -> synchronize(operation));
        }
    }

    /**
     * Makes what is queued from now on wait for an event. The host does not wait.
     *
     * @param event an event of the same backend
     */
    public void waitFor(CudaEvent event) {
        checkOpen("CudaStream.waitFor");
        driver.waitForEvent("CudaStream.waitFor", handle, event.handle("CudaStream.waitFor"));
    }

    /** Throws if this stream or its backend is closed, or the context lost. */
    void checkOpen(String operation) {
        driver.checkUsable(operation);
        if (closed) {
            throw new IllegalStateException(operation + ": the stream is closed");
        }
    }

    boolean isOpen() {
        return !closed && !driver.isClosed();
    }

    Handles.Stream handleObject() {
        return handle;
    }

    StatusBoard statuses() {
        return statuses;
    }

    /**
     * Waits for what is queued, then releases the stream if this object owns it. Idempotent.
     *
     * @throws dev.isobit.IsobitException if something queued failed, or met a target out of range; it is closed then
     *     too
     */
    @Override
    public void close() {
        if (closed || this == backend.defaultStream()) {
            return; // the backend owns its default stream
        }
        closed = true;
        List<RuntimeException> failures = new ArrayList<>();
        statuses.close("Stream.close", failures);
        backend.boards().remove(statuses);
        if (owned != null) {
            HandleRegistry.attempt(failures, owned::release);
        }
        HandleRegistry.raise(failures);
    }

    @Override
    public String toString() {
        return "CudaStream[0x" + Long.toHexString(handle()) + (owned == null ? ", foreign" : "") + "]";
    }
}
