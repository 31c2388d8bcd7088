package dev.isobit.harness.cases;

import dev.isobit.BackendProbe;
import dev.isobit.BackendUnavailableException;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.OwnJvm;
import dev.isobit.harness.Progress;
import dev.isobit.harness.Workspace;
import dev.isobit.harness.cases.CasesReport.Comparison;
import dev.isobit.harness.cases.CasesReport.Result;
import dev.isobit.harness.cases.CasesReport.Status;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code isobit cases}: cases of any origin, judged by their own tolerances. */
@Command(name = "cases", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Runs a directory of test cases and compares with what they expect.",
        description = {
            "DIR holds cases.tsv, attrs.tsv, tensors.tsv and raw little-endian tensors; java-src/harness/CASES.md "
                    + "describes the format. What a case expects has to be met within its rtol and atol; the distance to float64 "
                    + "references (_f64, _exact) and to what another framework computed (_native) is told in ULP.",
            "What the library does not have is unsupported: listed apart with the reason, neither passed nor failed."},
        exitCodeListHeading = "%nExit codes:%n", exitCodeList = {"0:nothing failed",
            "1:a case failed, or nothing was compared", "2:wrong options, or DIR is no directory of cases",
            "3:it could not run"})
public final class CasesCommand implements Callable<Integer> {
    @Parameters(paramLabel = "DIR", description = "the directory of cases")
    private Path folder = Path.of("");

    @Option(names = "--backend", paramLabel = "NAME", defaultValue = "cpu",
            description = "cpu, reference, cuda or sim (default: ${DEFAULT-VALUE})")
    private String backend = "";

    @Option(names = "--out", paramLabel = "DIR",
            description = "write the cases that ran there, with what was computed as \"actual\"; must be empty")
    private @Nullable Path out;

    @Option(names = "--json", paramLabel = "FILE", description = "write the report there")
    private @Nullable Path json;

    @Spec
    private CommandSpec spec;

    /** Called by picocli. */
    public CasesCommand() {}

    @Override
    public Integer call() {
        int cases = check();
        try (var workspace = new Workspace(); var progress = new Progress("cases", cases)) {
            CasesReport report = OwnJvm.isFor(backend)
                    ? runInChild(workspace, progress)
                    : CasesRun.run(folder, backend, out, workspace, progress::step);
            if (json != null) {
                workspace.write(json, Json.write(report));
            }
            print(report, spec.commandLine().getOut());
            return report.passed() ? 0 : 1;
        }
    }

    /** What can be refused is refused before anything runs. Returns how many cases there are. */
    private int check() {
        int cases;
        try (Arena arena = Arena.ofConfined()) {
            cases = CaseDirectory.read(folder, arena).size();
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), String.valueOf(e.getMessage()), e);
        }
        if (out != null) {
            Workspace.makeFolder(out);
            String[] there = out.toFile().list();
            if (there != null && there.length > 0) {
                throw new ParameterException(spec.commandLine(), "--out = " + out + " is not empty");
            }
        }
        if (json != null) {
            if (Files.isDirectory(json)) {
                throw new ParameterException(spec.commandLine(), "--json = " + json + " is a folder");
            }
            Workspace.makeFolder(json.toAbsolutePath().getParent());
        }
        List<BackendProbe> probes = OwnJvm.probes();
        BackendProbe probe = probes.stream().filter(p -> p.name().equals(backend)).findFirst()
                .orElseThrow(() -> new ParameterException(spec.commandLine(), "--backend = " + backend
                        + " is none of " + probes.stream().map(BackendProbe::name).collect(Collectors.joining(", "))));
        if (!probe.available()) {
            throw new BackendUnavailableException("backend " + backend + " cannot run here: " + probe.detail());
        }
        return cases;
    }

    private CasesReport runInChild(Workspace workspace, Progress progress) {
        Path report = workspace.temporary("cases.json");
        List<String> arguments = new ArrayList<>(List.of(folder.toString(), backend, report.toString()));
        if (out != null) {
            arguments.add(out.toString());
        }
        long[] told = {0};
        new ChildJvm(workspace, List.of(), CasesInChild.class, arguments).run(done -> {
            progress.step(done - told[0]);
            told[0] = done;
        });
        return Json.read(report, CasesReport.class);
    }

    private static void print(CasesReport report, PrintWriter out) {
        out.printf("%s: %s%n", report.backend(), report.description());
        Map<String, List<Result>> byOp = report.results().stream()
                .collect(Collectors.groupingBy(Result::op, TreeMap::new, Collectors.toList()));
        out.printf("  %-28s %7s %7s %9s %12s%n", "operation", "passed", "failed", "measured", "unsupported");
        byOp.forEach((op, results) -> out.printf("  %-28s %7d %7d %9d %12d%n", op, count(results, Status.PASSED),
                count(results, Status.FAILED), count(results, Status.MEASURED), count(results, Status.UNSUPPORTED)));
        printDistances(byOp, out);
        printReasons(report, out);
        for (Result result : report.results()) {
            if (result.status() == Status.FAILED) {
                out.printf("FAILED %s (%s): %s%n", result.id(), result.op(), result.reason());
            }
        }
        out.printf("%s%n", Arrays.stream(Status.values())
                .map(status -> report.count(status) + " " + status.name().toLowerCase(Locale.ROOT))
                .collect(Collectors.joining(", ")));
        out.flush();
    }

    private static long count(List<Result> results, Status status) {
        return results.stream().filter(result -> result.status() == status).count();
    }

    private static void printDistances(Map<String, List<Result>> byOp, PrintWriter out) {
        Map<String, List<Comparison>> distances = new TreeMap<>();
        byOp.forEach((op, results) -> results.forEach(result -> result.comparisons().stream()
                .filter(comparison -> comparison.kind() != Expectation.Kind.TARGET)
                .forEach(comparison -> distances
                        .computeIfAbsent(op + " " + result.dtype() + " " + comparison.name(), key -> new ArrayList<>())
                        .add(comparison))));
        if (!distances.isEmpty()) {
            out.printf("Distance in ULP:%n  %-42s %12s %12s %12s%n", "operation, type, value", "largest",
                    "root mean sq", "elements");
        }
        distances.forEach((name, comparisons) -> {
            long elements = comparisons.stream().mapToLong(Comparison::elements).sum();
            double squares = comparisons.stream().mapToDouble(c -> c.rmsUlp() * c.rmsUlp() * c.elements()).sum();
            out.printf(Locale.ROOT, "  %-42s %12.3f %12.3f %,12d%n", name,
                    comparisons.stream().mapToDouble(Comparison::maxUlp).max().orElseThrow(),
                    Math.sqrt(squares / Math.max(1, elements)), elements);
        });
    }

    private static void printReasons(CasesReport report, PrintWriter out) {
        Map<String, List<Result>> reasons = report.results().stream()
                .filter(result -> result.status() == Status.UNSUPPORTED)
                .collect(Collectors.groupingBy(result -> result.op() + ": " + result.reason(), TreeMap::new,
                        Collectors.toList()));
        if (!reasons.isEmpty()) {
            out.printf("Unsupported:%n");
        }
        reasons.forEach((reason, results) -> out.printf("  %s%n      %s%n", reason,
                results.stream().map(Result::id).collect(Collectors.joining(", "))));
    }
}
