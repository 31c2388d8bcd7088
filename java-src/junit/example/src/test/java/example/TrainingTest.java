package example;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Tensor;
import dev.isobit.junit.BackendsAgree;
import dev.isobit.junit.GoldenTrace;
import dev.isobit.junit.Trace;
import java.util.List;

class TrainingTest {
    private static final int ROWS = 8;
    private static final int CLASSES = 10;

    /** Twenty steps of training, the same to the bit as when they were recorded. */
    @GoldenTrace
    void trains(Trace trace) {
        Backend backend = trace.backend();
        Tensor logits = backend.allocate(DType.F32, ROWS, CLASSES);
        Tensor gradLogits = backend.allocate(DType.F32, ROWS, CLASSES);
        Tensor targets = backend.allocate(DType.I64, ROWS);
        Tensor loss = backend.allocate(DType.F32);
        backend.copy(Tensor.of(start(), ROWS, CLASSES), logits);
        backend.copy(Tensor.of(new long[] {3, 1, 4, 1, 5, 9, 2, 6}, ROWS), targets);
        try (var crossEntropy = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
                var adamW = Adam.on(backend, AdamOptions.adamW().withLr(0.1),
                        List.of(AdamParameter.of("logits", logits, gradLogits)))) {
            for (int step = 1; step <= 20; step++) {
                trace.step();
                crossEntropy.lossAndGradient(logits, targets, loss, gradLogits);
                trace.record("CrossEntropy", "loss", loss);
                trace.record("CrossEntropy", "gradLogits", gradLogits);
                adamW.step();
                trace.record("AdamW", "logits", logits);
            }
        }
    }

    /** One operation, on every backend here. */
    @BackendsAgree
    void crossEntropy(Trace trace) {
        Backend backend = trace.backend();
        Tensor logits = backend.allocate(DType.F32, ROWS, CLASSES);
        Tensor targets = backend.allocate(DType.I64, ROWS);
        Tensor loss = backend.allocate(DType.F32);
        backend.copy(Tensor.of(start(), ROWS, CLASSES), logits);
        try (var crossEntropy = CrossEntropy.on(backend, CrossEntropyOptions.defaults())) {
            crossEntropy.loss(logits, targets, loss);
            trace.record("CrossEntropy", "loss", loss);
        }
    }

    private static float[] start() {
        float[] values = new float[ROWS * CLASSES];
        for (int i = 0; i < values.length; i++) {
            values[i] = (i * 37 % 19) * 0.25f - 2;
        }
        return values;
    }
}
