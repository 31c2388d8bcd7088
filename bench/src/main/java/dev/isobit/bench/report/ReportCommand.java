package dev.isobit.bench.report;

import dev.isobit.bench.BenchFiles;
import dev.isobit.bench.BenchReport;
import dev.isobit.harness.Subcommand;
import dev.isobit.harness.Workspace;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code isobit report}: a page of one run or several. */
@Command(name = "report", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Makes a page of runs of isobit bench.",
        description = {
            "Writes one HTML file that needs no network, and Markdown for a pull request. Several runs, such as one of a "
                    + "CPU and one of a GPU from another machine, become one page; of several figures of one thing on one machine the "
                    + "newest stands."},
        exitCodeListHeading = "%nExit codes:%n",
        exitCodeList = {"0:written", "2:wrong options", "3:there is no run, or it cannot be read"})
public final class ReportCommand implements Subcommand {
    @Parameters(paramLabel = "DIR", arity = "0..*",
            description = "folders or files of runs (default: the newest in " + BenchFiles.FOLDER + ")")
    private List<Path> paths = new ArrayList<>();

    @Option(names = "--out", paramLabel = "DIR",
            description = "where report.html and report.md go (default: the first DIR)")
    private @Nullable Path out;

    @Spec
    private CommandSpec spec;

    /** Called by the service loader. */
    public ReportCommand() {}

    @Override
    public Integer call() {
        List<Path> files = paths.isEmpty()
                ? List.of(BenchFiles.last().orElseThrow(() -> new IllegalArgumentException(
                        "there is no run in " + BenchFiles.FOLDER + "; isobit bench makes one")))
                : paths.stream().flatMap(path -> BenchFiles.find(path).stream()).distinct().toList();
        List<BenchReport> reports = files.stream().map(BenchFiles::read)
                .sorted(Comparator.comparing(BenchReport::started)).toList();
        var runs = new Runs(reports);
        Path first = paths.isEmpty() || paths.getFirst().toFile().isFile()
                ? files.getFirst().toAbsolutePath().getParent()
                : paths.getFirst();
        Path folder = out == null ? first : out;
        Workspace.makeFolder(folder.toAbsolutePath());
        PrintWriter told = spec.commandLine().getOut();
        try (var workspace = new Workspace()) {
            workspace.write(folder.resolve("report.html"), ReportPage.of(runs));
            workspace.write(folder.resolve("report.md"), ReportMarkdown.of(runs));
        }
        Summary.sentences(runs).forEach(told::println);
        Summary.warnings(runs).forEach(told::println);
        told.println(folder.resolve("report.html").toAbsolutePath());
        told.println(folder.resolve("report.md").toAbsolutePath());
        told.flush();
        return 0;
    }
}
