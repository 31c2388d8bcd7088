package dev.isobit.harness.demo;

import com.fasterxml.jackson.annotation.JsonInclude;
import dev.isobit.harness.Ulp;
import java.util.Arrays;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * Two trainings of one split, bit by bit.
 *
 * @param run what the second one is
 * @param backend its backend
 * @param description what ran there
 * @param steps how many steps were compared
 * @param weights how many final weights were compared
 * @param sameBits whether every loss, every hash of the weights and every final weight is the same
 * @param firstDifference the first step at which they part, null where they do not
 * @param differingWeights how many final weights differ
 * @param largestLossUlp the largest distance of two losses, in float32 ULP
 * @param medianWeightUlp the median distance of two final weights
 * @param largestWeightUlp the largest
 * @param heldOutAccuracy of the second
 * @param seconds it took
 */
record Agreement(String run, String backend, String description, int steps, int weights, boolean sameBits,
        @JsonInclude(JsonInclude.Include.ALWAYS) @Nullable Difference firstDifference, int differingWeights,
        long largestLossUlp, long medianWeightUlp, long largestWeightUlp, double heldOutAccuracy, double seconds) {

    /**
     * Where two trainings part.
     *
     * @param step from 1
     * @param what the loss or the weights after the step
     * @param expected the first one's bits, of the loss or of the hash of the weights
     * @param actual the second one's
     */
    record Difference(int step, String what, String expected, String actual) {
        @Override
        public String toString() {
            return "step " + step + ", " + what + ": " + expected + " and " + actual;
        }
    }

    /**
     * Compares.
     *
     * @throws IllegalArgumentException if nothing can be compared
     */
    static Agreement of(String run, TrainingRecord expected, TrainingRecord actual) {
        int steps = expected.steps();
        int weights = expected.weightBits().length;
        if (steps == 0 || weights == 0 || actual.steps() != steps || actual.weightHashes().length != steps
                || actual.weightBits().length != weights) {
            throw new IllegalArgumentException(run + ": nothing to compare: " + steps + " steps and " + weights
                    + " weights with " + actual.steps() + " and " + actual.weightBits().length);
        }
        Difference first = null;
        long largestLoss = 0;
        for (int step = 0; step < steps; step++) {
            largestLoss = Math.max(largestLoss, Ulp.between(expected.loss(step), actual.loss(step)));
            if (first == null) {
                first = differenceAt(step, expected, actual);
            }
        }
        long[] distances = new long[weights];
        int differing = 0;
        for (int i = 0; i < weights; i++) {
            int a = expected.weightBits()[i];
            int b = actual.weightBits()[i];
            differing += a == b ? 0 : 1;
            distances[i] = Ulp.between(Float.intBitsToFloat(a), Float.intBitsToFloat(b));
        }
        Arrays.sort(distances);
        return new Agreement(run, actual.backend(), actual.description(), steps, weights,
                first == null && differing == 0, first, differing, largestLoss, distances[weights / 2],
                distances[weights - 1], actual.accuracy(), actual.seconds());
    }

    private static @Nullable Difference differenceAt(int step, TrainingRecord expected, TrainingRecord actual) {
        if (expected.lossBits()[step] != actual.lossBits()[step]) {
            return new Difference(step + 1, "loss", bits(expected, step), bits(actual, step));
        }
        if (expected.weightHashes()[step] != actual.weightHashes()[step]) {
            return new Difference(step + 1, "hash of the weights",
                    String.format(Locale.ROOT, "0x%016x", expected.weightHashes()[step]),
                    String.format(Locale.ROOT, "0x%016x", actual.weightHashes()[step]));
        }
        return null;
    }

    private static String bits(TrainingRecord record, int step) {
        return String.format(Locale.ROOT, "0x%08x (%s)", record.lossBits()[step], record.loss(step));
    }
}
