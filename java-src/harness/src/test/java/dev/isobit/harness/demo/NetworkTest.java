package dev.isobit.harness.demo;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.harness.Rng;
import java.util.List;
import org.junit.jupiter.api.Test;

class NetworkTest {
    private static final int ROWS = 3;
    private static final int[] INDICES = {5, 100, 1000};

    /** The gradient of a weighted sum of the logits, against central differences. */
    @Test
    void backwardIsTheGradient() {
        Digits digits = Digits.load();
        var network = new Network(12, ROWS, 4);
        var rng = new Rng(9);
        float[] upstream = new float[ROWS * Digits.CLASSES];
        for (int i = 0; i < upstream.length; i++) {
            upstream[i] = rng.nextNormal();
        }
        float[] logits = new float[upstream.length];
        network.forward(digits, INDICES, 0, ROWS, logits);
        network.backward(ROWS, upstream);
        List<float[]> gradients =
                List.of(network.gradW1.clone(), network.gradB1.clone(), network.gradW2.clone(), network.gradB2.clone());
        for (int p = 0; p < gradients.size(); p++) {
            float[] weights = network.parameters().get(p);
            for (int trial = 0; trial < 30; trial++) {
                int i = rng.nextInt(weights.length);
                float old = weights[i];
                float step = 0x1p-9f;
                weights[i] = old + step;
                double up = weighted(network, digits, upstream);
                weights[i] = old - step;
                double down = weighted(network, digits, upstream);
                weights[i] = old;
                assertEquals((up - down) / (2 * step), gradients.get(p)[i], 0.02 * (1 + Math.abs(gradients.get(p)[i])));
            }
        }
    }

    private static double weighted(Network network, Digits digits, float[] upstream) {
        float[] logits = new float[upstream.length];
        network.forward(digits, INDICES, 0, ROWS, logits);
        double sum = 0;
        for (int i = 0; i < logits.length; i++) {
            sum += (double) logits[i] * upstream[i];
        }
        return sum;
    }
}
