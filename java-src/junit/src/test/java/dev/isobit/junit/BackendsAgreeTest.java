package dev.isobit.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.platform.engine.TestExecutionResult.Status;

class BackendsAgreeTest {
    /** Not run but by the tests here. */
    static class Fixture {
        @BackendsAgree
        void trains(Trace trace) {
            Training.run(trace);
        }

        @BackendsAgree("abacus")
        void onOneThatIsNot(Trace trace) {
            Training.run(trace);
        }

        @BackendsAgree("cuda")
        void onCuda(Trace trace) {
            Training.run(trace);
        }
    }

    @AfterEach
    void reset() {
        Training.reset();
    }

    @Test
    void everyConfigurationIsATest() {
        Map<String, Outcome> outcomes = Outcome.of(Fixture.class, "trains");
        assertEquals(List.of("cpu", "cpu, 1 thread", "cpu, 3 threads"), List.copyOf(outcomes.keySet()).subList(0, 3));
        outcomes.forEach((name, outcome) -> assertEquals(Status.SUCCESSFUL, outcome.status(),
                name + ": " + outcome.message()));
    }

    @Test
    void theOneThatDiffersFails() {
        Training.changedStep = 2;
        Training.changedElement = 11;
        Training.changedWhere = "3 threads";
        Map<String, Outcome> outcomes = Outcome.of(Fixture.class, "trains");
        assertEquals(Status.SUCCESSFUL, outcomes.get("cpu").status());
        assertEquals(Status.SUCCESSFUL, outcomes.get("cpu, 1 thread").status());
        Outcome three = outcomes.get("cpu, 3 threads");
        assertEquals(Status.FAILED, three.status());
        assertTrue(three.message().startsWith(
                "the run on cpu and this run part at step 2, AdamW, logits F32[3, 4], element [2, 3]: 0x4"),
                three.message());
        assertTrue(three.message().contains(" 1 ULP apart; 1 of 12 elements differ"), three.message());
    }

    @Test
    void withoutAFirstRunThereIsNothingToCompareWith() {
        Training.failing = true;
        Map<String, Outcome> outcomes = Outcome.of(Fixture.class, "trains");
        assertEquals(Status.FAILED, outcomes.get("cpu").status());
        assertEquals(Status.ABORTED, outcomes.get("cpu, 3 threads").status());
        assertTrue(outcomes.get("cpu, 3 threads").message().contains("the run on cpu failed"));
    }

    @Test
    void aBackendThatCannotRunIsSkippedAndOneThatIsNotFails() {
        Outcome abacus = Outcome.of(Fixture.class, "onOneThatIsNot").get("abacus");
        assertEquals(Status.FAILED, abacus.status());
        assertTrue(abacus.message().contains("abacus"), abacus.message());
        if (Backend.probes().stream().noneMatch(probe -> probe.name().equals("cuda"))) {
            assertEquals(Status.FAILED, Outcome.of(Fixture.class, "onCuda").get("cuda").status());
        }
    }
}
