package dev.isobit;

/**
 * A block of bytes that a {@link Tensor} views: {@link HostMemory} or {@link DeviceMemory}.
 *
 * <p>Ownership: whoever made it closes it. Closing twice is allowed; use after close throws
 * {@link IllegalStateException}.
 */
public sealed interface Memory extends AutoCloseable permits HostMemory, DeviceMemory {
    /**
     * The size of the block.
     *
     * @return size in bytes
     */
    long byteSize();

    /**
     * Whether the block may still be used.
     *
     * @return false once closed, or once the arena or backend that owns it is closed
     */
    boolean isAlive();

    /**
     * The first byte as a number, to tell overlapping blocks apart: the device or native address; for heap memory
     * the offset in its array.
     *
     * @return address of the first byte
     */
    long address();

    /** Releases the block where this object owns it; otherwise does nothing. Idempotent. */
    @Override
    void close();
}
