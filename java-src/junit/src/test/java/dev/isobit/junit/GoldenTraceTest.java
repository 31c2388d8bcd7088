package dev.isobit.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Tensor;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.platform.engine.TestExecutionResult.Status;

class GoldenTraceTest {
    /** The root of the test classes: what is recorded there is on the class path. */
    private static final Path CLASSES = Path.of(
            URI.create(GoldenTraceTest.class.getProtectionDomain().getCodeSource().getLocation().toString()));
    private static final Path FOLDER = CLASSES.resolve("dev/isobit/junit");
    private static final String RECORD = "; to record it, run this test with -Disobit.golden=record";

    /** Not run but by the tests here. */
    static class Fixture {
        @GoldenTrace
        void trains(Trace trace) {
            Training.run(trace);
        }

        @GoldenTrace(value = "short", detail = GoldenTrace.Detail.HASHES)
        void trainsWithHashes(Trace trace) {
            Training.run(trace);
        }

        @GoldenTrace("few")
        void trainsNothing(Trace trace) {
            trace.record("none", "empty", Tensor.of(new float[0], 0));
            trace.record("none", "F32", Tensor.of(new float[] {-0f, Float.NaN, 1}, 3));
            trace.record("none", "F64", Tensor.of(new double[] {-2}));
            trace.record("none", "I32", Tensor.of(new int[] {-2}));
            trace.record("none", "I64", Tensor.of(new long[] {-2, Training.changedElement}, 2));
        }

        @GoldenTrace("nothing")
        void recordsNothing(Trace trace) {
            trace.step();
        }
    }

    @BeforeEach
    @AfterEach
    void clean() throws IOException {
        Training.reset();
        System.clearProperty("isobit.golden");
        System.clearProperty("isobit.golden.dir");
        for (String name : List.of("Fixture.trains", "short", "few", "nothing")) {
            Files.deleteIfExists(FOLDER.resolve(name + ".golden"));
            Files.deleteIfExists(FOLDER.resolve(name + ".golden.gz"));
        }
    }

    private static Outcome record(String method) {
        System.setProperty("isobit.golden", "record");
        System.setProperty("isobit.golden.dir", CLASSES.toString());
        Outcome outcome = Outcome.ofOne(Fixture.class, method);
        System.clearProperty("isobit.golden");
        return outcome;
    }

    private static Outcome recordAndChange(int step, int element) {
        assertEquals(Status.ABORTED, record("trains").status());
        Training.changedStep = step;
        Training.changedElement = element;
        return Outcome.ofOne(Fixture.class, "trains");
    }

    private static void failed(String message, Outcome outcome) {
        assertEquals(Status.FAILED, outcome.status(), outcome.message());
        assertTrue(outcome.message().contains(message), outcome.message());
    }

    @Test
    void recordingIsNoPassAndReplayIs() throws IOException {
        Outcome recorded = record("trains");
        assertEquals(Status.ABORTED, recorded.status(), recorded.message());
        assertTrue(recorded.message().startsWith("recorded Fixture.trains.golden in " + FOLDER
                + "; nothing was compared"), recorded.message());
        List<String> lines = Files.readAllLines(FOLDER.resolve("Fixture.trains.golden"));
        assertEquals(3 + 2 * 5 + 1, lines.size());
        assertTrue(lines.get(3).matches("1\tCrossEntropy\tloss\tF32\tscalar\t=[0-9a-f]{8}"), lines.get(3));
        assertTrue(lines.get(4).matches("1\tAdamW\tlogits\tF32\t3x4\t#[0-9a-f]{32}"), lines.get(4));
        Outcome replayed = Outcome.ofOne(Fixture.class, "trains");
        assertEquals(Status.SUCCESSFUL, replayed.status(), replayed.message());
    }

    /** The bits of few elements stand in the text, whatever their type. */
    @Test
    void fewElementsComeBack() {
        record("trainsNothing");
        Outcome replayed = Outcome.ofOne(Fixture.class, "trainsNothing");
        assertEquals(Status.SUCCESSFUL, replayed.status(), replayed.message());
        Training.changedElement = 1;
        failed("step 0, none, I64 I64[2], element [1]: 0 there, 1 here; 1 of 2",
                Outcome.ofOne(Fixture.class, "trainsNothing"));
    }

    /** One bit, in a parameter: found at that step, before it reaches a loss. */
    @Test
    void theFirstDifferenceIsNamed() {
        Outcome outcome = recordAndChange(3, 6);
        failed("the golden trace Fixture.trains (recorded on cpu: ", outcome);
        failed(" part at step 3, AdamW, logits F32[3, 4], element [1, 2]: 0x4", outcome);
        failed(" there, 0x4", outcome);
        failed(" here, 1 ULP apart; 1 of 12 elements differ. Here: cpu: ", outcome);
    }

    @Test
    void hashesNameTheTensor() {
        assertEquals(Status.ABORTED, record("trainsWithHashes").status());
        assertFalse(Files.exists(FOLDER.resolve("short.golden.gz")));
        assertEquals(Status.SUCCESSFUL, Outcome.ofOne(Fixture.class, "trainsWithHashes").status());
        Training.changedStep = 3;
        Outcome outcome = Outcome.ofOne(Fixture.class, "trainsWithHashes");
        failed(" part at step 3, AdamW, logits F32[3, 4], on cpu: ", outcome);
        failed("to name the element, record it with Detail.ELEMENTS", outcome);
    }

    @Test
    void aMissingTraceIsAFailure() {
        failed("there is no golden trace Fixture.trains.golden beside " + Fixture.class.getName() + " on the class path"
                + RECORD, Outcome.ofOne(Fixture.class, "trains"));
        assertFalse(Files.exists(FOLDER.resolve("Fixture.trains.golden")), "nothing is recorded in silence");
    }

    @Test
    void aStaleTraceIsAFailure() {
        record("trains");
        Training.steps = 6;
        Outcome longer = Outcome.ofOne(Fixture.class, "trains");
        failed("is stale: it ends before step 6, CrossEntropy, loss F32[]; to record", longer);
        Training.steps = 4;
        Outcome shorter = Outcome.ofOne(Fixture.class, "trains");
        failed("is stale: it goes on with step 5, CrossEntropy, loss F32[] where this run ends" + RECORD, shorter);
        Training.reset();
        Training.name = "scores";
        failed("is stale: it has step 1, AdamW, logits F32[3, 4] where this run has step 1, AdamW, scores F32[3, 4]",
                Outcome.ofOne(Fixture.class, "trains"));
    }

    @ParameterizedTest
    @CsvSource({"Fixture.trains.golden, 40, its text was changed", "Fixture.trains.golden, 2, it does not begin with",
        "Fixture.trains.golden, -3, its text was changed", "Fixture.trains.golden.gz, -12, damaged",
        "Fixture.trains.golden.gz, , 'its bits, .golden.gz, are not there'"})
    void aDamagedTraceIsAFailure(String file, Integer at, String message) throws IOException {
        record("trains");
        Path path = FOLDER.resolve(file);
        byte[] bytes = Files.readAllBytes(path);
        if (at == null) {
            Files.delete(path);
        } else {
            bytes[at < 0 ? bytes.length + at : at] ^= 1;
            Files.write(path, bytes);
        }
        failed(message, Outcome.ofOne(Fixture.class, "trains"));
    }

    /** The bits of one recording beside the text of another. */
    @Test
    void filesThatDoNotBelongTogetherAreAFailure() throws IOException {
        record("trains");
        byte[] bits = Files.readAllBytes(FOLDER.resolve("Fixture.trains.golden.gz"));
        Training.changedStep = 2;
        record("trains");
        Files.write(FOLDER.resolve("Fixture.trains.golden.gz"), bits);
        failed("is damaged: .golden.gz is another's", Outcome.ofOne(Fixture.class, "trains"));
    }

    @Test
    void whatIsMistypedIsAFailure() {
        record("trains");
        System.setProperty("isobit.golden", "rekord");
        failed("-Disobit.golden=rekord: there is only record", Outcome.ofOne(Fixture.class, "trains"));
    }

    @Test
    void aTestThatRecordsNothingFails() {
        failed("recorded no tensor", record("recordsNothing"));
        assertFalse(Files.exists(FOLDER.resolve("nothing.golden")));
    }

    @Test
    void aTestThatFailsIsNotRecorded() {
        Training.failing = true;
        failed("the test's own failure", record("trains"));
        assertFalse(Files.exists(FOLDER.resolve("Fixture.trains.golden")));
    }
}
