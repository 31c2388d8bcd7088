package dev.isobit.reference;

import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.spi.HostTargets;
import dev.isobit.spi.NllLossCall;
import dev.isobit.spi.NllLossKernel;
import java.util.Objects;

/**
 * Negative log-likelihood of a row of log-probabilities lp with target t and class weights w:
 * <pre>
 * loss = -w_t·lp_t                             0·inf = 0
 * gradient_t = -upstream·w_t, else 0           MEAN: upstream over the sum of w_t
 * </pre>
 */
final class ReferenceNllLoss implements NllLossKernel {
    private final ReferenceBackend backend;
    private final NllLossOptions options;

    ReferenceNllLoss(ReferenceBackend backend, NllLossOptions options) {
        this.backend = backend;
        this.options = options;
    }

    @Override
    public void run(NllLossCall call) {
        backend.requireOpen();
        var input = Elements.of(Objects.requireNonNull(call.logProbabilities));
        var weights = call.classWeights == null ? null : Elements.of(call.classWeights);
        var gradLoss = call.gradLoss == null ? null : Elements.of(call.gradLoss);
        var loss = call.loss == null ? null : Elements.of(call.loss);
        var gradient = call.gradLogProbabilities == null ? null : Elements.of(call.gradLogProbabilities);
        HostTargets targets = new HostTargets();
        targets.view(Objects.requireNonNull(call.targets));
        targets.countNotIgnored("NllLoss", call.classes, options.ignoreIndex());
        boolean none = options.reduction() == Reduction.NONE;
        long rows = call.outer * call.inner;
        double denominator = 0;
        for (long row = 0; row < rows; row++) {
            long target = targets.get(row);
            denominator += target == options.ignoreIndex() ? 0 : weights == null ? 1 : weights.get(target);
        }
        denominator = options.reduction() == Reduction.MEAN ? Elements.denominator(denominator) : 1;
        double total = 0;
        for (long row = 0; row < rows; row++) {
            long first = row / call.inner * call.classes * call.inner + row % call.inner;
            long target = targets.get(row);
            boolean live = target != options.ignoreIndex();
            double weight = !live ? 0 : weights == null ? 1 : weights.get(target);
            double logProbability = live ? input.get(first + target * call.inner) : 0;
            double rowLoss = weight == 0 && Double.isInfinite(logProbability) ? 0 : weight * (0 - logProbability);
            if (gradient != null) {
                double upstream = gradLoss == null ? 1 : gradLoss.get(call.gradLossPerRow ? row : 0);
                for (long k = 0; k < call.classes; k++) {
                    gradient.set(first + k * call.inner,
                            live && k == target ? 0 - upstream / denominator * weight : 0);
                }
            }
            if (loss != null && none) {
                loss.set(row, rowLoss);
            }
            total += rowLoss;
        }
        if (loss != null && !none) {
            loss.set(0, total / denominator);
        }
    }

    @Override
    public void close() {
        // owns nothing
    }
}
