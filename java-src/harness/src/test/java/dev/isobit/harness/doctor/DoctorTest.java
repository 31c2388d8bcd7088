package dev.isobit.harness.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Backend;
import dev.isobit.harness.CommandLineRun;
import dev.isobit.harness.Json;
import dev.isobit.harness.verify.BrokenProvider;
import dev.isobit.sim.SimOptions;
import dev.isobit.sim.SimProvider;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DoctorTest {
    @Test
    void theExitCodeSaysWhetherAGpuIsUsable() {
        var run = CommandLineRun.of("doctor");
        boolean usable = Backend.probes().stream().anyMatch(p -> p.name().equals("cuda") && p.available());
        assertEquals(usable ? 0 : 1, run.code(), run.out());
        for (String topic : new String[] {"Java", "processor", "vectors", "FMA", "C2", "backend cuda", "backend cpu",
            "backend reference", "backend sim"}) {
            assertTrue(run.out().contains(topic), () -> topic + " is not in:\n" + run.out());
        }
    }

    @Test
    void json(@TempDir Path folder) throws Exception {
        var run = CommandLineRun.of("doctor", "--json");
        Path file = Files.writeString(folder.resolve("doctor.json"), run.out());
        DoctorReport report = Json.read(file, DoctorReport.class);
        assertEquals(DoctorReport.FORMAT, report.format());
        assertEquals(report.gpuUsable() ? 0 : 1, run.code());
        assertTrue(report.gpuUsable() || !report.gpu().problems().isEmpty());
    }

    /** As a device that is there and has no memory left. */
    @Test
    void whatCannotBeOpenedIsNotUsable() {
        System.setProperty(BrokenProvider.UNOPENED_PROPERTY, "true");
        try {
            String out = CommandLineRun.of("doctor").out();
            assertTrue(out.matches("(?s).*\n  no +backend broken +not usable here\n"
                    + " +-> only for tests; but it could not be opened: Backend.open: out of memory\n.*"), out);
        } finally {
            System.clearProperty(BrokenProvider.UNOPENED_PROPERTY);
        }
    }

    /** It is opened in a JVM of its own, where what is wrong shows. */
    @Test
    void whatIsSimulatedIsSaid() {
        assumeTrue(SimProvider.probeOwnJvm().available(), SimProvider.probeOwnJvm().detail());
        assertTrue(CommandLineRun.of("doctor").out()
                .contains("backend sim        PTX interpreted on a simulated sm_90: for tests, slow"));
        System.setProperty(SimOptions.CHIP_PROPERTY, "sm_61");
        try {
            String out = CommandLineRun.of("doctor").out();
            assertTrue(out.matches("(?s).*\n  no +backend sim +not usable here\n +-> no chip \"sm_61\"; there are .*"),
                    out);
        } finally {
            System.clearProperty(SimOptions.CHIP_PROPERTY);
        }
    }

    @Test
    void exitCodesAreDocumented() {
        assertTrue(CommandLineRun.of("doctor", "--help").out().contains("a GPU can be used"));
    }
}
