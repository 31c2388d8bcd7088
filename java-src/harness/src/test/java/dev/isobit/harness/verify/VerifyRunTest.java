package dev.isobit.harness.verify;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.StepState;
import dev.isobit.Tensor;
import dev.isobit.harness.DeviceStandIn;
import dev.isobit.harness.Json;
import dev.isobit.harness.Machine;
import dev.isobit.harness.Workspace;
import dev.isobit.harness.verify.BrokenBackend.GuardedTensors;
import dev.isobit.sim.SimProvider;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The sound are found sound, and each way of being broken is found. */
class VerifyRunTest {
    private static final Subject CPU = new Subject("cpu", true, () -> Backend.open("cpu"));

    private static VerifyReport run(List<Subject> subjects, List<ChildSubject> children) {
        return run(Grid.of(Grid.SMALL), subjects, children);
    }

    private static VerifyReport run(Grid grid, List<Subject> subjects, List<ChildSubject> children) {
        var told = new AtomicLong();
        try (var workspace = new Workspace(); Backend reference = Backend.open("reference")) {
            var report = new VerifyRun(grid, reference, subjects, children, workspace, told::addAndGet).run(List.of());
            assertEquals(VerifyRun.steps(grid, subjects.size(), children.size()), told.get(), "progress");
            return report;
        }
    }

    private static VerifyReport broken(Supplier<Backend> backend) {
        return run(List.of(new Subject("broken", true, backend)), List.of());
    }

    private static void assertFound(VerifyReport report, String... words) {
        assertFalse(report.passed());
        String all = String.join("\n", report.failures()) + String.join("\n", report.faults());
        for (String word : words) {
            assertTrue(all.contains(word), () -> "\"" + word + "\" is not in:\n" + all);
        }
    }

    @Test
    void cpuKeepsEveryPromise() {
        VerifyReport report = run(List.of(CPU, new Subject("cpu, 1 thread", false,
                () -> Backend.open("cpu", BackendOptions.defaults().withThreads(1)))), List.of());
        assertTrue(report.passed(), () -> String.join("\n", report.failures()));
        assertEquals(1, report.agreement().size());
        assertTrue(report.agreement().getFirst().elements() > 1000);
        assertTrue(report.accuracy().stream().mapToLong(VerifyReport.Accuracy::elements).sum() > 1000);
        assertTrue(report.forms().size() >= 8);
        assertTrue(report.accuracy().stream().noneMatch(a -> a.backend().equals("cpu, 1 thread")));
    }

    /** Such as where the temporary folder cannot be written. */
    @Test
    void childrenThatCannotBeStartedAreFailures() {
        var workspace = new Workspace();
        workspace.close();
        try (Backend reference = Backend.open("reference")) {
            var child = new ChildSubject("cpu, scalar code", "cpu", List.of("-Disobit.cpu.path=scalar"));
            var report = new VerifyRun(Grid.of(Grid.SMALL), reference, List.of(CPU, new Subject("cpu, 1 thread", false,
                    () -> Backend.open("cpu", BackendOptions.defaults().withThreads(1)))), List.of(child, child),
                    workspace, done -> {}).run(List.of());
            assertFalse(report.passed());
            assertEquals(
                    List.of("cpu, scalar code: the workspace is closed", "cpu, scalar code: the workspace is closed"),
                    report.failures());
        }
    }

    @Test
    void aDeviceWithMemoryOfItsOwnIsVerifiedLikewise() {
        VerifyReport report = run(List.of(CPU, new Subject("device", true, DeviceStandIn::new)), List.of());
        assertTrue(report.passed(), () -> String.join("\n", report.failures()));
        assertTrue(report.edges().stream().filter(e -> e.subject().equals("device")).count() > 20);
    }

    @Test
    void oneBitFlippedIsADifference() {
        // The lowest bit is within the budget: only the comparison of bits can find it.
        VerifyReport report = run(List.of(CPU, new Subject("other", false, () -> BrokenBackend.gradient(gradient -> {
            int bits = BrokenBackend.bits(gradient, 0);
            if (Float.intBitsToFloat(bits) != 0 && Float.isFinite(Float.intBitsToFloat(bits))) {
                BrokenBackend.setBits(gradient, 0, bits ^ 1);
            }
        }))), List.of());
        assertFound(report, "cpu and other", "gradient[0]");
        VerifyReport.Difference first = report.agreement().getFirst().firstDifference();
        assertNotNull(first);
        assertEquals(0, first.index());
        assertEquals(1, first.differing());
        assertTrue(report.accuracy().stream().allMatch(a -> a.over() == 0));
    }

    @Test
    void oneBitFlippedInOneFormIsADifference() {
        assertFound(broken(() -> new BrokenBackend(call -> {
            if (call.loss == null && call.gradLogits != null && call.gradLogits.elementCount() > 0) {
                BrokenBackend.setBits(call.gradLogits, 0, BrokenBackend.bits(call.gradLogits, 0) ^ 1);
            }
        }, parameter -> {})), "broken, gradient alone");
    }

    @Test
    void manyUlpAreOverTheBudget() {
        assertFound(broken(() -> BrokenBackend.gradient(
                gradient -> BrokenBackend.setBits(gradient, 0, BrokenBackend.bits(gradient, 0) + 9))),
                "CrossEntropy gradient");
        assertFound(broken(() -> BrokenBackend.loss(
                loss -> BrokenBackend.setBits(loss, 0, BrokenBackend.bits(loss, 0) + 9))), "CrossEntropy row loss");
        assertFound(broken(() -> BrokenBackend.param(
                param -> BrokenBackend.setBits(param, 1, BrokenBackend.bits(param, 1) + 40))), "AdamW param");
    }

    @Test
    void nanIsNoResult() {
        assertFound(broken(() -> BrokenBackend.gradient(
                gradient -> BrokenBackend.setBits(gradient, 0, 0x7fc00000))), "Infinity ULP");
        assertFound(broken(() -> BrokenBackend.param(
                param -> BrokenBackend.setBits(param, 0, 0x7fc00000))), "AdamW param", "Infinity ULP");
    }

    @Test
    void aNumberIsNoNan() {
        assertFound(broken(() -> BrokenBackend.loss(loss -> {
            if (Float.isNaN(Float.intBitsToFloat(BrokenBackend.bits(loss, 0)))) {
                BrokenBackend.setBits(loss, 0, 0);
            }
        })), "row loss, nan");
    }

    @Test
    void onlyTheCanonicalNanIsStored() {
        assertFound(broken(() -> BrokenBackend.loss(loss -> {
            if (Float.isNaN(Float.intBitsToFloat(BrokenBackend.bits(loss, 0)))) {
                BrokenBackend.setBits(loss, 0, 0x7fc00001);
            }
        })), "NaN 0x7fc00001");
    }

    @Test
    void everyElementIsWritten() {
        assertFound(broken(() -> BrokenBackend.gradient(
                gradient -> BrokenBackend.setBits(gradient, gradient.elementCount() - 1, Slab.POISON))),
                "was not written");
    }

    @Test
    void nothingElseIsWritten() {
        assertFound(broken(() -> BrokenBackend.gradient(BrokenBackend::writeBeyond)), "memory beside gradLogits");
        assertFound(broken(() -> BrokenBackend.param(BrokenBackend::writeBeyond)), "memory beside param");
        assertFound(broken(() -> new BrokenBackend(call -> {
            if (call.gradLogits == null && call.logits.elementCount() > 0) {
                BrokenBackend.setBits(call.logits, 0, 0);
            }
        }, parameter -> BrokenBackend.setBits(parameter.grad(), 0, 0))), "logits was changed", "grad was changed");
    }

    @Test
    void anExceptionIsAFault() {
        assertFound(broken(() -> BrokenBackend.gradient(gradient -> {
            throw new IllegalStateException("lost");
        })), "lost");
    }

    @Test
    void anEdgeIsWrittenDown() {
        assertFound(broken(() -> BrokenBackend.loss(loss -> {
            if (loss.rank() == 0 && BrokenBackend.bits(loss, 0) == 0) {
                BrokenBackend.setBits(loss, 0, 0x80000000);
            }
        })), "empty batch, SUM", "0x80000000");
    }

    @Test
    void aBrokenNegativeLogLikelihoodIsFound() {
        assertFound(broken(() -> BrokenBackend.nllLoss(call -> BrokenBackend.ifThere(call.loss,
                loss -> BrokenBackend.setBits(loss, 0, BrokenBackend.bits(loss, 0) + 9)))), "NllLoss sum, mean");
        assertFound(broken(() -> BrokenBackend.nllLoss(call -> BrokenBackend.ifThere(call.gradLogProbabilities,
                gradient -> BrokenBackend.setBits(gradient, 0, 0x7fc00000)))), "NllLoss gradient");
        assertFound(broken(() -> BrokenBackend.nllLoss(call -> BrokenBackend.ifThere(call.gradLogProbabilities,
                BrokenBackend::writeBeyond))), "memory beside");
        assertFound(broken(() -> BrokenBackend.nllLoss(call -> BrokenBackend.ifThere(call.loss, loss -> {
            if (loss.rank() == 0 && BrokenBackend.bits(loss, 0) == 0) {
                BrokenBackend.setBits(loss, 0, 0x80000000);
            }
        }))), "NllLoss: empty batch, SUM", "0x80000000");
    }

    /** What is found broken at the written edges when each call of an optimizer that sums gradients is followed by something. */
    private static void assertEdgesFound(Consumer<BrokenBackend.GuardedCall> breaks, String... words) {
        List<String> found;
        try (Backend backend = BrokenBackend.accumulation(breaks)) {
            found = EdgeChecks.of("broken", backend).stream().filter(edge -> !edge.kept())
                    .map(edge -> edge.check() + ": " + edge.detail()).toList();
        }
        for (String word : words) {
            assertTrue(found.stream().anyMatch(edge -> edge.startsWith(word)), () -> word + " is not in " + found);
        }
    }

    private static void first(BrokenBackend.GuardedCall call, int group, Function<GuardedTensors, Tensor> which,
            int index, int bits) {
        BrokenBackend.setBits(which.apply(call.groups().get(group).getFirst()), index, bits);
    }

    @Test
    void aBrokenSumOfGradientsIsFound() {
        // A sum of -0; a NaN that is not the canonical one; the largest number for an infinity; a least number lost.
        for (int[] broken : new int[][] {{3, 0x80000000}, {1, 0x7fc00001}, {2, 0x7f7fffff}, {5, 0}}) {
            assertEdgesFound(call -> {
                if (call.accumulates()) {
                    first(call, 0, GuardedTensors::accumulator, broken[0], broken[1]);
                }
            }, "Adam.accumulate: sums: sum of F32 by gradients of BF16", "Sgd.accumulate: sums: sum of F32",
                    "Adam.accumulate: gradients zeroed: sum of F32", "Sgd.accumulate: gradients zeroed: sum of F32");
        }
        // The first parameter's gradient is of BF16.
        assertEdgesFound(call -> {
            if (call.accumulates()) {
                first(call, 0, GuardedTensors::grad, 0, 1);
            }
        }, "Adam.accumulate: sums: gradient of F32", "Sgd.accumulate: gradients zeroed: gradient of F32");
        for (boolean accumulates : new boolean[] {false, true}) {
            assertEdgesFound(call -> {
                if (call.accumulates() == accumulates && call.groups().size() > 1) {
                    first(call, 1, GuardedTensors::accumulator, 4, 0);
                    first(call, 1, GuardedTensors::grad, 4, 0);
                    first(call, 1, GuardedTensors::param, 4, 0);
                }
            }, "Adam.accumulate: a group that is not enabled: state",
                    "Adam.accumulate: a group that is not enabled: gradient",
                    "Adam.accumulate: a group that is not enabled: sum",
                    "Sgd.accumulate: a group that is not enabled: sum");
        }
    }

    @Test
    void aBrokenStepWithSumsOfGradientsIsFound() {
        for (boolean skipped : new boolean[] {true, false}) {
            String check = skipped ? "a step whose sums are not finite: " : "a step with sums, gradients not finite: ";
            assertEdgesFound(call -> {
                if (!call.accumulates() && call.kernel().state().foundInf() == skipped) {
                    first(call, 0, GuardedTensors::param, 5, 0);
                    first(call, 0, GuardedTensors::accumulator, 5, 0x80000000);
                }
            }, "Adam.accumulate: " + check + "state of F32", "Sgd.accumulate: " + check + "state of F32",
                    "Adam.accumulate: " + check + "sum of F32", "Sgd.accumulate: " + check + "sum of F32");
            assertEdgesFound(call -> {
                if (!call.accumulates() && call.kernel().state().foundInf() == skipped) {
                    call.kernel().setStepCount(0, call.kernel().stepCount(0) + 1);
                }
            }, "Adam.accumulate: " + check + "step counts", "Sgd.accumulate: " + check + "step counts");
            assertEdgesFound(call -> {
                StepState state = call.kernel().state();
                if (!call.accumulates() && state.foundInf() == skipped) {
                    call.kernel().setState(new StepState(state.gradScale(), 0, state.skippedSteps() + 1, 0, false));
                }
            }, "Adam.accumulate: " + check + "step counts", "Sgd.accumulate: " + check + "step counts");
        }
        assertEdgesFound(call -> {
            if (!call.accumulates()) {
                first(call, 0, GuardedTensors::grad, 0, 0);
            }
        }, "Adam.accumulate: a step with sums, gradients not finite: gradient of F32");
        assertFound(broken(() -> BrokenBackend.accumulation(call -> {
            if (call.accumulates()) {
                call.groups().getFirst().forEach(p -> BrokenBackend.ifThere(p.accumulator(),
                        sum -> BrokenBackend.setBits(sum, 0, BrokenBackend.bits(sum, 0) + 9)));
            }
        })), "broken, Adam.accumulate: sums: sum of F32");
    }

    @Test
    void nothingComparedIsNotKept() {
        assertFound(run(List.of(), List.of()), "nothing was compared");
        assertFound(run(new Grid("empty", List.of()), List.of(CPU), List.of()), "nothing was measured");
        assertFound(
                run(new Grid("empty", List.of()), List.of(CPU, new Subject("other", false, CPU.opener())), List.of()),
                "cpu and other: nothing was compared");
    }

    @Test
    void aChildOfOtherWidthAgrees() {
        VerifyReport report = run(List.of(CPU), List.of(
                new ChildSubject("cpu, 128-bit vectors", "cpu", List.of("-XX:MaxVectorSize=16")),
                new ChildSubject("cpu, scalar code", "cpu", List.of("-Disobit.cpu.path=scalar"))));
        assertTrue(report.passed(), () -> String.join("\n", report.failures()));
        assertEquals(3, report.agreement().size());
        assertTrue(report.subjects().get(2).description().contains("scalar code"));
    }

    @Test
    void theSimulatedDeviceAgrees() {
        assumeTrue(SimProvider.probeOwnJvm().available(), SimProvider.probeOwnJvm().detail());
        VerifyReport report = run(List.of(CPU), List.of(new ChildSubject("sim", "sim", List.of())));
        assertTrue(report.passed(), () -> String.join("\n", report.failures()));
        assertTrue(report.subjects().getLast().description().contains("Isobit simulator sm_90"));
        assertTrue(report.agreement().getFirst().elements() > 1000);
    }

    @Test
    void aBrokenChildIsFound() {
        VerifyReport report = run(List.of(CPU), List.of(
                new ChildSubject("broken child", "broken", List.of("-D" + BrokenProvider.PROPERTY + "=true"))));
        assertFound(report, "cpu and broken child");
        VerifyReport.Difference first = report.agreement().getFirst().firstDifference();
        assertNotNull(first);
        assertEquals("gradient", first.output());
        assertEquals(0, first.index());
        assertEquals(1, first.differing());
    }

    @Test
    void aChildThatDoesNotStartIsAFailure() {
        assertFound(run(List.of(CPU), List.of(new ChildSubject("none", "broken", List.of()))), "only for tests");
    }

    @Test
    void reportsComeBackFromJson(@TempDir Path folder) throws Exception {
        VerifyReport report = broken(() -> BrokenBackend.gradient(
                gradient -> BrokenBackend.setBits(gradient, 0, 0x7fc00000)));
        Path file = folder.resolve("report.json");
        Files.writeString(file, Json.write(report));
        assertEquals(report, Json.read(file, VerifyReport.class));
        var text = new StringWriter();
        VerifyTable.print(report, new PrintWriter(text));
        assertTrue(text.toString().contains("BROKEN"));
        assertTrue(text.toString().contains("Infinity"));
    }

    @Test
    void everyFieldOfTheReportIsDocumented() throws Exception {
        String document =
                Files.readString(Path.of(System.getProperty("isobit.home"), "java-src/harness/verify-report.md"));
        assertTrue(document.contains(VerifyReport.FORMAT));
        List<Class<?>> records = new ArrayList<>(List.of(VerifyReport.class.getDeclaredClasses()));
        records.add(VerifyReport.class);
        records.add(Judge.Worst.class);
        records.add(Machine.class);
        for (Class<?> type : records) {
            for (var component : type.getRecordComponents()) {
                assertTrue(document.contains("`" + component.getName() + "`"),
                        () -> component.getName() + " of " + type.getSimpleName());
            }
        }
    }

    /** Of losses with options, each with a seed of its own; `mvn verify` runs a fixed sample of every operation. */
    @Test
    void aFullRunHasTwentyThousandCombinationsOfLosses() {
        Grid full = Grid.of(Grid.FULL);
        Map<String, Integer> counts = full.operations();
        assertEquals(full.problems().size(), counts.values().stream().mapToInt(Integer::intValue).sum());
        int general = counts.get("CrossEntropy with options");
        int bce = counts.get("BceWithLogits") + counts.get("BceWithLogits, focal");
        int nll = counts.get("NllLoss");
        assertTrue(general >= 10_000 && bce >= 6000 && nll >= 1000 && general + bce + nll >= 20_000, counts.toString());
        assertTrue(counts.get("CrossEntropy") >= 20_000, counts.toString());
        assertEquals(full.problems().size(), full.problems().stream().distinct().count());
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
            assertTrue(full.problems().stream().filter(p -> p instanceof GeneralCrossEntropyProblem g
                    && g.dtype() == dtype && g.inner() > 0).count() > 500, dtype + " with axes behind the classes");
            assertTrue(full.problems().stream().filter(p -> p instanceof BceProblem b && b.dtype() == dtype)
                    .count() > 500, dtype + " of BceWithLogits");
        }
        List<String> losses = counts.keySet().stream().filter(name -> !name.matches("(Adam|SGD).*")).toList();
        assertTrue(losses.size() >= 7 && Grid.of(Grid.SMALL).operations().keySet().containsAll(losses),
                losses.toString());
        var report = run(List.of(CPU), List.of());
        assertEquals(Grid.of(Grid.SMALL).operations(), report.operations());
        var text = new StringWriter();
        VerifyTable.print(report, new PrintWriter(text));
        assertTrue(text.toString().contains("CrossEntropy with options 6;"), text.toString());
    }

    /** Of optimizers with options: plain steps and guarded ones, of one type and of several. */
    @Test
    void aFullRunHasTwentyThousandCombinationsOfOptimizers() {
        Map<String, Integer> counts = Grid.of(Grid.FULL).operations();
        counts.keySet().removeIf(name -> !name.matches("(Adam|SGD).*"));
        assertTrue(counts.values().stream().mapToInt(Integer::intValue).sum() >= 20_000, counts.toString());
        for (String operation : List.of("Adam", "AdamW", "SGD", "SGD with momentum", "Adam, guarded", "SGD, guarded")) {
            for (String types : List.of("", ", mixed types")) {
                assertTrue(counts.getOrDefault(operation + types, 0) >= 300, counts.toString());
            }
        }
    }

    @Test
    void gridsAreTheSameEverywhere() {
        for (String name : List.of(Grid.DEFAULT, Grid.SMALL)) {
            assertEquals(Grid.of(name).problems(), Grid.of(name).problems());
        }
        List<Problem> problems = Grid.of(Grid.DEFAULT).problems();
        assertEquals(problems.size(), problems.stream().map(Problem::name).distinct().count());
        for (int classes : new int[] {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 10, 1000, 1024, 1025, 8191, 8193, 32000, 50257,
            128256}) {
            for (var kind : CrossEntropyProblem.Logits.values()) {
                assertTrue(problems.stream().anyMatch(p -> p instanceof CrossEntropyProblem c && c.classes() == classes
                        && c.logits() == kind), () -> classes + " classes, " + kind);
            }
        }
    }
}
