package dev.isobit.ptx;

/**
 * A launch that could not go on: an access outside memory, a trap, a barrier that can never complete. Carries the
 * kernel, the source line, the block and the thread; the message holds them all.
 */
public final class DeviceFault extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** What went wrong. */
    public enum Kind {
        /** An address that belongs to no memory. */
        OUT_OF_BOUNDS,
        /** An address that is no multiple of the access size. */
        MISALIGNED,
        /** Memory that was freed. */
        USE_AFTER_FREE,
        /** A write to memory that cannot be written. */
        READ_ONLY,
        /** {@code trap}, or a device assertion. */
        TRAP,
        /** No thread can go on. */
        DEADLOCK,
        /** More instructions than the launch allows. */
        LIMIT,
        /** An instruction used outside its definition, such as a shuffle by a thread that its mask leaves out. */
        UNDEFINED,
        /** The thread that waits for the launch was interrupted; it still is. */
        INTERRUPTED
    }

    /** What went wrong. */
    private final Kind kind;
    private final transient ThreadLocation thread;
    /** Address of the access. */
    private final long address;
    /** What happened, without the place. */
    private final String what;

    DeviceFault(Kind kind, String what, ThreadLocation thread, long address) {
        super(what + (thread == null ? "" : " in " + thread));
        this.kind = kind;
        this.thread = thread;
        this.address = address;
        this.what = what;
    }

    /** {@return what went wrong} */
    public Kind kind() {
        return kind;
    }

    /** What happened, without the place. */
    String what() {
        return what;
    }

    /** {@return which thread, at which instruction; null where no single thread is to blame} */
    public ThreadLocation thread() {
        return thread;
    }

    /** {@return the address of the access in its state space; 0 where there is none} */
    public long address() {
        return address;
    }
}
