package dev.isobit.harness.demo;

import dev.isobit.harness.Rng;
import java.util.Arrays;
import java.util.List;

/**
 * A network with one hidden layer: {@code logits = relu(x·w1 + b1)·w2 + b2}. Plain float loops with a fixed order of
 * additions and no fma: the same bits in every JVM. Used by one thread.
 */
final class Network {
    private final int hidden;
    private final int maxBatch;

    /** [PIXELS, hidden], [hidden], [hidden, CLASSES], [CLASSES]. */
    final float[] w1;
    final float[] b1;
    final float[] w2;
    final float[] b2;
    final float[] gradW1;
    final float[] gradB1;
    final float[] gradW2;
    final float[] gradB2;

    private final float[] x;
    private final float[] activations;
    private final float[] gradActivations;

    Network(int hidden, int maxBatch, long seed) {
        this.hidden = hidden;
        this.maxBatch = maxBatch;
        var rng = new Rng(seed);
        w1 = uniform(rng, Digits.PIXELS * hidden, Digits.PIXELS);
        b1 = new float[hidden];
        w2 = uniform(rng, hidden * Digits.CLASSES, hidden);
        b2 = new float[Digits.CLASSES];
        gradW1 = new float[w1.length];
        gradB1 = new float[b1.length];
        gradW2 = new float[w2.length];
        gradB2 = new float[b2.length];
        x = new float[maxBatch * Digits.PIXELS];
        activations = new float[maxBatch * hidden];
        gradActivations = new float[hidden];
    }

    /** He and others 2015: uniform with variance 2/fanIn. */
    private static float[] uniform(Rng rng, int length, int fanIn) {
        float bound = (float) Math.sqrt(6.0 / fanIn);
        float[] values = new float[length];
        for (int i = 0; i < length; i++) {
            values[i] = bound * (2 * rng.nextFloat() - 1);
        }
        return values;
    }

    List<float[]> parameters() {
        return List.of(w1, b1, w2, b2);
    }

    int maxBatch() {
        return maxBatch;
    }

    /** Writes the logits [rows, CLASSES] of some digits, and keeps what {@link #backward} needs. */
    void forward(Digits digits, int[] indices, int from, int rows, float[] logits) {
        for (int b = 0; b < rows; b++) {
            int[] pixels = digits.pixels()[indices[from + b]];
            int row = b * hidden;
            System.arraycopy(b1, 0, activations, row, hidden);
            for (int i = 0; i < Digits.PIXELS; i++) {
                float value = pixels[i] / (float) Digits.WHITE;
                x[b * Digits.PIXELS + i] = value;
                if (value != 0) {
                    addScaled(value, w1, i * hidden, activations, row, hidden);
                }
            }
            System.arraycopy(b2, 0, logits, b * Digits.CLASSES, Digits.CLASSES);
            for (int j = 0; j < hidden; j++) {
                float h = Math.max(activations[row + j], 0);
                activations[row + j] = h;
                if (h != 0) {
                    addScaled(h, w2, j * Digits.CLASSES, logits, b * Digits.CLASSES, Digits.CLASSES);
                }
            }
        }
    }

    /** Computes the gradients of all parameters from those of the logits of the last {@link #forward}. */
    void backward(int rows, float[] gradLogits) {
        for (float[] grad : List.of(gradW1, gradB1, gradW2, gradB2)) {
            Arrays.fill(grad, 0);
        }
        for (int b = 0; b < rows; b++) {
            int out = b * Digits.CLASSES;
            addScaled(1, gradLogits, out, gradB2, 0, Digits.CLASSES);
            for (int j = 0; j < hidden; j++) {
                float h = activations[b * hidden + j];
                float gradH = 0;
                if (h > 0) {
                    addScaled(h, gradLogits, out, gradW2, j * Digits.CLASSES, Digits.CLASSES);
                    for (int k = 0; k < Digits.CLASSES; k++) {
                        gradH += gradLogits[out + k] * w2[j * Digits.CLASSES + k];
                    }
                }
                gradActivations[j] = gradH;
            }
            addScaled(1, gradActivations, 0, gradB1, 0, hidden);
            for (int i = 0; i < Digits.PIXELS; i++) {
                float value = x[b * Digits.PIXELS + i];
                if (value != 0) {
                    addScaled(value, gradActivations, 0, gradW1, i * hidden, hidden);
                }
            }
        }
    }

    /** {@code to[toStart + i] += factor·from[fromStart + i]}: element by element, so vectors change no bit. */
    private static void addScaled(float factor, float[] from, int fromStart, float[] to, int toStart, int length) {
        for (int i = 0; i < length; i++) {
            to[toStart + i] += factor * from[fromStart + i];
        }
    }
}
