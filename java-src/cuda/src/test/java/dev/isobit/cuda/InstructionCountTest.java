package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.ValueLayout;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Instructions of the PTX per logit, loss and gradient. An H100 moves 8 bytes, which is a logit and its gradient, in the
 * time of 78; what a row has beside its logits makes room for more where there are few classes. An instruction counts 32
 * times, for the threads of a warp, whether they take part or not.
 */
class InstructionCountTest {
    private static PtxKernels kernels;

    @BeforeAll
    static void open() {
        kernels = new PtxKernels(false);
    }

    @AfterAll
    static void close() {
        kernels.close();
    }

    /** Classes, segments in shared memory, and the most instructions that there may be: 2 % more than there are. */
    @ParameterizedTest
    @CsvSource({"2, 0, 258", "6, 0, 98", "10, 0, 74", "16, 0, 71", "20, 0, 60", "32, 0, 64", "33, 0, 181", "64, 0, 88",
        "65, 0, 138", "100, 0, 86", "128, 0, 67", "256, 0, 56", "257, 0, 100", "512, 0, 56", "1000, 0, 58",
        "1025, 0, 76", "2048, 0, 51", "2049, 0, 136", "3000, 0, 85", "4096, 0, 71", "8192, 0, 55", "32000, 0, 73",
        "32000, 3, 53", "128256, 0, 77"})
    void perLogit(int classes, int stash, int most) {
        String variant = classes <= 32
                ? "thread"
                : classes <= 1024 ? "warp" : classes <= 2048 ? "wide" : "block";
        int rows = variant.equals("thread") ? 512 : variant.equals("block") ? 2 : 64;
        Random random = new Random(classes);
        float[] values = new float[rows * classes];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextGaussian();
        }
        PtxKernels.Buffer logits = kernels.new Buffer(4L * values.length, 0).set(values);
        PtxKernels.Buffer gradLogits = kernels.new Buffer(4L * values.length, 0);
        PtxKernels.Buffer rowLoss = kernels.new Buffer(4L * rows, 0);
        PtxKernels.Buffer targets = kernels.new Buffer(8L * rows, 0);
        for (int i = 0; i < rows; i++) {
            targets.memory().setAtIndex(ValueLayout.JAVA_LONG_UNALIGNED, i, random.nextInt(classes));
        }
        PtxKernels.Struct params = kernels.new Struct("cross_entropy_params").set("logits", logits)
                .set("targets", targets).set("row_loss", rowLoss).set("grad_logits", gradLogits)
                .set("rows", (long) rows).set("classes", (long) classes).set("ignore_index", -100L)
                .set("stash_segments", stash);
        long before = kernels.instructions;
        for (int file = 0; file < 2; file++) {
            kernels.launch("cross_entropy", "cross_entropy_loss_grad_f32_" + variant, 1,
                    variant.equals("block") ? 256 : 128,
                    variant.equals("thread") ? 512 * classes + 16 : 32768 * stash, params);
        }
        double perLogit = 32.0 * (kernels.instructions - before) / 2 / values.length;
        System.out.printf("%d classes%s: %.1f instructions per logit%n", classes,
                stash == 0 ? "" : ", " + stash + " segments in shared memory", perLogit);
        for (PtxKernels.Buffer buffer : new PtxKernels.Buffer[] {logits, gradLogits, rowLoss, targets}) {
            buffer.free();
        }
        assertTrue(perLogit <= most, classes + " classes: " + perLogit + " instructions per logit, not " + most);
    }
}
