package dev.isobit.junit;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestExecutionResult.Status;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * How a test ended.
 *
 * @param status passed, aborted, failed
 * @param message what it said
 */
record Outcome(Status status, String message) {
    /** Runs one method of a class that is no test by itself; outcomes by display name. */
    static Map<String, Outcome> of(Class<?> type, String method) {
        Map<String, Outcome> outcomes = new LinkedHashMap<>();
        LauncherFactory.create().execute(LauncherDiscoveryRequestBuilder.request()
                .selectors(selectMethod(type, method, Trace.class.getName())).build(),
                new TestExecutionListener() {
                    @Override
                    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                        if (test.isTest()) {
                            outcomes.put(test.getDisplayName(), new Outcome(result.getStatus(),
                                    result.getThrowable().map(e -> Objects.toString(e.getMessage())).orElse("")));
                        }
                    }
                });
        return outcomes;
    }

    static Outcome ofOne(Class<?> type, String method) {
        return of(type, method).values().iterator().next();
    }
}
