package dev.isobit.bench;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.cuda.CudaBackend;
import dev.isobit.harness.Rng;
import dev.isobit.sim.Chip;
import dev.isobit.sim.SimOptions;
import dev.isobit.sim.SimulatedDriver;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.AuxCounters;
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
 * How fast the simulator runs the shipped kernels: mean cross-entropy, loss and gradient, three launches through the
 * simulated driver. {@code instructions} is in thread instructions a second.
 */
@BenchmarkMode(Mode.Throughput)
@OutputTimeUnit(TimeUnit.SECONDS)
@Warmup(iterations = 4, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(1)
public class SimulatorBenchmark {
    /** Rows and classes: kernels that take a thread, a warp, a block a row. */
    @State(Scope.Thread)
    public static class Operands {
        @Param({"512x10", "64x1000", "2x32000"})
        public String shape = "";

        @Param({"false", "true"})
        public boolean sanitizing;

        SimulatedDriver driver = SimulatedDriver.running();
        private CudaBackend backend;
        private CrossEntropy operation;
        private Tensor logits;
        private Tensor targets;
        private Tensor loss;
        private Tensor gradLogits;

        @Setup(Level.Trial)
        public void prepare() {
            driver = SimulatedDriver
                    .start(SimOptions.fromProperties().withChips(List.of(Chip.of("sm_90"))).withSanitizing(sanitizing));
            backend = (CudaBackend) Backend.open("sim");
            int rows = Integer.parseInt(shape.split("x")[0]);
            int classes = Integer.parseInt(shape.split("x")[1]);
            var rng = new Rng(1);
            float[] values = new float[rows * classes];
            for (int i = 0; i < values.length; i++) {
                values[i] = 2 * rng.nextNormal();
            }
            long[] indices = new long[rows];
            for (int i = 0; i < rows; i++) {
                indices[i] = rng.nextInt(classes);
            }
            logits = onDevice(Tensor.of(values, rows, classes));
            targets = onDevice(Tensor.of(indices, rows));
            gradLogits = backend.allocate(DType.F32, rows, classes);
            loss = backend.allocate(DType.F32);
            operation = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
        }

        private Tensor onDevice(Tensor host) {
            Tensor tensor = backend.allocate(host.dtype(), host.shape());
            backend.copy(host, tensor);
            return tensor;
        }

        void run() {
            operation.lossAndGradient(logits, targets, loss, gradLogits);
            backend.defaultStream().synchronize();
        }

        @TearDown(Level.Trial)
        public void close() {
            if (!driver.findings().isEmpty() || !driver.deviceFaults().isEmpty()) {
                throw new IllegalStateException(driver.findings() + " " + driver.deviceFaults());
            }
            operation.close();
            backend.close();
        }
    }

    /** JMH divides it by the time. */
    @AuxCounters
    @State(Scope.Thread)
    public static class Counted {
        public long instructions;
    }

    @Benchmark
    public void crossEntropy(Operands operands, Counted counted) {
        long before = Objects.requireNonNull(operands.driver).threadInstructions();
        operands.run();
        counted.instructions += operands.driver.threadInstructions() - before;
    }
}
