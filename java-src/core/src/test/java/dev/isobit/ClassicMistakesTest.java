package dev.isobit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.ClassicMistakes.Finding;
import dev.isobit.ClassicMistakes.Mistake;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Each mistake is found, with its evidence, and what looks like it from afar is not. */
class ClassicMistakesTest {
    private static final int ROWS = 300;
    private static final int CLASSES = 5;

    private final Random random = new Random(1);

    private float[] scores() {
        float[] scores = new float[ROWS * CLASSES];
        for (int i = 0; i < scores.length; i++) {
            scores[i] = (float) (2 * random.nextGaussian());
        }
        return scores;
    }

    private float[] softmax(boolean logarithm) {
        Tensor of = Tensor.of(scores(), ROWS, CLASSES);
        float[] result = new float[ROWS * CLASSES];
        try (Backend cpu = Backend.open("cpu");
                Softmax softmax = Softmax.on(cpu, SoftmaxOptions.defaults());
                LogSoftmax log = LogSoftmax.on(cpu, SoftmaxOptions.defaults())) {
            Tensor to = Tensor.of(result, ROWS, CLASSES);
            if (logarithm) {
                log.logProbabilities(of, to);
            } else {
                softmax.probabilities(of, to);
            }
        }
        return result;
    }

    private static Tensor rows(float[] values) {
        return Tensor.of(values, ROWS, CLASSES);
    }

    private static Tensor indices(long value) {
        long[] targets = new long[ROWS];
        for (int i = 1; i < ROWS; i++) {
            targets[i] = value;
        }
        targets[0] = value;
        return Tensor.of(targets, ROWS);
    }

    /** Rows of zeros with so many ones. */
    private float[] labels(int ones) {
        float[] labels = new float[ROWS * CLASSES];
        for (int row = 0; row < ROWS; row++) {
            int first = random.nextInt(CLASSES);
            for (int k = 0; k < ones; k++) {
                labels[row * CLASSES + (first + k) % CLASSES] = 1;
            }
        }
        return labels;
    }

    private static void silent(List<Finding> findings) {
        assertEquals(List.of(), findings);
    }

    private static void found(List<Finding> findings, Mistake mistake, String... evidence) {
        assertEquals(List.of(mistake), findings.stream().map(Finding::mistake).toList());
        for (String words : evidence) {
            assertTrue(findings.getFirst().toString().contains(words), findings.toString());
        }
    }

    @Test
    void probabilitiesAsLogits() {
        found(ClassicMistakes.crossEntropy(rows(softmax(false)), indices(1), -100), Mistake.PROBABILITIES_AS_LOGITS,
                "all of 256 sampled rows", "softmax");
        silent(ClassicMistakes.crossEntropy(rows(scores()), indices(1), -100));
        // Probabilities but for one row that is looked at.
        float[] almost = softmax(false);
        almost[0] = -0.5f;
        silent(ClassicMistakes.crossEntropy(rows(almost), indices(1), -100));
        silent(ClassicMistakes.crossEntropy(Tensor.of(new float[0], 0, 3), Tensor.of(new long[0], 0), -100));
    }

    @Test
    void sigmoidAppliedTwice() {
        float[] p = new float[ROWS * CLASSES];
        for (int i = 0; i < p.length; i++) {
            p[i] = random.nextFloat();
        }
        Tensor targets = rows(labels(2));
        found(ClassicMistakes.bceWithLogits(rows(p), targets, null), Mistake.SIGMOID_APPLIED_TWICE,
                "all 1280 sampled logits");
        silent(ClassicMistakes.bceWithLogits(rows(scores()), targets, null));
        // A layer that starts with zeros.
        silent(ClassicMistakes.bceWithLogits(rows(new float[ROWS * CLASSES]), targets, null));
    }

    @Test
    void logitsAsProbabilities() {
        found(ClassicMistakes.crossEntropyWithProbabilities(rows(scores()), rows(scores())),
                Mistake.LOGITS_AS_PROBABILITIES, "outside [0, 1]");
        silent(ClassicMistakes.crossEntropyWithProbabilities(rows(scores()), rows(softmax(false))));
    }

    @Test
    void notLogProbabilities() {
        found(ClassicMistakes.nllLoss(rows(scores()), indices(1), -100), Mistake.NOT_LOG_PROBABILITIES,
                "do not add up to 1", "LogSoftmax");
        found(ClassicMistakes.nllLoss(rows(softmax(false)), indices(1), -100), Mistake.NOT_LOG_PROBABILITIES);
        silent(ClassicMistakes.nllLoss(rows(softmax(true)), indices(1), -100));
    }

    @Test
    void targetsThatDoNotSumToOne() {
        float[] half = softmax(false);
        for (int i = 0; i < half.length; i++) {
            half[i] /= 2;
        }
        found(ClassicMistakes.crossEntropyWithProbabilities(rows(scores()), rows(half)),
                Mistake.TARGETS_DO_NOT_SUM_TO_ONE, "256 of 256", "0.5");
        silent(ClassicMistakes.crossEntropyWithProbabilities(rows(scores()), rows(labels(1))));
    }

    @Test
    void multiLabelTargets() {
        found(ClassicMistakes.crossEntropyWithProbabilities(rows(scores()), rows(labels(2))),
                Mistake.MULTI_LABEL_TARGETS, "several ones", "BceWithLogits");
        silent(ClassicMistakes.crossEntropyWithProbabilities(rows(scores()), rows(labels(1))));
    }

    @Test
    void oneHotTargets() {
        found(ClassicMistakes.bceWithLogits(rows(scores()), rows(labels(1)), null), Mistake.ONE_HOT_TARGETS,
                "exactly one 1 among 5", "CrossEntropy");
        float[] mostly = labels(1);
        mostly[0] = 1 - mostly[0];
        silent(ClassicMistakes.bceWithLogits(rows(scores()), rows(mostly), null));
        silent(ClassicMistakes.bceWithLogits(rows(scores()), rows(softmax(false)), null));
    }

    @Test
    void posWeightFarFromTheData() {
        // Two of five: 1.5 negatives for a positive.
        Tensor targets = rows(labels(2));
        Tensor logits = rows(scores());
        found(ClassicMistakes.bceWithLogits(logits, targets, Tensor.of(new float[] {50})),
                Mistake.POS_WEIGHT_FAR_FROM_DATA, "posWeight is 50.0", "1.50 negatives");
        silent(ClassicMistakes.bceWithLogits(logits, targets, Tensor.of(new float[] {2})));
        Tensor each = Tensor.of(new float[] {1.5f, 1.5f, 0.1f, 1.5f, 99}, CLASSES);
        found(ClassicMistakes.bceWithLogits(logits, targets, each), Mistake.POS_WEIGHT_FAR_FROM_DATA, "posWeight[2]",
                "1 more");
        silent(ClassicMistakes.bceWithLogits(logits, targets, Tensor.of(new float[] {1, 2, 1, 2, 1}, CLASSES)));
        // No positives: nothing is known.
        silent(ClassicMistakes.bceWithLogits(logits, rows(new float[ROWS * CLASSES]), Tensor.of(new float[] {50})));
    }

    @Test
    void allTargetsIgnored() {
        found(ClassicMistakes.crossEntropy(rows(scores()), indices(-100), -100), Mistake.ALL_TARGETS_IGNORED,
                "all 300 targets are the ignore index -100");
        silent(ClassicMistakes.crossEntropy(rows(scores()), indices(3), -100));
    }

    /** [N, C] with the classes apart: as [N/d, C, d]. */
    private static float[] apart(float[] values, int inner) {
        float[] moved = new float[values.length];
        for (int i = 0; i < values.length; i++) {
            int row = i / CLASSES;
            moved[(row / inner * CLASSES + i % CLASSES) * inner + row % inner] = values[i];
        }
        return moved;
    }

    @Test
    void classesThatLieApart() {
        long[] shape = {ROWS / 4, CLASSES, 4};
        Tensor p = Tensor.of(apart(softmax(false), 4), shape);
        Tensor z = Tensor.of(apart(scores(), 4), shape);
        Tensor t = Tensor.of(new long[ROWS], ROWS / 4, 4);
        found(ClassicMistakes.crossEntropy(p, t, -100), Mistake.PROBABILITIES_AS_LOGITS, "all of 256 sampled rows");
        silent(ClassicMistakes.crossEntropy(z, t, -100));
        found(ClassicMistakes.crossEntropy(z, t, 0), Mistake.ALL_TARGETS_IGNORED, "all 300 targets");
        found(ClassicMistakes.crossEntropyWithProbabilities(z, z), Mistake.LOGITS_AS_PROBABILITIES);
        silent(ClassicMistakes.crossEntropyWithProbabilities(z, p));
        found(ClassicMistakes.nllLoss(z, t, -100), Mistake.NOT_LOG_PROBABILITIES);
        silent(ClassicMistakes.nllLoss(Tensor.of(apart(softmax(true), 4), shape), t, -100));
    }

    /** As bits, each byte of eight. */
    @Test
    void targetsOfBits() {
        byte[] bits = new byte[ROWS];
        for (int row = 0; row < ROWS; row++) {
            bits[row] = (byte) (1 << random.nextInt(8));
        }
        float[] logits = new float[8 * ROWS];
        for (int i = 0; i < logits.length; i++) {
            logits[i] = (float) random.nextGaussian();
        }
        var operands = BceWithLogitsOperands.ofBits(Tensor.of(logits, ROWS, 8), Tensor.of(bits, ROWS));
        var options = BceWithLogitsOptions.defaults();
        found(ClassicMistakes.bceWithLogits(operands, options), Mistake.ONE_HOT_TARGETS, "exactly one 1 among 8");
        bits[0] = 3;
        silent(ClassicMistakes.bceWithLogits(operands, options));
    }

    @Test
    void whatIsIgnoredIsNotLookedAt() {
        float[] logits = scores();
        float[] targets = labels(2);
        byte[] mask = new byte[CLASSES];
        // The first class: probabilities, one-hot, and all others ignored.
        mask[0] = 1;
        for (int row = 0; row < ROWS; row++) {
            logits[row * CLASSES] = random.nextFloat();
        }
        var options = BceWithLogitsOptions.defaults();
        var operands = BceWithLogitsOperands.of(rows(logits), rows(targets));
        silent(ClassicMistakes.bceWithLogits(operands, options));
        found(ClassicMistakes.bceWithLogits(operands.withMask(Tensor.of(mask, CLASSES)), options),
                Mistake.SIGMOID_APPLIED_TWICE, "all 256 sampled logits");
        found(ClassicMistakes.bceWithLogits(operands.withMask(Tensor.of(new byte[1])), options),
                Mistake.ALL_TARGETS_IGNORED, "all 1500 targets");
        found(ClassicMistakes.bceWithLogits(BceWithLogitsOperands.of(rows(scores()), rows(new float[ROWS * CLASSES])),
                options.withIgnoreValue(0)), Mistake.ALL_TARGETS_IGNORED, "ignoreValue 0.0");
        silent(ClassicMistakes.bceWithLogits(BceWithLogitsOperands.of(rows(scores()), rows(targets)),
                options.withIgnoreValue(0)));
        // Two of five are positive; negatives that are ignored are none.
        var weighted = BceWithLogitsOperands.of(rows(scores()), rows(targets))
                .withPosWeight(Tensor.of(new float[] {1.5f}));
        silent(ClassicMistakes.bceWithLogits(weighted, options));
        byte[] positives = new byte[ROWS * CLASSES];
        for (int i = 0; i < positives.length; i++) {
            positives[i] = (byte) (targets[i] == 1 || i % 10 == 0 ? 1 : 0);
        }
        found(ClassicMistakes.bceWithLogits(weighted.withMask(Tensor.of(positives, ROWS, CLASSES)), options),
                Mistake.POS_WEIGHT_FAR_FROM_DATA, "posWeight is 1.5");
    }

    /** One for each row, or for each element of neither axis alone. */
    @Test
    void posWeightThatBroadcasts() {
        float[] targets = new float[2 * 40];
        for (int i = 0; i < 40; i++) {
            targets[i] = i % 2;
            targets[40 + i] = i % 4 == 0 ? 1 : 0;
        }
        Tensor logits = Tensor.of(new float[80], 2, 40);
        Tensor t = Tensor.of(targets, 2, 40);
        silent(ClassicMistakes.bceWithLogits(logits, t, Tensor.of(new float[] {1, 3}, 2, 1)));
        found(ClassicMistakes.bceWithLogits(logits, t, Tensor.of(new float[] {1, 30}, 2, 1)),
                Mistake.POS_WEIGHT_FAR_FROM_DATA, "posWeight[1] is 30.0", "3.00 negatives");
    }

    @Test
    void whatCannotBeLookedAtIsRefused() {
        var e = assertThrows(IllegalArgumentException.class,
                () -> ClassicMistakes.crossEntropy(rows(scores()), Tensor.of(new long[3], 3), -100));
        assertTrue(e.getMessage().contains("targets"), e.getMessage());
    }
}
