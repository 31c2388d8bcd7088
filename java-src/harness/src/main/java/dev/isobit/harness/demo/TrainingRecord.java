package dev.isobit.harness.demo;

import com.fasterxml.jackson.annotation.JsonIgnore;
import dev.isobit.Backend;
import dev.isobit.harness.Rng;
import java.util.List;

/**
 * What one training left: enough to tell whether another is the same bits, and where not.
 *
 * @param backend name of the backend
 * @param description what ran there
 * @param split which split, from 0
 * @param stepsPerEpoch steps in each epoch
 * @param lossBits per step, the bits of the loss
 * @param weightHashes per step, a hash of the bits of all weights after it
 * @param weightBits the bits of the final weights
 * @param heldOutLoss per epoch, the mean loss of the held-out digits
 * @param heldOutAccuracy per epoch, their accuracy
 * @param evaluation the held-out digits at the end
 * @param seconds wall-clock time
 */
record TrainingRecord(String backend, String description, int split, int stepsPerEpoch, int[] lossBits,
        long[] weightHashes, int[] weightBits, float[] heldOutLoss, double[] heldOutAccuracy,
        Training.Evaluation evaluation, double seconds) {

    int steps() {
        return lossBits.length;
    }

    float loss(int step) {
        return Float.intBitsToFloat(lossBits[step]);
    }

    /** The mean of the losses of an epoch's steps. */
    double epochLoss(int epoch) {
        double sum = 0;
        for (int step = epoch * stepsPerEpoch; step < (epoch + 1) * stepsPerEpoch; step++) {
            sum += loss(step);
        }
        return sum / stepsPerEpoch;
    }

    @JsonIgnore
    double accuracy() {
        return evaluation.accuracy();
    }

    /** Collects a record step by step. */
    static final class Builder {
        private final Backend backend;
        private final int split;
        private final int stepsPerEpoch;
        private final int[] lossBits;
        private final long[] weightHashes;
        private final float[] heldOutLoss;
        private final double[] heldOutAccuracy;

        Builder(Backend backend, int split, int steps, int stepsPerEpoch, int epochs) {
            this.backend = backend;
            this.split = split;
            this.stepsPerEpoch = stepsPerEpoch;
            lossBits = new int[steps];
            weightHashes = new long[steps];
            heldOutLoss = new float[epochs];
            heldOutAccuracy = new double[epochs];
        }

        void step(int step, float loss, List<float[]> weights) {
            lossBits[step] = Float.floatToRawIntBits(loss);
            long hash = 0;
            for (float[] values : weights) {
                for (float value : values) {
                    hash = Rng.mix(hash + Float.floatToRawIntBits(value));
                }
            }
            weightHashes[step] = hash;
        }

        void epoch(int epoch, Training.Evaluation evaluation) {
            heldOutLoss[epoch] = evaluation.meanLoss();
            heldOutAccuracy[epoch] = evaluation.accuracy();
        }

        TrainingRecord finish(Training.Evaluation evaluation, List<float[]> weights, double seconds) {
            int[] weightBits = new int[weights.stream().mapToInt(values -> values.length).sum()];
            int next = 0;
            for (float[] values : weights) {
                for (float value : values) {
                    weightBits[next++] = Float.floatToRawIntBits(value);
                }
            }
            return new TrainingRecord(backend.name(), backend.description(), split, stepsPerEpoch, lossBits,
                    weightHashes, weightBits, heldOutLoss, heldOutAccuracy, evaluation, seconds);
        }
    }
}
