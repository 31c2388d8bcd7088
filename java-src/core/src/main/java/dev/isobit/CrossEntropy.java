package dev.isobit;

import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.CrossEntropyKernel;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Fused log-softmax cross-entropy with class indices or class probabilities: loss, gradient of the logits, or both in
 * one pass.
 *
 * <p>For a row {@code z} of C logits with target {@code t}: {@code loss = log(sum_c exp(z_c)) - z_t}, in nats;
 * {@code gradient_k = gradLoss·(softmax(z)_k - [k = t])}. {@code SUM} adds the row losses, {@code MEAN} divides the sum
 * by the number of rows that are not ignored, and scales the gradient likewise.
 *
 * <p>In full ({@link CrossEntropyOptions}, {@link CrossEntropyOperands}): {@code z = softcap·tanh(scale·logit/softcap)};
 * {@code lse = log(sum_c exp(z_c))}; a row's label is q_c = classWeights_c·t'_c, where
 * {@code t' = t·(1 - labelSmoothing) + labelSmoothing/C} for probabilities t; for an index,
 * {@code q_c = classWeights_t·(1 - labelSmoothing)·[c = t] + classWeights_c·labelSmoothing/C};
 * {@code loss = weights·(sum_c q_c·(lse - z_c) + zLoss·lse^2)}, and {@code MEAN} divides by
 * {@link CrossEntropyOptions#denominator}. Beside these the pass gives lse, entropy, the class with the highest logit,
 * how often that is the target, and the log-probabilities {@code z_c - lse} of all classes, to the bit those that
 * {@link LogSoftmax} makes of z.
 *
 * <p>A later {@link #gradient} need not sum again: {@link CrossEntropyOperands#withStates} saves what the pass knows of each
 * segment of a row, {@link #stateShape}, and {@link CrossEntropyOperands#withSavedStates} takes it; logits are read once,
 * the gradient is written once, with the bits that it has without. All other outputs can come from them, too. The lse would be less to save, but is rounded:
 * {@code exp(z - lse)} is off by as much as half a unit in the last place of lse, 8 of its own at an lse of 10 and 500 at
 * 1000.
 *
 * <p>Shards: where the classes are split over ranks, or computed in parts, each rank has logits [N, c] of its own classes,
 * {@link CrossEntropyOperands#withShard}, at boundaries of {@link #shardBoundaries}, and calls {@link #states} with
 * {@link CrossEntropyOperands#withStates} and {@link CrossEntropyOperands#withTargetLogits}. The ranks exchange these: states
 * are appended in the order of the classes, as an all-gather leaves them; targets' logits are added. With both, as
 * {@link CrossEntropyOperands#withSavedStates} and {@link CrossEntropyOperands#withSavedTargetLogits}, each rank computes
 * loss, lse, entropy, argmax and hits of whole rows, and gradient and log-probabilities of its own classes: for any split,
 * with the bits that they have without one.
 *
 * <p>Shapes: logits [N, C] or [N, C, d1, .., dk], F32, BF16 or F16, C at least 1; a row is one of N and one of each d. Targets [N] or [N, d1, .., dk], I64, I32, I16 or U8,
 * or probabilities of the shape of the logits, F32 or of their type; loss a scalar (shape [] or [1]), the shape of index
 * targets for {@code NONE}; gradLoss a scalar, or that shape for {@code NONE} only; gradLogits the shape and type of the
 * logits, which may be the logits themselves (in place, unless it accumulates), and may not overlap them in any other
 * way; log-probabilities the shape of the logits. No output may overlap another operand. All else is F32 whatever the
 * logits: from 16 bits all is computed in float32, and the gradient rounded once.
 *
 * <p>Edges, where z is as above: an empty batch has {@code MEAN} NaN, {@code SUM} 0. An ignored row has loss, gradient,
 * lse and entropy 0 and argmax -1 whatever it holds. A row with NaN, +inf or only -inf has NaN loss, gradient, lse and
 * entropy, in that row alone, and argmax -1 if it has a NaN; a logit -inf elsewhere has probability 0, and loss +inf if
 * its label is not 0. Log-probabilities are those of the logits, whatever the target, of ignored rows too: NaN in a row
 * with NaN, +inf or only -inf, and -inf for padding. A weight or label of 0 takes away an infinite loss. If all rows are ignored {@code MEAN} is NaN
 * and the gradient 0; if the weights of the others add up to 0, or the denominator of the caller is 0, both are NaN; or both are 0, by
 * {@link CrossEntropyOptions#allIgnored}. A target outside [0, C) that is not the ignore index: in host memory an
 * {@link IllegalArgumentException} that names the first bad row, its value and how many there are, before anything is
 * written; in device memory loss and gradient of those rows are NaN, and the next call that synchronises throws
 * {@link TargetOutOfRangeException}. A probability or weight that is no number follows the formula.
 *
 * <p>Errors: {@link IllegalArgumentException} for shapes, overlap and devices; {@link UnsupportedOperationException}
 * for types the backend does not have; {@link IllegalStateException} for closed memory or after {@link #close};
 * {@link WrongThreadException} for memory confined to another thread. Nothing is written in any of these cases.
 *
 * <p>Threading: one thread at a time and one stream. It allocates nothing per call. Ownership: close it when done;
 * it owns only scratch memory. Source: PyTorch {@code torch.nn.functional.cross_entropy}; z-loss as in PaLM (Chowdhery
 * et al. 2022), softcap as in Gemma 2.
 */
public final class CrossEntropy implements AutoCloseable {
    private static final String SCALAR_OR_ROWS = "a scalar or one per row";
    private static final String TARGET_DTYPES = "I64, I32, I16, U8, F32, the type of logits";
    private static final String STATE_SHAPE = "what stateShape says";
    private static final List<String> OUTPUTS =
            List.of("loss", "gradLogits", "lse", "entropy", "argmax", "hits", "logProbabilities", "states",
                    "targetLogits");
    /** Of these, the first that states do not give. */
    private static final int BEYOND_STATES = 7;

    private final Backend backend;
    private final CrossEntropyOptions options;
    private final CrossEntropyKernel kernel;
    /** Texts for messages are made once: a call allocates nothing. */
    private final String dtypes;
    private final CrossEntropyCall call = new CrossEntropyCall();
    private final Operands lossChecks;
    private final Operands gradientChecks;
    private final Operands lossAndGradientChecks;
    private final Operands statesChecks;
    private boolean closed;

    private CrossEntropy(Backend backend, CrossEntropyOptions options, Stream stream) {
        this.backend = backend;
        this.options = options;
        this.kernel = backend.crossEntropyKernel(options, stream);
        this.dtypes = Operands.floatTypes(backend) + ", BF16, F16";
        this.lossChecks = new Operands("CrossEntropy.loss", backend);
        this.gradientChecks = new Operands("CrossEntropy.gradient", backend);
        this.lossAndGradientChecks = new Operands("CrossEntropy.lossAndGradient", backend);
        this.statesChecks = new Operands("CrossEntropy.states", backend);
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
                    + stream.backend().name() + ", not to this one, " + backend.name());
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
        run(lossChecks, logits, targets, null, null, loss, null);
    }

    /**
     * Computes the loss.
     *
     * @param operands what it is computed from, and what else is wanted; gradLoss is not looked at
     * @param loss written: a scalar, the shape of index targets for {@code NONE}
     */
    public void loss(CrossEntropyOperands operands, Tensor loss) {
        Objects.requireNonNull(loss, "loss");
        run(lossChecks, operands.logits(), operands.targets(), operands, null, loss, null);
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
        run(gradientChecks, logits, targets, null, null, null, gradLogits);
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
        run(gradientChecks, logits, targets, null, gradLoss, null, gradLogits);
    }

    /**
     * Computes the gradient of the logits.
     *
     * @param operands what it is computed from, and what else is wanted
     * @param gradLogits written: the shape of the logits, maybe the logits themselves
     */
    public void gradient(CrossEntropyOperands operands, Tensor gradLogits) {
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(gradientChecks, operands.logits(), operands.targets(), operands, operands.gradLoss(), null, gradLogits);
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
        run(lossAndGradientChecks, logits, targets, null, null, loss, gradLogits);
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
        run(lossAndGradientChecks, logits, targets, null, gradLoss, loss, gradLogits);
    }

    /**
     * Computes loss and gradient in one pass.
     *
     * @param operands what they are computed from, and what else is wanted
     * @param loss written: a scalar, the shape of index targets for {@code NONE}
     * @param gradLogits written: the shape of the logits, maybe the logits themselves
     */
    public void lossAndGradient(CrossEntropyOperands operands, Tensor loss, Tensor gradLogits) {
        Objects.requireNonNull(loss, "loss");
        Objects.requireNonNull(gradLogits, "gradLogits");
        run(lossAndGradientChecks, operands.logits(), operands.targets(), operands, operands.gradLoss(), loss,
                gradLogits);
    }

    /**
     * Computes states and logits of targets alone: all that a shard can say of its rows.
     *
     * @param operands what they are computed from, with states and, for targets that are class indices, mostly
     *     targetLogits. If an entropy is asked for, the states have its terms; if argmax or hits are, the places of maxima.
     *     These and the other outputs are left to the call that joins; gradLoss and denominator are not looked at
     */
    public void states(CrossEntropyOperands operands) {
        if (operands.states() == null) {
            throw statesChecks.refuse("there are no states to write; CrossEntropyOperands.withStates says where to");
        }
        run(statesChecks, operands.logits(), operands.targets(), operands, null, null, null);
    }

    private void run(Operands checks, Tensor logits, Tensor targets, @Nullable CrossEntropyOperands operands,
            @Nullable Tensor gradLoss, @Nullable Tensor loss, @Nullable Tensor gradLogits) {
        if (closed) {
            throw new IllegalStateException("CrossEntropy is closed");
        }
        call.logits = logits;
        call.targets = targets;
        call.classWeights = operands == null ? null : operands.classWeights();
        call.weights = operands == null ? null : operands.weights();
        call.gradLoss = gradLoss;
        call.gradLossScale = operands == null ? 1 : operands.gradLossScale();
        call.denominator = operands == null ? null : operands.denominator();
        call.loss = loss;
        call.gradLogits = gradLogits;
        call.lse = operands == null ? null : operands.lse();
        call.entropy = operands == null ? null : operands.entropy();
        call.entropyTerms = call.entropy != null;
        call.argmax = operands == null ? null : operands.argmax();
        call.hits = operands == null ? null : operands.hits();
        call.places = call.argmax != null || call.hits != null;
        call.logProbabilities = operands == null ? null : operands.logProbabilities();
        call.states = operands == null ? null : operands.states();
        call.targetLogits = operands == null ? null : operands.targetLogits();
        call.savedStates = operands == null ? null : operands.savedStates();
        call.savedTargetLogits = operands == null ? null : operands.savedTargetLogits();
        if (!call.joins()) {
            call.denominator = null;
            call.lse = null;
            call.entropy = null;
            call.argmax = null;
            call.hits = null;
            call.logProbabilities = null;
        }
        try {
            checkInputs(checks, logits, targets, operands == null ? null : operands.shard());
            checkWeights(checks, logits);
            checkOutputs(checks, logits);
            call.plain = options.isPlain() && (operands == null || operands.isPlain()) && logits.rank() == 2
                    && (targets.dtype() == DType.I64 || targets.dtype() == DType.I32);
            kernel.run(call);
        } finally {
            call.clear();
        }
    }

    /** Sets the call's shape, too. */
    private void checkInputs(Operands checks, Tensor logits, Tensor targets,
            CrossEntropyOperands.@Nullable Shard shard) {
        checks.require(logits.rank() >= 2 && logits.size(1) >= 1, "logits", logits,
                "[N, C] or [N, C, d1, .., dk] with C at least 1");
        checks.dtype("logits", logits, checks.takesLogits(logits.dtype()), dtypes);
        checks.memory("logits", logits, call.gradLogits != null && call.gradLogits.startsWith(logits));
        call.inner = 1;
        for (int axis = 2; axis < logits.rank(); axis++) {
            call.inner *= logits.size(axis);
        }
        call.rows = logits.size(0) * call.inner;
        call.stride = logits.size(1);
        if (shard == null) {
            call.classes = options.classes() == 0 ? call.stride : options.classes();
            call.firstClass = 0;
            call.allClasses = call.classes;
            checks.require(call.classes <= call.stride, "logits", logits, "the classes of the options, or more,");
        } else {
            checkShard(checks, logits, shard);
        }
        call.probabilities = targets.dtype().isFloating();
        if (call.probabilities) {
            checks.require(sameShape(targets, logits), "targets", targets, "the shape of logits");
            if (targets.dtype() != logits.dtype()) {
                result(checks, "targets", targets, logits, TARGET_DTYPES);
            }
        } else {
            checks.require(isPerRow(targets), "targets", targets,
                    logits.rank() == 2 ? "[N], N as in logits," : "[N, d1, .., dk], as in logits,");
        }
        checks.memory("targets", targets, false);
        Tensor gradLoss = call.gradLoss;
        boolean none = options.reduction() == Reduction.NONE;
        call.gradLossPerRow = gradLoss != null && none && isPerRow(gradLoss);
        if (gradLoss != null) {
            checks.require(isScalar(gradLoss) || call.gradLossPerRow, "gradLoss", gradLoss,
                    none ? SCALAR_OR_ROWS : "a scalar");
            result(checks, "gradLoss", gradLoss, logits, "F32");
            checks.memory("gradLoss", gradLoss, false);
        }
    }

    /** Sets the call's classes, too. */
    private void checkShard(Operands checks, Tensor logits, CrossEntropyOperands.Shard shard) {
        long first = shard.firstClass();
        long all = shard.classes();
        if (options.classes() != 0) {
            throw checks.refuse("a shard says itself which of its classes are real, and the options say "
                    + options.classes());
        }
        if (first < 0 || first >= all || first % CrossEntropyCall.SEGMENT != 0) {
            throw checks.refuse("a shard from class " + first + " of " + all + " on starts at no multiple of "
                    + CrossEntropyCall.SEGMENT + " below its classes; CrossEntropy.shardBoundaries gives splits");
        }
        call.classes = Math.min(call.stride, all - first);
        if (first + call.classes < all && call.classes % CrossEntropyCall.SEGMENT != 0) {
            throw checks.refuse("a shard of classes " + first + " to " + (first + call.classes) + " of " + all
                    + " ends at no multiple of " + CrossEntropyCall.SEGMENT + ", logits " + logits
                    + "; CrossEntropy.shardBoundaries gives splits");
        }
        call.firstClass = first;
        call.allClasses = all;
        if (call.joins() && call.savedStates == null) {
            throw checks.refuse("what a shard is joined with must be there: savedStates of all shards");
        }
    }

    private void checkWeights(Operands checks, Tensor logits) {
        Tensor classWeights = call.classWeights;
        if (classWeights != null) {
            checks.require(classWeights.rank() == 1 && classWeights.size(0) == call.allClasses, "classWeights",
                    classWeights, "[C]");
            result(checks, "classWeights", classWeights, logits, "F32");
            checks.memory("classWeights", classWeights, false);
        }
        Tensor weights = call.weights;
        if (weights != null) {
            checks.require(isPerRow(weights), "weights", weights, rowShape());
            result(checks, "weights", weights, logits, "F32");
            checks.memory("weights", weights, false);
        }
        Tensor denominator = call.denominator;
        boolean wanted = options.denominator() == CrossEntropyOptions.Denominator.OPERAND
                && options.reduction() == Reduction.MEAN && call.joins();
        if (wanted != (denominator != null)) {
            throw checks.refuse(wanted
                    ? "the options divide by a denominator, and there is none"
                    : "denominator " + denominator + " is not what the options divide by");
        }
        if (denominator != null) {
            checks.require(isScalar(denominator), "denominator", denominator, "a scalar");
            result(checks, "denominator", denominator, logits, "F32");
            checks.memory("denominator", denominator, false);
        }
    }

    private void checkOutputs(Operands checks, Tensor logits) {
        boolean none = options.reduction() == Reduction.NONE;
        Tensor loss = call.loss;
        if (loss != null) {
            checks.require(none ? isPerRow(loss) : isScalar(loss), "loss", loss, none ? rowShape() : "a scalar");
            result(checks, "loss", loss, logits, "F32");
            checkOutput(checks, "loss", loss, true);
        }
        Tensor gradLogits = call.gradLogits;
        if (gradLogits != null) {
            checks.require(sameShape(gradLogits, logits), "gradLogits", gradLogits, "the shape of logits");
            checks.dtype("gradLogits", gradLogits,
                    gradLogits.dtype() == logits.dtype() || checks.isReference(gradLogits),
                    "the type of logits");
            boolean inPlace = gradLogits.startsWith(logits) && gradLogits.dtype() == logits.dtype()
                    && !options.accumulate();
            checkOutput(checks, "gradLogits", gradLogits, !inPlace);
        }
        checkRowOutput(checks, "lse", call.lse, logits);
        checkRowOutput(checks, "entropy", call.entropy, logits);
        Tensor argmax = call.argmax;
        if (argmax != null) {
            checks.require(isPerRow(argmax), "argmax", argmax, rowShape());
            checks.dtype("argmax", argmax, argmax.dtype() == DType.I64, "I64");
            checkOutput(checks, "argmax", argmax, true);
        }
        Tensor hits = call.hits;
        if (hits != null) {
            if (call.probabilities) {
                throw checks.refuse("hits are counted for class indices only, and targets are " + call.targets);
            }
            checks.require(isScalar(hits), "hits", hits, "a scalar");
            checks.dtype("hits", hits, hits.dtype() == DType.I64, "I64");
            checkOutput(checks, "hits", hits, true);
        }
        Tensor logProbabilities = call.logProbabilities;
        if (logProbabilities != null) {
            checks.require(sameShape(logProbabilities, logits), "logProbabilities", logProbabilities,
                    "the shape of logits");
            result(checks, "logProbabilities", logProbabilities, logits, "F32");
            checkOutput(checks, "logProbabilities", logProbabilities, true);
        }
        checkStates(checks, logits);
        for (int i = 0; i < OUTPUTS.size(); i++) {
            Tensor output = output(i);
            for (int j = i + 1; output != null && j < OUTPUTS.size(); j++) {
                disjoint(checks, OUTPUTS.get(i), output, OUTPUTS.get(j), output(j));
            }
        }
    }

    private void checkStates(Operands checks, Tensor logits) {
        Tensor states = call.states;
        if (states != null) {
            checks.require(hasStateShape(states, logits, call.classes), "states", states, STATE_SHAPE);
            result(checks, "states", states, logits, "F32");
            checkOutput(checks, "states", states, true);
        }
        if (call.targetLogits != null && call.probabilities) {
            throw checks.refuse("targetLogits are those of class indices, and targets are " + call.targets);
        }
        checkRowOutput(checks, "targetLogits", call.targetLogits, logits);
        Tensor saved = call.savedStates;
        Tensor savedTargetLogits = call.savedTargetLogits;
        if (savedTargetLogits != null && (saved == null || call.probabilities)) {
            throw checks.refuse("savedTargetLogits are for class indices and beside savedStates, and targets are "
                    + call.targets + ", savedStates " + saved);
        }
        if (saved == null) {
            return;
        }
        checks.require(hasStateShape(saved, logits, call.allClasses), "savedStates", saved,
                call.allClasses == call.classes ? STATE_SHAPE : STATE_SHAPE + ", with the segments of all shards,");
        result(checks, "savedStates", saved, logits, "F32");
        checks.memory("savedStates", saved, false);
        for (int i = BEYOND_STATES; i < OUTPUTS.size(); i++) {
            if (output(i) != null) {
                throw checks.refuse("savedStates are there, and " + OUTPUTS.get(i) + " is asked for");
            }
        }
        if (savedTargetLogits != null) {
            checks.require(isPerRow(savedTargetLogits), "savedTargetLogits", savedTargetLogits, rowShape());
            result(checks, "savedTargetLogits", savedTargetLogits, logits, "F32");
            checks.memory("savedTargetLogits", savedTargetLogits, false);
        } else if (call.loss != null && !call.probabilities && call.classes < call.allClasses) {
            throw checks.refuse("the loss of class indices in shards takes savedTargetLogits, and there are none");
        }
        for (int i = 0; i < BEYOND_STATES; i++) {
            disjoint(checks, OUTPUTS.get(i), output(i), "savedStates", saved);
            disjoint(checks, OUTPUTS.get(i), output(i), "savedTargetLogits", savedTargetLogits);
        }
    }

    /**
     * The shape of the states of rows, for {@link CrossEntropyOperands#withStates}: that of index targets, between an axis
     * of the segments, of 8192 classes each, and one of the seven numbers of a segment. Of one with maximum m these are
     * m; how many logits equal m; the sum of {@code exp(z - m)} over the others; then, each 0 where the call does not take
     * it, the sum of the labels q, or class weights; the sum of {@code q·(m - z)}; the sum of
     * {@code exp(z - m)·(m - z)}; last, -1 where the call does not take it, how many of the segment's classes stand before
     * the first that is m. All are NaN if a logit is NaN or +inf, but for the last, which tells +inf, a place, from NaN;
     * of a segment of -inf the first is -inf, the next two and the last 0, and the others are taken around m = 0. They are
     * those of the logits, whatever the target. Segments come first, so that the states of shards one after the other,
     * whatever the size of each, are those of whole rows.
     *
     * @param logits [N, C] or [N, C, d1, .., dk]
     * @return [segments, N, 7] or [segments, N, d1, .., dk, 7]
     */
    public long[] stateShape(Tensor logits) {
        return stateShape(CrossEntropyOperands.of(logits, logits));
    }

    /**
     * The shape of the states that a call with these operands writes: of a shard, those of its own segments.
     *
     * @param operands logits and, maybe, which classes these are
     * @return [segments, N, 7] or [segments, N, d1, .., dk, 7]
     */
    public long[] stateShape(CrossEntropyOperands operands) {
        Tensor logits = operands.logits();
        CrossEntropyOperands.Shard shard = operands.shard();
        if (logits.rank() < 2) {
            throw new IllegalArgumentException("CrossEntropy.stateShape: logits " + logits
                    + " are not [N, C] or [N, C, d1, .., dk]");
        }
        long classes = shard != null
                ? Math.min(logits.size(1), shard.classes() - shard.firstClass())
                : options.classes() == 0 ? logits.size(1) : options.classes();
        long[] shape = new long[logits.rank() + 1];
        for (int axis = 0; axis < shape.length; axis++) {
            shape[axis] = stateSize(logits, axis, classes);
        }
        return shape;
    }

    private static long stateSize(Tensor logits, int axis, long classes) {
        if (axis == 0) {
            return Math.ceilDiv(classes, CrossEntropyCall.SEGMENT);
        }
        return axis == logits.rank() ? CrossEntropyCall.STATE : logits.size(axis == 1 ? 0 : axis);
    }

    private static boolean hasStateShape(Tensor tensor, Tensor logits, long classes) {
        boolean fits = tensor.rank() == logits.rank() + 1;
        for (int axis = 0; fits && axis < tensor.rank(); axis++) {
            fits = tensor.size(axis) == stateSize(logits, axis, classes);
        }
        return fits;
    }

    /**
     * Splits classes into shards whose states can be joined: at multiples of 8192, each shard with as many segments as the
     * next or one less; what the last segment lacks makes the last shard shorter. A shard without classes has nothing to
     * compute, so that more ranks than segments are refused.
     *
     * @param classes C
     * @param ranks how many shards, from 1 to the number of segments, {@code ceil(classes / 8192)}
     * @return {@code ranks + 1} classes: shard r has those from element r to before element r + 1
     * @throws IllegalArgumentException if there are no classes, no ranks, or more ranks than segments
     */
    public static long[] shardBoundaries(long classes, int ranks) {
        long segments = Math.ceilDiv(classes, CrossEntropyCall.SEGMENT);
        if (classes < 1 || ranks < 1 || ranks > segments) {
            throw new IllegalArgumentException("CrossEntropy.shardBoundaries: " + classes + " classes are "
                    + Math.max(segments, 0) + " segments of " + CrossEntropyCall.SEGMENT
                    + ", which cannot be split over "
                    + ranks + " ranks, a segment or more each");
        }
        long[] boundaries = new long[ranks + 1];
        long each = segments / ranks;
        long more = segments % ranks;
        for (int rank = 1; rank < ranks; rank++) {
            // The last ones have the segment more: the last segment is the one that may be short.
            boundaries[rank] = CrossEntropyCall.SEGMENT * (rank * each + Math.max(0, rank - (ranks - more)));
        }
        boundaries[ranks] = classes;
        return boundaries;
    }

    /** As {@link #OUTPUTS} has them. */
    private @Nullable Tensor output(int i) {
        return switch (i) {
            case 0 -> call.loss;
            case 1 -> call.gradLogits;
            case 2 -> call.lse;
            case 3 -> call.entropy;
            case 4 -> call.argmax;
            case 5 -> call.hits;
            case 6 -> call.logProbabilities;
            case 7 -> call.states;
            default -> call.targetLogits;
        };
    }

    private void checkRowOutput(Operands checks, String name, @Nullable Tensor output, Tensor logits) {
        if (output != null) {
            checks.require(isPerRow(output), name, output, rowShape());
            result(checks, name, output, logits, "F32");
            checkOutput(checks, name, output, true);
        }
    }

    /** Memory that is written, and apart from everything that is read. */
    private void checkOutput(Operands checks, String name, Tensor output, boolean fromLogits) {
        checks.memory(name, output, true);
        if (fromLogits) {
            disjoint(checks, name, output, "logits", call.logits);
        }
        disjoint(checks, name, output, "targets", call.targets);
        disjoint(checks, name, output, "classWeights", call.classWeights);
        disjoint(checks, name, output, "weights", call.weights);
        disjoint(checks, name, output, "denominator", call.denominator);
        disjoint(checks, name, output, "gradLoss", call.gradLoss);
    }

    private static void disjoint(Operands checks, String nameA, @Nullable Tensor a, String nameB, @Nullable Tensor b) {
        if (a != null && b != null) {
            checks.disjoint(nameA, a, nameB, b);
        }
    }

    /** Everything beside logits and gradient is F32 whatever these are; a float64 backend takes F64 as well. */
    private static void result(Operands checks, String name, Tensor tensor, Tensor logits, String wanted) {
        checks.beside("logits", logits, name, tensor, wanted);
    }

    private static boolean isScalar(Tensor tensor) {
        return tensor.rank() == 0 || tensor.rank() == 1 && tensor.size(0) == 1;
    }

    /** Whether a tensor has an element for each row, in the shape that index targets have. */
    private boolean isPerRow(Tensor tensor) {
        Tensor logits = Objects.requireNonNull(call.logits);
        if (tensor.rank() != logits.rank() - 1 || tensor.size(0) != logits.size(0)) {
            return false;
        }
        for (int axis = 2; axis < logits.rank(); axis++) {
            if (tensor.size(axis - 1) != logits.size(axis)) {
                return false;
            }
        }
        return true;
    }

    /** For messages. */
    private String rowShape() {
        return Objects.requireNonNull(call.logits).rank() == 2 ? "[N]" : "[N, d1, .., dk]";
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
