package dev.isobit;

import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;

/**
 * An immutable view of memory: element type, shape, where it starts. Elements are contiguous in row-major (C) order.
 * It owns nothing: the memory's owner must keep it alive.
 *
 * <p>Thread-safe as a view; the elements are as safe as their memory.
 */
public final class Tensor {
    private final DType dtype;
    private final long[] shape;
    private final Memory memory;
    private final long byteOffset;
    private final long elementCount;

    private Tensor(DType dtype, long[] shape, Memory memory, long byteOffset) {
        this.dtype = Objects.requireNonNull(dtype, "dtype");
        this.shape = shape.clone();
        this.memory = Objects.requireNonNull(memory, "memory");
        this.byteOffset = byteOffset;
        if (byteOffset < 0) {
            throw new IllegalArgumentException(
                    "tensor " + dtype + Arrays.toString(shape) + ": byte offset " + byteOffset + " is negative");
        }
        long count = 1;
        for (long size : this.shape) {
            if (size < 0) {
                throw new IllegalArgumentException("tensor shape " + Arrays.toString(shape) + " has a negative size");
            }
            // Empty whatever the other sizes are, also those whose product is beyond 2^63.
            count = size == 0 ? 0 : count;
        }
        try {
            for (int axis = 0; axis < this.shape.length && count > 0; axis++) {
                count = Math.multiplyExact(count, this.shape[axis]);
            }
            long end = Math.addExact(byteOffset, Math.multiplyExact(count, dtype.byteSize()));
            if (end > memory.byteSize()) {
                throw new IllegalArgumentException("tensor " + dtype + Arrays.toString(shape) + " at byte offset "
                        + byteOffset + " needs " + end + " bytes, the memory has " + memory.byteSize());
            }
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException("tensor " + dtype + Arrays.toString(shape) + " at byte offset "
                    + byteOffset + " is larger than 2^63 bytes", e);
        }
        this.elementCount = count;
        if ((memory.address() + byteOffset) % Math.min(dtype.byteSize(), alignment(memory)) != 0) {
            throw new IllegalArgumentException("tensor " + dtype + " at address 0x"
                    + Long.toHexString(memory.address() + byteOffset) + " is not aligned to its element size "
                    + dtype.byteSize());
        }
    }

    /** What alignment of elements can be told from the address: for a heap segment only that of its array's elements. */
    private static long alignment(Memory memory) {
        return memory instanceof HostMemory host && !host.segment().isNative()
                ? host.segment().maxByteAlignment()
                : Long.MAX_VALUE;
    }

    /**
     * Views memory.
     *
     * @param dtype element type
     * @param memory the bytes
     * @param byteOffset where element 0 starts, in bytes, a multiple of the element size
     * @param shape sizes, outermost first; none for a scalar
     * @return the view
     * @throws IllegalArgumentException on a negative size or where the memory is too small or misaligned
     */
    public static Tensor of(DType dtype, Memory memory, long byteOffset, long... shape) {
        return new Tensor(dtype, shape, memory, byteOffset);
    }

    /**
     * Views a host segment from its start.
     *
     * @param dtype element type
     * @param segment the bytes
     * @param shape sizes, outermost first; none for a scalar
     * @return the view
     * @throws IllegalArgumentException on a negative size or where the segment is too small or misaligned
     */
    public static Tensor of(DType dtype, MemorySegment segment, long... shape) {
        return new Tensor(dtype, shape, HostMemory.of(segment), 0);
    }

    /**
     * Views an array as F32.
     *
     * @param values the elements; not copied
     * @param shape sizes, outermost first; none for a scalar
     * @return the view
     */
    public static Tensor of(float[] values, long... shape) {
        return of(DType.F32, MemorySegment.ofArray(values), shape);
    }

    /**
     * Views an array as F64.
     *
     * @param values the elements; not copied
     * @param shape sizes, outermost first; none for a scalar
     * @return the view
     */
    public static Tensor of(double[] values, long... shape) {
        return of(DType.F64, MemorySegment.ofArray(values), shape);
    }

    /**
     * Views an array as I64.
     *
     * @param values the elements; not copied
     * @param shape sizes, outermost first; none for a scalar
     * @return the view
     */
    public static Tensor of(long[] values, long... shape) {
        return of(DType.I64, MemorySegment.ofArray(values), shape);
    }

    /**
     * Views an array as I32.
     *
     * @param values the elements; not copied
     * @param shape sizes, outermost first; none for a scalar
     * @return the view
     */
    public static Tensor of(int[] values, long... shape) {
        return of(DType.I32, MemorySegment.ofArray(values), shape);
    }

    /**
     * Views an array as I16.
     *
     * @param values the elements; not copied
     * @param shape sizes, outermost first; none for a scalar
     * @return the view
     */
    public static Tensor of(short[] values, long... shape) {
        return of(DType.I16, MemorySegment.ofArray(values), shape);
    }

    /**
     * Views an array as U8.
     *
     * @param values the elements; not copied
     * @param shape sizes, outermost first; none for a scalar
     * @return the view
     */
    public static Tensor of(byte[] values, long... shape) {
        return of(DType.U8, MemorySegment.ofArray(values), shape);
    }

    /**
     * The element type.
     *
     * @return element type
     */
    public DType dtype() {
        return dtype;
    }

    /**
     * The shape.
     *
     * @return a copy of the sizes, outermost first; empty for a scalar
     */
    public long[] shape() {
        return shape.clone();
    }

    /**
     * The number of axes.
     *
     * @return 0 for a scalar
     */
    public int rank() {
        return shape.length;
    }

    /**
     * One size.
     *
     * @param axis from 0, outermost first
     * @return the size of that axis
     * @throws IndexOutOfBoundsException if the tensor has no such axis
     */
    public long size(int axis) {
        return shape[axis];
    }

    /**
     * The number of elements.
     *
     * @return product of the sizes, 1 for a scalar
     */
    public long elementCount() {
        return elementCount;
    }

    /**
     * The number of bytes viewed.
     *
     * @return element count times element size
     */
    public long byteSize() {
        return elementCount * dtype.byteSize();
    }

    /**
     * The memory viewed.
     *
     * @return the memory
     */
    public Memory memory() {
        return memory;
    }

    /**
     * Where element 0 starts.
     *
     * @return offset in the memory, in bytes
     */
    public long byteOffset() {
        return byteOffset;
    }

    /**
     * Where element 0 lies: a device or native address, or the offset in an array.
     *
     * @return address of element 0
     */
    public long address() {
        return memory.address() + byteOffset;
    }

    /**
     * The viewed part of a host tensor.
     *
     * @return the bytes of exactly this tensor
     * @throws IllegalStateException if the tensor lies on a device
     */
    public MemorySegment segment() {
        if (memory instanceof HostMemory host) {
            return host.segment().asSlice(byteOffset, byteSize());
        }
        throw new IllegalStateException("tensor " + this + " is on a device: copy it to the host first");
    }

    /**
     * One element of a host tensor, for reading a result.
     *
     * @param index flat index
     * @return the element
     * @throws IndexOutOfBoundsException if the index is outside the tensor
     * @throws IllegalStateException if the tensor lies on a device
     */
    public double get(long index) {
        Objects.checkIndex(index, elementCount);
        MemorySegment bytes = segment();
        return switch (dtype) {
            case F32 -> bytes.get(ValueLayout.JAVA_FLOAT_UNALIGNED, index * 4);
            case F64 -> bytes.get(ValueLayout.JAVA_DOUBLE_UNALIGNED, index * 8);
            case I64 -> bytes.get(ValueLayout.JAVA_LONG_UNALIGNED, index * 8);
            case I32 -> bytes.get(ValueLayout.JAVA_INT_UNALIGNED, index * 4);
            case I16 -> bytes.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2);
            case U8 -> Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, index));
            case BF16 -> NarrowFloats.fromBf16(bytes.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2));
            case F16 -> NarrowFloats.fromF16(bytes.get(ValueLayout.JAVA_SHORT_UNALIGNED, index * 2));
        };
    }

    /**
     * Whether two tensors view a common byte.
     *
     * @param other another tensor
     * @return true if they overlap
     */
    public boolean overlaps(Tensor other) {
        return sameSpace(other) && elementCount > 0 && other.elementCount > 0
                && address() < other.address() + other.byteSize() && other.address() < address() + byteSize();
    }

    /**
     * Whether two tensors start at the same byte of the same space.
     *
     * @param other another tensor
     * @return true if element 0 of both is at the same place
     */
    public boolean startsWith(Tensor other) {
        return sameSpace(other) && address() == other.address();
    }

    private boolean sameSpace(Tensor other) {
        if (memory instanceof HostMemory a && other.memory instanceof HostMemory b) {
            return a.hidesArray() || b.hidesArray()
                    ? a.segment().asOverlappingSlice(b.segment()).isPresent()
                    : a.array() == b.array();
        }
        return memory instanceof DeviceMemory a && other.memory instanceof DeviceMemory b
                && a.deviceOrdinal() == b.deviceOrdinal() && a.backendName().equals(b.backendName());
    }

    @Override
    public String toString() {
        return dtype + Arrays.toString(shape) + "@0x" + Long.toHexString(address());
    }
}
