package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import dev.isobit.bench.BenchReport.Accuracy;
import dev.isobit.bench.BenchReport.HostCost;
import dev.isobit.bench.BenchReport.Measurement;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What is measured is right, and what is wrong is not measured. */
class WorkloadTest {
    private static final BenchSettings SHORT = new BenchSettings("quick", 1, 3, 0.01, 0.1);

    static Stream<String> operations() {
        return BenchCase.OPERATIONS.stream();
    }

    /** The budgets of NUMERICS.md are 4 and 6; what is added may be larger than the result. */
    @ParameterizedTest
    @MethodSource("operations")
    void errorsAreWithinTheContractOnEveryKindOfInputs(String operation) {
        try (Backend one = Backend.open("cpu", BackendOptions.defaults().withThreads(1));
                Backend three = Backend.open("cpu", BackendOptions.defaults().withThreads(3))) {
            List<Accuracy> found = AccuracySuite.measure("cpu", one, List.of(operation), List.of(), Assertions::fail);
            assertEquals(Inputs.of(operation).size(),
                    found.stream().map(Accuracy::inputs).distinct().count());
            assertEquals(BenchCase.dtypes(operation).stream().map(DType::name).toList(),
                    found.stream().map(Accuracy::dtype).distinct().toList());
            for (Accuracy accuracy : found) {
                boolean narrow = !accuracy.dtype().equals("F32") && accuracy.output().equals("gradLogits");
                assertTrue(accuracy.maxUlp() <= (narrow ? 1 : 6) && accuracy.rmsUlp() <= accuracy.maxUlp(),
                        accuracy.toString());
                assertTrue(accuracy.rmsUlp() > 0 && accuracy.elements() > 10, accuracy.toString());
            }
            assertEquals(found, AccuracySuite.measure("cpu", three, List.of(operation), List.of(), Assertions::fail));
        }
    }

    @ParameterizedTest
    @MethodSource("operations")
    void aHostTimingHasItsSidesAndItsRounds(String operation) {
        BenchCase what = AccuracySuite.problem(operation, DType.F32, 2);
        Measurement found = new CpuTiming("cpu", SHORT, List.of(new Planted(operation, 0)), Assertions::fail)
                .measure(what);
        assertEquals(List.of("cpu", "copy", "in-place stream", "planted"),
                found.sides().stream().map(BenchReport.SideResult::runner).toList());
        for (var side : found.sides()) {
            assertEquals(1, side.seconds().length);
            assertEquals(3, side.seconds()[0].length);
            assertTrue(side.microseconds().low() > 0 && side.microseconds().median() <= side.microseconds().high());
            assertEquals(side == found.own(), side.fraction() == null);
        }
        assertEquals("planted", found.peer());
        assertEquals(what.elements(), found.elements());
        assertNull(found.side("nobody"));
    }

    /** 28 bytes of the update and 4 of the norm; and the norm is there: other parameters than without. */
    @Test
    void aClippedStepReadsItsGradientsTwice() {
        try (Backend cpu = Backend.open("cpu");
                var plain = Workload.of(AccuracySuite.problem("adamw", DType.F32, 1), Inputs.ORDINARY, true, cpu);
                var clipped = Workload.of(AccuracySuite.problem("adamw-clipped", DType.F32, 1), Inputs.ORDINARY, true,
                        cpu)) {
            assertEquals(28 * plain.what.elements(), plain.bytes());
            assertEquals(32 * clipped.what.elements(), clipped.bytes());
            plain.makeReference();
            clipped.makeReference();
            assertNotEquals(plain.digest(), clipped.digest());
            assertEquals(clipped.digest(), clipped.digest());
        }
    }

    @ParameterizedTest
    @EnumSource(names = {"BF16", "F16"})
    void sixteenBitsAreTimedWithoutPeers(DType dtype) {
        for (String operation : List.of("cross-entropy", "bce")) {
            BenchCase what = AccuracySuite.problem(operation, dtype, 1);
            Measurement found = new CpuTiming("cpu", SHORT, List.of(), Assertions::fail).measure(what);
            assertEquals(List.of("cpu", "copy", "in-place stream"),
                    found.sides().stream().map(BenchReport.SideResult::runner).toList());
            assertEquals(what, found.what());
            long perElement = operation.equals("bce") ? 2 + 4 + 2 : 2 + 2;
            assertEquals(perElement * what.elements() + (operation.equals("bce") ? 0 : 8 * what.shape().getFirst()),
                    found.own().bytes());
        }
    }

    @Test
    void aPeerWithWrongResultsIsNotTimed() {
        BenchCase what = AccuracySuite.problem("cross-entropy", DType.F32, 1);
        for (float wrong : new float[] {0.5f, Float.NaN, Float.NEGATIVE_INFINITY}) {
            List<String> absent = new ArrayList<>();
            assertNull(new CpuTiming("cpu", SHORT, List.of(new Planted("cross-entropy", wrong)), absent::add)
                    .measure(what));
            assertTrue(absent.getFirst().startsWith("cross-entropy 64x1000 F32, 1 thread, planted: loss is wrong"),
                    absent.toString());
        }
    }

    @Test
    void aBackendWithWrongResultsIsNotTimed() {
        for (double wrong : new double[] {41, Double.NaN, Double.POSITIVE_INFINITY}) {
            var accuracy = new Accuracy("cpu", "sgd", "F32", "ordinary", "param", 1, wrong, 1, "");
            var refused = assertThrows(IllegalStateException.class,
                    () -> CpuTiming.require(List.of(new Workload.Judged(accuracy, 0)), 40));
            assertTrue(refused.getMessage().startsWith("cpu, sgd, param: "), refused.getMessage());
        }
    }

    /** 4 ULP in one element is found, wherever it is. */
    @Test
    void anotherBitIsAnotherDigest() {
        try (Backend cpu = Backend.open("cpu");
                var work = Workload.of(AccuracySuite.problem("cross-entropy", DType.F32, 1), Inputs.ORDINARY, false,
                        cpu)) {
            work.makeReference();
            Accuracy right = work.check("cpu").get(1).accuracy();
            MemorySegment grad = work.host("gradLogits");
            int bits = grad.getAtIndex(ValueLayout.JAVA_INT, 777);
            grad.setAtIndex(ValueLayout.JAVA_INT, 777, bits + 4);
            try (var planted = new Planted.Copied(grad)) {
                Accuracy wrong = work.check(new Planted("cross-entropy", 0), planted).getFirst().accuracy();
                assertEquals("gradLogits", wrong.output());
                assertTrue(wrong.maxUlp() > 3, wrong.toString());
                assertNotEquals(right.digest(), wrong.digest());
            }
        }
    }

    @Test
    void aSimulatedDeviceGoesTheSameWayAndItsClockIsNoTiming() {
        List<String> operations = List.of("adamw", "adamw-clipped", "cross-entropy");
        try (var timing = new GpuTiming("sim", SHORT, true)) {
            for (String operation : operations) {
                List<Measurement> found = timing.measure(BenchCase.of(operation, DType.F32, 0, 3, 100));
                assertEquals(List.of("simulated"), found.stream().map(Measurement::clock).toList());
                assertEquals(switch (operation) {
                    case "adamw" -> List.of("sim", "copy", SameMixStream.NAME);
                    case AdamWorkload.CLIPPED -> List.of("sim", AdamWorkload.BARE, "copy", SameMixStream.NAME);
                    default -> List.of("sim", "copy");
                }, found.getFirst().sides().stream().map(BenchReport.SideResult::runner).toList());
                assertEquals(operation.equals("cross-entropy"), found.getFirst().stream() == null);
                assertEquals(operation.equals(AdamWorkload.CLIPPED), found.getFirst().timesBareStep().isPresent());
            }
            assertEquals(4, timing.transfers().size());
            assertTrue(timing.device().contains("sm_90"), timing.device());
            try (Backend cpu = Backend.open("cpu")) {
                assertEquals(AccuracySuite.measure("x", cpu, operations, List.of(), Assertions::fail),
                        AccuracySuite.measure("x", timing.backend(), operations, List.of(), Assertions::fail));
            }
        }
        List<String> launchers = new ArrayList<>(operations.stream().flatMap(operation -> Stream
                .of("JCuda, one struct", "a graph, replayed by JCuda", "java.lang.foreign, one struct")).toList());
        launchers.add("JCuda, a Pointer for each parameter");
        assertEquals(launchers.stream().sorted().toList(), GpuTiming.hostCosts("sim", SHORT, operations, true).stream()
                .map(HostCost::launcher).sorted().toList());
    }

    /** Its targets are of 100 M parameters and more; a quick run has them as well. */
    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void aDeviceStepsOverMoreThanAHundredMillion(boolean quick) {
        List<BenchCase> cases = BenchGrid.device(quick, BenchCase.OPERATIONS, List.of(DType.F32));
        for (String operation : List.of("adamw", AdamWorkload.CLIPPED)) {
            assertTrue(cases.stream()
                    .anyMatch(what -> what.operation().equals(operation) && what.elements() > 100_000_000), operation);
        }
    }

    /** Two seconds by one and a half, whatever either moves. */
    @Test
    void aStepIsHeldAgainstABareOneByTime() {
        BenchCase what = BenchCase.of(AdamWorkload.CLIPPED, DType.F32, 0, 1, 100);
        List<Side> sides = List.of(new Side("cuda", 3200, 100, () -> {}),
                new Side(AdamWorkload.BARE, 2800, 100, () -> {}));
        Measurement found =
                Measurements.of(what, "cuda", "events, warm cache", -1, sides, new double[][] {{2, 2}, {1.5, 1.5}});
        assertEquals(2 / 1.5, found.timesBareStep().getAsDouble(), 1e-12);
    }

    @Test
    void forksAreJoined() {
        BenchCase what = BenchCase.of("sgd", DType.F32, 1, 1, 100);
        List<Side> sides = List.of(new Side("cpu", 200, 100, () -> {}), new Side("copy", 800, 200, () -> {}));
        Measurement first = Measurements.of(what, "cpu", "wall", 0, sides, new double[][] {{1, 2, 3}, {2, 4, 6}});
        Measurement second = Measurements.of(what, "cpu", "wall", 1, sides, new double[][] {{3, 4, 5}, {6, 8, 10}});
        Measurement both = Measurements.join(first, second);
        assertEquals(3e6, both.own().microseconds().median());
        assertEquals(1, both.allocatedBytesPerCall());
        var copy = both.side("copy");
        // 200 bytes in a second by 800 in two, in every round.
        assertEquals(new Bootstrap.Interval(0.5, 0.5, 0.5), copy.fraction());
        assertEquals(200 / 6.0 * 1e-9, copy.gigaElements(), 1e-18);
    }
}
