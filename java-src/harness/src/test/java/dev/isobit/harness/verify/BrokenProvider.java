package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.spi.BackendProvider;

/** Offers a broken backend to JVMs that ask for it: one bit of every gradient is flipped. */
public final class BrokenProvider implements BackendProvider {
    static final String PROPERTY = "isobit.test.broken";

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
        return new BackendProbe("broken", Boolean.getBoolean(PROPERTY), "only for tests");
    }

    @Override
    public Backend open(BackendOptions options) {
        return BrokenBackend
                .gradient(gradient -> BrokenBackend.setBits(gradient, 0, BrokenBackend.bits(gradient, 0) ^ 1));
    }
}
