package dev.isobit.cuda;

import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Copies between host and device. Pinned host memory goes directly; other memory, arrays included, goes through two
 * pinned buffers in turn, so that the host fills one while the device empties the other. The buffers are made at first
 * use. Thread-safe: one copy at a time.
 */
final class CudaCopy {
    private static final long BUFFER_BYTES = 4 << 20;
    private static final int BUFFERS = 2;

    private final CudaDriver driver;
    private final HandleRegistry handles;
    private final Handles.Stream stream;
    private final List<Buffer> buffers = new ArrayList<>();

    CudaCopy(CudaDriver driver, HandleRegistry handles, Handles.Stream stream) {
        this.driver = driver;
        this.handles = handles;
        this.stream = stream;
    }

    /** Released with the backend. */
    private record Buffer(long address, MemorySegment segment, Handles.Event done) {}

    private Buffer buffer(String operation, int index) {
        while (buffers.size() <= index) {
            long address = driver.allocateHost(operation, BUFFER_BYTES);
            OwnedHandle memory =
                    handles.own(this, "copy buffer", () -> driver.freeHost("Backend.close", address));
            try {
                Handles.Event event = driver.createEvent(operation);
                handles.own(this, "copy event", () -> driver.destroyEvent("Backend.close", event));
                buffers.add(new Buffer(address, CudaLibrary.view(address, BUFFER_BYTES, Arena.global()), event));
            } catch (RuntimeException e) {
                memory.release();
                throw e;
            }
        }
        return buffers.get(index);
    }

    private boolean isPinned(String operation, MemorySegment host) {
        return host.isNative() && driver.isPinned(operation, host.address())
                && driver.isPinned(operation, host.address() + host.byteSize() - 1);
    }

    /** Copies a host segment to the device; on return it has been read, and the device's part is queued. */
    synchronized void toDevice(String operation, MemorySegment from, long to) {
        long bytes = from.byteSize();
        if (bytes == 0) {
            return;
        }
        if (isPinned(operation, from)) {
            driver.copyToDevice(operation, to, from.address(), bytes, stream);
            driver.synchronize(operation, stream);
            return;
        }
        settle(() -> {
            int turn = 0;
            for (long at = 0; at < bytes; at += BUFFER_BYTES, turn++) {
                Buffer buffer = buffer(operation, turn % BUFFERS);
                if (turn >= BUFFERS) {
                    driver.synchronizeEvent(operation, buffer.done);
                }
                long part = Math.min(BUFFER_BYTES, bytes - at);
                MemorySegment.copy(from, at, buffer.segment, 0, part);
                driver.copyToDevice(operation, to + at, buffer.address, part, stream);
                driver.recordEvent(operation, buffer.done, stream);
            }
            driver.synchronize(operation, stream);
        });
    }

    /** Copies from the device to a host segment; finished on return. */
    synchronized void toHost(String operation, long from, MemorySegment to) {
        long bytes = to.byteSize();
        if (bytes == 0) {
            return;
        }
        if (isPinned(operation, to)) {
            driver.copyToHost(operation, to.address(), from, bytes, stream);
            driver.synchronize(operation, stream);
            return;
        }
        settle(() -> {
            int queued = 0;
            int taken = 0;
            for (long at = 0; at < bytes; at += BUFFER_BYTES, taken++) {
                for (; queued < taken + BUFFERS && queued * BUFFER_BYTES < bytes; queued++) {
                    Buffer buffer = buffer(operation, queued % BUFFERS);
                    long next = queued * BUFFER_BYTES;
                    driver.copyToHost(operation, buffer.address, from + next, Math.min(BUFFER_BYTES, bytes - next),
                            stream);
                    driver.recordEvent(operation, buffer.done, stream);
                }
                Buffer buffer = buffer(operation, taken % BUFFERS);
                driver.synchronizeEvent(operation, buffer.done);
                MemorySegment.copy(buffer.segment, 0, to, at, Math.min(BUFFER_BYTES, bytes - at));
            }
        });
    }

    /** After a failure no queued copy may be left that uses a buffer. */
    private void settle(Runnable copy) {
        @Nullable
        RuntimeException failure = null;
        try {
            copy.run();
        } catch (RuntimeException e) {
            failure = e;
            throw e;
        } finally {
            if (failure != null && !driver.isLost()) {
                try {
                    driver.synchronize("Backend.copy", stream);
                } catch (RuntimeException e) {
                    failure.addSuppressed(e);
                }
            }
        }
    }

    /** Copies within the device; finished on return. */
    synchronized void onDevice(String operation, long from, long to, long bytes) {
        if (bytes != 0 && from != to) {
            driver.copyOnDevice(operation, to, from, bytes, stream);
            driver.synchronize(operation, stream);
        }
    }
}
