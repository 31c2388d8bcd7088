package dev.isobit.sim;

import java.util.ArrayList;
import java.util.List;

/** What was captured from a stream, or was made of that to be launched. Guarded by the driver's lock. */
final class SimGraph {
    final List<Runnable> work;
    final boolean executable;
    /** Whether the capture met what cannot be captured. */
    boolean invalid;

    /** An empty one, for a capture. */
    SimGraph() {
        this.work = new ArrayList<>();
        this.executable = false;
    }

    /** One to be launched. */
    SimGraph(List<Runnable> work) {
        this.work = List.copyOf(work);
        this.executable = true;
    }
}
