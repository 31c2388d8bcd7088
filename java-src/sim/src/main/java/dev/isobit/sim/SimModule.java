package dev.isobit.sim;

import dev.isobit.ptx.Entry;
import dev.isobit.ptx.Image;
import java.util.ArrayList;
import java.util.List;

/** A module loaded in a context, and the handles of its functions. Guarded by the driver's lock. */
final class SimModule {
    final Image image;
    final List<Long> functions = new ArrayList<>();

    SimModule(Image image) {
        this.image = image;
    }

    /** A function of a module. */
    static final class Function {
        final SimModule module;
        final Entry entry;
        int mostSharedBytes;

        Function(SimModule module, Entry entry) {
            this.module = module;
            this.entry = entry;
            this.mostSharedBytes = Math.max(0, Chip.SHARED_BYTES_UNASKED - entry.sharedBytes());
        }
    }
}
