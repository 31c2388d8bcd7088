package dev.isobit.cpu;

import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * A float32 operand as the kernels access it. One call site that meets both heap and native memory is slow, so the
 * kernels are specialised by {@link Kind}; the unused field of an operand is empty.
 */
final class FloatOperand {
    /** How the elements are reached. */
    enum Kind {
        /** A {@code float[]}, by index. */
        ARRAY,
        /** Native memory, by byte offset. */
        NATIVE,
        /** Heap memory over an array of another type: only scalar code reaches it. */
        OTHER
    }

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
            kind = segment.isNative() ? Kind.NATIVE : Kind.OTHER;
            array = NO_ARRAY;
            base = tensor.byteOffset();
        }
    }

    /** The byte offset of element 0 in {@link #segment}, whatever the kind. */
    long byteBase() {
        return kind == Kind.ARRAY ? base * Float.BYTES - segment.address() : base;
    }

    void clear() {
        array = NO_ARRAY;
        segment = MemorySegment.NULL;
    }
}
