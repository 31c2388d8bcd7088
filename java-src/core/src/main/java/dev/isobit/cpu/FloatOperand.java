package dev.isobit.cpu;

import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A float operand as the kernels access it. One call site that meets both heap and native memory is slow, so the
 * kernels are specialised by {@link Kind}; the unused field of an operand is empty. All of them compute in float32: most reach
 * an operand of BF16 or F16 through copies, block by block.
 */
final class FloatOperand {
    /** How the elements are reached. */
    enum Kind {
        /** A {@code float[]}, by index. */
        ARRAY,
        /** Native memory, by byte offset in a segment of the class {@link #NATIVE_SEGMENT}. */
        NATIVE,
        /** Native memory behind another class of segment, a mapped file: the same access, not as well compiled. */
        MAPPED,
        /** Heap memory over an array of another type: only scalar code reaches it. */
        OTHER,
        /** BF16 or F16, in a {@code short[]} or in a segment. */
        NARROW
    }

    /**
     * What arenas allocate. A kernel that has compared a segment's class with this lets the JIT know that there is no
     * array behind it; without, every store is compiled for both cases and takes one and a half times as long.
     */
    static final Class<?> NATIVE_SEGMENT = MemorySegment.NULL.getClass();

    private static final float[] NO_ARRAY = new float[0];
    private static final short[] NO_SHORTS = new short[0];

    Kind kind = Kind.OTHER;
    float[] array = NO_ARRAY;
    /** Of {@link Kind#NARROW}, where it is an array. */
    short[] shorts = NO_SHORTS;
    /** Whether {@link Kind#NARROW} is F16, else BF16. */
    boolean f16;
    MemorySegment segment = MemorySegment.NULL;
    /** Of element 0: an index of an array that is not empty, else a byte offset in {@link #segment}. */
    long base;
    private NarrowCopy widening = ScalarKernels.WIDEN;
    private NarrowCopy narrowing = ScalarKernels.NARROW;

    /**
     * Points to a tensor.
     *
     * @param tensor F32, BF16 or F16; I16 for its bits alone
     */
    void set(Tensor tensor) {
        HostMemory memory = (HostMemory) tensor.memory();
        Object heap = memory.array();
        segment = memory.segment();
        shorts = NO_SHORTS;
        if (tensor.dtype() != DType.F32) {
            kind = Kind.NARROW;
            array = NO_ARRAY;
            f16 = tensor.dtype() == DType.F16;
            boolean isArray = heap instanceof short[] && tensor.address() % Short.BYTES == 0;
            shorts = isArray ? (short[]) heap : NO_SHORTS;
            base = isArray ? tensor.address() / Short.BYTES : tensor.byteOffset();
        } else if (heap instanceof float[] floats && tensor.address() % Float.BYTES == 0) {
            kind = Kind.ARRAY;
            array = floats;
            base = tensor.address() / Float.BYTES;
        } else {
            kind = segment.getClass() == NATIVE_SEGMENT ? Kind.NATIVE : segment.isNative() ? Kind.MAPPED : Kind.OTHER;
            array = NO_ARRAY;
            base = tensor.byteOffset();
        }
    }

    /**
     * Points to a tensor, and chooses what {@link #widen} and {@link #narrow} run.
     *
     * @param tensor F32, BF16 or F16
     * @param kernels of the path
     */
    void set(Tensor tensor, CpuKernels kernels) {
        set(tensor);
        if (kind == Kind.NARROW) {
            widening = kernels.widen(this);
            narrowing = kernels.narrow(this);
        }
    }

    /** Points to scratch memory, in which an element that need not be 0 is the first. */
    void set(MemorySegment scratch, long firstElement) {
        kind = Kind.NATIVE;
        array = NO_ARRAY;
        segment = scratch;
        base = -firstElement * Float.BYTES;
    }

    boolean isNarrow() {
        return kind == Kind.NARROW;
    }

    /** Points to all of an array. */
    void set(float[] elements) {
        kind = Kind.ARRAY;
        array = elements;
        segment = MemorySegment.NULL;
        base = 0;
    }

    /** Points to where another operand points. */
    void set(FloatOperand other) {
        kind = other.kind;
        array = other.array;
        shorts = other.shorts;
        f16 = other.f16;
        segment = other.segment;
        base = other.base;
    }

    /** Where an element stands: an index of an array that is not empty, else a byte offset. */
    long position(long element) {
        if (kind == Kind.NARROW) {
            return base + (shorts.length > 0 ? element : element * Short.BYTES);
        }
        return base + (kind == Kind.ARRAY ? element : element * Float.BYTES);
    }

    /** Whether another operand's elements stand right behind the first so many of this one. */
    boolean isFollowedBy(FloatOperand next, long count) {
        boolean isArray = array.length > 0 || shorts.length > 0;
        return kind == next.kind && f16 == next.f16 && next.base == position(count) && array == next.array
                && shorts == next.shorts && (isArray || segment == next.segment);
    }

    float get(long element) {
        if (kind == Kind.NARROW) {
            short bits = bits(element);
            return f16 ? NarrowFloats.fromF16(bits) : NarrowFloats.fromBf16(bits);
        }
        if (kind == Kind.ARRAY) {
            return array[(int) position(element)];
        }
        return segment.getClass() == NATIVE_SEGMENT
                ? segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, position(element))
                : segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, position(element));
    }

    void set(long element, float value) {
        if (kind == Kind.ARRAY) {
            array[(int) position(element)] = value;
        } else if (kind == Kind.NARROW) {
            setBits(element, f16 ? NarrowFloats.toF16(value) : NarrowFloats.toBf16(value));
        } else if (segment.getClass() == NATIVE_SEGMENT) {
            segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, position(element), value);
        } else {
            segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, position(element), value);
        }
    }

    /** Writes elements from an array's first. */
    void copyFrom(float[] values, long element, int count) {
        if (kind == Kind.NARROW) {
            convert(narrowing, ScalarKernels.NARROW, element, values, 0, count);
        } else if (kind == Kind.ARRAY) {
            System.arraycopy(values, 0, array, (int) position(element), count);
        } else {
            MemorySegment.copy(values, 0, segment, ValueLayout.JAVA_FLOAT_UNALIGNED, position(element), count);
        }
    }

    /** Reads elements into an array. */
    void copyTo(float[] values, int at, long element, int count) {
        if (kind == Kind.NARROW) {
            convert(widening, ScalarKernels.WIDEN, element, values, at, count);
        } else if (kind == Kind.ARRAY) {
            System.arraycopy(array, (int) position(element), values, at, count);
        } else {
            MemorySegment.copy(segment, ValueLayout.JAVA_FLOAT_UNALIGNED, position(element), values, at, count);
        }
    }

    // What is left of a vector not by the vector code itself: were the JIT to take back what it has inlined of that, vectors
    // would be boxed.

    private void convert(NarrowCopy copy, NarrowCopy rest, long element, float[] floats, int at, int count) {
        int whole = count - count % copy.width();
        if (whole > 0) {
            copy.run(this, element, floats, at, whole);
        }
        if (whole < count) {
            rest.run(this, element + whole, floats, at + whole, count - whole);
        }
    }

    private void convert(NarrowCopy copy, NarrowCopy rest, long element, MemorySegment floats, long at, int count) {
        int whole = count - count % copy.width();
        if (whole > 0) {
            copy.run(this, element, floats, at, whole);
        }
        if (whole < count) {
            rest.run(this, element + whole, floats, at + (long) whole * Float.BYTES, count - whole);
        }
    }

    /** Reads elements of 16 bits into native memory, as float32. */
    void widen(long element, MemorySegment floats, long byteOffset, int count) {
        convert(widening, ScalarKernels.WIDEN, element, floats, byteOffset, count);
    }

    /** Writes elements of 16 bits from float32 in native memory. */
    void narrow(long element, MemorySegment floats, long byteOffset, int count) {
        convert(narrowing, ScalarKernels.NARROW, element, floats, byteOffset, count);
    }

    /** Writes elements of 16 bits from the same elements of an operand of float32. */
    void narrowFrom(FloatOperand floats, long element, int count) {
        switch (floats.kind) {
            case ARRAY -> convert(narrowing, ScalarKernels.NARROW, element, floats.array,
                    (int) floats.position(element), count);
            case NATIVE -> convert(narrowing, ScalarKernels.NARROW, element, floats.segment, floats.position(element),
                    count);
            default -> ScalarKernels.NARROW.run(this, element, floats.segment, floats.position(element), count);
        }
    }

    /** An element of 16 bits as it stands in memory. */
    short bits(long element) {
        return shorts.length > 0
                ? shorts[(int) position(element)]
                : segment.get(ValueLayout.JAVA_SHORT_UNALIGNED, position(element));
    }

    /** Writes an element of 16 bits. */
    void setBits(long element, short bits) {
        if (shorts.length > 0) {
            shorts[(int) position(element)] = bits;
        } else {
            segment.set(ValueLayout.JAVA_SHORT_UNALIGNED, position(element), bits);
        }
    }

    void fill(long element, long length, float value) {
        if (kind == Kind.ARRAY) {
            Arrays.fill(array, (int) position(element), (int) position(element + length), value);
        } else if (shorts.length > 0) {
            Arrays.fill(shorts, (int) position(element), (int) position(element + length),
                    f16 ? NarrowFloats.toF16(value) : NarrowFloats.toBf16(value));
        } else {
            for (long i = element; i < element + length; i++) {
                set(i, value);
            }
        }
    }

    boolean hasNaN(long element, long length) {
        for (long i = element; i < element + length; i++) {
            float value = get(i);
            if (value != value) {
                return true;
            }
        }
        return false;
    }

    void clear() {
        array = NO_ARRAY;
        shorts = NO_SHORTS;
        segment = MemorySegment.NULL;
    }
}
