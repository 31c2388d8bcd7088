package dev.isobit;

import dev.isobit.spi.BceWithLogitsCall;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.Broadcast;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Fused sigmoid and binary cross-entropy: loss, gradient of the logits, or both in one pass.
 *
 * <p>For a logit x with target t: {@code loss = w·((1 - t)·softplus(x) + p·t·softplus(-x))}, in nats, where
 * {@code softplus(x) = log(1 + exp(x))}, p is {@code posWeight} and w is {@code weights};
 * {@code gradient = gradLoss·w·((1 - t)·sigmoid(x) - p·t·sigmoid(-x))}. Neither cancels: a confident element keeps its
 * loss to the last digit. {@code SUM} adds the losses; {@code MEAN} divides the sum by the number of elements, or with
 * {@link BceWithLogitsOptions#weightedMean} by the sum of the weights, and scales the gradient likewise. Label smoothing
 * takes t·(1 - labelSmoothing) + labelSmoothing/2 for t.
 *
 * <p>Focal loss, {@link BceWithLogitsOptions#withFocal}: {@code loss = w·alpha_t·(1 - p_t)^gamma·((1 - t)·softplus(x) +
 * t·softplus(-x))}, {@code p_t = t·sigmoid(x) + (1 - t)·sigmoid(-x)}, {@code alpha_t = t·alpha + (1 - t)·(1 - alpha)}, t
 * after smoothing, and its gradient. It combines with everything but posWeight, which is refused: alpha is the weight of
 * positives here, as in the paper and in torchvision, and what a second one would multiply, neither says. Where targets are 0
 * or 1, a posWeight p is {@code alpha = p/(1 + p)} with weights that are {@code 1 + p} times as large.
 *
 * <p>Shapes: logits any, F32, BF16 or F16; targets the same, F32, U8 or the type of the logits, or bits
 * ({@link BceWithLogitsOperands#ofBits}); posWeight and weights, F32, and mask, U8, any that broadcast
 * against the logits, aligned at the innermost axis (with at most four runs of axes that do not repeat); loss a scalar
 * (shape [] or [1]), the shape of the logits for {@code NONE}; gradLoss a scalar, or for {@code NONE} the shape of the
 * logits; gradLogits the shape and type of the logits, maybe the logits themselves (in place), with no other overlap; sigmoid the
 * shape of the logits. All others are F32 whatever the logits: from 16 bits all is computed in float32, and the gradient
 * rounded once. No output may overlap another operand.
 *
 * <p>Edges: no elements have {@code MEAN} NaN, {@code SUM} 0. At a logit of +inf or -inf loss and gradient are their
 * limits, finite or infinite: a product of 0, as label or weight, and infinity is 0. A NaN among an element's operands
 * makes its loss and gradient NaN, and no other's. Targets outside [0, 1] follow the formula. Weights that add up to 0
 * make a weighted mean NaN, with its gradient. An element is ignored where the mask is 0 or the target is
 * {@link BceWithLogitsOptions#ignoreValue}: loss and gradient 0 whatever it holds, and not counted by {@code MEAN}, nor
 * its weight; if all are, {@code MEAN} is NaN and the gradient 0. Its probability is computed as any other.
 *
 * <p>Errors: {@link IllegalArgumentException} for shapes, overlap and devices; {@link UnsupportedOperationException}
 * for types the backend does not have; {@link IllegalStateException} for closed memory or after {@link #close};
 * {@link WrongThreadException} for memory confined to another thread. Nothing is written in any of these cases.
 *
 * <p>Threading: one thread at a time and one stream. It allocates nothing per call. Ownership: close it when done;
 * it owns only scratch memory. Source: PyTorch {@code torch.nn.functional.binary_cross_entropy_with_logits};
 * focal loss as in RetinaNet (Lin et al. 2017) and {@code torchvision.ops.sigmoid_focal_loss}.
 */
public final class BceWithLogits implements AutoCloseable {
    private static final String BROADCASTS =
            "one that broadcasts against logits, with at most " + Broadcast.MAX_GROUPS + " runs of axes,";

    private final Backend backend;
    private final BceWithLogitsOptions options;
    private final BceWithLogitsKernel kernel;
    /** Texts for messages are made once: a call allocates nothing. */
    private final String dtypes;
    private final BceWithLogitsCall call = new BceWithLogitsCall();
    private final Operands lossChecks;
    private final Operands gradientChecks;
    private final Operands lossAndGradientChecks;
    private boolean closed;

    private BceWithLogits(Backend backend, BceWithLogitsOptions options, Stream stream) {
        this.backend = backend;
        this.options = options;
        this.kernel = backend.bceWithLogitsKernel(options, stream);
        this.dtypes = Operands.floatTypes(backend) + ", BF16, F16";
        this.lossChecks = new Operands("BceWithLogits.loss", backend);
        this.gradientChecks = new Operands("BceWithLogits.gradient", backend);
        this.lossAndGradientChecks = new Operands("BceWithLogits.lossAndGradient", backend);
    }

    /**
     * Prepares the operation on a backend's default stream.
     *
     * @param backend where it runs
     * @param options options
     * @return the operation, the caller's to close
     */
    public static BceWithLogits on(Backend backend, BceWithLogitsOptions options) {
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
    public static BceWithLogits on(Backend backend, BceWithLogitsOptions options, Stream stream) {
        Objects.requireNonNull(options, "options");
        if (stream.backend() != backend) {
            throw new IllegalArgumentException("BceWithLogits.on: the stream belongs to backend "
                    + stream.backend().name() + ", not to this one, " + backend.name());
        }
        return new BceWithLogits(backend, options, stream);
    }

    /**
     * The options given.
     *
     * @return options
     */
    public BceWithLogitsOptions options() {
        return options;
    }

    /**
     * Computes the loss.
     *
     * @param logits any shape
     * @param targets the shape of the logits
     * @param loss written: a scalar, the shape of the logits for {@code NONE}
     */
    public void loss(Tensor logits, Tensor targets, Tensor loss) {
        Objects.requireNonNull(loss, "loss");
        run(lossChecks, logits, targets, false, null, null, null, null, null, loss, null);
    }

    /**
     * Computes the loss.
     *
     * @param operands what it is computed from; gradLoss is not looked at
     * @param loss written: a scalar, the shape of the logits for {@code NONE}
     */
    public void loss(BceWithLogitsOperands operands, Tensor loss) {
        Objects.requireNonNull(loss, "loss");
        run(lossChecks, operands.logits(), operands.targets(), operands.targetBits(), operands.posWeight(),
                operands.weights(), operands.mask(), null, operands.sigmoid(), loss, null);
    }

    /**
     * Computes the gradient of the logits for an upstream gradient of 1.
     *
     * @param logits any shape
     * @param targets the shape of the logits
     * @param gradLogits written: the shape of the logits, maybe the logits themselves
     */
    public void gradient(Tensor logits, Tensor targets, Tensor gradLogits) {
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(gradientChecks, logits, targets, false, null, null, null, null, null, null, gradLogits);
    }

    /**
     * Computes the gradient of the logits.
     *
     * @param operands what it is computed from
     * @param gradLogits written: the shape of the logits, maybe the logits themselves
     */
    public void gradient(BceWithLogitsOperands operands, Tensor gradLogits) {
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(gradientChecks, operands, null, gradLogits);
    }

    /**
     * Computes loss and gradient in one pass, for an upstream gradient of 1.
     *
     * @param logits any shape
     * @param targets the shape of the logits
     * @param loss written: a scalar, the shape of the logits for {@code NONE}
     * @param gradLogits written: the shape of the logits, maybe the logits themselves
     */
    public void lossAndGradient(Tensor logits, Tensor targets, Tensor loss, Tensor gradLogits) {
        Objects.requireNonNull(loss, "loss");
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(lossAndGradientChecks, logits, targets, false, null, null, null, null, null, loss, gradLogits);
    }

    /**
     * Computes loss and gradient in one pass.
     *
     * @param operands what they are computed from
     * @param loss written: a scalar, the shape of the logits for {@code NONE}
     * @param gradLogits written: the shape of the logits, maybe the logits themselves
     */
    public void lossAndGradient(BceWithLogitsOperands operands, Tensor loss, Tensor gradLogits) {
        Objects.requireNonNull(loss, "loss");
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(lossAndGradientChecks, operands, loss, gradLogits);
    }

    private void run(Operands checks, BceWithLogitsOperands operands, @Nullable Tensor loss,
            @Nullable Tensor gradLogits) {
        run(checks, operands.logits(), operands.targets(), operands.targetBits(), operands.posWeight(),
                operands.weights(), operands.mask(), operands.gradLoss(), operands.sigmoid(), loss, gradLogits);
    }

    private void run(Operands checks, Tensor logits, Tensor targets, boolean targetBits,
            @Nullable Tensor posWeight, @Nullable Tensor weights, @Nullable Tensor mask, @Nullable Tensor gradLoss,
            @Nullable Tensor sigmoid, @Nullable Tensor loss, @Nullable Tensor gradLogits) {
        if (closed) {
            throw new IllegalStateException("BceWithLogits is closed");
        }
        call.count = logits.elementCount();
        call.logits = logits;
        call.targets = targets;
        call.targetBits = targetBits;
        call.posWeight = posWeight;
        call.weights = weights;
        call.mask = mask;
        call.gradLoss = gradLoss;
        call.gradLossPerElement =
                gradLoss != null && options.reduction() == Reduction.NONE && sameShape(gradLoss, logits);
        call.loss = loss;
        call.gradLogits = gradLogits;
        call.sigmoid = sigmoid;
        try {
            checkInputs(checks, logits, targets);
            if (posWeight != null && options.isFocal()) {
                throw checks.refuse("the focal loss has focalAlpha " + options.focalAlpha()
                        + " for the weight of positives, and there is posWeight " + posWeight);
            }
            checkBroadcast(checks, "posWeight", posWeight, call.posWeightBroadcast, logits);
            checkBroadcast(checks, "weights", weights, call.weightsBroadcast, logits);
            checkBroadcast(checks, "mask", mask, call.maskBroadcast, logits);
            checkTypes(checks, logits);
            checkOutputs(checks, logits);
            kernel.run(call);
        } finally {
            call.clear();
        }
    }

    private void checkInputs(Operands checks, Tensor logits, Tensor targets) {
        checks.dtype("logits", logits, checks.takesLogits(logits.dtype()), dtypes);
        checks.memory("logits", logits, false);
        if (call.targetBits) {
            checks.require(targets.rank() == 1 && targets.size(0) == Math.ceilDiv(logits.elementCount(), 8), "targets",
                    targets, "an eighth of logits' elements");
            checks.dtype("targets", targets, targets.dtype() == DType.U8, "bits in U8");
        } else {
            checks.require(sameShape(targets, logits), "targets", targets, "the shape of logits");
        }
        if (targets.dtype() != DType.U8 && targets.dtype() != logits.dtype()) {
            result(checks, "targets", targets, logits, "F32, U8, the type of logits");
        }
        checks.memory("targets", targets, false);
        Tensor gradLoss = call.gradLoss;
        if (gradLoss != null) {
            checks.require(call.gradLossPerElement || isScalar(gradLoss), "gradLoss", gradLoss,
                    options.reduction() == Reduction.NONE ? "a scalar or the shape of logits" : "a scalar");
            result(checks, "gradLoss", gradLoss, logits);
            checks.memory("gradLoss", gradLoss, false);
        }
    }

    private void checkBroadcast(Operands checks, String name, @Nullable Tensor operand, Broadcast broadcast,
            Tensor logits) {
        if (operand == null) {
            broadcast.setScalar();
            return;
        }
        checks.require(broadcast.set(logits, operand), name, operand,
                BROADCASTS);
        checks.memory(name, operand, false);
    }

    private void checkTypes(Operands checks, Tensor logits) {
        if (call.posWeight != null) {
            result(checks, "posWeight", call.posWeight, logits);
        }
        if (call.weights != null) {
            result(checks, "weights", call.weights, logits);
        }
        if (call.mask != null) {
            checks.dtype("mask", call.mask, call.mask.dtype() == DType.U8, "U8");
        }
    }

    private void checkOutputs(Operands checks, Tensor logits) {
        Tensor loss = call.loss;
        if (loss != null) {
            boolean none = options.reduction() == Reduction.NONE;
            checks.require(none ? sameShape(loss, logits) : isScalar(loss), "loss", loss,
                    none ? "the shape of logits" : "a scalar");
            result(checks, "loss", loss, logits);
            checks.memory("loss", loss, true);
            checkDisjoint(checks, "loss", loss, true);
        }
        Tensor sigmoid = call.sigmoid;
        if (sigmoid != null) {
            checks.require(sameShape(sigmoid, logits), "sigmoid", sigmoid, "the shape of logits");
            result(checks, "sigmoid", sigmoid, logits);
            checks.memory("sigmoid", sigmoid, true);
            checkDisjoint(checks, "sigmoid", sigmoid, true);
        }
        Tensor gradLogits = call.gradLogits;
        if (gradLogits != null) {
            checks.require(sameShape(gradLogits, logits), "gradLogits", gradLogits, "the shape of logits");
            checks.dtype("gradLogits", gradLogits,
                    gradLogits.dtype() == logits.dtype() || checks.isReference(gradLogits),
                    "the type of logits");
            checks.memory("gradLogits", gradLogits, true);
            boolean inPlace = gradLogits.startsWith(logits) && gradLogits.dtype() == logits.dtype();
            checkDisjoint(checks, "gradLogits", gradLogits, !inPlace);
        }
        if (loss != null && gradLogits != null) {
            checks.disjoint("loss", loss, "gradLogits", gradLogits);
        }
        if (sigmoid != null && loss != null) {
            checks.disjoint("sigmoid", sigmoid, "loss", loss);
        }
        if (sigmoid != null && gradLogits != null) {
            checks.disjoint("sigmoid", sigmoid, "gradLogits", gradLogits);
        }
    }

    /** An output, and everything that is read. */
    private void checkDisjoint(Operands checks, String name, Tensor output, boolean fromLogits) {
        if (fromLogits) {
            disjoint(checks, name, output, "logits", call.logits);
        }
        disjoint(checks, name, output, "targets", call.targets);
        disjoint(checks, name, output, "posWeight", call.posWeight);
        disjoint(checks, name, output, "weights", call.weights);
        disjoint(checks, name, output, "mask", call.mask);
        disjoint(checks, name, output, "gradLoss", call.gradLoss);
    }

    private static void disjoint(Operands checks, String name, Tensor output, String inputName,
            @Nullable Tensor input) {
        if (input != null) {
            checks.disjoint(name, output, inputName, input);
        }
    }

    /** Everything beside the logits and their gradient is F32 whatever these are; a float64 backend takes F64 too. */
    private static void result(Operands checks, String name, Tensor tensor, Tensor logits) {
        result(checks, name, tensor, logits, "F32");
    }

    private static void result(Operands checks, String name, Tensor tensor, Tensor logits, String wanted) {
        checks.beside("logits", logits, name, tensor, wanted);
    }

    private static boolean isScalar(Tensor tensor) {
        return tensor.rank() == 0 || tensor.rank() == 1 && tensor.size(0) == 1;
    }

    private static boolean sameShape(Tensor tensor, Tensor logits) {
        if (tensor.rank() != logits.rank()) {
            return false;
        }
        for (int axis = 0; axis < logits.rank(); axis++) {
            if (tensor.size(axis) != logits.size(axis)) {
                return false;
            }
        }
        return true;
    }

    /** Releases scratch memory. Idempotent. */
    @Override
    public void close() {
        closed = true;
        kernel.close();
    }
}
