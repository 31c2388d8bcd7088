package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.IsobitException;
import dev.isobit.spi.BackendProvider;

/** Offers a broken backend to JVMs that ask for it: one bit of every gradient is flipped, or it cannot be opened. */
public final class BrokenProvider implements BackendProvider {
    static final String PROPERTY = "isobit.test.broken";
    /** Of JVMs that ask for one that cannot be opened. */
    public static final String UNOPENED_PROPERTY = "isobit.test.unopened";

    @Override
    public String name() {
        return "broken";
    }

    @Override
    public int priority() {
        return -1;
    }

    @Override
    public BackendProbe probe() {
        return new BackendProbe("broken", Boolean.getBoolean(PROPERTY) || Boolean.getBoolean(UNOPENED_PROPERTY),
                "only for tests");
    }

    @Override
    public Backend open(BackendOptions options) {
        if (Boolean.getBoolean(UNOPENED_PROPERTY)) {
            throw new IsobitException("Backend.open: out of memory");
        }
        return BrokenBackend
                .gradient(gradient -> BrokenBackend.setBits(gradient, 0, BrokenBackend.bits(gradient, 0) ^ 1));
    }
}
