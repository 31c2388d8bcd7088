package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a launch costs the host, against a driver whose launch returns at once. */
@RecorderTest
class RecorderCostTest {
    private static final int CALLS = 20_000;
    private static final int ROUNDS = 30;
    /** A shared machine only ever adds to the time: what is too slow is measured on for so long. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    /** The promise for one launch through JCuda. */
    private static final double LAUNCH_NANOSECONDS = 800;

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    /** Processor time and bytes of one call, the least of many rounds. */
    private record Cost(double nanoseconds, double bytes) {}

    private static Cost measure(double target, Runnable call) {
        long end = System.nanoTime() + PATIENCE.toNanos();
        long time = Long.MAX_VALUE;
        long bytes = Long.MAX_VALUE;
        for (int round = 0; round < ROUNDS
                || time > target * CALLS && System.nanoTime() < end; round++) {
            long allocated = THREADS.getCurrentThreadAllocatedBytes();
            long start = THREADS.getCurrentThreadCpuTime();
            for (int i = 0; i < CALLS; i++) {
                call.run();
            }
            time = Math.min(time, THREADS.getCurrentThreadCpuTime() - start);
            bytes = Math.min(bytes, THREADS.getCurrentThreadAllocatedBytes() - allocated);
        }
        return new Cost(time / (double) CALLS, bytes / (double) CALLS);
    }

    @Test
    void aLaunchCostsLittleAndAllocatesNothing(Recorder recorder) {
        try (CudaBackend backend = (CudaBackend) Backend.open("cuda");
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
            recorder.setRecording(false);
            Cost step = measure(LAUNCH_NANOSECONDS, adam::step);
            Cost one = measure(LAUNCH_NANOSECONDS, () -> none.lossAndGradient(z, t, rowLoss, z));
            Cost three = measure(3 * LAUNCH_NANOSECONDS, () -> mean.lossAndGradient(z, t, loss, z));
            recorder.setRecording(true);
            System.out.printf("host cost, least of %d rounds or more: Adam.step, 1 launch: %.0f ns; CrossEntropy NONE,"
                    + " 1 launch: %.0f ns; CrossEntropy MEAN, 3 launches: %.0f ns%n", ROUNDS, step.nanoseconds,
                    one.nanoseconds, three.nanoseconds);
            assertEquals(0, step.bytes, 0.01, "bytes per Adam.step");
            assertEquals(0, one.bytes, 0.01, "bytes per CrossEntropy of one launch");
            assertEquals(0, three.bytes, 0.01, "bytes per CrossEntropy of three launches");
            assertTrue(step.nanoseconds < LAUNCH_NANOSECONDS, step.toString());
            assertTrue(one.nanoseconds < LAUNCH_NANOSECONDS, one.toString());
            assertTrue(three.nanoseconds < 3 * LAUNCH_NANOSECONDS, three.toString());
        }
    }
}
