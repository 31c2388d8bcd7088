package dev.isobit.reference;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.spi.BackendProvider;

/** Offers {@link ReferenceBackend}. It runs everywhere. */
public final class ReferenceProvider implements BackendProvider {
    /** Called by {@link java.util.ServiceLoader}. */
    public ReferenceProvider() {}

    @Override
    public String name() {
        return ReferenceBackend.NAME;
    }

    @Override
    public int priority() {
        return 0;
    }

    @Override
    public BackendProbe probe() {
        return new BackendProbe(ReferenceBackend.NAME, true, ReferenceBackend.DESCRIPTION);
    }

    @Override
    public Backend open(BackendOptions options) {
        return new ReferenceBackend();
    }
}
