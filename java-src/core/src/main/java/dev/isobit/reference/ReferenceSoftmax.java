package dev.isobit.reference;

import dev.isobit.spi.SoftmaxCall;
import dev.isobit.spi.SoftmaxKernel;
import java.util.Objects;

/**
 * Softmax and log-softmax of a row z, and their gradients for an upstream gradient g:
 * <pre>
 * m = max z;  n = count of z = m;  r = sum over z &lt; m of exp(z - m);  s = n + r
 * p_k  = exp(z_k - m)/s                 gradient_k = p_k·(g_k - sum g·p)
 * lp_k = (z_k - m) - log s              gradient_k = g_k - exp(lp_k)·sum g
 * </pre>
 * log s is log1p(r) where n = 1: log-probabilities near 0 keep their digits.
 */
final class ReferenceSoftmax implements SoftmaxKernel {
    private final ReferenceBackend backend;
    private final boolean logarithm;

    ReferenceSoftmax(ReferenceBackend backend, boolean logarithm) {
        this.backend = backend;
        this.logarithm = logarithm;
    }

    @Override
    public void run(SoftmaxCall call) {
        backend.requireOpen();
        var input = Elements.of(Objects.requireNonNull(call.input));
        var result = Elements.of(Objects.requireNonNull(call.result));
        var gradOutput = call.gradOutput == null ? null : Elements.of(call.gradOutput);
        for (long outer = 0; outer < call.outer; outer++) {
            for (long inner = 0; inner < call.inner; inner++) {
                long start = outer * call.classes * call.inner + inner;
                long end = start + call.classes * call.inner;
                if (gradOutput == null) {
                    forward(input, start, end, call.inner, result);
                } else {
                    gradient(input, gradOutput, start, end, call.inner, result);
                }
            }
        }
    }

    private void forward(Elements logits, long start, long end, long step, Elements result) {
        double max = Double.NEGATIVE_INFINITY;
        for (long i = start; i < end; i += step) {
            max = Math.max(max, logits.get(i));
        }
        long atMax = 0;
        double rest = 0;
        for (long i = start; i < end; i += step) {
            double z = logits.get(i);
            if (z == max) {
                atMax++;
            } else {
                rest += Math.exp(z - max);
            }
        }
        boolean invalid = Double.isNaN(max) || Double.isInfinite(max);
        double sum = atMax + rest;
        double logSum = atMax == 1 ? Math.log1p(rest) : Math.log(sum);
        for (long i = start; i < end; i += step) {
            double d = logits.get(i) - max;
            result.set(i, invalid ? Double.NaN : logarithm ? d - logSum : Math.exp(d) / sum);
        }
    }

    private void gradient(Elements output, Elements gradOutput, long start, long end, long step, Elements result) {
        double sum = 0;
        for (long i = start; i < end; i += step) {
            sum += logarithm ? gradOutput.get(i) : gradOutput.get(i) * output.get(i);
        }
        for (long i = start; i < end; i += step) {
            double y = output.get(i);
            double g = gradOutput.get(i);
            result.set(i, logarithm ? g - Math.exp(y) * sum : y * (g - sum));
        }
    }

    @Override
    public void close() {
        // owns nothing
    }
}
