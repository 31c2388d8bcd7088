package dev.isobit.harness;

import dev.isobit.Backend;
import dev.isobit.BackendProbe;
import dev.isobit.sim.SimProvider;
import java.util.List;

/**
 * Backends that get a JVM of their own: a process has one libcuda.so.1, so that a simulated one here would be the only
 * one for the rest of a command, and a real one keeps the simulated one out.
 */
public final class OwnJvm {
    /** The backend with a simulated driver. */
    public static final String SIM = SimProvider.NAME;

    private OwnJvm() {}

    /**
     * Whether a backend is opened in a child and never here.
     *
     * @param backend its name
     * @return true for {@code sim}
     */
    public static boolean isFor(String backend) {
        return backend.equals(SIM);
    }

    /**
     * Every backend, best first, each as it is where it is opened.
     *
     * @return one entry per backend
     */
    public static List<BackendProbe> probes() {
        return Backend.probes().stream().map(probe -> isFor(probe.name()) ? SimProvider.probeOwnJvm() : probe).toList();
    }
}
