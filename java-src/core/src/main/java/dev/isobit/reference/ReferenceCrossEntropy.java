package dev.isobit.reference;

import dev.isobit.CrossEntropyOptions;
import dev.isobit.Reduction;
import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.CrossEntropyKernel;
import dev.isobit.spi.HostTargets;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Cross-entropy of a row z with target t:
 * <pre>
 * m = max z;  n = count of z = m;  r = sum over z &lt; m of exp(z - m);  s = n + r
 * loss = (m - z_t) + log s
 * gradient_k = upstream·exp(z_k - m)/s                 k != t
 * gradient_t = -upstream·(s - exp(z_t - m))/s          p_t - 1 without its cancellation
 * </pre>
 * n and r stay apart: log s is log1p(r) where n = 1, and s - exp(z_t - m) is (n - 1) + r where z_t = m; a confident row
 * keeps its digits.
 */
final class ReferenceCrossEntropy implements CrossEntropyKernel {
    private final ReferenceBackend backend;
    private final CrossEntropyOptions options;

    ReferenceCrossEntropy(ReferenceBackend backend, CrossEntropyOptions options) {
        this.backend = backend;
        this.options = options;
    }

    @Override
    public void run(CrossEntropyCall call) {
        backend.requireOpen();
        var targets = Objects.requireNonNull(call.targets);
        var logits = Elements.of(Objects.requireNonNull(call.logits));
        var gradLoss = call.gradLoss == null ? null : Elements.of(call.gradLoss);
        boolean upstreamPerRow = call.gradLoss != null && call.gradLoss.rank() == 1
                && options.reduction() == Reduction.NONE && call.gradLoss.size(0) == call.rows;
        var loss = call.loss == null ? null : Elements.of(call.loss);
        var gradLogits = call.gradLogits == null ? null : Elements.of(call.gradLogits);

        HostTargets classIndices = new HostTargets();
        classIndices.view(targets);
        long denominator = classIndices.countNotIgnored("CrossEntropy", call.classes, options.ignoreIndex());
        double total = 0;
        for (long row = 0; row < call.rows; row++) {
            double upstream = gradLoss == null ? 1 : gradLoss.get(upstreamPerRow ? row : 0);
            if (options.reduction() == Reduction.MEAN) {
                upstream /= denominator;
            }
            long target = classIndices.get(row);
            double rowLoss = target == options.ignoreIndex()
                    ? ignore(gradLogits, row * call.classes, call.classes)
                    : row(logits, row * call.classes, call.classes, target, upstream, gradLogits);
            if (options.reduction() == Reduction.NONE && loss != null) {
                loss.set(row, rowLoss);
            }
            total += rowLoss;
        }
        if (options.reduction() != Reduction.NONE && loss != null) {
            loss.set(0, options.reduction() == Reduction.SUM ? total : total / denominator);
        }
    }

    private static double ignore(@Nullable Elements gradLogits, long start, long classes) {
        if (gradLogits != null) {
            for (long k = start; k < start + classes; k++) {
                gradLogits.set(k, 0);
            }
        }
        return 0;
    }

    /** One row: writes its gradient where asked, returns its loss. The gradient may overwrite the logits. */
    private static double row(Elements logits, long start, long classes, long target, double upstream,
            @Nullable Elements gradLogits) {
        double max = Double.NEGATIVE_INFINITY;
        for (long k = start; k < start + classes; k++) {
            max = Math.max(max, logits.get(k));
        }
        if (Double.isNaN(max) || Double.isInfinite(max)) {
            return invalid(gradLogits, start, classes);
        }
        long atMax = 0;
        double rest = 0;
        for (long k = start; k < start + classes; k++) {
            double z = logits.get(k);
            if (z == max) {
                atMax++;
            } else {
                rest += Math.exp(z - max);
            }
        }
        double sum = atMax + rest;
        double zTarget = logits.get(start + target);
        double loss = max - zTarget + (atMax == 1 ? Math.log1p(rest) : Math.log(sum));
        if (gradLogits != null) {
            double others = zTarget == max ? atMax - 1 + rest : sum - Math.exp(zTarget - max);
            for (long k = start; k < start + classes; k++) {
                double numerator = k == start + target ? -others : Math.exp(logits.get(k) - max);
                // + 0: never -0
                gradLogits.set(k, upstream * numerator / sum + 0.0);
            }
        }
        return loss;
    }

    /** A row with NaN, +inf or only -inf. */
    private static double invalid(@Nullable Elements gradLogits, long start, long classes) {
        if (gradLogits != null) {
            for (long k = start; k < start + classes; k++) {
                gradLogits.set(k, Double.NaN);
            }
        }
        return Double.NaN;
    }

    @Override
    public void close() {
        // owns nothing
    }
}
