package dev.isobit.harness;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * A tensor of the host and the tensor of a backend that stands for it: on a host backend the same, on a
 * device memory of its own, into and out of which {@link #upload} and {@link #download} copy. Used by one thread.
 */
public final class BackendTensor implements AutoCloseable {
    private final Backend backend;
    private final Tensor host;
    private final Tensor tensor;

    private BackendTensor(Backend backend, Tensor host) {
        this.backend = backend;
        this.host = host;
        this.tensor = backend.usesHostMemory() ? host : backend.allocate(host.dtype(), host.shape());
    }

    /**
     * A tensor for an array of floats.
     *
     * @param backend where operations use it
     * @param values the elements
     * @param shape the shape
     * @return the pair, the caller's to close
     */
    public static BackendTensor of(Backend backend, float[] values, long... shape) {
        return new BackendTensor(backend, Tensor.of(DType.F32, MemorySegment.ofArray(values), shape));
    }

    /**
     * A tensor for an array of longs.
     *
     * @param backend where operations use it
     * @param values the elements
     * @param shape the shape
     * @return the pair, the caller's to close
     */
    public static BackendTensor of(Backend backend, long[] values, long... shape) {
        return new BackendTensor(backend, Tensor.of(DType.I64, MemorySegment.ofArray(values), shape));
    }

    /**
     * A tensor for any host tensor.
     *
     * @param backend where operations use it
     * @param host the elements
     * @return the pair, the caller's to close
     */
    public static BackendTensor of(Backend backend, Tensor host) {
        return new BackendTensor(backend, host);
    }

    /**
     * The host's side.
     *
     * @return the tensor that {@link #upload} reads and {@link #download} writes
     */
    public Tensor host() {
        return host;
    }

    /**
     * The operand.
     *
     * @return a tensor that the backend's operations take
     */
    public Tensor tensor() {
        return tensor;
    }

    /** Copies the host's elements to the device. */
    public void upload() {
        if (tensor != host) {
            backend.copy(host, tensor);
        }
    }

    /** Copies the device's elements to the host. */
    public void download() {
        if (tensor != host) {
            backend.copy(tensor, host);
        }
    }

    /** Releases memory of the device. Idempotent. */
    @Override
    public void close() {
        if (tensor != host) {
            tensor.memory().close();
        }
    }
}
