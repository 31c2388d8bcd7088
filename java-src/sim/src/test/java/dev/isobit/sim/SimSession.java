package dev.isobit.sim;

import dev.isobit.cuda.CudaProvider;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.junit.platform.launcher.LauncherSession;
import org.junit.platform.launcher.LauncherSessionListener;

/**
 * Makes the simulated driver the libcuda.so.1 of a test JVM before anything looks for one. So the tests that are tagged
 * gpu, in the classes of the cuda module, find a device as they would on a machine with one.
 */
public final class SimSession implements LauncherSessionListener {
    /** Held, or its level would be collected: tests provoke what the driver warns of. */
    private static final Logger LOG = Logger.getLogger("isobit");

    /** Called by the service loader. */
    public SimSession() {}

    @Override
    public void launcherSessionOpened(LauncherSession session) {
        if (!SimProvider.probeOwnJvm().available()) {
            return; // the tests are skipped with the reason: SimExtension
        }
        LOG.setLevel(Level.SEVERE);
        System.setProperty(CudaProvider.LIBRARY_PROPERTY, driver().library().toString());
    }

    static synchronized SimulatedDriver driver() {
        SimulatedDriver running = SimulatedDriver.running();
        return running != null ? running : SimulatedDriver.start(SimOptions.fromProperties());
    }
}
