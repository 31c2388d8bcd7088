package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.isobit.Adam;
import dev.isobit.AdamGroup;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.LrSchedule;
import dev.isobit.StepOptions;
import dev.isobit.TargetOutOfRangeException;
import dev.isobit.Tensor;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** A step of training as a graph: replayed, it has the bits of the cpu backend's calls. */
@GpuTest
class GpuGraphTest {
    private static final int ROWS = 6;
    private static final int CLASSES = 5;

    /** Logits that are the parameters themselves, learnt by cross-entropy and AdamW. */
    private static final class Training implements AutoCloseable {
        final Backend backend;
        final Tensor logits;
        final Tensor grad;
        final Tensor targets;
        final Tensor loss;
        final CrossEntropy crossEntropy;
        final Adam adam;

        Training(String name) {
            backend = Backend.open(name);
            logits = backend.allocate(DType.F32, ROWS, CLASSES);
            grad = backend.allocate(DType.F32, ROWS, CLASSES);
            targets = backend.allocate(DType.I64, ROWS);
            loss = backend.allocate(DType.F32);
            Random random = new Random(3);
            float[] start = new float[ROWS * CLASSES];
            for (int i = 0; i < start.length; i++) {
                start[i] = (float) random.nextGaussian();
            }
            backend.copy(Tensor.of(start, ROWS, CLASSES), logits);
            setTargets(0);
            crossEntropy = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
            adam = Adam.on(backend, List.of(new AdamGroup(
                    AdamOptions.adamW().withLr(0.05).withSchedule(LrSchedule.cosine(900, 0.1).withWarmup(50, 0.1)),
                    List.of(AdamParameter.of("logits", logits, grad)))), StepOptions.defaults().withMaxNorm(0.3),
                    backend.defaultStream());
        }

        void setTargets(long first) {
            long[] wanted = new long[ROWS];
            for (int i = 0; i < ROWS; i++) {
                wanted[i] = i == 0 ? first : i % CLASSES;
            }
            backend.copy(Tensor.of(wanted, ROWS), targets);
        }

        void step() {
            crossEntropy.lossAndGradient(logits, targets, loss, grad);
            adam.step();
        }

        int[] bits() {
            int[] bits = new int[ROWS * CLASSES + 1];
            float[] values = new float[ROWS * CLASSES];
            float[] lossValue = new float[1];
            backend.copy(logits, Tensor.of(values, ROWS, CLASSES));
            backend.copy(loss, Tensor.of(lossValue));
            for (int i = 0; i < values.length; i++) {
                bits[i] = Float.floatToRawIntBits(values[i]);
            }
            bits[values.length] = Float.floatToRawIntBits(lossValue[0]);
            return bits;
        }

        @Override
        public void close() {
            adam.close();
            crossEntropy.close();
            backend.close();
        }
    }

    @Test
    void aThousandReplaysWithAChangingLearningRate() {
        try (Training cpu = new Training("cpu"); Training cuda = new Training("cuda")) {
            cpu.step();
            cuda.step();
            try (CudaGraph graph = ((CudaBackend) cuda.backend).defaultStream().capture(cuda::step)) {
                assertArrayEquals(cpu.bits(), cuda.bits(), "nothing ran while it was captured");
                for (int step = 1; step <= 1000; step++) {
                    if (step == 700) {
                        for (Training each : List.of(cpu, cuda)) {
                            each.adam.setLr(0, 0.02);
                            each.adam.queueChanges();
                        }
                    }
                    cpu.step();
                    graph.launch();
                    if (step % 100 == 0) {
                        assertArrayEquals(cpu.bits(), cuda.bits(), "after replay " + step);
                    }
                }
                assertEquals(1001, cuda.adam.stepCount(0));
                assertEquals(cpu.adam.stepState(), cuda.adam.stepState());
            }
        }
    }

    @Test
    void targetsOutOfRangeAreRaisedByTheNextWait() {
        try (Training cuda = new Training("cuda")) {
            CudaStream stream = ((CudaBackend) cuda.backend).defaultStream();
            cuda.step();
            try (CudaGraph graph = stream.capture(cuda::step)) {
                stream.synchronize();
                graph.launch();
                stream.synchronize();
                cuda.setTargets(CLASSES);
                graph.launch();
                var e = assertThrows(TargetOutOfRangeException.class, stream::synchronize);
                assertEquals(0, e.firstRow());
                stream.synchronize();
            }
        }
    }
}
