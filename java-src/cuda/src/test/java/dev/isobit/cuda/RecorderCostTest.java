package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What a launch costs the host, against a driver whose launch returns at once. */
@RecorderTest
class RecorderCostTest {
    private static final int CALLS = 20_000;
    private static final int ROUNDS = 30;
    /** A shared machine only ever adds to the time: what is too slow is measured on for so long. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    /** Nanoseconds that an operation may add to its launches. */
    private static final double OPERATION = 100;

    /** The promise for one launch. */
    private static double promise(LaunchMethod method) {
        return switch (method) {
            case JCUDA -> 800;
            case FFM -> 100;
        };
    }

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** Processor time and bytes of one call, the least of many rounds. */
    private record Cost(double nanoseconds, double promise, double bytes) {
        @Override
        public String toString() {
            return String.format("%.0f ns of %.0f", nanoseconds, promise);
        }
    }

    private static Cost measure(double promise, Runnable call) {
        long end = System.nanoTime() + PATIENCE.toNanos();
        long time = Long.MAX_VALUE;
        long bytes = Long.MAX_VALUE;
        for (int round = 0; round < ROUNDS
                || time > promise * CALLS && System.nanoTime() < end; round++) {
            long allocated = THREADS.getCurrentThreadAllocatedBytes();
            long start = THREADS.getCurrentThreadCpuTime();
            for (int i = 0; i < CALLS; i++) {
                call.run();
            }
            time = Math.min(time, THREADS.getCurrentThreadCpuTime() - start);
            bytes = Math.min(bytes, THREADS.getCurrentThreadAllocatedBytes() - allocated);
        }
        return new Cost(time / (double) CALLS, promise, bytes / (double) CALLS);
    }

    /** A step costs the host no more than a launch and what any operation adds to it, and allocates nothing. */
    private static void assertCheap(Recorder recorder, String what, Adam adam) {
        recorder.setRecording(false);
        Cost cost = measure(promise(LaunchMethod.FFM) + OPERATION, adam::step);
        recorder.setRecording(true);
        System.out.println("host cost of a step of " + what + ": " + cost);
        assertEquals(0, cost.bytes, 0.01);
        assertTrue(cost.nanoseconds <= cost.promise, cost.toString());
    }

    /** Ten thousand parameters, each operand in memory of its own, which ends at last. */
    @Test
    void aStepCostsTheSameForThousandsOfParameters(Recorder recorder) {
        List<Memory> memories = new ArrayList<>();
        List<AdamParameter> parameters = new ArrayList<>();
        try (CudaBackend backend = new CudaProvider().open(BackendOptions.defaults(), LaunchMethod.FFM)) {
            for (int i = 0; i < 10_000; i++) {
                Tensor param = backend.allocate(DType.F32, 64);
                Tensor grad = backend.allocate(DType.F32, 64);
                memories.add(param.memory());
                parameters.add(AdamParameter.of("p" + i, param, grad));
            }
            try (Adam adam = Adam.on(backend, AdamOptions.adamW(), parameters)) {
                assertCheap(recorder, "10,000 parameters", adam);
                memories.get(7_777).close();
                for (int i = 0; i < 2; i++) {
                    String message = assertThrows(IllegalStateException.class, adam::step).getMessage();
                    assertTrue(message.contains("param of p7777"), message);
                }
            }
            memories.forEach(Memory::close);
            parameters.forEach(p -> p.grad().memory().close());
        }
    }

    /** Ten thousand groups, whose scalars the host does not touch. */
    @Test
    void aStepCostsTheSameForThousandsOfGroups(Recorder recorder) {
        try (CudaBackend backend = new CudaProvider().open(BackendOptions.defaults(), LaunchMethod.FFM);
                Memory memory = backend.allocate(10_000 * 32);
                Adam adam = Adam.on(backend, IntStream.range(0, 10_000).mapToObj(i -> new AdamGroup(
                        AdamOptions.adamW(), List.of(AdamParameter.of("p" + i,
                                Tensor.of(DType.F32, memory, 32L * i, 4),
                                Tensor.of(DType.F32, memory, 32L * i + 16, 4)))))
                        .toList())) {
            adam.step();
            assertCheap(recorder, "10,000 groups", adam);
        }
    }

    @ParameterizedTest
    @EnumSource
    void aLaunchCostsLittleAndAllocatesNothing(LaunchMethod method, Recorder recorder) {
        try (CudaBackend backend = new CudaProvider().open(BackendOptions.defaults(), method);
                Memory memory = backend.allocate(4096);
                Adam adam = Adam.on(backend, AdamOptions.adamW(), List.of(AdamParameter.of("p",
                        Tensor.of(DType.F32, memory, 0, 8), Tensor.of(DType.F32, memory, 32, 8))));
                CrossEntropy none = CrossEntropy.on(backend,
                        CrossEntropyOptions.defaults().withReduction(Reduction.NONE));
                CrossEntropy mean = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            Tensor z = Tensor.of(DType.F32, memory, 0, 10, 10);
            Tensor t = Tensor.of(DType.I64, memory, 1024, 10);
            Tensor rowLoss = Tensor.of(DType.F32, memory, 2048, 10);
            Tensor loss = Tensor.of(DType.F32, memory, 2048);
            mean.lossAndGradient(z, t, loss, z);
            Launcher launcher = backend.launcher(backend.defaultStream(), new ArgumentBlock(KernelParams.Adam.LAYOUT));
            CudaFunction function = backend.module("test", "adam").function("test", "adam_step_f32");
            double promise = promise(method);
            recorder.setRecording(false);
            Map<String, Cost> costs = new LinkedHashMap<>();
            costs.put("a launch", measure(promise, () -> launcher.launch(function, 1, 256, 0)));
            // What an operation adds to its launches, such as checks, is little.
            costs.put("Adam.step, 1 launch", measure(promise + OPERATION, adam::step));
            costs.put("CrossEntropy NONE, 1 launch",
                    measure(promise + OPERATION, () -> none.lossAndGradient(z, t, rowLoss, z)));
            costs.put("CrossEntropy MEAN, 3 launches",
                    measure(3 * promise + OPERATION, () -> mean.lossAndGradient(z, t, loss, z)));
            recorder.setRecording(true);
            System.out.println("host cost, " + method + ": " + costs);
            costs.forEach((what, cost) -> {
                assertEquals(0, cost.bytes, 0.01, what);
                assertTrue(cost.nanoseconds <= cost.promise, what + ": " + cost);
            });
        }
    }
}
