package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Memory;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Memory for the operands of one call after the other, in host or device memory, each operand between guards that show a
 * write out of bounds. Used by one thread.
 */
final class Slab implements AutoCloseable {
    /** A NaN that is not the canonical one: an element that still has it was not written. */
    static final int POISON = -1;

    private static final byte POISON_BYTE = -1;
    private static final int GUARD_BYTES = 64;
    /** As long as the longest guard: that of a shifted operand. */
    private static final MemorySegment GUARD = MemorySegment.ofArray(new byte[4 * GUARD_BYTES]).fill(POISON_BYTE);

    private static final long CHUNK_BYTES = 1 << 24;

    private final Backend backend;
    private final Arena arena = Arena.ofShared();
    private final List<Chunk> chunks = new ArrayList<>();
    private int chunk;
    private long used;

    /** The same bytes on the host and on the backend; one and the same memory on a host backend. */
    private record Chunk(MemorySegment host, Memory memory) {}

    Slab(Backend backend) {
        this.backend = backend;
    }

    /** Forgets all operands; their memory is used again. */
    void reset() {
        chunk = 0;
        used = 0;
    }

    /**
     * Places an operand, poisoned.
     *
     * @param dtype element type
     * @param placement where
     * @param shift how many elements off for {@link Placement#SHIFTED}
     * @param shape the shape
     */
    Operand place(DType dtype, Placement placement, int shift, long... shape) {
        long elements = 1;
        for (long size : shape) {
            elements *= size;
        }
        long bytes = elements * dtype.byteSize();
        boolean heap = placement == Placement.HEAP && backend.usesHostMemory();
        Operand operand = heap
                ? onHeap(dtype, bytes, shape)
                : inSlab(dtype, bytes, placement == Placement.SHIFTED ? (long) shift * dtype.byteSize() : 0, shape);
        operand.poison();
        return operand;
    }

    private Operand onHeap(DType dtype, long bytes, long[] shape) {
        int units = Math.toIntExact((bytes + 2 * GUARD_BYTES) / Math.min(8, dtype.byteSize()));
        MemorySegment all = switch (dtype) {
            case BF16, F16, I16 -> MemorySegment.ofArray(new short[units]);
            case F32 -> MemorySegment.ofArray(new float[units]);
            case F64 -> MemorySegment.ofArray(new double[units]);
            case I64 -> MemorySegment.ofArray(new long[units]);
            case I32 -> MemorySegment.ofArray(new int[units]);
            default -> throw new UnsupportedOperationException("operands of " + dtype);
        };
        return new Operand(all, all.asSlice(GUARD_BYTES, bytes),
                Tensor.of(dtype, HostMemory.of(all), GUARD_BYTES, shape), null, null);
    }

    private Operand inSlab(DType dtype, long bytes, long shiftBytes, long[] shape) {
        // A multiple of 4 bytes, so that all can be copied as I32.
        long need = (GUARD_BYTES + shiftBytes + bytes + GUARD_BYTES + 3) / 4 * 4;
        while (chunk < chunks.size() && used + need > chunks.get(chunk).host.byteSize()) {
            chunk++;
            used = 0;
        }
        if (chunk == chunks.size()) {
            long size = Math.max(CHUNK_BYTES, need);
            MemorySegment host = arena.allocate(size, GUARD_BYTES);
            chunks.add(new Chunk(host, backend.usesHostMemory() ? HostMemory.of(host) : backend.allocate(size)));
        }
        Chunk in = chunks.get(chunk);
        long start = used;
        long data = start + GUARD_BYTES + shiftBytes;
        used = Math.ceilDiv(start + need, GUARD_BYTES) * GUARD_BYTES;
        MemorySegment all = in.host.asSlice(start, need);
        Tensor tensor = Tensor.of(dtype, in.memory, data, shape);
        return backend.usesHostMemory()
                ? new Operand(all, in.host.asSlice(data, bytes), tensor, null, null)
                : new Operand(all, in.host.asSlice(data, bytes), tensor, Tensor.of(DType.I32, all, need / 4),
                        Tensor.of(DType.I32, in.memory, start, need / 4));
    }

    /** Bits of BF16 or F16. */
    static short narrow(DType dtype, float value) {
        return dtype == DType.BF16 ? NarrowFloats.toBf16(value) : NarrowFloats.toF16(value);
    }

    /** The value of BF16 or F16. */
    static float widen(DType dtype, short bits) {
        return dtype == DType.BF16 ? NarrowFloats.fromBf16(bits) : NarrowFloats.fromF16(bits);
    }

    /** The value that an operand of a type has. */
    static float rounded(DType dtype, float value) {
        return dtype == DType.F32 ? value : widen(dtype, narrow(dtype, value));
    }

    @Override
    public void close() {
        if (!backend.usesHostMemory()) {
            chunks.forEach(c -> c.memory.close());
        }
        arena.close();
    }

    /** One operand. */
    final class Operand {
        private final MemorySegment all;
        private final MemorySegment data;
        private final Tensor tensor;
        private final @Nullable Tensor allOnHost;
        private final @Nullable Tensor allOnDevice;

        Operand(MemorySegment all, MemorySegment data, Tensor tensor,
                @Nullable Tensor allOnHost,
                @Nullable Tensor allOnDevice) {
            this.all = all;
            this.data = data;
            this.tensor = tensor;
            this.allOnHost = allOnHost;
            this.allOnDevice = allOnDevice;
        }

        Tensor tensor() {
            return tensor;
        }

        private void poison() {
            all.fill(POISON_BYTE);
        }

        void set(float[] values) {
            if (isNarrow()) {
                for (int i = 0; i < values.length; i++) {
                    data.set(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2L, narrow(tensor.dtype(), values[i]));
                }
                return;
            }
            MemorySegment.copy(values, 0, data, ValueLayout.JAVA_FLOAT_UNALIGNED, 0, values.length);
        }

        void set(long[] values) {
            if (tensor.dtype() == DType.I64) {
                MemorySegment.copy(values, 0, data, ValueLayout.JAVA_LONG_UNALIGNED, 0, values.length);
                return;
            }
            for (int i = 0; i < values.length; i++) {
                switch (tensor.dtype()) {
                    case I32 -> data.set(ValueLayout.JAVA_INT_UNALIGNED, i * 4L, Math.toIntExact(values[i]));
                    case I16 -> data.set(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2L, (short) values[i]);
                    default -> data.set(ValueLayout.JAVA_BYTE, i, (byte) values[i]);
                }
            }
        }

        private boolean isNarrow() {
            return tensor.dtype() == DType.BF16 || tensor.dtype() == DType.F16;
        }

        /** The bits of an element of an operand of 16 bits. */
        short shortBits(int index) {
            return data.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2L);
        }

        /** An element of an I64 operand. */
        long integer(int index) {
            return data.get(ValueLayout.JAVA_LONG_UNALIGNED, index * 8L);
        }

        /** The bits of an operand of floats, as those of F32. */
        int[] bits() {
            if (isNarrow()) {
                int[] bits = new int[Math.toIntExact(tensor.elementCount())];
                for (int i = 0; i < bits.length; i++) {
                    short narrow = data.get(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2L);
                    bits[i] = narrow == POISON ? POISON : Float.floatToRawIntBits(widen(tensor.dtype(), narrow));
                }
                return bits;
            }
            return data.toArray(ValueLayout.JAVA_INT_UNALIGNED);
        }

        boolean holds(float[] values) {
            if (isNarrow()) {
                for (int i = 0; i < values.length; i++) {
                    if (data.get(ValueLayout.JAVA_SHORT_UNALIGNED, i * 2L) != narrow(tensor.dtype(), values[i])) {
                        return false;
                    }
                }
                return true;
            }
            return data.mismatch(MemorySegment.ofArray(values)) < 0;
        }

        void upload() {
            if (allOnHost != null && allOnDevice != null) {
                backend.copy(allOnHost, allOnDevice);
            }
        }

        void download() {
            if (allOnHost != null && allOnDevice != null) {
                backend.copy(allOnDevice, allOnHost);
            }
        }

        boolean guardsAreWhole() {
            long before = data.address() - all.address();
            return isPoison(0, before) && isPoison(before + data.byteSize(), all.byteSize());
        }

        private boolean isPoison(long from, long to) {
            return MemorySegment.mismatch(all, from, to, GUARD, 0, to - from) < 0;
        }
    }
}
