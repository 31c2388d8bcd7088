package dev.isobit.cpu;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.spi.BackendProvider;

/** Offers {@link CpuBackend}. It runs everywhere, unless a path is forced that does not. */
public final class CpuProvider implements BackendProvider {
    /** Called by {@link java.util.ServiceLoader}. */
    public CpuProvider() {}

    @Override
    public String name() {
        return CpuBackend.NAME;
    }

    @Override
    public int priority() {
        return 50;
    }

    @Override
    public BackendProbe probe() {
        String refusal = CpuPath.refusal();
        return refusal == null
                ? new BackendProbe(CpuBackend.NAME, true, CpuPath.chosen().description())
                : new BackendProbe(CpuBackend.NAME, false, refusal);
    }

    @Override
    public Backend open(BackendOptions options) {
        return new CpuBackend(CpuPath.chosen(), options.threads());
    }
}
