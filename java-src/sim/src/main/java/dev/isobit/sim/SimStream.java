package dev.isobit.sim;

import java.util.ArrayDeque;
import java.util.Deque;

/** A stream: work that is done in order, later. Guarded by the driver's lock. */
final class SimStream {
    final long handle;
    /** Whether it and the legacy default stream wait for each other. */
    final boolean blocking;
    final Deque<Work> queue = new ArrayDeque<>();

    SimStream(long handle, boolean blocking) {
        this.handle = handle;
        this.blocking = blocking;
    }
}
