package dev.isobit.harness.doctor;

import dev.isobit.harness.Json;
import dev.isobit.harness.doctor.DoctorReport.Finding;
import java.io.PrintWriter;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code isobit doctor}: what was found on this machine, and what is missing. */
@Command(name = "doctor", mixinStandardHelpOptions = true, sortOptions = false,
        header = "Says what was found on this machine, and what is missing.",
        description = "Says what was found on this machine: Java, vectors, FMA, compiler, backends, CUDA driver, "
                + "devices and the PTX chosen; and for what is missing the flag or package that brings it.",
        exitCodeListHeading = "%nExit codes:%n", exitCodeList = {"0:a GPU can be used",
            "1:no GPU can be used; the cpu backend can", "2:wrong options", "3:it could not run"})
public final class DoctorCommand implements Callable<Integer> {
    @Option(names = "--json", description = "print JSON instead")
    private boolean json;

    @Spec
    private CommandSpec spec;

    /** Called by picocli. */
    public DoctorCommand() {}

    @Override
    public Integer call() {
        DoctorReport report = Examination.run();
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.print(Json.write(report));
        } else {
            print(report, out);
        }
        out.flush();
        return report.gpuUsable() ? 0 : 1;
    }

    private static void print(DoctorReport report, PrintWriter out) {
        out.printf("isobit %s%n", report.machine().isobit());
        for (Finding finding : report.findings()) {
            String mark = switch (finding.state()) {
                case OK -> "ok";
                case SLOW -> "slow";
                case MISSING -> "no";
            };
            out.printf(Locale.ROOT, "  %-5s %-18s %s%n", mark, finding.topic(), finding.found());
            finding.remedies().forEach(remedy -> out.printf("        %-18s -> %s%n", "", remedy));
        }
        out.printf("A GPU %s be used.%n", report.gpuUsable() ? "can" : "cannot");
    }
}
