package dev.isobit.sim;

import org.jspecify.annotations.Nullable;

/** A device and its primary context, which lives while somebody holds it. Guarded by the driver's lock. */
final class SimDevice {
    final int ordinal;
    final Chip chip;
    /** The handle of the primary context, the same for ever. */
    final long contextHandle;
    int holders;
    @Nullable
    SimContext context;

    SimDevice(int ordinal, Chip chip, long contextHandle) {
        this.ordinal = ordinal;
        this.chip = chip;
        this.contextHandle = contextHandle;
    }

    String name() {
        return "Isobit simulator " + chip.target();
    }
}
