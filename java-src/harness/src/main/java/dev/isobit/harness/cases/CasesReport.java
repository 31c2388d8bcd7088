package dev.isobit.harness.cases;

import dev.isobit.harness.Machine;
import java.util.List;

/**
 * What came out of a directory of cases; the JSON that {@code isobit cases --json} writes.
 *
 * @param format version of this record
 * @param machine where
 * @param directory which cases
 * @param backend name of the backend
 * @param description what ran there
 * @param passed whether something was compared and nothing failed
 * @param results one per case, in the order of the directory
 */
record CasesReport(int format, Machine machine, String directory, String backend, String description, boolean passed,
        List<Result> results) {
    static final int FORMAT = 1;

    /** How a case ended. */
    enum Status {
        /** All that was to be met was met. */
        PASSED,
        /** Something was not met, or the operation failed. */
        FAILED,
        /** It says nothing that is to be met: distances are told. */
        MEASURED,
        /** The library does not have what it asks for. */
        UNSUPPORTED
    }

    /**
     * A case's end.
     *
     * @param id the case
     * @param op its operation
     * @param dtype its type
     * @param status how it ended
     * @param reason why, if it failed or is unsupported; else empty
     * @param comparisons one for each expectation
     */
    record Result(String id, String op, String dtype, Status status, String reason, List<Comparison> comparisons) {}

    /**
     * An expectation and what was computed.
     *
     * @param name of the expectation
     * @param output of the operation
     * @param kind whether it was to be met
     * @param elements how many values
     * @param over how many were not within the tolerances, of those that were to be met
     * @param maxUlp the largest distance, in units in the last place of the case's type
     * @param rmsUlp the root of the mean of the squared distances
     * @param worst where it is largest; -1 if there is nothing, or not as many values as expected
     * @param expected the value there; the shape, if the number of values differs
     * @param actual what was computed there; the shape, if the number of values differs
     */
    record Comparison(String name, String output, Expectation.Kind kind, long elements, long over, double maxUlp,
            double rmsUlp, long worst, String expected, String actual) {}

    static CasesReport of(String directory, String backend, String description, List<Result> results) {
        boolean failed = results.stream().anyMatch(result -> result.status() == Status.FAILED);
        boolean compared = results.stream().anyMatch(result -> !result.comparisons().isEmpty());
        return new CasesReport(FORMAT, Machine.here(), directory, backend, description, compared && !failed, results);
    }

    long count(Status status) {
        return results.stream().filter(result -> result.status() == status).count();
    }
}
