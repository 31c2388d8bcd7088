package dev.isobit.cuda;

import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/** Skips tests that need a device where there is none, with the reason. */
final class GpuExtension implements ExecutionCondition {
    private static CudaFinding finding;

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        CudaFinding found = find();
        return found.available()
                ? ConditionEvaluationResult.enabled(found.summary())
                : ConditionEvaluationResult.disabled("skipped: " + found.summary());
    }

    private static synchronized CudaFinding find() {
        if (finding == null) {
            finding = new CudaProvider().find();
        }
        return finding;
    }
}
