package dev.isobit.cuda;

/** What queues launches on a stream. */
interface StreamOperation {
    /** Whether its kernels, tables and scratch memory may be gone. */
    boolean isClosed();
}
