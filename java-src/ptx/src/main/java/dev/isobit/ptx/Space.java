package dev.isobit.ptx;

/** A PTX state space that holds memory. */
public enum Space {
    /** Memory of the device, seen by every thread: allocations and {@code .global} variables. */
    GLOBAL,
    /** Memory of a block; with clusters, reachable from its neighbours. */
    SHARED,
    /** Memory of one thread, with the parameters of device functions. */
    LOCAL,
    /** {@code .const} variables. */
    CONST,
    /** The argument block of the launch. */
    PARAM;

    /** Lowest generic address of each window; a generic address below all windows is a global address. */
    static final long FIRST_WINDOW = 0x7000_0000_0000L;

    /** The generic address of offset 0 in this space. */
    long window() {
        return this == GLOBAL ? 0 : FIRST_WINDOW + ((long) ordinal() << 32);
    }

    /** The space that a generic address lies in. */
    static Space ofGeneric(long address) {
        long index = (address - FIRST_WINDOW) >> 32;
        return switch ((int) Math.max(-1, Math.min(index, 99))) {
            case 1 -> SHARED;
            case 2 -> LOCAL;
            case 3 -> CONST;
            case 4 -> PARAM;
            default -> GLOBAL;
        };
    }
}
