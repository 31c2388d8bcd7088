package dev.isobit.harness.math;

import dev.isobit.BackendOptions;
import dev.isobit.harness.Progress;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code isobit math}: the error of exp, log and log1p. */
@Command(name = "math", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Measures the error of exp, log and log1p over all floats.",
        description = "Measures the elementary functions exp, log and log1p of float32 against float64: at most 1 ULP "
                + "is promised over all 2^32 inputs.",
        exitCodeListHeading = "%nExit codes:%n", exitCodeList = {"0:no error is above 1 ULP",
            "1:an error is above 1 ULP", "2:wrong options", "3:it could not run"})
public final class MathCommand implements Callable<Integer> {
    /** Prime, so that all low bits are met. */
    private static final long SUBSET = 251;

    @Option(names = "--full", description = "all 2^32 inputs: minutes (default: every 251st)")
    private boolean full;

    @Spec
    private CommandSpec spec;

    /** Called by picocli. */
    public MathCommand() {}

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        long stride = full ? 1 : SUBSET;
        boolean kept = true;
        for (MathCheck.Function function : MathCheck.Function.values()) {
            String name = function.name().toLowerCase(Locale.ROOT);
            MathCheck.Finding finding;
            try (var progress = new Progress(name, Math.ceilDiv(MathCheck.ALL, stride))) {
                finding = MathCheck.run(function, stride, BackendOptions.defaults().threads(), progress::step);
            }
            kept &= finding.isKept();
            out.printf(Locale.ROOT, "%-6s %,d inputs: %.4f ULP at most, at 0x%08x (%s); %.2f %% are the nearest float"
                    + "%s%n", name, finding.inputs(), finding.maxUlp(), finding.worstBits(),
                    Float.intBitsToFloat(finding.worstBits()), 100.0 * finding.rounded() / finding.inputs(),
                    finding.isKept() ? "" : "; BROKEN: 1 ULP is promised");
            out.flush();
        }
        return kept ? 0 : 1;
    }
}
