package dev.isobit.harness.verify;

/** Where operands lie. On a device the first two are the same. */
enum Placement {
    /** Java arrays. */
    HEAP,
    /** Native memory, aligned to 64 bytes. */
    NATIVE,
    /** Native memory, an odd number of elements past an aligned address. */
    SHIFTED
}
