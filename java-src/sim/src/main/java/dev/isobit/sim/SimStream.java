package dev.isobit.sim;

import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/** A stream: work that is done in order, later. Guarded by the driver's lock. */
final class SimStream {
    final long handle;
    /** Whether it and the legacy default stream wait for each other. */
    final boolean blocking;
    final Deque<Work> queue = new ArrayDeque<>();
    /** Takes what the stream is given, while it is captured. */
    @Nullable
    SimGraph capture;

    SimStream(long handle, boolean blocking) {
        this.handle = handle;
        this.blocking = blocking;
    }
}
