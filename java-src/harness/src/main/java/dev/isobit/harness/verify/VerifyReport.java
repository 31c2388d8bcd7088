package dev.isobit.harness.verify;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.isobit.harness.Machine;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What {@code isobit verify} found, as its JSON file has it. Another meaning of a field is another {@link #FORMAT}.
 *
 * @param format name and version of this form
 * @param machine where it ran
 * @param grid {@code default} or {@code full}
 * @param problems how many problems the grid has
 * @param operations how many of each operation
 * @param seconds wall-clock time
 * @param passed whether every promise was kept and something was compared
 * @param failures why not, a line each
 * @param subjects what was compared
 * @param absent backends that do not run here, and why
 * @param accuracy promise 2: errors against float64, by backend, operation, output and kind of inputs
 * @param agreement promise 1: bits of every pair of subjects
 * @param forms promise 1: bits of the same problem asked in another way, by subject and form
 * @param edges promise 3: inputs with one documented result
 * @param faults writes out of bounds, inputs changed, elements not written, NaNs that are not canonical
 */
record VerifyReport(String format, Machine machine, String grid, int problems,
        @Nullable Map<String, Integer> operations, double seconds, boolean passed,
        List<String> failures, List<SubjectEntry> subjects, List<String> absent, List<Accuracy> accuracy,
        List<Agreement> agreement, List<FormAgreement> forms, List<Edge> edges, List<String> faults) {
    static final String FORMAT = "isobit-verify/1";

    /**
     * A backend in some configuration.
     *
     * @param name for people
     * @param description what ran
     * @param flags flags of its own JVM; null if it ran in the JVM of the command
     */
    record SubjectEntry(String name, String description,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable List<String> flags) {}

    /**
     * Errors of one output over all problems with one kind of inputs.
     *
     * @param backend name of the subject
     * @param operation such as {@code AdamW}
     * @param output such as {@code gradient}
     * @param inputs kind of inputs
     * @param elements how many elements were measured
     * @param maxUlp largest error, in units in the last place of float32
     * @param rmsUlp root of the mean of the squared errors
     * @param budget the largest error promised
     * @param over how many elements were not within budget
     * @param worst where the error was largest
     */
    record Accuracy(String backend, String operation, String output, String inputs, long elements, double maxUlp,
            double rmsUlp, double budget, long over,
            @JsonInclude(JsonInclude.Include.ALWAYS) Judge.@Nullable Worst worst) {}

    /**
     * Two subjects.
     *
     * @param first one
     * @param second the other
     * @param outputs how many outputs were compared
     * @param elements how many elements those have
     * @param differingOutputs in how many of them a bit differed
     * @param firstDifference the first of those; null if there is none
     */
    record Agreement(String first, String second, long outputs, long elements, long differingOutputs,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable Difference firstDifference) {}

    /**
     * One subject, asked in two ways.
     *
     * @param subject which
     * @param form the other way, such as {@code in place}
     * @param outputs how many outputs were compared
     * @param elements how many elements those have
     * @param differingOutputs in how many of them a bit differed
     * @param firstDifference the first of those; null if there is none
     */
    record FormAgreement(String subject, String form, long outputs, long elements, long differingOutputs,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable Difference firstDifference) {}

    /**
     * Where bits differ.
     *
     * @param problem name of the problem
     * @param output which output
     * @param index the first element that differs; -1 if a second run did not differ again
     * @param differing how many elements of that output differ; -1 likewise
     * @param expected its bits in the first, hexadecimal; null likewise
     * @param actual in the second
     */
    record Difference(String problem, String output, long index, long differing,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable String expected,
            @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable String actual) {
        @Override
        public String toString() {
            return problem + ", " + output
                    + (index < 0
                            ? ""
                            : "[" + index + "]: " + expected + " and " + actual + "; " + differing + " differ");
        }
    }

    /**
     * An input with one documented result.
     *
     * @param subject which backend
     * @param check what was tried
     * @param kept whether the result was the documented one
     * @param detail what came instead; empty if kept
     */
    record Edge(String subject, String check, boolean kept, String detail) {}
}
