package dev.isobit.cuda;

import dev.isobit.cuda.HandleRegistry.OwnedHandle;
import dev.isobit.spi.CountedMemory;
import org.jspecify.annotations.Nullable;

/** Memory of a CUDA device, allocated here or wrapped from a foreign pointer. */
final class CudaMemory implements CountedMemory {
    private final CudaDriver driver;
    private final long address;
    private final long byteSize;
    private final @Nullable OwnedHandle owned;
    private volatile boolean closed;

    /** Takes over an allocation. */
    CudaMemory(CudaDriver driver, HandleRegistry handles, long address, long byteSize) {
        this.driver = driver;
        this.address = address;
        this.byteSize = byteSize;
        this.owned = handles.own(this, "DeviceMemory of " + byteSize + " bytes",
                () -> driver.free("Memory.close", address));
    }

    /** Wraps a foreign pointer, which stays its owner's. */
    CudaMemory(CudaDriver driver, long address, long byteSize) {
        this.driver = driver;
        this.address = address;
        this.byteSize = byteSize;
        this.owned = null;
    }

    CudaDriver driver() {
        return driver;
    }

    @Override
    public String backendName() {
        return driver.backendName();
    }

    @Override
    public int deviceOrdinal() {
        return driver.ordinal();
    }

    @Override
    public long byteSize() {
        return byteSize;
    }

    @Override
    public boolean isAlive() {
        return !closed && !driver.isClosed();
    }

    @Override
    public long address() {
        return address;
    }

    @Override
    public void close() {
        closed = true;
        CountedMemory.countEnd();
        if (owned != null) {
            owned.release();
        }
    }

    @Override
    public String toString() {
        return "DeviceMemory[" + backendName() + " device " + driver.ordinal() + ", 0x" + Long.toHexString(address)
                + ", " + byteSize
                + " bytes" + (owned == null ? ", foreign" : "") + "]";
    }
}
