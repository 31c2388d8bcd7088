package dev.isobit;

import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.CrossEntropyKernel;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Fused log-softmax cross-entropy with class indices: loss, gradient of the logits, or both in one pass.
 *
 * <p>For a row {@code z} of C logits with target {@code t}: {@code loss = log(sum_c exp(z_c)) - z_t}, in nats;
 * {@code gradient_k = gradLoss·(softmax(z)_k - [k = t])}. {@code SUM} adds the row losses, {@code MEAN} divides the sum
 * by the number of rows that are not ignored, and scales the gradient likewise.
 *
 * <p>Shapes: logits [N, C] F32, C at least 1; targets [N] I64 or I32; loss a scalar (shape [] or [1]), [N] for
 * {@code NONE}; gradLoss a scalar or [N] ([N] for {@code NONE} only); gradLogits [N, C], which may be the logits
 * themselves (in place), and may not overlap them in any other way. No output may overlap another operand.
 *
 * <p>Edges: an empty batch has {@code MEAN} NaN, {@code SUM} 0. An ignored row has loss and gradient 0 whatever it
 * holds. A row with NaN, +inf or only -inf has NaN loss and gradient, in that row alone; a logit -inf elsewhere has
 * probability 0, and loss +inf if it is the target's. If all rows are ignored {@code MEAN} is NaN and the gradient 0.
 * A target outside [0, C) that is not the ignore index: in host memory an {@link IllegalArgumentException} that names
 * the first bad row, its value and how many there are, before anything is written; in device memory those rows are
 * NaN and the next call that synchronises throws {@link TargetOutOfRangeException}.
 *
 * <p>Errors: {@link IllegalArgumentException} for shapes, overlap and devices; {@link UnsupportedOperationException}
 * for types the backend does not have; {@link IllegalStateException} for closed memory or after {@link #close};
 * {@link WrongThreadException} for memory confined to another thread. Nothing is written in any of these cases.
 *
 * <p>Threading: one thread at a time and one stream. It allocates nothing per call. Ownership: close it when done;
 * it owns only scratch memory. Source: PyTorch {@code torch.nn.functional.cross_entropy}.
 */
public final class CrossEntropy implements AutoCloseable {
    private final Backend backend;
    private final CrossEntropyOptions options;
    private final CrossEntropyKernel kernel;
    /** Texts for messages are made once: a call allocates nothing. */
    private final String dtypes;
    private final CrossEntropyCall call = new CrossEntropyCall();
    private final Operands lossChecks;
    private final Operands gradientChecks;
    private final Operands lossAndGradientChecks;
    private boolean closed;

    private CrossEntropy(Backend backend, CrossEntropyOptions options, Stream stream) {
        this.backend = backend;
        this.options = options;
        this.kernel = backend.crossEntropyKernel(options, stream);
        this.dtypes = backend.dtypes().toString();
        this.lossChecks = new Operands("CrossEntropy.loss", backend);
        this.gradientChecks = new Operands("CrossEntropy.gradient", backend);
        this.lossAndGradientChecks = new Operands("CrossEntropy.lossAndGradient", backend);
    }

    /**
     * Prepares the operation on a backend's default stream.
     *
     * @param backend where it runs
     * @param options options
     * @return the operation, the caller's to close
     */
    public static CrossEntropy on(Backend backend, CrossEntropyOptions options) {
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
    public static CrossEntropy on(Backend backend, CrossEntropyOptions options, Stream stream) {
        Objects.requireNonNull(options, "options");
        if (stream.backend() != backend) {
            throw new IllegalArgumentException("CrossEntropy.on: the stream belongs to backend "
                    + stream.backend().name() + ", not to this " + backend.name());
        }
        return new CrossEntropy(backend, options, stream);
    }

    /**
     * The options given.
     *
     * @return options
     */
    public CrossEntropyOptions options() {
        return options;
    }

    /**
     * Computes the loss.
     *
     * @param logits [N, C]
     * @param targets [N]
     * @param loss written: a scalar, [N] for {@code NONE}
     */
    public void loss(Tensor logits, Tensor targets, Tensor loss) {
        Objects.requireNonNull(loss, "loss");
        run(lossChecks, logits, targets, null, loss, null);
    }

    /**
     * Computes the gradient of the logits for an upstream gradient of 1.
     *
     * @param logits [N, C]
     * @param targets [N]
     * @param gradLogits written: [N, C], maybe the logits themselves
     */
    public void gradient(Tensor logits, Tensor targets, Tensor gradLogits) {
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(gradientChecks, logits, targets, null, null, gradLogits);
    }

    /**
     * Computes the gradient of the logits.
     *
     * @param logits [N, C]
     * @param targets [N]
     * @param gradLoss upstream gradient: a scalar, or [N] for {@code NONE}
     * @param gradLogits written: [N, C], maybe the logits themselves
     */
    public void gradient(Tensor logits, Tensor targets, Tensor gradLoss, Tensor gradLogits) {
        Objects.requireNonNull(gradLoss, "gradLoss");
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(gradientChecks, logits, targets, gradLoss, null, gradLogits);
    }

    /**
     * Computes loss and gradient in one pass, for an upstream gradient of 1.
     *
     * @param logits [N, C]
     * @param targets [N]
     * @param loss written: a scalar, [N] for {@code NONE}
     * @param gradLogits written: [N, C], maybe the logits themselves
     */
    public void lossAndGradient(Tensor logits, Tensor targets, Tensor loss, Tensor gradLogits) {
        Objects.requireNonNull(loss, "loss");
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(lossAndGradientChecks, logits, targets, null, loss, gradLogits);
    }

    /**
     * Computes loss and gradient in one pass.
     *
     * @param logits [N, C]
     * @param targets [N]
     * @param gradLoss upstream gradient: a scalar, or [N] for {@code NONE}
     * @param loss written: a scalar, [N] for {@code NONE}
     * @param gradLogits written: [N, C], maybe the logits themselves
     */
    public void lossAndGradient(Tensor logits, Tensor targets, Tensor gradLoss, Tensor loss, Tensor gradLogits) {
        Objects.requireNonNull(gradLoss, "gradLoss");
        Objects.requireNonNull(loss, "loss");
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(lossAndGradientChecks, logits, targets, gradLoss, loss, gradLogits);
    }

    private void run(Operands checks, Tensor logits, Tensor targets, @Nullable Tensor gradLoss, @Nullable Tensor loss,
            @Nullable Tensor gradLogits) {
        if (closed) {
            throw new IllegalStateException("CrossEntropy is closed");
        }
        check(checks, logits, targets, gradLoss, loss, gradLogits);
        call.rows = logits.size(0);
        call.classes = logits.size(1);
        call.logits = logits;
        call.targets = targets;
        call.gradLoss = gradLoss;
        call.loss = loss;
        call.gradLogits = gradLogits;
        try {
            kernel.run(call);
        } finally {
            call.logits = null;
            call.targets = null;
            call.gradLoss = null;
            call.loss = null;
            call.gradLogits = null;
        }
    }

    private void check(Operands checks, Tensor logits, Tensor targets, @Nullable Tensor gradLoss,
            @Nullable Tensor loss, @Nullable Tensor gradLogits) {
        checks.require(logits.rank() == 2 && logits.size(1) >= 1, "logits", logits, "[N, C] with C at least 1");
        checks.dtype("logits", logits, backend.dtypes().contains(logits.dtype()), dtypes);
        checks.memory("logits", logits, gradLogits != null && gradLogits.startsWith(logits));
        long rows = logits.size(0);
        checks.require(targets.rank() == 1 && targets.size(0) == rows, "targets", targets, "[N], N as in logits,");
        checks.dtype("targets", targets, targets.dtype() == DType.I64 || targets.dtype() == DType.I32, "I64, I32");
        checks.memory("targets", targets, false);
        if (gradLoss != null) {
            boolean perRow = gradLoss.rank() == 1 && gradLoss.size(0) == rows && options.reduction() == Reduction.NONE;
            checks.require(isScalar(gradLoss) || perRow, "gradLoss", gradLoss,
                    options.reduction() == Reduction.NONE ? "a scalar or [N]" : "a scalar");
            result(checks, "gradLoss", gradLoss, logits);
            checks.memory("gradLoss", gradLoss, false);
        }
        if (loss != null) {
            boolean fits = options.reduction() == Reduction.NONE
                    ? loss.rank() == 1 && loss.size(0) == rows
                    : isScalar(loss);
            checks.require(fits, "loss", loss, options.reduction() == Reduction.NONE ? "[N]" : "a scalar");
            result(checks, "loss", loss, logits);
            checks.memory("loss", loss, true);
            checks.disjoint("loss", loss, "logits", logits);
            checks.disjoint("loss", loss, "targets", targets);
        }
        if (gradLogits != null) {
            checks.require(gradLogits.rank() == 2 && gradLogits.size(0) == rows
                    && gradLogits.size(1) == logits.size(1), "gradLogits", gradLogits, "the shape of logits");
            checks.dtype("gradLogits", gradLogits, gradLogits.dtype() == logits.dtype() || isReference(gradLogits),
                    "the type of logits");
            checks.memory("gradLogits", gradLogits, true);
            if (!gradLogits.startsWith(logits) || gradLogits.dtype() != logits.dtype()) {
                checks.disjoint("gradLogits", gradLogits, "logits", logits);
            }
            checks.disjoint("gradLogits", gradLogits, "targets", targets);
        }
        if (loss != null && gradLogits != null) {
            checks.disjoint("loss", loss, "gradLogits", gradLogits);
        }
        if (gradLoss != null && loss != null) {
            checks.disjoint("gradLoss", gradLoss, "loss", loss);
        }
        if (gradLoss != null && gradLogits != null) {
            checks.disjoint("gradLoss", gradLoss, "gradLogits", gradLogits);
        }
    }

    /** Losses and their gradients are F32 whatever the logits; a float64 backend takes F64 as well. */
    private void result(Operands checks, String name, Tensor tensor, Tensor logits) {
        checks.dtype(name, tensor, tensor.dtype() == DType.F32 && logits.dtype() != DType.F64 || isReference(tensor),
                "F32");
    }

    private boolean isReference(Tensor tensor) {
        return tensor.dtype() == DType.F64 && backend.dtypes().contains(DType.F64);
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
