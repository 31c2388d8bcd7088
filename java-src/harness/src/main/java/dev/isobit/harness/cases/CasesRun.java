package dev.isobit.harness.cases;

import dev.isobit.Backend;
import dev.isobit.IsobitException;
import dev.isobit.harness.Workspace;
import dev.isobit.harness.cases.CasesReport.Comparison;
import dev.isobit.harness.cases.CasesReport.Result;
import dev.isobit.harness.cases.CasesReport.Status;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.LongConsumer;
import org.jspecify.annotations.Nullable;

/** Runs a directory of cases on one backend. */
final class CasesRun {
    private CasesRun() {}

    /**
     * Runs all cases, each for itself: what one throws is its own result.
     *
     * @param folder the directory
     * @param backendName what is opened
     * @param out an empty folder for what is computed, null for none
     * @param workspace for files that are written whole
     * @param progress told after each case
     */
    static CasesReport run(Path folder, String backendName, @Nullable Path out, Workspace workspace,
            LongConsumer progress) {
        try (Arena arena = Arena.ofShared(); Backend backend = Backend.open(backendName)) {
            List<Result> results = new ArrayList<>();
            List<Case> cases = CaseDirectory.read(folder, arena);
            try (CaseWriter writer = out == null ? null : new CaseWriter(out, workspace)) {
                for (Case asked : cases) {
                    results.add(run(asked, backend, writer));
                    progress.accept(1);
                }
                if (writer != null) {
                    writer.finish();
                }
            }
            return CasesReport.of(folder.toString(), backendName, backend.description(), results);
        }
    }

    private static Result run(Case asked, Backend backend, @Nullable CaseWriter writer) {
        CaseOp op = CaseOp.ALL.stream().filter(known -> known.names().contains(asked.op())).findFirst().orElse(null);
        if (op == null) {
            return result(asked, Status.UNSUPPORTED, "operation " + asked.op(), List.of());
        }
        try (var operands = new Operands(backend)) {
            Map<String, CaseTensor> actual = op.run(asked, operands);
            if (writer != null) {
                writer.add(asked, actual);
            }
            return judge(asked, actual);
        } catch (UnsupportedCaseException | UnsupportedOperationException e) {
            return result(asked, Status.UNSUPPORTED, String.valueOf(e.getMessage()), List.of());
        } catch (IllegalArgumentException | IsobitException e) {
            return result(asked, Status.FAILED, String.valueOf(e.getMessage()), List.of());
        }
    }

    private static Result judge(Case asked, Map<String, CaseTensor> actual) {
        List<Comparison> comparisons = new ArrayList<>();
        boolean targeted = false;
        String wrong = "";
        for (Expectation expectation : Expectation.all(asked)) {
            CaseTensor computed = actual.get(expectation.output());
            if (computed == null) {
                return result(asked, Status.FAILED, expectation.output() + " was not computed", comparisons);
            }
            Comparison comparison = expectation.compare(asked, computed);
            comparisons.add(comparison);
            targeted |= expectation.kind() == Expectation.Kind.TARGET;
            if (comparison.over() > 0 && wrong.isEmpty()) {
                wrong = comparison.worst() < 0
                        ? comparison.name() + " has shape " + comparison.actual() + ", not " + comparison.expected()
                        : comparison.over() + " of " + comparison.elements() + " elements of " + comparison.name()
                                + " are off; the furthest, at " + comparison.worst() + ", is " + comparison.actual()
                                + ", not " + comparison.expected();
            }
        }
        return result(asked, !wrong.isEmpty() ? Status.FAILED : targeted ? Status.PASSED : Status.MEASURED, wrong,
                comparisons);
    }

    private static Result result(Case asked, Status status, String reason, List<Comparison> comparisons) {
        return new Result(asked.id(), asked.op(), asked.type().toString(), status, reason, comparisons);
    }
}
