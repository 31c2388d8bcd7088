package dev.isobit.cpu;

import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** A U8 operand, read as floats: by index from a {@code byte[]}, else from a segment. */
final class ByteOperand {
    private static final byte[] NO_ARRAY = new byte[0];

    private byte[] array = NO_ARRAY;
    MemorySegment segment = MemorySegment.NULL;
    /** Of element 0: an index into an array that is not empty, else a byte offset. */
    private long base;

    void set(Tensor tensor) {
        HostMemory memory = (HostMemory) tensor.memory();
        segment = memory.segment();
        boolean isArray = memory.array() instanceof byte[];
        array = memory.array() instanceof byte[] bytes ? bytes : NO_ARRAY;
        base = isArray ? tensor.address() : tensor.byteOffset();
    }

    float get(long element) {
        long position = base + element;
        return Byte.toUnsignedInt(array.length > 0
                ? array[(int) position]
                : segment.get(ValueLayout.JAVA_BYTE, position));
    }

    /** Elements of those that are eight a byte, the lowest bit first. */
    void copyBitsTo(float[] values, long element, int count) {
        int bits = 0;
        for (int i = 0; i < count; i++) {
            int bit = (int) (element + i & 7);
            if (i == 0 || bit == 0) {
                bits = (int) get(element + i >> 3);
            }
            values[i] = bits >> bit & 1;
        }
    }

    void copyTo(float[] values, int at, long element, int count) {
        for (int i = 0; i < count; i++) {
            values[at + i] = get(element + i);
        }
    }

    void clear() {
        array = NO_ARRAY;
        segment = MemorySegment.NULL;
    }
}
