package dev.isobit;

/**
 * Softmax along an axis: probabilities from logits, and the gradient.
 *
 * <p>Along the axis of the classes, {@code p_k = exp(z_k)/sum_c exp(z_c)}, and {@code gradient_k = p_k·(g_k - sum_c g_c·p_c)} for an
 * upstream gradient g.
 *
 * <p>Shapes: any with at least one axis; all operands of a call have the same, and one type: F32, BF16 or F16. The
 * result may be one of the operands (in place) and may not overlap them in any other way. Nothing is transposed, whatever
 * the axis. From 16 bits all is computed in float32, and each result rounded once.
 *
 * <p>Edges: a row, that is one of all classes, with NaN, +inf or only -inf among its logits is NaN throughout, in that
 * row alone; a logit -inf elsewhere has probability 0. C = 1: 1. The gradient follows its formula: a row in which the
 * sum is NaN is NaN. Without elements nothing is done.
 *
 * <p>Errors: {@link IllegalArgumentException} for shapes, the axis, overlap and devices;
 * {@link UnsupportedOperationException} for types other than these (on the reference backend F64, too, and any mix);
 * {@link IllegalStateException} for closed memory or after {@link #close}; {@link WrongThreadException} for memory
 * confined to another thread. Nothing is written in any of these cases.
 *
 * <p>Threading: one thread at a time and one stream. It allocates nothing per call. Ownership: close it when done;
 * it owns only scratch memory. Source: PyTorch {@code torch.nn.functional.softmax}.
 */
public final class Softmax implements AutoCloseable {
    private final SoftmaxCalls calls;

    private Softmax(SoftmaxCalls calls) {
        this.calls = calls;
    }

    /**
     * Prepares the operation on a backend's default stream.
     *
     * @param backend where it runs
     * @param options options
     * @return the operation, the caller's to close
     */
    public static Softmax on(Backend backend, SoftmaxOptions options) {
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
    public static Softmax on(Backend backend, SoftmaxOptions options, Stream stream) {
        return new Softmax(new SoftmaxCalls("Softmax", false, "probabilities", "gradProbabilities", backend, options,
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
     * Computes probabilities.
     *
     * @param logits unnormalised scores
     * @param probabilities written; may be the logits themselves
     */
    public void probabilities(Tensor logits, Tensor probabilities) {
        calls.forward(logits, probabilities);
    }

    /**
     * Computes the gradient of the logits: {@code p·(g - sum g·p)}.
     *
     * @param probabilities what {@link #probabilities} wrote
     * @param gradProbabilities upstream gradient
     * @param gradLogits written; may be one of the others itself
     */
    public void gradient(Tensor probabilities, Tensor gradProbabilities, Tensor gradLogits) {
        calls.gradient(probabilities, gradProbabilities, gradLogits);
    }

    /** Releases scratch memory. Idempotent. */
    @Override
    public void close() {
        calls.close();
    }
}
