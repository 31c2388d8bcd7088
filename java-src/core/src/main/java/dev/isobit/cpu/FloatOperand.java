package dev.isobit.cpu;

import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * A float32 operand as the kernels access it. One call site that meets both heap and native memory is slow, so the
 * kernels are specialised by {@link Kind}; the unused field of an operand is empty.
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
        OTHER
    }

    /**
     * What arenas allocate. A kernel that has compared a segment's class with this lets the JIT know that there is no
     * array behind it; without, every store is compiled for both cases and takes one and a half times as long.
     */
    static final Class<?> NATIVE_SEGMENT = MemorySegment.NULL.getClass();

    private static final float[] NO_ARRAY = new float[0];

    Kind kind = Kind.OTHER;
    float[] array = NO_ARRAY;
    MemorySegment segment = MemorySegment.NULL;
    /** Of element 0: an index for {@link Kind#ARRAY}, else a byte offset in {@link #segment}. */
    long base;

    void set(Tensor tensor) {
        HostMemory memory = (HostMemory) tensor.memory();
        Object heap = memory.array();
        segment = memory.segment();
        if (heap instanceof float[] floats && tensor.address() % Float.BYTES == 0) {
            kind = Kind.ARRAY;
            array = floats;
            base = tensor.address() / Float.BYTES;
        } else {
            kind = segment.getClass() == NATIVE_SEGMENT ? Kind.NATIVE : segment.isNative() ? Kind.MAPPED : Kind.OTHER;
            array = NO_ARRAY;
            base = tensor.byteOffset();
        }
    }

    /** Where an element stands: an index for {@link Kind#ARRAY}, else a byte offset. */
    long position(long element) {
        return base + (kind == Kind.ARRAY ? element : element * Float.BYTES);
    }

    /** Whether another operand's elements stand right behind the first so many of this one. */
    boolean isFollowedBy(FloatOperand next, long count) {
        return kind == next.kind && next.base == position(count)
                && (kind == Kind.ARRAY ? array == next.array : segment == next.segment);
    }

    float get(long element) {
        return kind == Kind.ARRAY
                ? array[(int) position(element)]
                : segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, position(element));
    }

    void set(long element, float value) {
        if (kind == Kind.ARRAY) {
            array[(int) position(element)] = value;
        } else if (segment.getClass() == NATIVE_SEGMENT) {
            segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, position(element), value);
        } else {
            segment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, position(element), value);
        }
    }

    /** Writes the first floats of a segment. */
    void copyFrom(MemorySegment values, long element, long length) {
        if (kind == Kind.ARRAY) {
            MemorySegment.copy(values, ValueLayout.JAVA_FLOAT, 0, array, (int) position(element), (int) length);
        } else {
            MemorySegment.copy(values, 0, segment, position(element), length * Float.BYTES);
        }
    }

    /** Writes elements from an array's first. */
    void copyFrom(float[] values, long element, int count) {
        if (kind == Kind.ARRAY) {
            System.arraycopy(values, 0, array, (int) position(element), count);
        } else {
            MemorySegment.copy(values, 0, segment, ValueLayout.JAVA_FLOAT_UNALIGNED, position(element), count);
        }
    }

    /** Reads elements into an array. */
    void copyTo(float[] values, int at, long element, int count) {
        if (kind == Kind.ARRAY) {
            System.arraycopy(array, (int) position(element), values, at, count);
        } else {
            MemorySegment.copy(segment, ValueLayout.JAVA_FLOAT_UNALIGNED, position(element), values, at, count);
        }
    }

    void fill(long element, long length, float value) {
        if (kind == Kind.ARRAY) {
            Arrays.fill(array, (int) position(element), (int) position(element + length), value);
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
        segment = MemorySegment.NULL;
    }
}
