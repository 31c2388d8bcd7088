package dev.isobit.safetensors;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;

/**
 * A tensor of a safetensors file: its name, type and shape, and a view of its bytes. It owns nothing: who made the
 * segment, or the file that it is a part of, keeps it alive.
 *
 * @param name any text but the empty one and {@code __metadata__}
 * @param dtype element type
 * @param shape sizes, outermost first, each at least 0; empty for a scalar
 * @param bytes the elements, little-endian, in row-major (C) order, with nothing between them; of any alignment
 */
public record StoredTensor(String name, StoredType dtype, long[] shape, MemorySegment bytes) {
    /** The name that the format keeps for itself. */
    static final String METADATA = "__metadata__";

    /**
     * Checks that the bytes are those of the shape.
     *
     * @throws IllegalArgumentException on a name that cannot be written, a negative size, or another number of bytes
     */
    public StoredTensor {
        Objects.requireNonNull(dtype, "dtype");
        shape = shape.clone();
        if (name.isEmpty() || name.equals(METADATA) || !StandardCharsets.UTF_8.newEncoder().canEncode(name)) {
            throw new IllegalArgumentException("tensor: the name " + Shown.text(name) + " cannot be stored");
        }
        long expected;
        try {
            expected = byteSize(dtype, shape);
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException("tensor " + Shown.text(name) + ": " + dtype + Arrays.toString(shape)
                    + " is larger than 2^63 bytes", e);
        }
        if (bytes.byteSize() != expected) {
            throw new IllegalArgumentException("tensor " + Shown.text(name) + ": " + dtype + Arrays.toString(shape)
                    + " has " + expected + " bytes, " + bytes.byteSize() + " are given");
        }
    }

    /** The size that a shape takes; an {@link ArithmeticException} where it is negative or has no 63 bits. */
    static long byteSize(StoredType dtype, long... shape) {
        long size = dtype.byteSize();
        for (long extent : shape) {
            if (extent < 0) {
                throw new ArithmeticException("negative size " + extent);
            }
            size = Math.multiplyExact(size, extent);
        }
        return size;
    }

    /**
     * The shape.
     *
     * @return a copy of the sizes, outermost first; empty for a scalar
     */
    @Override
    public long[] shape() {
        return shape.clone();
    }

    @Override
    public String toString() {
        return Shown.text(name) + " " + dtype + Arrays.toString(shape);
    }
}
