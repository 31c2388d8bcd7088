package dev.isobit.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Backend;
import dev.isobit.DType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** A baseline that computes something else would be a baseline for something else. */
class BaselineTest {
    /** Of the largest result, beyond the rounding of its type. */
    private static final double LARGEST_SHARE = 3e-6;

    @BeforeAll
    static void needsGccAndVectors() throws IOException {
        assumeTrue(System.getProperty("os.arch").equals("amd64") && System.getProperty("os.name").equals("Linux"),
                "skipped: the baseline is for Linux on x86-64");
        String flags = Files.readString(Path.of("/proc/cpuinfo"));
        assumeTrue(flags.contains(" fma ") && flags.contains(" avx2 "),
                "skipped: the baseline needs AVX2 with FMA, or AVX-512");
        String path = System.getenv().getOrDefault("PATH", "");
        assumeTrue(Path.of("/usr/bin/gcc").toFile().exists()
                || Stream.of(path.split(":"))
                        .anyMatch(folder -> Path.of(folder, "gcc").toFile().exists()),
                "skipped: gcc was not found");
    }

    /** Below, at and beyond a vector, four vectors, a block, several blocks; fewer rows than threads. */
    @ParameterizedTest
    @CsvSource({"1,1,1", "3,5,2", "2,16,1", "5,17,2", "3,64,1", "4,1000,2", "2,4095,1", "2,4096,2", "3,4097,1",
        "1,8192,2", "3,10007,2", "16,10,1", "37,10,2", "70,3,1", "33,2,2", "1300,3,2", "1100,2,1", "531,4,1",
        "100,33,1", "50,64,2", "50,65,1",
        "35,1024,2"})
    void everyVariantAgreesWithTheReference(long rows, long classes, int threads) {
        try (var operands = new CrossEntropyCase(rows, classes, threads, false)) {
            for (Baseline.Variant variant : Baseline.Variant.values()) {
                operands.poison();
                operands.baseline(variant);
                operands.check(true);
            }
            operands.poison();
            operands.isobit();
            operands.check(false);
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1,1", "1,1003,2", "3,16,2", "100,64,2", "5,17,1"})
    void adamWAgreesWithTheReference(long tensors, long size, int threads) {
        try (var operands = new AdamCase(tensors, size, threads)) {
            for (int i = 0; i < 3; i++) {
                operands.check(Baseline.Way.PLAIN);
                operands.check(Baseline.Way.OTHER);
                operands.check(null);
            }
        }
    }

    /** Fewer elements than a vector, several vectors and rest, labels that do not go into a vector; more than a block and a turn. */
    static Stream<BenchCase> cases() {
        List<BenchCase> cases = new ArrayList<>();
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
            for (long[] shape : new long[][] {{1, 2}, {5, 3}, {37, 10}, {33, 2}, {40, 65}, {20, 1003}, {3, 5003}}) {
                for (int threads = 1; threads <= 2; threads++) {
                    cases.add(BenchCase.of("cross-entropy", dtype, threads, shape));
                    cases.add(BenchCase.of("bce", dtype, threads, shape));
                    cases.add(BenchCase.of(Workload.PLAIN_BCE, dtype, threads, shape));
                    cases.add(BenchCase.of("adamw", dtype, threads, shape));
                    if (dtype == DType.BF16) {
                        cases.add(BenchCase.of(Workload.NARROW_ADAMW, dtype, threads, shape));
                    }
                    if (dtype == DType.F32) {
                        cases.add(BenchCase.of(AdamWorkload.CLIPPED, dtype, threads, shape));
                        cases.add(BenchCase.of("sgd", dtype, threads, shape));
                    }
                }
            }
        }
        return cases.stream();
    }

    @ParameterizedTest
    @MethodSource("cases")
    void everyOperationAgreesWithFloat64(BenchCase what) {
        for (boolean mean : new boolean[] {true, false}) {
            try (Backend cpu = Backend.open("cpu");
                    var work = Workload.of(what, Inputs.ORDINARY, mean, cpu);
                    var baseline = BaselinePeer.open();
                    var call = Objects.requireNonNull(work.prepare(baseline, Assertions::fail))) {
                work.makeReference();
                List<Workload.Judged> found = work.check(baseline, call);
                assertEquals(work.outputs().size(), found.size());
                for (Workload.Judged judged : found) {
                    assertTrue(judged.share() <= LARGEST_SHARE, mean + " " + judged);
                }
            }
        }
    }

    /** Every operation and type that is timed has a fraction of C. */
    @Test
    void everyOperationIsTimedBesideIt() {
        var settings = new BenchSettings("quick", 1, 3, 0.01, 0.1);
        try (var baseline = BaselinePeer.open()) {
            var timing = new CpuTiming("cpu", settings, List.of(baseline), Assertions::fail);
            for (String operation : BenchCase.OPERATIONS) {
                for (DType dtype : BenchCase.dtypes(operation)) {
                    BenchCase what = AccuracySuite.problem(operation, dtype, 1);
                    var side = Objects.requireNonNull(timing.measure(what)).side(BaselinePeer.NAME);
                    assertTrue(side != null && Objects.requireNonNull(side.fraction()).median() > 0, what.toString());
                }
            }
        }
    }

    /** Wherever it is, and whatever it is; with the gradient put right the step is done, as the first. */
    @ParameterizedTest
    @CsvSource({"0,NaN,1", "1002,Infinity,2", "64,-Infinity,1", "999,NaN,2"})
    void aClippedStepWithAGradientThatIsNotFiniteWritesNothing(int at, float bad, int threads) {
        BenchCase what = BenchCase.of(AdamWorkload.CLIPPED, DType.F32, threads, 3, 1003);
        try (Backend cpu = Backend.open("cpu");
                var work = Workload.of(what, Inputs.ORDINARY, true, cpu);
                var baseline = BaselinePeer.open();
                var call = Objects.requireNonNull(work.prepare(baseline, Assertions::fail));
                Arena arena = Arena.ofConfined()) {
            work.makeReference();
            MemorySegment grad = work.host("grad");
            float good = grad.getAtIndex(ValueLayout.JAVA_FLOAT, at);
            grad.setAtIndex(ValueLayout.JAVA_FLOAT, at, bad);
            call.run();
            for (String output : work.outputs()) {
                MemorySegment after = arena.allocate(work.host(output).byteSize(), 4);
                assertTrue(call.read(output, after));
                assertEquals(-1, after.mismatch(work.host(output)), output);
            }
            grad.setAtIndex(ValueLayout.JAVA_FLOAT, at, good);
            for (Workload.Judged judged : work.check(baseline, call)) {
                assertTrue(judged.share() <= LARGEST_SHARE, judged.toString());
            }
        }
    }

    /** Targets of 0 and 1 at logits of 20 and -20, where others lose all digits. */
    @Test
    void saturatedBceKeepsItsDigits() {
        BenchCase what = BenchCase.of("bce", DType.F32, 1, 64, 64);
        try (Backend cpu = Backend.open("cpu");
                var work = Workload.of(what, Inputs.SATURATED, false, cpu);
                var baseline = BaselinePeer.open();
                var call = Objects.requireNonNull(work.prepare(baseline, Assertions::fail))) {
            work.makeReference();
            for (Workload.Judged judged : work.check(baseline, call)) {
                assertTrue(judged.accuracy().maxUlp() <= 40, judged.toString());
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1,1", "15,2", "16,1", "1003,2"})
    void streamsReachEveryElement(int count, int threads) {
        try (Arena arena = Arena.ofShared()) {
            MemorySegment x = arena.allocate(4L * count, 64);
            MemorySegment y = arena.allocate(4L * count, 64);
            Baseline.stream(x, count, threads);
            Baseline.stream(x, count, threads);
            Baseline.copy(y, x, count, threads);
            for (int i = 0; i < count; i++) {
                assertEquals(2, x.getAtIndex(ValueLayout.JAVA_FLOAT, i), "element " + i);
                assertEquals(2, y.getAtIndex(ValueLayout.JAVA_FLOAT, i), "copy of element " + i);
            }
        }
    }

    @Test
    void saysWhatItIs() {
        assertEquals("C", Baseline.description().substring(0, 1));
    }
}
