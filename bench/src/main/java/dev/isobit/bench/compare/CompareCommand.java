package dev.isobit.bench.compare;

import dev.isobit.bench.BenchFiles;
import dev.isobit.bench.BenchReport;
import dev.isobit.bench.Bootstrap.Interval;
import dev.isobit.harness.Subcommand;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code isobit compare}: what got slower or less accurate from one run to another. */
@Command(name = "compare", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Compares two runs of isobit bench: what got slower or less accurate.",
        description = {
            "A case is slower if the time of its fastest batch, and that time by the fastest of C or a copy in the same rounds, "
                    + "have both grown by more than the threshold; cases measured in fewer than three JVMs are not judged. Errors "
                    + "against float64 must not grow, and bits must be the same. Times of different machines are not compared."},
        exitCodeListHeading = "%nExit codes:%n", exitCodeList = {"0:nothing got slower or less accurate",
            "1:something did, or there was nothing to compare", "2:wrong options", "3:a run cannot be read"})
public final class CompareCommand implements Subcommand {
    @Parameters(index = "0", paramLabel = "OLD", description = "a run's file or folder; the newest run in it")
    private Path before = Path.of("");

    @Parameters(index = "1", paramLabel = "NEW", description = "another")
    private Path after = Path.of("");

    @Option(names = "--threshold", paramLabel = "PERCENT",
            description = "how much slower is slower (default: 9, or 21 if a run is a quick one)")
    private @Nullable Double threshold;

    @Option(names = "--new-bits", description = "bits may differ: the new version changes them on purpose")
    private boolean newBits;

    @Spec
    private CommandSpec spec;

    /** Called by the service loader. */
    public CompareCommand() {}

    @Override
    public Integer call() {
        Double percent = threshold;
        if (percent != null && !(percent > 0)) {
            throw new ParameterException(spec.commandLine(), "--threshold = " + percent + " is not above 0");
        }
        BenchReport old = BenchFiles.read(BenchFiles.find(before).getLast());
        BenchReport found = BenchFiles.read(BenchFiles.find(after).getLast());
        double share = percent == null ? Comparison.threshold(old, found) : percent / 100;
        var comparison = Comparison.of(old, found, share);
        print(comparison, share);
        return comparison.failed(newBits) ? 1 : 0;
    }

    private void print(Comparison comparison, double share) {
        PrintWriter out = spec.commandLine().getOut();
        if (!comparison.sameMachine()) {
            out.println("The runs are of different machines: their times are not compared.");
        }
        if (!comparison.speeds().isEmpty()) {
            out.printf(Locale.ROOT, "%-50s %-22s %-22s%n", "time, new by old", "", "by C or a copy");
        }
        for (Comparison.Speed speed : comparison.speeds()) {
            out.printf(Locale.ROOT, "%-50s %-22s %-22s %s%n", speed.name(), text(speed.time()), text(speed.beside()),
                    speed.slower() ? "SLOWER" : speed.faster() ? "faster" : "");
        }
        list(out, "LESS ACCURATE", comparison.lessAccurate());
        list(out, newBits ? "other bits, as allowed" : "OTHER BITS", comparison.otherBits());
        list(out, "in the old run only", comparison.missing());
        if (comparison.speeds().isEmpty() && comparison.accuracies() == 0) {
            out.println("There was NOTHING to compare.");
        }
        out.printf(Locale.ROOT,
                "%d of %d cases slower by more than %.1f %%; %d of %d errors larger, %d outputs with other bits%n",
                comparison.slower().size(), comparison.speeds().size(), 100 * share, comparison.lessAccurate().size(),
                comparison.accuracies(), comparison.otherBits().size());
        out.flush();
    }

    private static void list(PrintWriter out, String title, List<String> lines) {
        if (!lines.isEmpty()) {
            out.println(title + ":");
            lines.forEach(line -> out.println("  " + line));
        }
    }

    private static String text(@Nullable Interval interval) {
        return interval == null
                ? ""
                : String.format(Locale.ROOT, "%.2f (%.2f to %.2f)", interval.median(), interval.low(), interval.high());
    }
}
