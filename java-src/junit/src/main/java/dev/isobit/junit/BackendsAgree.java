package dev.isobit.junit;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.TestTemplate;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * A test that runs on every float32 backend here, on data of its own, and compares the tensors that it records, bit by
 * bit: first on {@code cpu}, then there with one and with three threads, then on {@code cuda} where there is a device, else
 * on {@code sim} where it is on the class path. Each is a test of its own in the report.
 *
 * <p>{@snippet :
 * @BackendsAgree
 * void crossEntropy(Trace trace) {
 *     Backend backend = trace.backend();
 *     Tensor logits = backend.allocate(DType.F32, 4, 1000);
 *     backend.copy(Tensor.of(mine, 4, 1000), logits);
 *     ...
 *     crossEntropy.loss(logits, targets, loss);
 *     trace.record("CrossEntropy", "loss", loss);
 * }
 * }
 *
 * <p>A difference is told as by {@link GoldenTrace}. A test that records nothing fails.
 */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@TestTemplate
@Execution(ExecutionMode.SAME_THREAD)
@ExtendWith(BackendsAgreeExtension.class)
public @interface BackendsAgree {
    /**
     * The backends to compare {@code cpu} with, beside its own numbers of threads. One that cannot run here is aborted with
     * the reason.
     *
     * @return names of backends; none for all that run here
     */
    String[] value() default {};
}
