package dev.isobit.cuda;

import dev.isobit.Stream;
import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import jcuda.driver.CUresult;
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
    /** While a graph is captured; of the thread that captures. */
    private @Nullable Capture capture;

    /** What a capture meets; repeats: host-counted steps too. */
    private record Capture(Set<StreamOperation> operations, List<StatusBoard.Use> statuses, boolean repeats) {}

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
    public CudaBackend backend() {
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
        if (capture != null) {
            throw new IllegalStateException(
                    operation + ": the stream is captured, nothing runs that could be waited for");
        }
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

    /**
     * Captures what some operations queue on this stream, and runs none of it: {@link CudaGraph#launch} does, as often as
     * wanted. Operations allocate scratch memory and load kernels when they first see a shape: call each once before.
     * What an optimizer changes from the host is written by its {@code queueChanges()}: call it before and between
     * replays.
     *
     * @param calls calls operations on this stream, from this thread; nothing in it may wait, copy from the host or allocate
     * @return the graph, the caller's to close
     * @throws IllegalStateException if an optimizer's step without {@link dev.isobit.StepOptions} is called, whose
     *     scalars the host counts: replays would all be this one step; or if something waits or allocates
     */
    public CudaGraph capture(Runnable calls) {
        return capture("CudaStream.capture", calls, false);
    }

    /**
     * As {@link #capture}, and steps of optimizers that the host counts are captured too: each replay is the same step,
     * with the same learning rate and bias correction, which is what a measurement of time wants.
     *
     * @param calls as for capture
     * @return the graph, the caller's to close
     * @throws IllegalStateException if something waits or allocates
     */
    public CudaGraph captureRepeating(Runnable calls) {
        return capture("CudaStream.captureRepeating", calls, true);
    }

    private CudaGraph capture(String operation, Runnable calls, boolean repeats) {
        checkOpen(operation);
        if (capture != null) {
            throw new IllegalStateException(operation + ": the stream is captured already");
        }
        Capture found = new Capture(Collections.newSetFromMap(new IdentityHashMap<>()), new ArrayList<>(), repeats);
        driver.beginCapture(operation, handle);
        capture = found;
        statuses.capture(found.statuses);
        boolean done = false;
        try {
            calls.run();
            done = true;
        } catch (CudaException e) {
            throw e.result() == CUresult.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
                    ? new IllegalStateException(operation + ": " + e.operation()
                            + " waits, allocates or loads kernels, which a graph cannot; call each operation once, "
                            + "with these shapes, before it is captured", e)
                    : e;
        } finally {
            capture = null;
            statuses.capture(null);
            if (!done) {
                driver.dropCapture(handle);
            }
        }
        return new CudaGraph(this, driver.endCapture(operation, handle), found.operations, found.statuses);
    }

    /** Throws if an operation cannot be queued now; a capture keeps it in mind. */
    void admit(String operation, StreamOperation by) {
        checkOpen(operation);
        if (by.isClosed()) {
            throw new IllegalStateException(operation + ": closed");
        }
        if (capture != null) {
            capture.operations.add(by);
        }
    }

    /** As {@link #admit}, of what the host counts. */
    void admitStep(String operation, StreamOperation by) {
        if (capture != null && !capture.repeats) {
            throw new IllegalStateException(operation + ": the host counts its steps, so that every replay of a graph"
                    + " would be this one; StepOptions (skipNonFinite, say) let the device count");
        }
        admit(operation, by);
    }

    CudaDriver driver() {
        return driver;
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
