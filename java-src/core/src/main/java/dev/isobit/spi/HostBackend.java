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
    private volatile boolean closed;

    /** Makes a backend over host memory. */
    protected HostBackend() {}

    /**
     * For operations and whoever makes them.
     *
     * @throws IllegalStateException if this backend is closed
     */
    public final void requireOpen() {
        if (closed) {
            throw new IllegalStateException("backend " + name() + " is closed");
        }
    }

    @Override
    public void close() {
        closed = true;
    }

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
        requireOpen();
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
        requireOpen();
        if (from.dtype() != to.dtype() || from.elementCount() != to.elementCount()) {
            throw new IllegalArgumentException(
                    name() + ".copy: " + from + " and " + to + " differ in type or element count");
        }
        checkCopied("from", from);
        checkCopied("to", to);
        if (to.segment().isReadOnly()) {
            throw new IllegalArgumentException(name() + ".copy: to " + to + " is read-only memory");
        }
        MemorySegment.copy(from.segment(), 0, to.segment(), 0, from.byteSize());
    }

    private void checkCopied(String role, Tensor tensor) {
        String operand = name() + ".copy: " + role + " " + tensor;
        if (!tensor.memory().isAlive()) {
            throw new IllegalStateException(operand + " is closed memory");
        }
        if (!accepts(tensor.memory())) {
            throw new IllegalArgumentException(operand + " lies in " + tensor.memory() + ", not in host memory");
        }
        if (!tensor.segment().isAccessibleBy(Thread.currentThread())) {
            throw new WrongThreadException(operand + " is confined to another thread than "
                    + Thread.currentThread().getName());
        }
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
