package dev.isobit.harness.demo;

import dev.isobit.Adam;
import dev.isobit.AdamOptions;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.harness.BackendTensor;
import dev.isobit.harness.Rng;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;

/**
 * Trains the network on one split with fused cross-entropy and fused AdamW.
 *
 * @param hidden width of the hidden layer
 * @param batch rows per step; the last step of an epoch has what is left
 * @param epochs passes over the training digits
 * @param lr learning rate of the first step; it falls linearly to 0
 * @param weightDecay of AdamW
 * @param seed of splits, initial weights and order
 */
record Training(int hidden, int batch, int epochs, double lr, double weightDecay, long seed) {
    /** Chosen on other seeds than the demo's. */
    static Training defaults() {
        return new Training(256, 16, 24, 8e-3, 0.05, 20);
    }

    Training withEpochs(int epochs) {
        return new Training(hidden, batch, epochs, lr, weightDecay, seed);
    }

    Training withSeed(long seed) {
        return new Training(hidden, batch, epochs, lr, weightDecay, seed);
    }

    /** Everything that differs between splits derives from this. */
    private long seedOf(int split, int purpose) {
        return Rng.mix(Rng.mix(seed + 1000L * split) + purpose);
    }

    /**
     * Trains.
     *
     * @param backend where loss and optimizer run
     * @param digits the data
     * @param split which of the seeded splits, from 0
     * @param afterEpoch told the epochs done
     */
    TrainingRecord run(Backend backend, Digits digits, int split, IntConsumer afterEpoch) {
        long start = System.nanoTime();
        Digits.Split parts = digits.split(seedOf(split, 0));
        int[] order = parts.train().clone();
        var orders = new Rng(seedOf(split, 2));
        var network = new Network(hidden, Math.max(batch, parts.heldOut().length), seedOf(split, 1));
        int stepsPerEpoch = Math.ceilDiv(order.length, batch);
        int steps = epochs * stepsPerEpoch;
        var record = new TrainingRecord.Builder(backend, split, steps, stepsPerEpoch, epochs);
        try (var loop = new Loop(backend, network)) {
            for (int epoch = 0, step = 0; epoch < epochs; epoch++) {
                orders.shuffle(order);
                for (int from = 0; from < order.length; from += batch, step++) {
                    loop.adam.setLr(lr * (steps - step) / steps);
                    float loss = loop.step(digits, order, from, Math.min(batch, order.length - from));
                    record.step(step, loss, network.parameters());
                }
                record.epoch(epoch, loop.evaluate(digits, parts.heldOut()));
                afterEpoch.accept(epoch + 1);
            }
            return record.finish(loop.evaluate(digits, parts.heldOut()), network.parameters(),
                    (System.nanoTime() - start) * 1e-9);
        }
    }

    /**
     * What the network makes of digits.
     *
     * @param indices which digits
     * @param meanLoss their mean loss
     * @param logits [indices, CLASSES]
     * @param predicted the class of the largest logit, the lowest of equals
     * @param correct how many are right
     */
    record Evaluation(int[] indices, float meanLoss, float[] logits, int[] predicted, int correct) {
        double accuracy() {
            return correct / (double) indices.length;
        }
    }

    /** Network, operands and operations of one training. */
    private final class Loop implements AutoCloseable {
        private final Backend backend;
        private final Network network;
        private final float[] logits;
        private final float[] gradLogits;
        private final float[] loss = new float[1];
        private final long[] targets;
        private final CrossEntropy crossEntropy;
        private final Adam adam;
        private final List<BackendTensor> params = new ArrayList<>();
        private final List<BackendTensor> grads = new ArrayList<>();
        private final Map<Integer, Batch> batches = new HashMap<>();
        private final List<AutoCloseable> owned = new ArrayList<>();

        Loop(Backend backend, Network network) {
            this.backend = backend;
            this.network = network;
            logits = new float[network.maxBatch() * Digits.CLASSES];
            gradLogits = new float[logits.length];
            targets = new long[network.maxBatch()];
            String[] names = {"w1", "b1", "w2", "b2"};
            List<float[]> values = network.parameters();
            List<float[]> gradValues = List.of(network.gradW1, network.gradB1, network.gradW2, network.gradB2);
            List<AdamParameter> parameters = new ArrayList<>();
            for (int i = 0; i < names.length; i++) {
                var param = own(BackendTensor.of(backend, values.get(i), values.get(i).length));
                var grad = own(BackendTensor.of(backend, gradValues.get(i), gradValues.get(i).length));
                param.upload();
                params.add(param);
                grads.add(grad);
                parameters.add(AdamParameter.of(names[i], param.tensor(), grad.tensor()));
            }
            crossEntropy = own(CrossEntropy.on(backend, CrossEntropyOptions.defaults()));
            adam = own(Adam.on(backend, AdamOptions.adamW().withLr(lr).withWeightDecay(weightDecay), parameters));
        }

        private <T extends AutoCloseable> T own(T resource) {
            owned.add(resource);
            return resource;
        }

        float step(Digits digits, int[] indices, int from, int rows) {
            forward(digits, indices, from, rows, true);
            network.backward(rows, gradLogits);
            grads.forEach(BackendTensor::upload);
            adam.step();
            params.forEach(BackendTensor::download);
            return loss[0];
        }

        Evaluation evaluate(Digits digits, int[] indices) {
            forward(digits, indices, 0, indices.length, false);
            int[] predicted = new int[indices.length];
            int correct = 0;
            for (int row = 0; row < indices.length; row++) {
                int best = 0;
                for (int k = 1; k < Digits.CLASSES; k++) {
                    best = logits[row * Digits.CLASSES + k] > logits[row * Digits.CLASSES + best] ? k : best;
                }
                predicted[row] = best;
                correct += best == digits.classes()[indices[row]] ? 1 : 0;
            }
            return new Evaluation(indices, loss[0], logits.clone(), predicted, correct);
        }

        /** Logits by the network, then the loss and, where wanted, the gradient, on the backend. */
        private void forward(Digits digits, int[] indices, int from, int rows, boolean wantsGradient) {
            network.forward(digits, indices, from, rows, logits);
            for (int row = 0; row < rows; row++) {
                targets[row] = digits.classes()[indices[from + row]];
            }
            Batch on = batches.computeIfAbsent(rows, Batch::new);
            on.logits.upload();
            on.targets.upload();
            if (wantsGradient) {
                crossEntropy.lossAndGradient(on.logits.tensor(), on.targets.tensor(), on.loss.tensor(),
                        on.gradLogits.tensor());
                on.gradLogits.download();
            } else {
                crossEntropy.loss(on.logits.tensor(), on.targets.tensor(), on.loss.tensor());
            }
            on.loss.download();
        }

        /** The operands of cross-entropy for one number of rows. */
        private final class Batch {
            private final BackendTensor logits;
            private final BackendTensor targets;
            private final BackendTensor loss;
            private final BackendTensor gradLogits;

            Batch(int rows) {
                logits = own(BackendTensor.of(backend, Loop.this.logits, rows, Digits.CLASSES));
                targets = own(BackendTensor.of(backend, Loop.this.targets, rows));
                loss = own(BackendTensor.of(backend, Loop.this.loss));
                gradLogits = own(BackendTensor.of(backend, Loop.this.gradLogits, rows, Digits.CLASSES));
            }
        }

        @Override
        public void close() {
            RuntimeException failure = null;
            for (AutoCloseable resource : owned.reversed()) {
                try {
                    resource.close();
                } catch (Exception e) {
                    if (failure == null) {
                        failure = new IllegalStateException("closing " + resource, e);
                    } else {
                        failure.addSuppressed(e);
                    }
                }
            }
            if (failure != null) {
                throw failure;
            }
        }
    }
}
