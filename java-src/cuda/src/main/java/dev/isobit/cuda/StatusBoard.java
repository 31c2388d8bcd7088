package dev.isobit.cuda;

import dev.isobit.TargetOutOfRangeException;
import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import jcuda.driver.CUstream;
import org.jspecify.annotations.Nullable;

/**
 * The status words of the operations on one stream: what kernels found wrong with the values they were given. They lie
 * side by side on the device, so that whoever synchronises the stream reads all of them with one copy.
 */
final class StatusBoard {
    private static final int SLOTS = 64;
    private static final long SLOT_BYTES = KernelParams.Status.LAYOUT.byteSize();

    private final CudaDriver driver;
    private final HandleRegistry handles;
    private final CUstream stream;
    private final List<Page> pages = new ArrayList<>();
    /** Status words that a capture meets; null while nothing is captured. */
    private volatile @Nullable List<Use> captured;

    StatusBoard(CudaDriver driver, HandleRegistry handles, CUstream stream) {
        this.driver = driver;
        this.handles = handles;
        this.stream = stream;
    }

    /** A page of status words on the device and its copy in pinned host memory. */
    private static final class Page {
        final long device;
        final MemorySegment host;
        final OwnedHandle deviceHandle;
        final OwnedHandle hostHandle;
        final @Nullable Slot[] slots = new Slot[SLOTS];

        Page(StatusBoard board, String operation) {
            CudaDriver driver = board.driver;
            long bytes = SLOTS * SLOT_BYTES;
            long onDevice = driver.allocate(operation, bytes);
            device = onDevice;
            deviceHandle = board.handles.own(this, "status words", () -> driver.free("Stream.close", onDevice));
            long onHost;
            try {
                onHost = driver.allocateHost(operation, bytes);
            } catch (RuntimeException e) {
                deviceHandle.release();
                throw e;
            }
            hostHandle = board.handles.own(this, "status words", () -> driver.freeHost("Stream.close", onHost));
            host = CudaLibrary.view(onHost, bytes, Arena.global());
        }
    }

    /** A status word and who may write it. */
    record Use(Slot slot, String operation) {
        /** To be called before the operation is queued once more. */
        void again() {
            slot.usedBy = operation;
        }
    }

    /** The status word of one operation. */
    static final class Slot {
        private final StatusBoard board;
        private final Page page;
        private final int index;
        private volatile @Nullable String usedBy;

        private Slot(StatusBoard board, Page page, int index) {
            this.board = board;
            this.page = page;
            this.index = index;
        }

        /** Its device address, for the kernels. */
        long address() {
            return page.device + index * SLOT_BYTES;
        }

        /** To be called before an operation that may write it is queued. */
        void use(String operation) {
            List<Use> uses = board.captured;
            if (uses == null) {
                usedBy = operation;
            } else {
                uses.add(new Use(this, operation));
            }
        }
    }

    /** A status word that is reset, in stream order. */
    synchronized Slot acquire(String operation) {
        for (Page page : pages) {
            for (int i = 0; i < SLOTS; i++) {
                if (page.slots[i] == null) {
                    return fill(operation, page, i);
                }
            }
        }
        Page page = new Page(this, operation);
        pages.add(page);
        return fill(operation, page, 0);
    }

    private Slot fill(String operation, Page page, int index) {
        Slot slot = new Slot(this, page, index);
        reset(operation, slot);
        page.slots[index] = slot;
        return slot;
    }

    /** From now on uses are given to this list, since nothing is queued; null: no longer. */
    void capture(@Nullable List<Use> uses) {
        captured = uses;
    }

    synchronized void giveBack(Slot slot) {
        slot.page.slots[slot.index] = null;
    }

    private void reset(String operation, Slot slot) {
        driver.fill(operation, slot.address() + KernelParams.Status.BAD_TARGETS, (byte) 0, Long.BYTES, stream);
        driver.fill(operation, slot.address() + KernelParams.Status.FIRST_BAD_ROW, (byte) -1, Long.BYTES, stream);
    }

    /**
     * Waits for the stream, then throws for the targets that its operations found out of range since the last time.
     *
     * @throws TargetOutOfRangeException for the first such operation, those of others suppressed in it
     */
    void synchronize(String operation) {
        List<RuntimeException> found = new ArrayList<>();
        synchronized (this) {
            List<Slot> used = new ArrayList<>();
            List<String> users = new ArrayList<>();
            for (Page page : pages) {
                boolean copied = false;
                for (Slot slot : page.slots) {
                    String user = slot == null ? null : slot.usedBy;
                    if (slot != null && user != null) {
                        // Cleared before the copy: an operation queued after it sets it again.
                        slot.usedBy = null;
                        used.add(slot);
                        users.add(user);
                        copied = true;
                    }
                }
                if (copied) {
                    driver.copyToHost(operation, page.host.address(), page.device, page.host.byteSize(), stream);
                }
            }
            driver.synchronize(operation, stream);
            for (int i = 0; i < used.size(); i++) {
                Slot slot = used.get(i);
                long at = slot.index * SLOT_BYTES;
                long count = slot.page.host.get(ValueLayout.JAVA_LONG, at + KernelParams.Status.BAD_TARGETS);
                long row = slot.page.host.get(ValueLayout.JAVA_LONG, at + KernelParams.Status.FIRST_BAD_ROW);
                long target = slot.page.host.get(ValueLayout.JAVA_LONG, at + KernelParams.Status.FIRST_BAD_TARGET);
                if (count != 0) {
                    found.add(new TargetOutOfRangeException(users.get(i), row, target, count));
                    reset(operation, slot);
                }
            }
        }
        HandleRegistry.raise(found);
    }

    /** Waits for the stream, raises what it finds, and frees the pages. Goes on after a failure. */
    void close(String operation, List<RuntimeException> failures) {
        if (!driver.isClosed() && !driver.isLost()) {
            HandleRegistry.attempt(failures, () -> synchronize(operation));
        }
        synchronized (this) {
            for (Page page : pages) {
                HandleRegistry.attempt(failures, page.hostHandle::release);
                HandleRegistry.attempt(failures, page.deviceHandle::release);
            }
            pages.clear();
        }
    }
}
