package dev.isobit.reference;

import dev.isobit.BceWithLogitsOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.spi.BceWithLogitsCall;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.Broadcast;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Binary cross-entropy of a logit x with target t, weight of positives p and weight w:
 * <pre>
 * softplus(x) = max(x, 0) + log1p(exp(-|x|))
 * sigmoid(x)  = 1/(1 + exp(-|x|)) for x &gt;= 0, else exp(-|x|)/(1 + exp(-|x|))
 * c0 = w·((1 - t)·keep + half)          keep = 1 - labelSmoothing
 * c1 = w·p·(t·keep + half)              half = labelSmoothing/2
 * loss     = c0·softplus(x) + c1·softplus(-x)            0·inf = 0
 * gradient = upstream·(c0·sigmoid(x) - c1·sigmoid(-x))
 * </pre>
 * The focal loss, near and far the smoothed label of the likelier side and of the other, e = exp(-|x|), q = 1/(1 + e):
 * <pre>
 * plain = near·log1p(e) + far·(|x| + log1p(e))
 * h     = alpha_t·(near·e·q + far·q)^gamma
 * loss  = w·h·plain
 * g     = w·h·(far·q - near·e·q + gamma·v·q·(far - near)·plain)      v = e/(near·e + far), where far = 0 1/near
 * gradient = upstream·(x &gt;= 0 ? g : -g)
 * </pre>
 * keep, half, ignoreValue and alpha enter as the floats that they are elsewhere.
 */
final class ReferenceBceWithLogits implements BceWithLogitsKernel {
    private final ReferenceBackend backend;
    private final BceWithLogitsOptions options;
    private final double keep;
    private final double half;
    private final double alpha;
    private final double rest;
    private double focalLoss;
    private double focalGradient;

    ReferenceBceWithLogits(ReferenceBackend backend, BceWithLogitsOptions options) {
        this.backend = backend;
        this.options = options;
        this.keep = (float) (1 - options.labelSmoothing());
        this.half = (float) (options.labelSmoothing() / 2);
        boolean weighs = !Double.isNaN(options.focalAlpha());
        this.alpha = weighs ? (float) options.focalAlpha() : 1;
        this.rest = weighs ? (float) (1 - options.focalAlpha()) : 1;
    }

    @Override
    public void run(BceWithLogitsCall call) {
        backend.requireOpen();
        var logits = Elements.of(Objects.requireNonNull(call.logits));
        var targets = Elements.of(Objects.requireNonNull(call.targets));
        var gradLoss = elements(call.gradLoss);
        var loss = elements(call.loss);
        var gradLogits = elements(call.gradLogits);
        var sigmoid = elements(call.sigmoid);
        boolean mean = options.reduction() == Reduction.MEAN;
        double denominator = mean ? Elements.denominator(denominator(call)) : 1;
        double total = 0;
        for (long i = 0; i < call.count; i++) {
            double x = logits.get(i);
            double t = target(call, targets, i);
            double w = weight(call.weights, call.weightsBroadcast, i);
            double c0 = product(w, (1 - t) * keep + half);
            double p = weight(call.posWeight, call.posWeightBroadcast, i);
            double c1 = product(w, product(p, t * keep + half));
            double e = Math.exp(-Math.abs(x));
            boolean live = isLive(call, targets, i);
            boolean focal = options.isFocal();
            if (focal) {
                focal(x, w, (1 - t) * keep + half, t * keep + half, e);
            }
            double element = !live
                    ? 0
                    : focal
                            ? focalLoss
                            : product(c0, Math.max(x, 0) + Math.log1p(e))
                                    + product(c1, Math.max(-x, 0) + Math.log1p(e));
            double positive = x >= 0 ? 1 / (1 + e) : e / (1 + e);
            double negative = x >= 0 ? e / (1 + e) : 1 / (1 + e);
            total += element;
            if (gradLogits != null) {
                double upstream = gradLoss == null ? 1 : gradLoss.get(call.gradLossPerElement ? i : 0);
                double gradient = focal ? focalGradient : product(c0, positive) - product(c1, negative);
                gradLogits.set(i, !live ? 0 : gradient * (upstream / denominator));
            }
            if (sigmoid != null) {
                sigmoid.set(i, positive);
            }
            if (loss != null && options.reduction() == Reduction.NONE) {
                loss.set(i, element);
            }
        }
        if (loss != null && options.reduction() != Reduction.NONE) {
            loss.set(0, mean ? total / denominator : total);
        }
    }

    /** Sets loss and gradient of an element of the focal loss. */
    private void focal(double x, double w, double k0, double k1, double e) {
        double near = x >= 0 ? k1 : k0;
        double far = x >= 0 ? k0 : k1;
        double l = Math.log1p(e);
        double q = 1 / (1 + e);
        double plain = product(near, l) + product(far, Math.abs(x) + l);
        double miss = product(near, e * q) + product(far, q);
        double h = product(product(k1, alpha) + product(k0, rest), Math.pow(miss, options.focalGamma()));
        double v = far == 0 ? 1 / near : e / (product(near, e) + far);
        double change = product(product(options.focalGamma(), product(v, q)), product(far - near, plain));
        double g = product(w, product(h, product(far, q) - product(near, e * q) + change));
        focalLoss = product(w, product(h, plain));
        focalGradient = x >= 0 ? g : -g;
    }

    private double denominator(BceWithLogitsCall call) {
        var targets = Elements.of(Objects.requireNonNull(call.targets));
        double sum = 0;
        for (long i = 0; i < call.count; i++) {
            if (isLive(call, targets, i)) {
                sum += options.weightedMean() ? weight(call.weights, call.weightsBroadcast, i) : 1;
            }
        }
        return sum;
    }

    private boolean isLive(BceWithLogitsCall call, Elements targets, long element) {
        return weight(call.mask, call.maskBroadcast, element) != 0
                && target(call, targets, element) != (float) options.ignoreValue();
    }

    private static double target(BceWithLogitsCall call, Elements targets, long element) {
        return call.targetBits ? (int) targets.get(element >> 3) >> (element & 7) & 1 : targets.get(element);
    }

    private static double weight(@Nullable Tensor operand, Broadcast broadcast, long element) {
        return operand == null ? 1 : Elements.of(operand).get(broadcast.index(element));
    }

    private static @Nullable Elements elements(@Nullable Tensor tensor) {
        return tensor == null ? null : Elements.of(tensor);
    }

    /** A product in which 0 wins over infinity, but not over NaN. */
    private static double product(double a, double b) {
        return (a == 0 && Double.isInfinite(b)) || (b == 0 && Double.isInfinite(a)) ? 0 : a * b;
    }

    @Override
    public void close() {
        // owns nothing
    }
}
