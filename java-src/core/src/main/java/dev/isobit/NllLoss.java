package dev.isobit;

import dev.isobit.spi.NllLossCall;
import dev.isobit.spi.NllLossKernel;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Negative log-likelihood of class indices, from log-probabilities such as those of {@link LogSoftmax}: loss, gradient of
 * the log-probabilities, or both.
 *
 * <p>For a row, one place of all axes but that of the classes, with log-probabilities {@code lp} and target {@code t}:
 * {@code loss = -w_t·lp_t}, in nats; {@code gradient_t = -gradLoss·w_t}, 0 elsewhere. {@code SUM} adds the row losses,
 * {@code MEAN} divides by the sum of {@code w_t} over the rows that are not ignored, and scales the gradient likewise.
 *
 * <p>Shapes: logProbabilities [N, C] or [N, C, d1..dk], F32, BF16 or F16, C at least 1; targets [N] or [N, d1..dk], I64,
 * I32, I16 or U8; classWeights [C]; loss a scalar (shape [] or [1]), the shape of the targets for {@code NONE};
 * gradLogProbabilities the shape and type of logProbabilities, which it may be itself (in place). No output may overlap
 * another operand otherwise. All else is F32 whatever the log-probabilities: from 16 bits all is computed in float32, and
 * the gradient rounded once.
 *
 * <p>Edges: without rows {@code MEAN} is NaN, {@code SUM} 0. An ignored row has loss and gradient 0 whatever it holds.
 * Only the log-probability of the target is looked at: NaN there is NaN; -inf is +inf, but 0 where w_t is 0. If all rows
 * are ignored {@code MEAN} is NaN and the gradient 0; if their weights add up to 0, both are NaN. A target outside [0, C)
 * that is not the ignore index: in host memory an {@link IllegalArgumentException} that names the first bad row, its
 * value and how many there are, before anything is written; in device memory those rows are NaN, do not count, and the
 * next call that synchronises throws {@link TargetOutOfRangeException}.
 *
 * <p>Errors: {@link IllegalArgumentException} for shapes, overlap and devices; {@link UnsupportedOperationException}
 * for types the backend does not have; {@link IllegalStateException} for closed memory or after {@link #close};
 * {@link WrongThreadException} for memory confined to another thread. Nothing is written in any of these cases.
 *
 * <p>Threading: one thread at a time and one stream. It allocates nothing per call. Ownership: close it when done;
 * it owns only scratch memory. Source: PyTorch {@code torch.nn.functional.nll_loss}.
 */
public final class NllLoss implements AutoCloseable {
    private final Backend backend;
    private final NllLossOptions options;
    private final NllLossKernel kernel;
    /** Text for messages is made once: a call allocates nothing. */
    private final String dtypes;
    private final NllLossCall call = new NllLossCall();
    private final Operands lossChecks;
    private final Operands gradientChecks;
    private final Operands lossAndGradientChecks;
    private boolean closed;

    private NllLoss(Backend backend, NllLossOptions options, Stream stream) {
        this.backend = backend;
        this.options = options;
        this.kernel = backend.nllLossKernel(options, stream);
        this.dtypes = Operands.floatTypes(backend) + ", BF16, F16";
        this.lossChecks = new Operands("NllLoss.loss", backend);
        this.gradientChecks = new Operands("NllLoss.gradient", backend);
        this.lossAndGradientChecks = new Operands("NllLoss.lossAndGradient", backend);
    }

    /**
     * Prepares the operation on a backend's default stream.
     *
     * @param backend where it runs
     * @param options options
     * @return the operation, the caller's to close
     */
    public static NllLoss on(Backend backend, NllLossOptions options) {
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
    public static NllLoss on(Backend backend, NllLossOptions options, Stream stream) {
        Objects.requireNonNull(options, "options");
        if (stream.backend() != backend) {
            throw new IllegalArgumentException("NllLoss.on: the stream belongs to backend "
                    + stream.backend().name() + ", not to this one, " + backend.name());
        }
        return new NllLoss(backend, options, stream);
    }

    /**
     * The options given.
     *
     * @return options
     */
    public NllLossOptions options() {
        return options;
    }

    /**
     * Computes the loss.
     *
     * @param operands what it is computed from
     * @param loss written: a scalar, the shape of the targets for {@code NONE}
     */
    public void loss(NllLossOperands operands, Tensor loss) {
        run(lossChecks, operands, Objects.requireNonNull(loss, "loss"), null);
    }

    /**
     * Computes the gradient of the log-probabilities.
     *
     * @param operands what it is computed from
     * @param gradLogProbabilities written: the shape of the log-probabilities, maybe these themselves
     */
    public void gradient(NllLossOperands operands, Tensor gradLogProbabilities) {
        run(gradientChecks, operands, null, Objects.requireNonNull(gradLogProbabilities, "gradLogProbabilities"));
    }

    /**
     * Computes loss and gradient.
     *
     * @param operands what they are computed from
     * @param loss written: a scalar, the shape of the targets for {@code NONE}
     * @param gradLogProbabilities written: the shape of the log-probabilities, maybe these themselves
     */
    public void lossAndGradient(NllLossOperands operands, Tensor loss, Tensor gradLogProbabilities) {
        run(lossAndGradientChecks, operands, Objects.requireNonNull(loss, "loss"),
                Objects.requireNonNull(gradLogProbabilities, "gradLogProbabilities"));
    }

    private void run(Operands checks, NllLossOperands operands, @Nullable Tensor loss, @Nullable Tensor gradient) {
        if (closed) {
            throw new IllegalStateException("NllLoss is closed");
        }
        check(checks, operands, loss, gradient);
        Tensor input = operands.logProbabilities();
        call.outer = input.size(0);
        call.classes = input.size(1);
        call.inner = 1;
        for (int i = 2; i < input.rank(); i++) {
            call.inner *= input.size(i);
        }
        call.logProbabilities = input;
        call.targets = operands.targets();
        call.classWeights = operands.classWeights();
        call.gradLoss = operands.gradLoss();
        call.gradLossPerRow = call.gradLoss != null && options.reduction() == Reduction.NONE
                && call.gradLoss.rank() == call.targets.rank()
                && call.gradLoss.elementCount() == call.outer * call.inner;
        call.loss = loss;
        call.gradLogProbabilities = gradient;
        try {
            kernel.run(call);
        } finally {
            call.clear();
        }
    }

    private void check(Operands checks, NllLossOperands operands, @Nullable Tensor loss, @Nullable Tensor gradient) {
        Tensor input = operands.logProbabilities();
        Tensor targets = operands.targets();
        Tensor classWeights = operands.classWeights();
        Tensor gradLoss = operands.gradLoss();
        boolean none = options.reduction() == Reduction.NONE;
        checks.require(input.rank() >= 2 && input.size(1) >= 1, "logProbabilities", input,
                "[N, C, ...] with C at least 1");
        checks.dtype("logProbabilities", input, checks.takesLogits(input.dtype()), dtypes);
        checks.memory("logProbabilities", input, gradient != null && gradient.startsWith(input));
        checks.require(isRows(targets, input), "targets", targets, "the shape of logProbabilities without axis 1");
        checks.dtype("targets", targets, isIndex(targets.dtype()), "I64, I32, I16, U8");
        checks.memory("targets", targets, false);
        if (classWeights != null) {
            checks.require(classWeights.rank() == 1 && classWeights.size(0) == input.size(1), "classWeights",
                    classWeights, "[C]");
            result(checks, "classWeights", classWeights, input);
            checks.memory("classWeights", classWeights, false);
        }
        if (gradLoss != null) {
            checks.require(isScalar(gradLoss) || none && isRows(gradLoss, input), "gradLoss", gradLoss,
                    none ? "a scalar or the shape of targets" : "a scalar");
            result(checks, "gradLoss", gradLoss, input);
            checks.memory("gradLoss", gradLoss, false);
        }
        if (loss != null) {
            checks.require(none ? isRows(loss, input) : isScalar(loss), "loss", loss,
                    none ? "the shape of targets" : "a scalar");
            result(checks, "loss", loss, input);
            written(checks, "loss", loss, operands);
            checks.disjoint("loss", loss, "logProbabilities", input);
        }
        if (gradient != null) {
            boolean fits = gradient.rank() == input.rank();
            for (int i = 0; fits && i < input.rank(); i++) {
                fits = gradient.size(i) == input.size(i);
            }
            checks.require(fits, "gradLogProbabilities", gradient, "the shape of logProbabilities");
            checks.dtype("gradLogProbabilities", gradient,
                    gradient.dtype() == input.dtype() || checks.isReference(gradient),
                    "the type of logProbabilities");
            written(checks, "gradLogProbabilities", gradient, operands);
            if (!gradient.startsWith(input) || gradient.dtype() != input.dtype()) {
                checks.disjoint("gradLogProbabilities", gradient, "logProbabilities", input);
            }
        }
        if (loss != null && gradient != null) {
            checks.disjoint("loss", loss, "gradLogProbabilities", gradient);
        }
    }

    private void written(Operands checks, String name, Tensor output, NllLossOperands operands) {
        checks.memory(name, output, true);
        checks.disjoint(name, output, "targets", operands.targets());
        if (operands.classWeights() != null) {
            checks.disjoint(name, output, "classWeights", operands.classWeights());
        }
        if (operands.gradLoss() != null) {
            checks.disjoint(name, output, "gradLoss", operands.gradLoss());
        }
    }

    private static boolean isIndex(DType dtype) {
        return dtype == DType.I64 || dtype == DType.I32 || dtype == DType.I16 || dtype == DType.U8;
    }

    private static void result(Operands checks, String name, Tensor tensor, Tensor input) {
        checks.beside("logProbabilities", input, name, tensor, "F32");
    }

    /** Whether a tensor has the shape of another without the axis of the classes. */
    private static boolean isRows(Tensor tensor, Tensor of) {
        boolean fits = tensor.rank() == of.rank() - 1;
        for (int i = 0; fits && i < tensor.rank(); i++) {
            fits = tensor.size(i) == of.size(i == 0 ? 0 : i + 1);
        }
        return fits;
    }

    private static boolean isScalar(Tensor tensor) {
        return tensor.rank() == 0 || tensor.rank() == 1 && tensor.size(0) == 1;
    }

    /** Releases scratch memory. Idempotent. */
    @Override
    public void close() {
        closed = true;
        kernel.close();
    }
}
