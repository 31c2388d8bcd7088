package dev.isobit;

/**
 * Element types of a {@link Tensor}. All are little-endian in memory.
 *
 * <p>Thread-safe: an enum.
 */
public enum DType {
    /** IEEE 754 binary32, the type in which every kernel computes. */
    F32(4, true),
    /** bfloat16: the upper half of a binary32. */
    BF16(2, true),
    /** IEEE 754 binary16. */
    F16(2, true),
    /** IEEE 754 binary64; the reference backend only. */
    F64(8, true),
    /** Signed 64-bit integer: class indices. */
    I64(8, false),
    /** Signed 32-bit integer: class indices. */
    I32(4, false),
    /** Signed 16-bit integer: class indices. */
    I16(2, false),
    /** Unsigned 8-bit integer: class indices, binary targets, masks. */
    U8(1, false);

    private final int byteSize;
    private final boolean floating;

    DType(int byteSize, boolean floating) {
        this.byteSize = byteSize;
        this.floating = floating;
    }

    /**
     * The size of one element.
     *
     * @return bytes per element
     */
    public int byteSize() {
        return byteSize;
    }

    /**
     * Whether elements are floating-point numbers.
     *
     * @return true for F32, BF16, F16 and F64
     */
    public boolean isFloating() {
        return floating;
    }
}
