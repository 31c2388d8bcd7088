package dev.isobit.cuda;

import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Page-locked host memory: the device copies from and to it without a detour. Its segment serves as any host memory
 * does, in {@code Tensor.of(dtype, pinned.segment(), shape)} for one. The bytes are zero at first.
 *
 * <p>Threading: any. Ownership: whoever allocated it closes it, when no copy uses it any more; the backend closes what
 * is left. Using the segment afterwards throws {@link IllegalStateException}.
 */
public final class PinnedMemory implements AutoCloseable {
    private final MemorySegment segment;
    private final OwnedHandle owned;

    PinnedMemory(CudaDriver driver, HandleRegistry handles, String operation, long byteSize) {
        long address = driver.allocateHost(operation, Math.max(byteSize, 1));
        Arena arena = Arena.ofShared();
        segment = CudaLibrary.view(address, byteSize, arena);
        segment.fill((byte) 0);
        owned = handles.own(this, "PinnedMemory of " + byteSize + " bytes", () -> {
            // First, so that nobody reads what is gone; throws while another thread is inside.
            arena.close();
            driver.freeHost("PinnedMemory.close", address);
        });
    }

    /**
     * The memory.
     *
     * @return a segment that lives until this is closed
     */
    public MemorySegment segment() {
        return segment;
    }

    /** Releases the memory. Idempotent. */
    @Override
    public void close() {
        owned.release();
    }
}
