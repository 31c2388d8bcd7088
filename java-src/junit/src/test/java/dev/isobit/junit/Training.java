package dev.isobit.junit;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Tensor;
import java.util.List;

/** Five steps that fit logits to targets. What a test changes in it is set here. Run by the tests of this package only. */
final class Training {
    /** The step at which one bit is changed; 0 for none. */
    static int changedStep;
    /** Where it is changed. */
    static int changedElement;
    static int steps = 5;
    static String name = "logits";
    static boolean failing;
    /** The change is made where the backend's description has this. */
    static String changedWhere = "";

    private Training() {}

    static void reset() {
        changedStep = 0;
        changedElement = 0;
        steps = 5;
        name = "logits";
        failing = false;
        changedWhere = "";
    }

    static void run(Trace trace) {
        if (failing) {
            throw new IllegalStateException("the test's own failure");
        }
        Backend backend = trace.backend();
        float[] values = new float[12];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) Math.sqrt(i + 1);
        }
        Tensor logits = backend.allocate(DType.F32, 3, 4);
        Tensor gradLogits = backend.allocate(DType.F32, 3, 4);
        Tensor targets = backend.allocate(DType.I64, 3);
        Tensor loss = backend.allocate(DType.F32);
        backend.copy(Tensor.of(values, 3, 4), logits);
        backend.copy(Tensor.of(new long[] {0, 3, 1}, 3), targets);
        try (var crossEntropy = CrossEntropy.on(backend, CrossEntropyOptions.defaults());
                var adamW = Adam.on(backend, AdamOptions.adamW().withLr(0.1),
                        List.of(AdamParameter.of("logits", logits, gradLogits)))) {
            for (int step = 1; step <= steps; step++) {
                trace.step();
                crossEntropy.lossAndGradient(logits, targets, loss, gradLogits);
                trace.record("CrossEntropy", "loss", loss);
                adamW.step();
                backend.copy(logits, Tensor.of(values, 3, 4));
                if (step == changedStep && backend.description().contains(changedWhere)) {
                    values[changedElement] = Math.nextUp(values[changedElement]);
                    backend.copy(Tensor.of(values, 3, 4), logits);
                }
                trace.record("AdamW", name, logits);
            }
        }
    }
}
