package dev.isobit.harness.cases;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** A case's tensors on a backend, released together. Used by one thread. */
final class Operands implements AutoCloseable {
    private final Backend backend;
    private final List<Tensor> tensors = new ArrayList<>();

    Operands(Backend backend) {
        this.backend = backend;
    }

    Backend backend() {
        return backend;
    }

    /** The library's type of a tensor. */
    static DType dtype(CaseTensor tensor) throws UnsupportedCaseException {
        DType dtype = tensor.type().dtype();
        if (dtype == null) {
            throw new UnsupportedCaseException("dtype " + tensor.type());
        }
        return dtype;
    }

    /** A copy on the backend. */
    Tensor put(CaseTensor tensor) throws UnsupportedCaseException {
        Tensor copy = allocate(dtype(tensor), tensor.shape());
        put(tensor.bytes(), copy);
        return copy;
    }

    /** A copy on the backend, of 16 bits as F32, which is exact: for what the library takes in F32 whatever the logits. */
    Tensor putWide(CaseTensor tensor) throws UnsupportedCaseException {
        if (tensor.type() != CaseType.F16 && tensor.type() != CaseType.BF16) {
            return put(tensor);
        }
        Tensor copy = allocate(DType.F32, tensor.shape());
        float[] values = new float[Math.toIntExact(tensor.elementCount())];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) tensor.get(i);
        }
        put(MemorySegment.ofArray(values), copy);
        return copy;
    }

    /** Fills a tensor. */
    void put(MemorySegment bytes, Tensor into) {
        try (Arena arena = Arena.ofConfined()) { // what is mapped may be misaligned
            MemorySegment aligned = arena.allocate(bytes.byteSize(), Long.BYTES).copyFrom(bytes);
            backend.copy(Tensor.of(into.dtype(), aligned, into.shape()), into);
        }
    }

    /** Zeros on the backend. */
    Tensor allocate(DType dtype, long... shape) {
        Tensor tensor = backend.allocate(dtype, shape);
        tensors.add(tensor);
        return tensor;
    }

    /** Ones on the backend, of a floating-point type. */
    Tensor ones(DType dtype, long... shape) {
        Tensor tensor = allocate(dtype, shape);
        MemorySegment bytes = Arena.ofAuto().allocate(tensor.byteSize(), Long.BYTES);
        for (long i = 0; i < tensor.elementCount(); i++) {
            switch (dtype) {
                case F64 -> bytes.setAtIndex(ValueLayout.JAVA_DOUBLE, i, 1);
                case F32 -> bytes.setAtIndex(ValueLayout.JAVA_FLOAT, i, 1);
                case BF16 -> bytes.setAtIndex(ValueLayout.JAVA_SHORT, i, NarrowFloats.toBf16(1));
                case F16 -> bytes.setAtIndex(ValueLayout.JAVA_SHORT, i, NarrowFloats.toF16(1));
                default -> throw new IllegalArgumentException("ones of " + dtype);
            }
        }
        put(bytes, tensor);
        return tensor;
    }

    /** What a tensor of the backend holds. */
    CaseTensor get(Tensor tensor) {
        MemorySegment bytes = Arena.ofAuto().allocate(tensor.byteSize(), Long.BYTES);
        backend.copy(tensor, Tensor.of(tensor.dtype(), bytes, tensor.shape()));
        return new CaseTensor(CaseType.of(tensor.dtype()), tensor.shape(), bytes);
    }

    @Override
    public void close() {
        tensors.forEach(tensor -> tensor.memory().close());
    }
}
