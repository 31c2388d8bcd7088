package dev.isobit.sim;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.cuda.CudaProvider;
import dev.isobit.spi.BackendProvider;
import java.util.stream.Collectors;

/**
 * Offers the backend {@code sim}: the {@code cuda} backend over the simulated driver. It is opened by name only, and in a
 * JVM that has not looked for a CUDA driver before. What is simulated is said by the system properties of
 * {@link SimOptions}, read when the first {@code sim} of the JVM is opened.
 *
 * <p>Thread-safe.
 */
public final class SimProvider implements BackendProvider {
    /** The backend's name. */
    public static final String NAME = "sim";

    /** Below every backend that runs anywhere: {@code Backend.best()} never comes here. */
    private static final int LAST = -100;

    /** Called by the service loader. */
    public SimProvider() {}

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public int priority() {
        return LAST;
    }

    /** Says what would be simulated. Loads nothing: a probe must not decide which driver this JVM has. */
    @Override
    public BackendProbe probe() {
        SimulatedDriver running = SimulatedDriver.running();
        if (running != null) {
            return found(running.options());
        }
        String other = CudaProvider.loadedLibrary();
        return other == null
                ? probeOwnJvm()
                : new BackendProbe(NAME, false, "this JVM has loaded " + other
                        + " for the backend cuda: sim and cuda exclude each other in a JVM");
    }

    /**
     * What {@link #probe} says in a JVM that has not looked for a CUDA driver and has the system properties of this one.
     * Loads nothing.
     *
     * @return the finding
     */
    public static BackendProbe probeOwnJvm() {
        String os = System.getProperty("os.name", "");
        String arch = System.getProperty("os.arch", "");
        if (!os.equals("Linux") || !arch.equals("amd64") && !arch.equals("x86_64")) {
            return new BackendProbe(NAME, false, "the simulated driver needs Linux on x86-64, for JCuda does");
        }
        try {
            return found(SimOptions.fromProperties());
        } catch (IllegalArgumentException e) {
            return new BackendProbe(NAME, false, String.valueOf(e.getMessage()));
        }
    }

    private static BackendProbe found(SimOptions options) {
        return new BackendProbe(NAME, true, "PTX interpreted on a simulated "
                + options.chips().stream().map(Chip::target).collect(Collectors.joining(", "))
                + (options.sanitizing() ? ", watched" : "") + ": for tests, slow");
    }

    @Override
    public Backend open(BackendOptions options) {
        return new CudaProvider(NAME, driver().library()).open(options);
    }

    private static SimulatedDriver driver() {
        synchronized (SimulatedDriver.class) {
            SimulatedDriver running = SimulatedDriver.running();
            return running != null ? running : SimulatedDriver.start(SimOptions.fromProperties());
        }
    }
}
