package dev.isobit.harness.cases;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.harness.CommandLineRun;
import dev.isobit.harness.Json;
import dev.isobit.harness.cases.CasesReport.Comparison;
import dev.isobit.harness.cases.CasesReport.Result;
import dev.isobit.harness.cases.CasesReport.Status;
import dev.isobit.sim.SimProvider;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CasesTest {
    private static final Path CASES = Path.of(System.getProperty("isobit.home"),
            "java-src/harness/src/test/resources/dev/isobit/harness/cases");
    private static final Path ONNX = CASES.resolve("onnx");
    /** PyTorch's in float64, of every operation but ONNX's: make.py beside them says how they were made. */
    private static final Path TORCH = CASES.resolve("torch");

    @TempDir
    private Path folder;

    /** Those that pass stay; what is not there yet says why. */
    @ParameterizedTest
    @ValueSource(strings = {"cpu", "reference"})
    void theCasesOfOnnxPassOrAreUnsupported(String backend) {
        Path json = folder.resolve("report.json");
        var run = CommandLineRun.of("cases", ONNX.toString(), "--backend", backend, "--json", json.toString());
        assertEquals(0, run.code(), run.out() + run.err());
        CasesReport report = Json.read(json, CasesReport.class);
        assertEquals(82, report.results().size());
        assertEquals(0, report.count(Status.FAILED));
        Set<String> passed = report.results().stream().filter(result -> result.status() == Status.PASSED)
                .map(Result::id).collect(Collectors.toSet());
        assertTrue(passed.containsAll(Set.of("onnx/test_sce_mean", "onnx/test_sce_none", "onnx/test_sce_sum",
                "onnx/test_sce_mean_no_weight_ii", "onnx/test_sce_NCd1d2d3d4d5_mean_weight", "onnx/test_adam",
                "onnx/test_adam_multiple.p1",
                "onnx/test_adam_multiple.p2", "onnx/test_momentum", "onnx/test_momentum_multiple.p1",
                "onnx/test_momentum_multiple.p2", "onnx/test_nesterov_momentum")), passed.toString());
        Set<String> complete = Set.of("cross_entropy", "softmax", "log_softmax", "nll_loss");
        assertEquals(72, report.results().stream().filter(result -> complete.contains(result.op()))
                .filter(result -> result.status() == Status.PASSED).count());
        report.results().stream().filter(result -> result.status() == Status.UNSUPPORTED)
                .forEach(result -> assertFalse(result.reason().isEmpty(), result.id()));
        assertTrue(run.out().contains(report.count(Status.PASSED) + " passed, 0 failed, 0 measured, "), run.out());
    }

    @ParameterizedTest
    @ValueSource(strings = {"cpu", "reference"})
    void everyOperationPasses(String backend) {
        Path json = folder.resolve("report.json");
        var run = CommandLineRun.of("cases", TORCH.toString(), "--backend", backend, "--json", json.toString());
        assertEquals(0, run.code(), run.out() + run.err());
        CasesReport report = Json.read(json, CasesReport.class);
        assertEquals(132, report.count(Status.PASSED), run.out());
        assertEquals(132, report.results().size());
        Set<String> passed = report.results().stream().map(Result::op).collect(Collectors.toSet());
        CaseOp.ALL.stream().flatMap(op -> op.names().stream()).filter(name -> !name.startsWith("onnx_"))
                .forEach(name -> assertTrue(passed.contains(name), name));
        assertTrue(report.results().stream().filter(result -> result.op().equals("sgd"))
                .flatMap(result -> result.comparisons().stream()).mapToLong(Comparison::elements).sum() > 500);
    }

    /** What is written is a directory of cases again, and another backend's holds the same bits. */
    @ParameterizedTest
    @ValueSource(strings = {"onnx", "torch"})
    void whatIsComputedIsWrittenWithTheSameBitsOnEveryBackend(String cases) throws IOException {
        Path cpu = folder.resolve("cpu");
        var run = CommandLineRun.of("cases", CASES.resolve(cases).toString(), "--out", cpu.toString());
        assertEquals(0, run.code(), run.err());
        assertEquals(new TreeSet<>(List.of("attrs.tsv", "cases.tsv", "tensors.bin", "tensors.tsv")),
                new TreeSet<>(Arrays.asList(cpu.toFile().list())));
        assertTrue(
                Files.readString(cpu.resolve("tensors.tsv")).contains(cases.equals("onnx")
                        ? "onnx/test_sce_mean\tactual\tgrad\tf32\t3x5\t"
                        : "torch/sgd_2\tactual\tbuf\tf32\t4\t"));
        var again = CommandLineRun.of("cases", cpu.toString());
        assertEquals(0, again.code(), again.err());
        assertTrue(again.out().contains(", 0 unsupported"), again.out());
        assertEquals(2,
                CommandLineRun.of("cases", CASES.resolve(cases).toString(), "--out", cpu.toString()).code());

        assumeTrue(SimProvider.probeOwnJvm().available(), SimProvider.probeOwnJvm().detail());
        Path sim = folder.resolve("sim");
        var simulated = CommandLineRun.of("cases", cpu.toString(), "--backend", "sim", "--out", sim.toString());
        assertEquals(0, simulated.code(), simulated.out() + simulated.err());
        for (String file : List.of("tensors.tsv", "tensors.bin")) {
            assertArrayEquals(Files.readAllBytes(cpu.resolve(file)), Files.readAllBytes(sim.resolve(file)), file);
        }
    }

    @Test
    void targetsAreJudgedReferencesMeasured() {
        var cases = new CaseFiles(folder.resolve("cases"));
        // Three rows of two equal logits: the loss is log 2, the gradient half and minus half, over three.
        cases.add("met", "cross_entropy", 1e-6, 0).floats("inputs", "logits", "3x2", 1, 1, 2, 2, 3, 3)
                .longs("inputs", "target", "3", 0, 1, 0).floats("expected", "loss", "scalar", 0.6931472)
                .doubles("expected", "loss_f64", "scalar", 123).doubles("expected", "loss_exact", "scalar", Math.log(2))
                .floats("expected", "loss_native", "scalar", Math.nextUp(0.6931472f))
                .longs("expected", "grad_idx", "2", 1, 2).doubles("expected", "grad_exact_at", "2", 1 / 6.0, 1 / 6.0);
        cases.add("off", "cross_entropy", 1e-6, 0).floats("inputs", "logits", "1x2", 1, 1)
                .longs("inputs", "target", "1", 0).floats("expected", "grad", "1x2", -0.5, 0.51);
        cases.add("not a number", "cross_entropy", 0, 0).attr("reduction", "none")
                .floats("inputs", "logits", "2x2", 1, Double.NaN, 0, Double.NEGATIVE_INFINITY)
                .longs("inputs", "target", "2", 0, 1)
                .floats("expected", "loss", "2", Double.NaN, Double.POSITIVE_INFINITY);
        cases.add("no number", "cross_entropy", 1, 1).floats("inputs", "logits", "1x2", 1, Double.NaN)
                .longs("inputs", "target", "1", 0).floats("expected", "loss", "scalar", 0.5);
        cases.add("shape", "cross_entropy", 1, 1).floats("inputs", "logits", "1x2", 1, 1)
                .longs("inputs", "target", "1", 0).floats("expected", "grad", "3", 0, 0, 0);
        cases.add("measured", "cross_entropy", 0, 0).floats("inputs", "logits", "1x2", 1, 1)
                .longs("inputs", "target", "1", 0).doubles("expected", "loss_exact", "scalar", 0.5);
        cases.add("bad target", "cross_entropy", 0, 0).floats("inputs", "logits", "1x2", 1, 1)
                .longs("inputs", "target", "1", 7).floats("expected", "loss", "scalar", 0.5);
        cases.add("smoothed", "cross_entropy", 0, 0).attr("temperature", "2").floats("inputs", "logits", "1x2", 1, 1)
                .longs("inputs", "target", "1", 0).floats("expected", "loss", "scalar", 0.5);
        cases.add("stirred", "stir", 0, 0).floats("inputs", "tea", "scalar", 1);
        CasesReport report = run(cases, 1);
        assertStatus(report, "met", Status.PASSED, "");
        assertStatus(report, "off", Status.FAILED,
                "1 of 2 elements of grad are off; the furthest, at 1, is 0.5, not 0.50");
        assertStatus(report, "not a number", Status.PASSED, "");
        assertStatus(report, "no number", Status.FAILED, "is NaN, not 0.5");
        assertStatus(report, "shape", Status.FAILED, "grad has shape 1x2, not 3");
        assertStatus(report, "measured", Status.MEASURED, "");
        assertStatus(report, "bad target", Status.FAILED, "7");
        assertStatus(report, "smoothed", Status.UNSUPPORTED, "attribute temperature");
        assertStatus(report, "stirred", Status.UNSUPPORTED, "operation stir");

        List<Comparison> met = result(report, "met").comparisons();
        assertEquals(Set.of("loss", "loss_exact", "loss_native", "grad_exact_at"),
                met.stream().map(Comparison::name).collect(Collectors.toSet()));
        for (Comparison comparison : met) {
            double most = comparison.name().equals("loss_native") ? 2 : 1;
            assertTrue(comparison.maxUlp() <= most && comparison.rmsUlp() <= most, comparison.toString());
            assertEquals(comparison.name().equals("grad_exact_at") ? 2 : 1, comparison.elements());
        }
        assertTrue(result(report, "measured").comparisons().getFirst().maxUlp() > 1e6);
    }

    /** AdamW in float64, from its definition; PyTorch's defaults where nothing is said. */
    @ParameterizedTest
    @CsvSource({"adam, 0", "adamw, 0.01"})
    void stepsOfAdam(String op, double decay) {
        double p = 0.5;
        double m = 0;
        double v = 0;
        double[] gradients = {0.25, -1.5, 0.75};
        double[] steps = new double[3];
        for (int t = 1; t <= 3; t++) {
            double g = gradients[t - 1];
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            p -= 0.1 * decay * p;
            p -= 0.1 * (m / (1 - Math.pow(0.9, t))) / (Math.sqrt(v / (1 - Math.pow(0.999, t))) + 1e-8);
            steps[t - 1] = p;
        }
        var cases = new CaseFiles(folder.resolve("cases"));
        cases.add("steps", op, 1e-5, 0).attr("lr", "0.1").floats("inputs", "p0", "1", 0.5)
                .floats("inputs", "grads", "3x1", gradients).floats("expected", "p", "3x1", steps)
                .floats("expected", "m", "1", m).doubles("expected", "v_exact", "1", v);
        CasesReport report = run(cases, 0);
        assertStatus(report, "steps", Status.PASSED, "");
        assertTrue(result(report, "steps").comparisons().stream().allMatch(c -> c.maxUlp() < 64), report.toString());
    }

    /** Weights that broadcast, smoothing, an upstream gradient; by hand: of a logit 0 both sides cost log 2. */
    @Test
    void binaryCrossEntropy() {
        double ln2 = Math.log(2);
        var cases = new CaseFiles(folder.resolve("cases"));
        cases.add("weighted", "bce_with_logits", 1e-6, 0).attr("reduction", "sum")
                .floats("inputs", "logits", "2x2", 0, 0, 0, 0).floats("inputs", "target", "2x2", 1, 0, 0.5, 1)
                .floats("inputs", "weight", "2x1", 1, 2).bf16("inputs", "pos_weight", "2", 3, 5)
                .floats("inputs", "gy", "scalar", 2)
                .floats("expected", "loss", "scalar", (3 + 1 + 2 * (0.5 + 1.5) + 2 * 5) * ln2)
                .floats("expected", "grad", "2x2", 2 * -1.5, 2 * 0.5, 2 * 2 * (0.25 - 0.75), 2 * 2 * -2.5);
        cases.add("smoothed", "bce_with_logits", 1e-6, 1e-7).attr("label_smoothing", "0.5")
                .attr("reduction", "none").floats("inputs", "logits", "1", 0).floats("inputs", "target", "1", 1)
                .doubles("expected", "loss_exact", "1", ln2).floats("expected", "grad", "1", 0.5 - 0.75);
        cases.add("of the target", "bce_with_logits", 1, 1).floats("inputs", "logits", "1", 0)
                .floats("inputs", "target", "1", 1).floats("expected", "grad_target", "1", 0);
        CasesReport report = run(cases, 0);
        assertStatus(report, "weighted", Status.PASSED, "");
        assertStatus(report, "smoothed", Status.PASSED, "");
        assertStatus(report, "of the target", Status.UNSUPPORTED, "output grad_target");
        assertTrue(result(report, "smoothed").comparisons().stream().allMatch(c -> c.maxUlp() < 1), report.toString());
    }

    /** Weights of rows, where it is clear what they do, and probabilities by their own name. */
    @Test
    void rowsOfCrossEntropy() {
        double ln2 = Math.log(2);
        var cases = new CaseFiles(folder.resolve("cases"));
        cases.add("rows", "cross_entropy", 1e-6, 0).attr("reduction", "sum")
                .floats("inputs", "logits", "2x2", 1, 1, 2, 2).floats("inputs", "target_prob", "2x2", 1, 0, 0.5, 0.5)
                .floats("inputs", "sample_weight", "2", 3, 4).floats("expected", "loss", "scalar", 7 * ln2)
                .floats("expected", "grad", "2x2", -1.5, 1.5, 0, 0);
        cases.add("mean", "cross_entropy", 1, 1).floats("inputs", "logits", "1x2", 1, 1)
                .longs("inputs", "target", "1", 0).floats("inputs", "sample_weight", "1", 3)
                .floats("expected", "loss", "scalar", ln2);
        cases.add("two", "cross_entropy", 1, 1).floats("inputs", "logits", "1x2", 1, 1)
                .longs("inputs", "target", "1", 0).floats("inputs", "target_prob", "1x2", 1, 0)
                .floats("expected", "loss", "scalar", ln2);
        CasesReport report = run(cases, 1);
        assertStatus(report, "rows", Status.PASSED, "");
        assertStatus(report, "mean", Status.UNSUPPORTED, "reduction mean with sample_weight");
        assertStatus(report, "two", Status.FAILED, "target and target_prob");
    }

    /** SGD in float64, from its definition. */
    @ParameterizedTest
    @CsvSource({"0, 0, false, false", "0.9, 0, false, false", "0.9, 0.5, false, true", "0.9, 0, true, false"})
    void stepsOfSgd(double momentum, double dampening, boolean nesterov, boolean maximize) {
        double p = 0.5;
        double buf = 0;
        double[] gradients = {0.25, -1.5, 0.75};
        double[] steps = new double[3];
        double[] buffers = new double[3];
        for (int t = 0; t < 3; t++) {
            double g = (maximize ? -gradients[t] : gradients[t]) + 0.01 * p;
            buf = t == 0 ? g : momentum * buf + (1 - dampening) * g;
            p -= 0.1 * (momentum == 0 ? g : nesterov ? g + momentum * buf : buf);
            steps[t] = p;
            buffers[t] = buf;
        }
        var cases = new CaseFiles(folder.resolve("cases"));
        cases.add("steps", "sgd", 1e-5, 0).attr("lr", "0.1").attr("momentum", "" + momentum)
                .attr("dampening", "" + dampening).attr("nesterov", "" + nesterov).attr("maximize", "" + maximize)
                .attr("weight_decay", "0.01").floats("inputs", "p0", "1", 0.5)
                .floats("inputs", "grads", "3x1", gradients).floats("expected", "p", "3x1", steps);
        if (momentum > 0) {
            cases.floats("expected", "buf", "3x1", buffers);
        }
        assertStatus(run(cases, 0), "steps", Status.PASSED, "");
    }

    /** What optimizers do not keep, gradients that are no steps of the parameter or of another type. */
    @Test
    void stepsThatAreNone() {
        var cases = new CaseFiles(folder.resolve("cases"));
        cases.add("no buffer", "sgd", 0, 0).floats("inputs", "p0", "1", 1).floats("inputs", "grads", "2x1", 1, 1)
                .floats("expected", "buf", "1", 1);
        cases.add("no maximum", "adam", 0, 0).floats("inputs", "p0", "1", 1).floats("inputs", "grads", "2x1", 1, 1)
                .floats("expected", "vmax", "1", 1);
        cases.add("other shape", "sgd", 0, 0).floats("inputs", "p0", "1", 1)
                .floats("inputs", "grads", "2x3", 1, 1, 1, 1,
                        1, 1)
                .floats("expected", "p", "1", 1);
        cases.add("betas", "sgd", 0, 0).attr("betas", "0.9,0.99").floats("inputs", "p0", "1", 1)
                .floats("inputs", "grads", "1x1", 1).floats("expected", "p", "1", 1);
        cases.add("nesterov alone", "sgd", 0, 0).attr("nesterov", "true").floats("inputs", "p0", "1", 1)
                .floats("inputs", "grads", "1x1", 1).floats("expected", "p", "1", 1);
        cases.add("of float64", "sgd", 0, 0).attr("lr", "0.5").floats("inputs", "p0", "1", 1)
                .doubles("inputs", "grads", "2x1", 1, 0.5).floats("expected", "p", "2x1", 0.5, 0.25);
        cases.add("no step", "sgd", 0, 0).floats("inputs", "p0", "1", 1).floats("inputs", "grads", "0x1")
                .floats("expected", "p", "0x1");
        CasesReport report = run(cases, 1);
        assertStatus(report, "no buffer", Status.UNSUPPORTED, "output buf without momentum");
        assertStatus(report, "no maximum", Status.UNSUPPORTED, "output vmax without amsgrad");
        assertStatus(report, "other shape", Status.FAILED, "grads 2x3 are no steps of p0 1");
        assertStatus(report, "betas", Status.UNSUPPORTED, "attribute betas");
        assertStatus(report, "nesterov alone", Status.FAILED, "nesterov");
        assertStatus(report, "of float64", Status.UNSUPPORTED, "grad of p is F64");
        assertStatus(report, "no step", Status.FAILED, "grads 0x1 are no steps of p0 1");
    }

    @Test
    void aRunThatComparedNothingFails() {
        var cases = new CaseFiles(folder.resolve("cases"));
        cases.add("stirred", "stir", 0, 0).floats("inputs", "tea", "scalar", 1);
        run(cases, 1);
    }

    private CasesReport run(CaseFiles cases, int code) {
        Path json = folder.resolve("report.json");
        var run = CommandLineRun.of("cases", cases.write().toString(), "--json", json.toString());
        assertEquals(code, run.code(), run.out() + run.err());
        CasesReport report = Json.read(json, CasesReport.class);
        assertEquals(code == 0, report.passed());
        for (Result result : report.results()) {
            assertTrue(run.out().contains(result.op()), run.out());
            assertEquals(result.status() == Status.FAILED, run.out().contains("FAILED " + result.id()), run.out());
        }
        return report;
    }

    private static Result result(CasesReport report, String id) {
        return report.results().stream().filter(result -> result.id().equals(id)).findFirst().orElseThrow();
    }

    private static void assertStatus(CasesReport report, String id, Status status, String reason) {
        Result result = result(report, id);
        assertEquals(status, result.status(), result.toString());
        assertTrue(result.reason().contains(reason) && result.reason().isEmpty() == reason.isEmpty(),
                result.toString());
    }

    @Test
    void wrongWordsAreUsageErrors() {
        refused("is no directory of cases", folder.resolve("none").toString());
        refused("--backend = abacus is none of cuda, cpu, reference, ", ONNX.toString(), "--backend", "abacus");
        refused("is a folder", ONNX.toString(), "--json", folder.toString());
    }

    /** A changed line of a table is refused, with its place. */
    @ParameterizedTest
    @CsvSource({"cases.tsv, 1, op, operation, 'the first line is not'",
        "cases.tsv, 2, f32, f33, 'dtype f33 is none of [f64'",
        "cases.tsv, 2, \t0\t, \t-1\t, 'at least 0'", "cases.tsv, 2, \t0\t, \tzero\t, 'zero'",
        "cases.tsv, 3, other, one, 'two cases one'", "attrs.tsv, 2, one, third, 'no case third'",
        "attrs.tsv, 2, mean, mean\tmore, '4 columns, not 3'", "tensors.tsv, 2, inputs, output, 'role output is none'",
        "tensors.tsv, 2, 1x2, 1x3, 'f32 1x3 has 12 bytes, not 8'", "tensors.tsv, 2, 1x2, 1xx2, '\"\"'",
        "tensors.tsv, 2, 1x2, 4294967296x4294967296, 'overflow'", "tensors.tsv, 2, 1x2, -1x-2, 'bytes, not 8'",
        "tensors.tsv, 3, \t8\t8, \t1000\t8, 'Out of bound'", "tensors.tsv, 3, \t8\t8, \t-8\t8, 'Out of bound'",
        "tensors.tsv, 3, tensors.bin, ../tensors.bin, 'not in the directory'",
        "tensors.tsv, 3, tensors.bin, missing.bin, 'cannot read missing.bin'",
        "tensors.tsv, 3, target, logits, 'two inputs logits'"})
    void tablesThatLie(String file, int line, String from, String to, String message) throws IOException {
        var cases = new CaseFiles(folder.resolve("cases"));
        cases.add("one", "cross_entropy", 0, 0).attr("reduction", "mean").floats("inputs", "logits", "1x2", 1, 1)
                .longs("inputs", "target", "1", 0);
        cases.add("other", "cross_entropy", 0, 0);
        Path written = cases.write();
        List<String> lines = new ArrayList<>(Files.readAllLines(written.resolve(file)));
        String changed = lines.get(line - 1).replaceFirst(Pattern.quote(from), to);
        assertFalse(changed.equals(lines.set(line - 1, changed)), changed);
        Files.write(written.resolve(file), lines);
        refused(message, written.toString());
        try (Arena arena = Arena.ofConfined()) {
            CaseDirectory.read(written, arena);
        } catch (IllegalArgumentException e) {
            assertTrue(e.getMessage().startsWith(written.resolve(file) + (line == 1 ? ":" : " line " + line + ":")),
                    e.getMessage());
        }
    }

    private static void refused(String message, String... arguments) {
        String[] all = new String[arguments.length + 1];
        all[0] = "cases";
        System.arraycopy(arguments, 0, all, 1, arguments.length);
        var run = CommandLineRun.of(all);
        assertEquals(2, run.code(), run.out() + run.err());
        assertTrue(run.err().contains(message), run.err());
    }
}
