package dev.isobit.bench;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.cuda.CudaBackend;
import dev.isobit.cuda.LaunchMethod;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * What a call on the cuda backend costs the host, all of it: checks, argument block, launches. The driver is a stand-in
 * whose launch returns at once. Beside it a launch as JCuda's samples write it. That each call reaches the driver as
 * often as it should is checked before and after.
 */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 5, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(2)
public class LaunchBenchmark {
    private static final long ROWS = 10;
    private static final long CLASSES = 10;

    /** Isobit's operations, launched one way or the other. */
    @State(Scope.Thread)
    public static class Operations {
        @Param({"JCUDA", "FFM"})
        public LaunchMethod launcher;

        private CudaBackend backend;
        private CrossEntropy none;
        private CrossEntropy mean;
        private Adam adam;
        private Tensor logits;
        private Tensor targets;
        private Tensor rowLoss;
        private Tensor loss;

        @Setup(Level.Trial)
        public void prepare() {
            backend = DriverStandIn.open(launcher);
            Memory memory = backend.allocate(4096);
            logits = Tensor.of(DType.F32, memory, 0, ROWS, CLASSES);
            targets = Tensor.of(DType.I64, memory, 1024, ROWS);
            rowLoss = Tensor.of(DType.F32, memory, 2048, ROWS);
            loss = Tensor.of(DType.F32, memory, 3072);
            none = CrossEntropy.on(backend, CrossEntropyOptions.defaults().withReduction(Reduction.NONE));
            mean = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
            adam = Adam.on(backend, AdamOptions.adamW(), List.of(AdamParameter.of("p",
                    Tensor.of(DType.F32, memory, 0, 8), Tensor.of(DType.F32, memory, 32, 8))));
            System.out.println(backend.description());
            check();
            DriverStandIn.setRecording(false);
        }

        private void check() {
            requireLaunches(1, this::rowLosses);
            requireLaunches(3, this::meanLoss);
            requireLaunches(1, this::step);
        }

        void rowLosses() {
            none.lossAndGradient(logits, targets, rowLoss, logits);
        }

        void meanLoss() {
            mean.lossAndGradient(logits, targets, loss, logits);
        }

        void step() {
            adam.step();
        }

        @TearDown(Level.Trial)
        public void checkAndClose() {
            check();
            adam.close();
            mean.close();
            none.close();
            backend.close();
        }
    }

    /** The peer. */
    @State(Scope.Thread)
    public static class Samples {
        private CudaBackend backend;
        private JCudaIdiom idiom;

        @Setup(Level.Trial)
        public void prepare() {
            backend = DriverStandIn.open(LaunchMethod.JCUDA); // loads JCuda
            idiom = new JCudaIdiom(backend.defaultStream(), ROWS, CLASSES);
            DriverStandIn.setRecording(false);
        }

        @TearDown(Level.Trial)
        public void close() {
            DriverStandIn.setRecording(true);
            idiom.close();
            backend.close();
        }
    }

    private static void requireLaunches(long expected, Runnable call) {
        long found = DriverStandIn.launchesOf(call);
        if (found != expected) {
            throw new IllegalStateException("a call made " + found + " launches, not " + expected);
        }
    }

    @Benchmark
    public void crossEntropyNoneOneLaunch(Operations operations) {
        operations.rowLosses();
    }

    @Benchmark
    public void crossEntropyMeanThreeLaunches(Operations operations) {
        operations.meanLoss();
    }

    @Benchmark
    public void adamStepOneLaunch(Operations operations) {
        operations.step();
    }

    @Benchmark
    public void jcudaPointersOneLaunch(Samples samples) {
        samples.idiom.launch();
    }
}
