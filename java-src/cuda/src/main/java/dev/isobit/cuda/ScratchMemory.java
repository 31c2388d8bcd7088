package dev.isobit.cuda;

import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.util.ArrayList;
import java.util.List;

/** Device memory that an operation allocates for itself and keeps until it is closed. Used by one thread. */
final class ScratchMemory {
    private final Object owner;
    private final String name;
    private final CudaDriver driver;
    private final HandleRegistry handles;
    private final List<OwnedHandle> pieces = new ArrayList<>();

    /**
     * None so far.
     *
     * @param owner when it is forgotten, so is its memory, which is then reported
     * @param name of the operation
     * @param backend where the memory is
     */
    ScratchMemory(Object owner, String name, CudaBackend backend) {
        this.owner = owner;
        this.name = name;
        this.driver = backend.driver();
        this.handles = backend.handles();
    }

    /** Allocates some more. */
    long allocate(String operation, long bytes) {
        long pointer = driver.allocate(operation, bytes);
        CudaDriver releasing = driver;
        String closing = name + ".close";
        pieces.add(handles.own(owner, "scratch memory of " + name, () -> releasing.free(closing, pointer)));
        return pointer;
    }

    /** Frees all; no launch may be left that uses it. Goes on after a failure. */
    void release(List<RuntimeException> failures) {
        for (OwnedHandle piece : pieces) {
            HandleRegistry.attempt(failures, piece::release);
        }
    }
}
