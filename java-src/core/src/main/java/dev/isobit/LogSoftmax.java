package dev.isobit;

/**
 * Log-softmax along an axis: log-probabilities from logits, in nats, and the gradient.
 *
 * <p>Along the axis of the classes, {@code lp_k = z_k - log(sum_c exp(z_c))}, and {@code gradient_k = g_k - exp(lp_k)·sum_c g_c} for
 * an upstream gradient g.
 *
 * <p>Shapes: any with at least one axis; all operands of a call have the same, and one type: F32, BF16 or F16. The
 * result may be one of the operands (in place) and may not overlap them in any other way. Nothing is transposed, whatever
 * the axis. From 16 bits all is computed in float32, and each result rounded once.
 *
 * <p>Edges: a row, that is one of all classes, with NaN, +inf or only -inf among its logits is NaN throughout, in that
 * row alone; a logit -inf elsewhere has log-probability -inf. C = 1: +0. What {@link CrossEntropy} gives as the loss of
 * a row is, to the bit, minus the log-probability of its target. The gradient follows its formula. Without elements nothing is done.
 *
 * <p>Errors: {@link IllegalArgumentException} for shapes, the axis, overlap and devices;
 * {@link UnsupportedOperationException} for types other than these (on the reference backend F64, too, and any mix);
 * {@link IllegalStateException} for closed memory or after {@link #close}; {@link WrongThreadException} for memory
 * confined to another thread. Nothing is written in any of these cases.
 *
 * <p>Threading: one thread at a time and one stream. It allocates nothing per call. Ownership: close it when done;
 * it owns only scratch memory. Source: PyTorch {@code torch.nn.functional.log_softmax}.
 */
public final class LogSoftmax implements AutoCloseable {
    private final SoftmaxCalls calls;

    private LogSoftmax(SoftmaxCalls calls) {
        this.calls = calls;
    }

    /**
     * Prepares the operation on a backend's default stream.
     *
     * @param backend where it runs
     * @param options options
     * @return the operation, the caller's to close
     */
    public static LogSoftmax on(Backend backend, SoftmaxOptions options) {
        return on(backend, options, backend.defaultStream());
    }

    /**
     * Prepares the operation on a stream.
     *
     * @param backend where it runs
     * @param options options
     * @param stream a stream of that backend
     * @return the operation, the caller's to close
     * @throws IllegalArgumentException if the stream belongs to another backend
     */
    public static LogSoftmax on(Backend backend, SoftmaxOptions options, Stream stream) {
        return new LogSoftmax(
                new SoftmaxCalls("LogSoftmax", true, "logProbabilities", "gradLogProbabilities", backend, options,
                        stream));
    }

    /**
     * The options given.
     *
     * @return options
     */
    public SoftmaxOptions options() {
        return calls.options();
    }

    /**
     * Computes log-probabilities.
     *
     * @param logits unnormalised scores
     * @param logProbabilities written; may be the logits themselves
     */
    public void logProbabilities(Tensor logits, Tensor logProbabilities) {
        calls.forward(logits, logProbabilities);
    }

    /**
     * Computes the gradient of the logits: {@code g - exp(lp)·sum g}.
     *
     * @param logProbabilities what {@link #logProbabilities} wrote
     * @param gradLogProbabilities upstream gradient
     * @param gradLogits written; may be one of the others itself
     */
    public void gradient(Tensor logProbabilities, Tensor gradLogProbabilities, Tensor gradLogits) {
        calls.gradient(logProbabilities, gradLogProbabilities, gradLogits);
    }

    /** Releases scratch memory. Idempotent. */
    @Override
    public void close() {
        calls.close();
    }
}
