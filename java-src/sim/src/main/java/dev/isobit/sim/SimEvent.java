package dev.isobit.sim;

import org.jspecify.annotations.Nullable;

/** An event: the last mark that it made in a stream; null before the first. Guarded by the driver's lock. */
final class SimEvent {
    @Nullable
    Work mark;
}
