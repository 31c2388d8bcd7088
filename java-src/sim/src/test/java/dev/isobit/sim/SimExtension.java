package dev.isobit.sim;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.BackendProbe;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Of every test in a JVM of the simulated driver: it starts on a fresh machine, and leaves nothing behind in it. */
public final class SimExtension implements ExecutionCondition, BeforeEachCallback, AfterEachCallback {
    /** Called by the service loader. */
    public SimExtension() {}

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        BackendProbe probe = SimulatedDriver.running() == null ? SimProvider.probeOwnJvm() : new SimProvider().probe();
        return probe.available()
                ? ConditionEvaluationResult.enabled(probe.detail())
                : ConditionEvaluationResult.disabled("skipped: " + probe.detail());
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        SimSession.driver().reset(SimOptions.fromProperties());
    }

    @Override
    public void afterEach(ExtensionContext context) {
        SimulatedDriver driver = SimSession.driver();
        if (context.getExecutionException().isEmpty()) {
            assertAll("left in the driver", () -> assertEquals(List.of(), driver.violations(), "violations"),
                    () -> assertEquals(List.of(), driver.notSupported(), "functions that the simulator does not have"),
                    () -> assertEquals(List.of(), driver.deviceFaults(), "kernels that failed"),
                    () -> assertEquals(List.of(), driver.findings(), "findings"),
                    () -> assertEquals(Map.of(), driver.live(), "alive"));
        }
    }
}
