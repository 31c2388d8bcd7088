package dev.isobit.harness.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.harness.CommandLineRun;
import org.junit.jupiter.api.Test;

class VerifyCommandTest {
    @Test
    void theReferenceAloneIsNothingToCompare() {
        var run = CommandLineRun.of("verify", "--backend", "reference");
        assertEquals(1, run.code());
        assertTrue(run.out().contains("nothing was compared"), run.out());
    }

    @Test
    void anUnknownBackendIsNamed() {
        var run = CommandLineRun.of("verify", "--backend", "gpu");
        assertEquals(3, run.code());
        assertTrue(run.err().contains("no backend \"gpu\"; there are"), run.err());
    }

    @Test
    void aFolderForTheReportIsRefusedBeforeTheWork() {
        var run = CommandLineRun.of("verify", "--json", ".");
        assertEquals(2, run.code());
        assertTrue(run.err().startsWith("isobit verify: --json = . is a folder"), run.err());
    }

    @Test
    void exitCodesAreDocumented() {
        var run = CommandLineRun.of("verify", "--help");
        assertEquals(0, run.code());
        assertTrue(run.out().contains("a promise was broken, or nothing was compared"), run.out());
    }
}
