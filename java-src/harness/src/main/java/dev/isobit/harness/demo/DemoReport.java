package dev.isobit.harness.demo;

import dev.isobit.harness.Machine;
import java.util.ArrayList;
import java.util.List;

/**
 * What the demo found, as its JSON file has it.
 *
 * @param format name and version of this form
 * @param machine where it ran
 * @param data the data set
 * @param training how it was trained
 * @param backend the backend of all splits
 * @param backendDescription what ran there
 * @param passedOver why better backends did not run
 * @param meanHeldOutAccuracy over the splits
 * @param splits the splits
 * @param comparedSplit which of them was trained again, from 1
 * @param sameBits whether every float32 run of it gave the same bits
 * @param runs those runs
 * @param reference the float64 reference's run, which need not have the same bits
 * @param referenceLossUlp per step, how far the reference's loss is from the float32 loss, in float32 ULP
 * @param confusion how often held-out digits of a class (row) were taken for a class (column), over all splits
 * @param mistakes held-out digits that were taken for another class
 */
record DemoReport(String format, Machine machine, String data, Training training, String backend,
        String backendDescription, List<String> passedOver, double meanHeldOutAccuracy, List<Split> splits,
        int comparedSplit, boolean sameBits, List<Agreement> runs, Agreement reference, long[] referenceLossUlp,
        int[][] confusion, List<Mistake> mistakes) {
    static final String FORMAT = "isobit-demo/1";

    /**
     * One split.
     *
     * @param split from 1
     * @param heldOut digits held out
     * @param heldOutAccuracy of the trained network
     * @param steps optimizer steps
     * @param seconds wall-clock time
     * @param trainLoss per epoch, mean loss of its steps
     * @param heldOutLoss per epoch
     * @param accuracies held-out accuracy per epoch
     */
    record Split(int split, int heldOut, double heldOutAccuracy, int steps, double seconds, List<Double> trainLoss,
            float[] heldOutLoss, double[] accuracies) {
        static Split of(TrainingRecord record) {
            List<Double> losses = new ArrayList<>();
            for (int epoch = 0; epoch < record.heldOutLoss().length; epoch++) {
                losses.add(record.epochLoss(epoch));
            }
            return new Split(record.split() + 1, record.evaluation().indices().length, record.accuracy(),
                    record.steps(), record.seconds(), losses, record.heldOutLoss(), record.heldOutAccuracy());
        }
    }

    /**
     * A held-out digit that was taken for another.
     *
     * @param digit its line in the data set, from 0
     * @param split in which split, from 1
     * @param actual its class
     * @param predicted what the network said
     * @param confidence the probability that the network gave to it
     */
    record Mistake(int digit, int split, int actual, int predicted, double confidence) {}

    static int[][] confusion(Digits digits, List<TrainingRecord> records) {
        int[][] counts = new int[Digits.CLASSES][Digits.CLASSES];
        for (TrainingRecord record : records) {
            Training.Evaluation evaluation = record.evaluation();
            for (int row = 0; row < evaluation.indices().length; row++) {
                counts[digits.classes()[evaluation.indices()[row]]][evaluation.predicted()[row]]++;
            }
        }
        return counts;
    }

    static List<Mistake> mistakes(Digits digits, List<TrainingRecord> records) {
        List<Mistake> mistakes = new ArrayList<>();
        for (TrainingRecord record : records) {
            Training.Evaluation evaluation = record.evaluation();
            for (int row = 0; row < evaluation.indices().length; row++) {
                int actual = digits.classes()[evaluation.indices()[row]];
                int predicted = evaluation.predicted()[row];
                if (actual != predicted) {
                    mistakes.add(new Mistake(evaluation.indices()[row], record.split() + 1, actual, predicted,
                            probability(evaluation.logits(), row * Digits.CLASSES, predicted)));
                }
            }
        }
        return mistakes;
    }

    private static double probability(float[] logits, int start, int k) {
        double sum = 0;
        for (int other = 0; other < Digits.CLASSES; other++) {
            sum += Math.exp(logits[start + other] - (double) logits[start + k]);
        }
        return 1 / sum;
    }
}
