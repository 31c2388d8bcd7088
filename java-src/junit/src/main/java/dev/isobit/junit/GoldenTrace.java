package dev.isobit.junit;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * A test that compares a training run with a recorded one, the golden trace: every tensor that the method records, at
 * every step, bit by bit. All float32 backends have the same bits, so a trace recorded on a GPU holds on the CPU.
 *
 * <p>{@snippet :
 * @GoldenTrace
 * void trains(Trace trace) {
 *     Backend backend = trace.backend();
 *     for (int step = 1; step <= 20; step++) {
 *         trace.step();
 *         crossEntropy.lossAndGradient(logits, targets, loss, gradLogits);
 *         trace.record("CrossEntropy", "loss", loss);
 *         adamW.step();
 *         trace.record("AdamW", "logits", logits);
 *     }
 * }
 * }
 *
 * <p><b>Recording</b> is asked for by {@code -Disobit.golden=record}, and by nothing else. It runs on
 * {@code Backend.best()}, writes the trace into {@code src/test/resources} (the system property
 * {@code isobit.golden.dir} names another folder), in the folder of the test's package, and ends the test as aborted,
 * never as passed: it has compared nothing. Commit what it wrote.
 *
 * <p><b>Replay</b> runs on the {@code cpu} backend, or on the one that {@code -Disobit.backend} forces, and reads the trace
 * from the class path. It fails where the run parts from the trace first, and names step, operation, tensor, element, both
 * bit patterns and their distance in ULP; two NaNs are equal. A trace that is missing or damaged, and one that is stale,
 * because the test records other tensors by now, are failures that say so.
 *
 * <p><b>Files:</b> {@code NAME.golden} is text, with a line for each tensor: the bits of up to four elements, else a
 * hash. {@code NAME.golden.gz} holds the bits of the larger ones; without them ({@link Detail#HASHES}) the trace has a size
 * that does not depend on the tensors', and the element at which a larger tensor parts cannot be named.
 */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@Test
@ExtendWith(GoldenTraceExtension.class)
public @interface GoldenTrace {
    /** What a trace keeps of tensors with more than four elements. */
    enum Detail {
        /** All bits: the first element that differs is named. */
        ELEMENTS,
        /** A hash: the first tensor that differs is named. */
        HASHES
    }

    /**
     * The trace's name.
     *
     * @return name of its files; empty for the class's and the method's name with a dot between
     */
    String value() default "";

    /**
     * What the trace keeps.
     *
     * @return what is written when it is recorded
     */
    Detail detail() default Detail.ELEMENTS;
}
