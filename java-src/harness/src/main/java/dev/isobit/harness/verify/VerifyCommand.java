package dev.isobit.harness.verify;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.BackendProbe;
import dev.isobit.DType;
import dev.isobit.harness.Json;
import dev.isobit.harness.OwnJvm;
import dev.isobit.harness.Progress;
import dev.isobit.harness.Workspace;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code isobit verify}: a number for each promise of the numerical contract. */
@Command(name = "verify", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Checks the promises of the numerical contract over a grid of problems.",
        description = {"Runs a grid of shapes, inputs and options on every float32 backend here and checks the three "
                + "promises of kernels/NUMERICS.md: the same bits on every path, the right bits against float64, and "
                + "the written edges.",
            "The cpu backend is also run with other numbers of threads and, in JVMs of their own, with scalar code, "
                    + "other vector widths and without hardware FMA.",
            "With --backend sim the kernels' PTX is interpreted on a simulated device, in a JVM of its own, on a smaller "
                    + "grid, and compared with the cpu backend."},
        exitCodeListHeading = "%nExit codes:%n", exitCodeList = {"0:every promise was kept",
            "1:a promise was broken, or nothing was compared", "2:wrong options", "3:it could not run"})
public final class VerifyCommand implements Callable<Integer> {
    @Option(names = "--backend", paramLabel = "NAME",
            description = "only this float32 backend; may be given several times (default: all that run here but sim)")
    private List<String> backends = new ArrayList<>();

    @Option(names = "--json", paramLabel = "FILE", description = "write the report there")
    private @Nullable Path json;

    @Option(names = "--full", description = "every size with every option, and more rows; takes as long as it takes")
    private boolean full;

    @Spec
    private CommandSpec spec;

    /** Called by picocli. */
    public VerifyCommand() {}

    @Override
    public Integer call() {
        Path file = json;
        if (file != null) {
            if (Files.isDirectory(file)) {
                throw new ParameterException(spec.commandLine(), "--json = " + file + " is a folder");
            }
            Workspace.makeFolder(file.toAbsolutePath().getParent());
        }
        boolean simulated = backends.contains(OwnJvm.SIM);
        Grid grid = Grid.of(full ? Grid.FULL : simulated ? Grid.SIMULATED : Grid.DEFAULT);
        List<String> absent = new ArrayList<>();
        List<Subject> subjects = new ArrayList<>();
        try (var workspace = new Workspace(); Backend reference = Backend.open("reference")) {
            List<String> names = names(absent);
            List<ChildSubject> children = new ArrayList<>();
            for (String name : names) {
                if (OwnJvm.isFor(name)) {
                    children.add(new ChildSubject(name, name, List.of()));
                } else {
                    subjects.addAll(subjects(name));
                }
            }
            if (simulated && !names.contains("cpu")) {
                subjects.add(new Subject("cpu", true, () -> Backend.open("cpu")));
            }
            if (names.contains("cpu")) {
                children.addAll(cpuChildren());
            }
            VerifyReport report;
            try (var progress = new Progress("verify", VerifyRun.steps(grid, subjects.size(), children.size()))) {
                report = new VerifyRun(grid, reference, subjects, children, workspace, progress::step).run(absent);
            }
            if (file != null) {
                workspace.write(file, Json.write(report));
            }
            VerifyTable.print(report, spec.commandLine().getOut());
            return report.passed() ? 0 : 1;
        }
    }

    /** The float32 backends asked for, or all that run here. */
    private List<String> names(List<String> absent) {
        if (!backends.isEmpty()) {
            return backends.stream().distinct().toList();
        }
        List<String> names = new ArrayList<>();
        for (BackendProbe probe : OwnJvm.probes()) {
            if (probe.name().equals("reference")) {
                continue;
            }
            if (OwnJvm.isFor(probe.name()) && probe.available()) {
                absent.add(probe.name() + ": not asked for (--backend " + probe.name() + ")");
            } else if (probe.available()) {
                names.add(probe.name());
            } else {
                absent.add(probe.name() + ": " + probe.detail());
            }
        }
        return names;
    }

    private static List<Subject> subjects(String name) {
        try (Backend backend = Backend.open(name)) {
            if (backend.dtypes().contains(DType.F64)) {
                return List.of();
            }
        }
        List<Subject> subjects = new ArrayList<>(List.of(new Subject(name, true, () -> Backend.open(name))));
        if (name.equals("cpu")) {
            BackendOptions defaults = BackendOptions.defaults();
            for (int threads : new int[] {1, 2, 3}) {
                if (threads != defaults.threads()) {
                    subjects.add(new Subject("cpu, " + threads + (threads == 1 ? " thread" : " threads"), false,
                            () -> Backend.open(name, defaults.withThreads(threads))));
                }
            }
        }
        return subjects;
    }

    private static List<ChildSubject> cpuChildren() {
        List<ChildSubject> children = new ArrayList<>();
        children.add(new ChildSubject("cpu, scalar code", "cpu", List.of("-Disobit.cpu.path=scalar")));
        children.add(new ChildSubject("cpu, 128-bit vectors", "cpu", List.of("-XX:MaxVectorSize=16")));
        children.add(new ChildSubject("cpu, 256-bit vectors", "cpu", List.of("-XX:MaxVectorSize=32")));
        String arch = System.getProperty("os.arch");
        if (arch.equals("amd64") || arch.equals("x86_64")) {
            children.add(new ChildSubject("cpu, no FMA", "cpu", List.of("-XX:UseAVX=0")));
        }
        return children;
    }
}
