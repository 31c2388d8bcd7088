package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.fail;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * All operands of one call in one block of a backend's memory, poison between them. What was laid out is uploaded as a
 * whole; afterwards the whole is read back, so that a write outside the outputs is seen wherever it went.
 */
public final class OperandBlock implements AutoCloseable {
    private static final byte POISON = (byte) 0xa5;
    /** Between two operands: more than a vector. */
    private static final long GAP = 128;

    private final Backend backend;
    private Memory memory;
    private MemorySegment image;
    private MemorySegment found;
    private long used;

    /**
     * Makes a block.
     *
     * @param backend whose memory it is
     */
    public OperandBlock(Backend backend) {
        this.backend = backend;
    }

    /**
     * Starts a new layout.
     *
     * @param byteSize at least the size of all its operands
     * @param operands how many there will be at most
     */
    public void begin(long byteSize, int operands) {
        long needed = byteSize + (operands + 1) * (GAP + 64);
        if (memory == null || memory.byteSize() < needed) {
            close();
            long size = Math.max(needed, 1 << 16) * 5 / 4 / 8 * 8;
            memory = backend.allocate(size);
            image = MemorySegment.ofArray(new long[(int) (size / 8)]);
            found = MemorySegment.ofArray(new long[(int) (size / 8)]);
        }
        image.asSlice(0, Math.max(used, needed)).fill(POISON);
        used = 0;
    }

    /** Room for a tensor, poisoned; starts {@code skip} elements after a multiple of 64 bytes. */
    Tensor room(DType dtype, int skip, long... shape) {
        used = (used + GAP + 63) / 64 * 64 + (long) skip * dtype.byteSize();
        Tensor tensor = Tensor.of(dtype, memory, used, shape);
        // All is copied as I32.
        used = (used + tensor.byteSize() + 3) / 4 * 4;
        return tensor;
    }

    Tensor bytes(byte[] values, int skip, long... shape) {
        Tensor tensor = room(DType.U8, skip, shape);
        MemorySegment.copy(values, 0, image, ValueLayout.JAVA_BYTE, tensor.byteOffset(), values.length);
        return tensor;
    }

    Tensor floats(float[] values, int skip, long... shape) {
        Tensor tensor = room(DType.F32, skip, shape);
        MemorySegment.copy(values, 0, image, ValueLayout.JAVA_FLOAT_UNALIGNED, tensor.byteOffset(), values.length);
        return tensor;
    }

    /** Values that are rounded to a type of 16 bits, or left as they are. */
    Tensor floats(DType dtype, float[] values, int skip, long... shape) {
        if (dtype == DType.F32) {
            return floats(values, skip, shape);
        }
        Tensor tensor = room(dtype, skip, shape);
        for (int i = 0; i < values.length; i++) {
            image.set(ValueLayout.JAVA_SHORT_UNALIGNED, tensor.byteOffset() + i * 2L, Rounded.bits(dtype, values[i]));
        }
        return tensor;
    }

    Tensor indices(DType dtype, long[] values, int skip) {
        return indices(dtype, values, skip, values.length);
    }

    Tensor indices(DType dtype, long[] values, int skip, long... shape) {
        Tensor tensor = room(dtype, skip, shape);
        for (int i = 0; i < values.length; i++) {
            long at = tensor.byteOffset() + (long) i * dtype.byteSize();
            switch (dtype) {
                case I64 -> image.set(ValueLayout.JAVA_LONG_UNALIGNED, at, values[i]);
                case I32 -> image.set(ValueLayout.JAVA_INT_UNALIGNED, at, Math.toIntExact(values[i]));
                case I16 -> image.set(ValueLayout.JAVA_SHORT_UNALIGNED, at, (short) values[i]);
                default -> image.set(ValueLayout.JAVA_BYTE, at, (byte) values[i]);
            }
        }
        return tensor;
    }

    /** Sends the layout to the backend. */
    void upload() {
        long end = used + GAP;
        backend.copy(bytes(image, end), Tensor.of(DType.I32, memory, 0, end / 4));
    }

    /** Reads all of it back. */
    void download() {
        long end = used + GAP;
        backend.copy(Tensor.of(DType.I32, memory, 0, end / 4), bytes(found, end));
    }

    private static Tensor bytes(MemorySegment segment, long end) {
        return Tensor.of(DType.I32, segment, end / 4);
    }

    /** Elements as they were found, as float32. */
    float[] read(Tensor tensor) {
        float[] values = new float[(int) tensor.elementCount()];
        if (tensor.dtype() != DType.F32) {
            for (int i = 0; i < values.length; i++) {
                short bits = found.get(ValueLayout.JAVA_SHORT_UNALIGNED, tensor.byteOffset() + i * 2L);
                values[i] = Rounded.value(tensor.dtype(), bits);
            }
            return values;
        }
        MemorySegment.copy(found, ValueLayout.JAVA_FLOAT_UNALIGNED, tensor.byteOffset(), values, 0, values.length);
        return values;
    }

    /** Elements of an I16 tensor as they were found. */
    short[] readShorts(Tensor tensor) {
        short[] values = new short[(int) tensor.elementCount()];
        MemorySegment.copy(found, ValueLayout.JAVA_SHORT_UNALIGNED, tensor.byteOffset(), values, 0, values.length);
        return values;
    }

    /** Elements of an I64 tensor as they were found. */
    long[] readLongs(Tensor tensor) {
        long[] values = new long[(int) tensor.elementCount()];
        MemorySegment.copy(found, ValueLayout.JAVA_LONG_UNALIGNED, tensor.byteOffset(), values, 0, values.length);
        return values;
    }

    /** Fails where anything was written outside these tensors. */
    void assertUntouchedBut(Object what, Tensor... outputs) {
        List<Tensor> sorted = new ArrayList<>(List.of(outputs));
        sorted.sort(Comparator.comparingLong(Tensor::byteOffset));
        long from = 0;
        for (Tensor output : sorted) {
            assertSame(what, from, output.byteOffset());
            from = output.byteOffset() + output.byteSize();
        }
        assertSame(what, from, used + GAP);
    }

    private void assertSame(Object what, long from, long to) {
        long at = image.asSlice(from, to - from).mismatch(found.asSlice(from, to - from));
        if (at >= 0) {
            fail(what + ": byte " + (from + at) + " was written, outside all outputs");
        }
    }

    @Override
    public void close() {
        if (memory != null) {
            memory.close();
            memory = null;
        }
    }
}
