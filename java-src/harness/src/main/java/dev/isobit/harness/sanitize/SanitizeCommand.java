package dev.isobit.harness.sanitize;

import dev.isobit.BackendProbe;
import dev.isobit.BackendUnavailableException;
import dev.isobit.harness.ChildJvm;
import dev.isobit.harness.Json;
import dev.isobit.harness.OwnJvm;
import dev.isobit.harness.Progress;
import dev.isobit.harness.Workspace;
import dev.isobit.harness.sanitize.SanitizeReport.Finding;
import dev.isobit.sim.SimProvider;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code isobit sanitize}: what kernels do that they must not do. */
@Command(name = "sanitize", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Runs every kernel on a simulated device under all checkers.",
        description = "Interprets the PTX that is shipped over a grid of shapes and alignments, and looks for access out "
                + "of bounds or misaligned, use after free, reads of memory that nobody has written, races in shared and "
                + "global memory, divergent barriers and leaks. No GPU is needed.",
        exitCodeListHeading = "%nExit codes:%n", exitCodeList = {"0:every kernel ran and nothing was found",
            "1:something was found, or a kernel did not run", "2:wrong options", "3:it could not run"})
public final class SanitizeCommand implements Callable<Integer> {
    @Option(names = "--json", paramLabel = "FILE", description = "write the report there")
    private @Nullable Path json;

    @Spec
    private CommandSpec spec;

    /** Called by picocli. */
    public SanitizeCommand() {}

    @Override
    public Integer call() {
        BackendProbe probe = SimProvider.probeOwnJvm();
        if (!probe.available()) {
            throw new BackendUnavailableException("backend " + OwnJvm.SIM + " cannot run here: " + probe.detail());
        }
        Path file = json;
        if (file != null) {
            Workspace.makeFolder(file.toAbsolutePath().getParent());
        }
        try (var workspace = new Workspace()) {
            SanitizeReport report = run(workspace, List.of(), 1);
            if (file != null) {
                workspace.write(file, Json.write(report));
            }
            print(report, spec.commandLine().getOut());
            return report.clean() ? 0 : 1;
        }
    }

    /** Runs in a child JVM with these flags beside those of this one; takes one of so many shapes. */
    static SanitizeReport run(Workspace workspace, List<String> flags, int every) {
        Path result = workspace.temporary("sanitize.json");
        long[] told = {0};
        try (var progress = new Progress("sanitize", SanitizeInChild.steps(every))) {
            new ChildJvm(workspace, flags, SanitizeInChild.class,
                    List.of(result.toString(), Integer.toString(every))).run(done -> {
                        progress.step(done - told[0]);
                        told[0] = done;
                    });
        }
        return Json.read(result, SanitizeReport.class);
    }

    static void print(SanitizeReport report, PrintWriter out) {
        report.launches().forEach((kernel, count) -> out.printf(Locale.ROOT, "  %-48s %,7d launches%n", kernel, count));
        report.missed().forEach(kernel -> out.printf("  %-48s NEVER RAN%n", kernel));
        for (Finding finding : report.findings()) {
            out.printf(Locale.ROOT, "%s: %s%n    on %s, kernel %s, %s%n    block %s, thread %s, address %s: %s%s%s%n",
                    finding.kind(), finding.message(), finding.device(), finding.kernel(), finding.source(),
                    finding.block(), finding.thread(), finding.address(), finding.instruction(),
                    finding.count() > 1 ? " (" + finding.count() + " times)" : "",
                    finding.other().isEmpty() ? "" : "; the other access: " + finding.other());
        }
        report.violations().forEach(violation -> out.println("driver: " + violation));
        out.printf(Locale.ROOT, "%s: %,d thread instructions in %.0f s, %.1f M per second.%n",
                report.clean()
                        ? "Nothing was found"
                        : report.findings().size() + " findings, " + report.violations().size()
                                + " complaints of the driver, " + report.missed().size() + " kernels not run",
                report.threadInstructions(), report.seconds(), report.threadInstructions() / report.seconds() * 1e-6);
        out.flush();
    }
}
