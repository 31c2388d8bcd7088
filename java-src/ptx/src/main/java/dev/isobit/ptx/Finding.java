package dev.isobit.ptx;

/**
 * Something that the sanitizer found wrong. The same fault at the same instruction is reported once, with the number of
 * times that it happened.
 *
 * @param kind what it is
 * @param message what happened, in words
 * @param thread the first thread to do it, at the instruction that did it
 * @param other the other thread of a race, at the access that it made; else null
 * @param address the first address, in its state space; 0 where there is none
 * @param count how often it happened
 */
public record Finding(Kind kind, String message, ThreadLocation thread, ThreadLocation other, long address,
        long count) {
    /** Kinds of findings. */
    public enum Kind {
        /** Access to an address that belongs to no memory, or past the end of a piece of memory. */
        OUT_OF_BOUNDS,
        /** Access at an address that is no multiple of its size; a vector counts as a whole. */
        MISALIGNED,
        /** Access to memory that was freed. */
        USE_AFTER_FREE,
        /** Write to memory that cannot be written. */
        READ_ONLY,
        /** Read of global or shared memory that nobody has written. */
        UNINITIALISED,
        /** Two threads access the same bytes, one of them writes, and nothing orders them. */
        RACE,
        /** A barrier that some threads of the block never reach, or reach elsewhere. */
        DIVERGENT_BARRIER,
        /** A shuffle that reads from a thread which does not take part. */
        UNDEFINED_SHUFFLE,
        /** Access to the shared memory of a block that has ended, or that may not have started. */
        ABSENT_BLOCK
    }

    @Override
    public String toString() {
        return kind + ": " + message + " in " + thread + (other == null ? "" : "; the other access: " + other)
                + (count > 1 ? " (" + count + " times)" : "");
    }
}
