package dev.isobit.spi;

import dev.isobit.Backend;
import dev.isobit.HostMemory;
import dev.isobit.IsobitException;
import dev.isobit.Memory;
import dev.isobit.Stream;
import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * A backend over host memory: allocation, copies, and a stream on which every call has finished when it returns.
 *
 * <p>Thread-safe. Memory that it allocates is released by the garbage collector.
 */
public abstract class HostBackend implements Backend {
    /** A cache line, and the widest vector. */
    private static final long ALIGNMENT = 64;

    private final Stream stream = new HostStream(this);

    /** Makes a backend over host memory. */
    protected HostBackend() {}

    @Override
    public boolean usesHostMemory() {
        return true;
    }

    @Override
    public boolean accepts(Memory memory) {
        return memory instanceof HostMemory;
    }

    @Override
    public Memory allocate(long byteSize) {
        if (byteSize < 0) {
            throw new IllegalArgumentException(name() + ".allocate: " + byteSize + " bytes");
        }
        try {
            return HostMemory.of(Arena.ofAuto().allocate(byteSize, ALIGNMENT));
        } catch (OutOfMemoryError e) {
            throw new IsobitException(name() + ".allocate: no memory for " + byteSize + " bytes", e);
        }
    }

    @Override
    public void copy(Tensor from, Tensor to) {
        if (from.dtype() != to.dtype() || from.elementCount() != to.elementCount()) {
            throw new IllegalArgumentException(
                    name() + ".copy: " + from + " and " + to + " differ in type or element count");
        }
        for (Tensor tensor : new Tensor[] {from, to}) {
            if (!accepts(tensor.memory())) {
                throw new IllegalArgumentException(
                        name() + ".copy: " + tensor + " lies in " + tensor.memory() + ", not in host memory");
            }
        }
        MemorySegment.copy(from.segment(), 0, to.segment(), 0, from.byteSize());
    }

    @Override
    public Stream defaultStream() {
        return stream;
    }

    private record HostStream(Backend backend) implements Stream {
        @Override
        public void synchronize() {
            // nothing is ever queued
        }

        @Override
        public void close() {
            // the backend's
        }
    }
}
