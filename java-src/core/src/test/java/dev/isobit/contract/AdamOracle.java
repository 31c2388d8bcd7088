package dev.isobit.contract;

import dev.isobit.AdamOptions;

/**
 * One element of Adam and AdamW in float64, each semantics written as the framework that it is named after writes it.
 * Knows nothing of how the backends compute it. The betas are those that the float32 weights stand for.
 */
public final class AdamOracle {
    /**
     * An element after a step.
     *
     * @param param parameter
     * @param expAvg first moment
     * @param expAvgSq second moment
     * @param maxExpAvgSq largest second moment
     * @param largest the largest addend of the parameter
     */
    public record After(double param, double expAvg, double expAvgSq, double maxExpAvgSq, double largest) {}

    private final AdamOptions options;
    private final double beta1;
    private final double beta2;

    /**
     * Makes an oracle.
     *
     * @param options options
     */
    public AdamOracle(AdamOptions options) {
        this.options = options;
        this.beta1 = 1 - (double) (float) (1 - options.beta1());
        this.beta2 = 1 - (double) (float) (1 - options.beta2());
    }

    /**
     * Does a step.
     *
     * @param step from 1
     * @param p parameter
     * @param grad gradient
     * @param m first moment
     * @param v second moment
     * @param x largest second moment so far
     * @return what they become
     */
    public After step(long step, double p, double grad, double m, double v, double x) {
        double g = options.maximize() ? -grad : grad;
        return switch (options.semantics()) {
            case TORCH -> torch(step, p, g, m, v, x);
            case APEX -> apex(step, p, g, m, v, x);
            case KERAS -> keras(step, p, g, m, v, x);
            case ONNX -> onnx(step - 1, p, g, m, v, x);
            case HF -> huggingFace(step, p, g, m, v, x);
        };
    }

    /** torch.optim: mul_, lerp_, addcmul_, maximum, div, add_, addcdiv_. */
    private After torch(long step, double param, double grad, double expAvg, double expAvgSq, double maxExpAvgSq) {
        double p = param;
        double g = grad;
        if (options.decoupled()) {
            p *= 1 - options.lr() * options.weightDecay();
        } else {
            g += options.weightDecay() * p;
        }
        double m = expAvg + (g - expAvg) * (1 - beta1);
        double v = expAvgSq * beta2 + (1 - beta2) * g * g;
        double x = options.amsgrad() ? Math.max(maxExpAvgSq, v) : v;
        double denominator = Math.sqrt(x) / Math.sqrt(1 - Math.pow(beta2, step)) + options.eps();
        double stepSize = options.lr() / (1 - Math.pow(beta1, step));
        return new After(p - stepSize * m / denominator, m, v, x,
                largest(param, stepSize / denominator, expAvg, g));
    }

    /** The functor of multi_tensor_adam: modes 0 (L2) and 1 (decoupled). */
    private After apex(long step, double p, double grad, double expAvg, double expAvgSq, double maxExpAvgSq) {
        double g = options.decoupled() ? grad : grad + options.weightDecay() * p;
        double m = beta1 * expAvg + (1 - beta1) * g;
        double v = beta2 * expAvgSq + (1 - beta2) * g * g;
        double x = options.amsgrad() ? Math.max(maxExpAvgSq, v) : v;
        double unbiasedM = m / (1 - Math.pow(beta1, step));
        double unbiasedV = x / (1 - Math.pow(beta2, step));
        double update = unbiasedM / (Math.sqrt(unbiasedV) + options.eps());
        if (options.decoupled()) {
            update += options.weightDecay() * p;
        }
        return new After(p - options.lr() * update, m, v, x, largest(p,
                options.lr() / (1 - Math.pow(beta1, step)) / (Math.sqrt(unbiasedV) + options.eps()), expAvg, g));
    }

    /** keras.optimizers: weight decay, then update_step. */
    private After keras(long step, double param, double grad, double expAvg, double expAvgSq, double maxExpAvgSq) {
        double p = param;
        double g = grad;
        if (options.decoupled()) {
            p -= p * options.weightDecay() * options.lr();
        } else {
            g += options.weightDecay() * p;
        }
        double alpha = options.lr() * Math.sqrt(1 - Math.pow(beta2, step)) / (1 - Math.pow(beta1, step));
        double m = expAvg + (g - expAvg) * (1 - beta1);
        double v = expAvgSq + (g * g - expAvgSq) * (1 - beta2);
        double x = options.amsgrad() && maxExpAvgSq > v ? maxExpAvgSq : v;
        double denominator = Math.sqrt(x) + options.eps();
        return new After(p - m * alpha / denominator, m, v, x, largest(param, alpha / denominator, expAvg, g));
    }

    /** ai.onnx.preview.training.Adam, with T updates done before; alpha and beta are the betas. */
    private After onnx(long t, double param, double grad, double expAvg, double expAvgSq, double maxExpAvgSq) {
        double normCoefficient = options.decoupled() ? 0 : options.weightDecay();
        double normCoefficientPost = options.decoupled() ? options.weightDecay() : 0;
        double g = normCoefficient * param + grad;
        double m = beta1 * expAvg + (1 - beta1) * g;
        double v = beta2 * expAvgSq + (1 - beta2) * g * g;
        double x = options.amsgrad() ? Math.max(maxExpAvgSq, v) : v;
        double root = Math.sqrt(x) + options.eps();
        double rate = t > 0
                ? options.lr() * Math.sqrt(1 - Math.pow(beta2, t)) / (1 - Math.pow(beta1, t))
                : options.lr();
        double updated = param - rate * m / root;
        return new After((1 - normCoefficientPost) * updated, m, v, x, largest(param, rate / root, expAvg, g));
    }

    /** transformers.AdamW: addcdiv_, then add_(p, alpha=-lr*weight_decay). */
    private After huggingFace(long step, double param, double grad, double expAvg, double expAvgSq,
            double maxExpAvgSq) {
        double g = options.decoupled() ? grad : grad + options.weightDecay() * param;
        double m = expAvg * beta1 + (1 - beta1) * g;
        double v = expAvgSq * beta2 + (1 - beta2) * g * g;
        double x = options.amsgrad() ? Math.max(maxExpAvgSq, v) : v;
        double denominator = Math.sqrt(x) + options.eps();
        double stepSize = options.lr() * Math.sqrt(1 - Math.pow(beta2, step)) / (1 - Math.pow(beta1, step));
        double p = param - stepSize * m / denominator;
        if (options.decoupled()) {
            p += -options.lr() * options.weightDecay() * p;
        }
        return new After(p, m, v, x, largest(param, stepSize / denominator, expAvg, g));
    }

    /** max(|p|, U) of the contract. */
    private double largest(double p, double scale, double m, double g) {
        return Math.max(Math.abs(p), scale * (beta1 * Math.abs(m) + (1 - beta1) * Math.abs(g)));
    }
}
