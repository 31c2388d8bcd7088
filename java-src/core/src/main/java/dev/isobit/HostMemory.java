package dev.isobit;

import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Host memory: a {@link MemorySegment} of the caller, whose arena owns it. Any segment serves: native, mapped, or over
 * an array.
 *
 * <p>Threading: as the segment's arena allows; work on a confined segment is done by the calling thread.
 */
public final class HostMemory implements Memory {
    private final MemorySegment segment;
    private final @Nullable Object array;

    private HostMemory(MemorySegment segment) {
        this.segment = segment;
        this.array = segment.heapBase().orElse(null);
    }

    /**
     * Views a segment. Nothing is copied.
     *
     * @param segment the bytes
     * @return host memory over it
     */
    public static HostMemory of(MemorySegment segment) {
        return new HostMemory(Objects.requireNonNull(segment, "segment"));
    }

    /**
     * The segment.
     *
     * @return the segment given to {@link #of}
     */
    public MemorySegment segment() {
        return segment;
    }

    /** Whether the segment is a read-only view of an array, which it does not tell. */
    boolean hidesArray() {
        return array == null && !segment.isNative();
    }

    /**
     * The array that backs the segment.
     *
     * @return the array, or null for native memory and read-only views
     */
    public @Nullable Object array() {
        return array;
    }

    @Override
    public long byteSize() {
        return segment.byteSize();
    }

    @Override
    public boolean isAlive() {
        return segment.scope().isAlive();
    }

    @Override
    public long address() {
        return segment.address();
    }

    /** Does nothing: the segment's arena owns the memory. */
    @Override
    public void close() {
        // the arena's
    }

    @Override
    public String toString() {
        return "HostMemory[" + segment + "]";
    }
}
