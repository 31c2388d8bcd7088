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

    @Test
    void whatCannotBeLookedAtIsRefused() {
        var e = assertThrows(IllegalArgumentException.class,
                () -> ClassicMistakes.crossEntropy(rows(scores()), Tensor.of(new long[3], 3), -100));
        assertTrue(e.getMessage().contains("targets"), e.getMessage());
    }
}
