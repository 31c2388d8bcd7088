package dev.isobit.contract;

import dev.isobit.AdamOptions;
import dev.isobit.AdamSemantics;

/** Adam and AdamW as kernels/NUMERICS.md defines them to the bit, written from its text. */
public final class AdamDefinition {
    private AdamDefinition() {}

    /**
     * One step over one parameter.
     *
     * @param options options
     * @param lr the learning rate, which the schedule's factor multiplies
     * @param step from 1
     * @param param updated
     * @param grad gradient
     * @param expAvg updated
     * @param expAvgSq updated
     * @param maxExpAvgSq updated with amsgrad
     */
    public static void step(AdamOptions options, double lr, long step, float[] param, float[] grad, float[] expAvg,
            float[] expAvgSq, float[] maxExpAvgSq) {
        lr *= ScheduleDefinition.factor(options.schedule(), step);
        float w1 = (float) (1 - options.beta1());
        float w2 = (float) (1 - options.beta2());
        boolean onnx = options.semantics() == AdamSemantics.ONNX;
        boolean hat = onnx || options.semantics() == AdamSemantics.KERAS || options.semantics() == AdamSemantics.HF;
        boolean decays = options.weightDecay() != 0;
        long t = onnx ? step - 1 : step;
        double bc1 = t == 0 ? 1 : 1 - power(1 - (double) w1, t);
        double bc2 = t == 0 ? 1 : 1 - power(1 - (double) w2, t);
        double d = onnx ? 1 - options.weightDecay() : 1 - lr * options.weightDecay();
        double stepSize = hat ? lr * Math.sqrt(bc2) / bc1 : lr / bc1;
        if (options.decoupled() && decays && (onnx || options.semantics() == AdamSemantics.HF)) {
            stepSize = stepSize * d;
        }
        float negStepSize = -(float) stepSize;
        float rsqrtBc2 = hat ? 1 : (float) (1 / Math.sqrt(bc2));
        float eps = (float) options.eps();
        float paramDecay = (float) d;
        float gradDecay = (float) options.weightDecay();
        for (int i = 0; i < param.length; i++) {
            float p = param[i];
            float g = options.maximize() ? -grad[i] : grad[i];
            if (!options.decoupled() && decays) {
                g = Math.fma(gradDecay, p, g);
            }
            float m = expAvg[i];
            m = Math.fma(w1, g - m, m);
            float v = expAvgSq[i];
            v = Math.fma(w2, Math.fma(g, g, -v), v);
            float x = v;
            if (options.amsgrad()) {
                x = v > maxExpAvgSq[i] || v != v ? v : maxExpAvgSq[i];
                maxExpAvgSq[i] = CrossEntropyDefinition.canonical(x);
            }
            float p1 = options.decoupled() && decays ? p * paramDecay : p;
            float denominator = Math.fma((float) Math.sqrt(x), rsqrtBc2, eps);
            param[i] = CrossEntropyDefinition.canonical(Math.fma(negStepSize, m / denominator, p1));
            expAvg[i] = CrossEntropyDefinition.canonical(m);
            expAvgSq[i] = CrossEntropyDefinition.canonical(v);
        }
    }

    /** Repeated squaring, lowest bit first. */
    private static double power(double base, long exponent) {
        double result = 1;
        for (long e = exponent; e > 0; e /= 2) {
            if (e % 2 == 1) {
                result = result * base;
            }
            base = base * base;
        }
        return result;
    }
}
