package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.ValueLayout;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;

/** What the shipped kernels of cross-entropy with options move, on the interpreter. */
class GeneralCrossEntropyPtxTest {
    private static final int THREADS = 256;
    private static final int ROWS = 2;
    /** Three segments, the last of them short. */
    private static final int CLASSES = 2 * 8192 + 1000;
    private static final int SEGMENTS = 3;
    private static final long LOGITS = 4L * ROWS * CLASSES;

    /** The gradient from states has the bits that it has without, and reads the logits once; without, they are read twice. */
    @Test
    void theGradientFromStatesReadsTheLogitsOnce() {
        try (var kernels = new PtxKernels(false)) {
            float[] values = new float[ROWS * CLASSES];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) Math.sin(i) * (1 + i % 5);
            }
            PtxKernels.Buffer logits = kernels.new Buffer(LOGITS, 0).set(values);
            PtxKernels.Buffer targets = kernels.new Buffer(8L * ROWS, 0);
            for (int row = 0; row < ROWS; row++) {
                targets.memory().set(ValueLayout.JAVA_LONG_UNALIGNED, 8L * row, 9000L * row);
            }
            PtxKernels.Buffer whole = kernels.new Buffer(LOGITS, 0);
            PtxKernels.Buffer gradient = kernels.new Buffer(LOGITS, 0);
            PtxKernels.Buffer states = kernels.new Buffer(28L * ROWS * SEGMENTS, 0);
            BiConsumer<PtxKernels.Buffer, String> run = (to, field) -> {
                kernels.bytesRead = 0;
                kernels.bytesWritten = 0;
                PtxKernels.Struct params = kernels.new Struct("cross_entropy_general_params").set("logits", logits)
                        .set("targets", targets).set("grad_logits", to).set(field, states).set("rows", (long) ROWS)
                        .set("classes", (long) CLASSES).set("all_classes", (long) CLASSES).set("stride", (long) CLASSES)
                        .set("inner", 1L)
                        .set("ignore_index", -100L).set("keep", 1f).set("scale", 1f).set("grad_loss_scale", 1f);
                kernels.launch("cross_entropy_general", "cross_entropy_general_loss_grad_f32_block", ROWS, THREADS, 0,
                        params);
            };
            run.accept(whole, "states");
            long without = kernels.bytesRead;
            run.accept(gradient, "saved_states");
            assertArrayEquals(whole.floats(), gradient.floats());
            // Each thread asks for the states: one access of a warp. What an element's logit is compared with comes on top.
            long states32 = (long) ROWS * THREADS * (32 * SEGMENTS + 32);
            assertTrue(kernels.bytesRead >= LOGITS && kernels.bytesRead <= LOGITS + states32,
                    kernels.bytesRead + " bytes read of " + LOGITS);
            assertTrue(kernels.bytesWritten >= LOGITS && kernels.bytesWritten < LOGITS + 256,
                    kernels.bytesWritten + " bytes written of " + LOGITS);
            assertTrue(without >= 2 * LOGITS, without + " bytes read without states");
        }
    }
}
