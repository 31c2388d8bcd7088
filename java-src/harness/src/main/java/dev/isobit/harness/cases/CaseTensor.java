package dev.isobit.harness.cases;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.stream.Collectors;

/**
 * A tensor of a case.
 *
 * @param type element type
 * @param shape sizes, outermost first; empty for a scalar
 * @param bytes the elements, little-endian, in row-major (C) order
 */
record CaseTensor(CaseType type, long[] shape, MemorySegment bytes) {
    /** How a scalar's shape is written. */
    private static final String SCALAR = "scalar";

    /** An {@link IllegalArgumentException} where the bytes are not those of the shape. */
    CaseTensor {
        long size = type.byteSize();
        for (long extent : shape) {
            size = extent < 0 ? -1 : Math.multiplyExact(size, extent);
        }
        if (bytes.byteSize() != size) {
            throw new IllegalArgumentException(
                    type + " " + text(shape) + " has " + size + " bytes, not " + bytes.byteSize());
        }
    }

    static long[] shape(String text) {
        return text.equals(SCALAR)
                ? new long[0]
                : Arrays.stream(text.split("x", -1)).mapToLong(Long::parseLong).toArray();
    }

    static String text(long[] shape) {
        return shape.length == 0
                ? SCALAR
                : Arrays.stream(shape).mapToObj(Long::toString).collect(Collectors.joining("x"));
    }

    long elementCount() {
        return bytes.byteSize() / type.byteSize();
    }

    double get(long index) {
        return type.get(bytes, index);
    }
}
