package dev.isobit.contract;

import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.SplittableRandom;

/**
 * One call of cross-entropy: everything but the backend.
 *
 * @param rows N
 * @param classes C
 * @param kind kind of the rows
 * @param reduction reduction
 * @param ignoreIndex ignore index; targets equal to it occur
 * @param targetType I64 or I32
 * @param upstream the upstream gradient
 * @param wanted what is asked for
 * @param seed of everything random
 * @param dtype of the logits and their gradient: F32, BF16 or F16
 */
public record CrossEntropyCase(int rows, int classes, LogitsKind kind, Reduction reduction, long ignoreIndex,
        DType targetType, Upstream upstream, Wanted wanted, long seed, DType dtype) {
    /**
     * A case of F32.
     *
     * @param rows N
     * @param classes C
     * @param kind kind of the rows
     * @param reduction reduction
     * @param ignoreIndex ignore index; targets equal to it occur
     * @param targetType I64 or I32
     * @param upstream the upstream gradient
     * @param wanted what is asked for
     * @param seed of everything random
     */
    public CrossEntropyCase(int rows, int classes, LogitsKind kind, Reduction reduction, long ignoreIndex,
            DType targetType, Upstream upstream, Wanted wanted, long seed) {
        this(rows, classes, kind, reduction, ignoreIndex, targetType, upstream, wanted, seed, DType.F32);
    }

    /**
     * The same of another type.
     *
     * @param type of the logits and their gradient
     * @return a case
     */
    public CrossEntropyCase of(DType type) {
        return new CrossEntropyCase(rows, classes, kind, reduction, ignoreIndex, targetType, upstream, wanted, seed,
                type);
    }

    /** Upstream gradients. */
    public enum Upstream {
        /** Not given: 1. */
        ABSENT,
        /** Any number. */
        SCALAR,
        /** Turns all signs. */
        NEGATIVE,
        /** Makes everything 0. */
        ZERO,
        /** Makes -0. */
        MINUS_ZERO,
        /** The largest float. */
        HUGE,
        /** The smallest float. */
        SUBNORMAL,
        /** Makes NaN of every 0. */
        INFINITE,
        /** Makes everything NaN. */
        NAN,
        /** One per row; a scalar unless NONE. */
        PER_ROW,
        /** One per row with 0, NaN and infinities; a scalar unless NONE. */
        PER_ROW_WILD
    }

    /** What a call is asked for. */
    public enum Wanted {
        /** The loss alone. */
        LOSS,
        /** The gradient alone. */
        GRADIENT,
        /** The gradient over the logits. */
        GRADIENT_IN_PLACE,
        /** Loss and gradient. */
        BOTH,
        /** Loss and gradient, this over the logits. */
        BOTH_IN_PLACE;

        boolean loss() {
            return this == LOSS || this == BOTH || this == BOTH_IN_PLACE;
        }

        boolean gradient() {
            return this != LOSS;
        }

        boolean inPlace() {
            return this == GRADIENT_IN_PLACE || this == BOTH_IN_PLACE;
        }
    }

    /**
     * Options of the operation.
     *
     * @return options
     */
    public CrossEntropyOptions options() {
        return new CrossEntropyOptions(reduction, ignoreIndex);
    }

    private SplittableRandom random(int stream) {
        return new SplittableRandom(seed * 31 + stream);
    }

    /**
     * The logits.
     *
     * @return rows one after the other
     */
    public float[] logits() {
        SplittableRandom random = random(1);
        float[] logits = new float[rows * classes];
        float[] row = new float[classes];
        for (int i = 0; i < rows; i++) {
            kind.fill(row, random);
            System.arraycopy(row, 0, logits, i * classes, classes);
        }
        return Rounded.to(dtype, logits);
    }

    /**
     * Targets in range, or ignored: any, the ends, the largest and the smallest logit.
     *
     * @param logits the logits
     * @return one per row
     */
    public long[] targets(float[] logits) {
        SplittableRandom random = random(2);
        long[] targets = new long[rows];
        for (int i = 0; i < rows; i++) {
            int largest = 0;
            int smallest = 0;
            for (int k = 0; k < classes; k++) {
                largest = logits[i * classes + k] > logits[i * classes + largest] ? k : largest;
                smallest = logits[i * classes + k] < logits[i * classes + smallest] ? k : smallest;
            }
            targets[i] = switch (random.nextInt(8)) {
                case 0 -> 0;
                case 1 -> classes - 1;
                case 2, 3 -> largest;
                case 4 -> smallest;
                case 5 -> ignoreIndex;
                default -> random.nextInt(classes);
            };
        }
        return targets;
    }

    /**
     * The upstream gradient.
     *
     * @return nothing, one value, or one per row
     */
    public float[] gradLoss() {
        SplittableRandom random = random(3);
        boolean perRow = (upstream == Upstream.PER_ROW || upstream == Upstream.PER_ROW_WILD)
                && reduction == Reduction.NONE;
        float[] gradLoss = new float[upstream == Upstream.ABSENT ? 0 : perRow ? rows : 1];
        float[] wild = {0, -0f, 1, -1e-40f, 3e38f, Float.NaN, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY};
        for (int i = 0; i < gradLoss.length; i++) {
            gradLoss[i] = switch (upstream) {
                case NEGATIVE -> -0.75f;
                case ZERO -> 0;
                case MINUS_ZERO -> -0f;
                case HUGE -> Float.MAX_VALUE;
                case SUBNORMAL -> Float.MIN_VALUE;
                case INFINITE -> Float.POSITIVE_INFINITY;
                case NAN -> Float.intBitsToFloat(0xffabcdef);
                case PER_ROW_WILD -> wild[random.nextInt(wild.length)];
                default -> LogitsKind.gaussian(random);
            };
        }
        return gradLoss;
    }

    /**
     * What the contract says.
     *
     * @return loss and gradient, asked for or not
     */
    public CrossEntropyDefinition.Result expected() {
        float[] logits = logits();
        CrossEntropyDefinition.Result exact =
                CrossEntropyDefinition.compute(logits, classes, targets(logits), reduction, ignoreIndex, gradLoss());
        return new CrossEntropyDefinition.Result(exact.loss(), Rounded.to(dtype, exact.gradLogits()));
    }

    /** What was written: an array is empty where it was not asked for. */
    record Outcome(float[] loss, float[] gradLogits) {}

    /** Runs the case, sees that nothing but the outputs was written, and returns them. */
    Outcome run(CrossEntropy op, OperandBlock block) {
        SplittableRandom random = random(4);
        float[] logits = logits();
        long[] targets = targets(logits);
        float[] gradLoss = gradLoss();
        block.begin(8L * logits.length + 16L * rows + 16, 5);
        Tensor logitsTensor = block.floats(dtype, logits, random.nextInt(16), rows, classes);
        Tensor targetsTensor = block.indices(targetType, targets, random.nextInt(8));
        Tensor gradLossTensor = gradLoss.length == 0
                ? null
                : gradLoss.length == 1 && (rows != 1 || random.nextBoolean())
                        ? block.floats(gradLoss, random.nextInt(16))
                        : block.floats(gradLoss, random.nextInt(16), gradLoss.length);
        Tensor loss = reduction == Reduction.NONE
                ? block.room(DType.F32, random.nextInt(16), rows)
                : random.nextBoolean()
                        ? block.room(DType.F32, random.nextInt(16), 1)
                        : block.room(DType.F32, random.nextInt(16));
        Tensor gradLogits = wanted.inPlace()
                ? logitsTensor
                : block.room(dtype, random.nextInt(16), rows, classes);
        block.upload();
        call(op, logitsTensor, targetsTensor, gradLossTensor, loss, gradLogits);
        block.download();
        Tensor[] outputs = wanted.loss()
                ? wanted.gradient() ? new Tensor[] {loss, gradLogits} : new Tensor[] {loss}
                : new Tensor[] {gradLogits};
        block.assertUntouchedBut(this, outputs);
        return new Outcome(wanted.loss() ? block.read(loss) : new float[0],
                wanted.gradient() ? block.read(gradLogits) : new float[0]);
    }

    private void call(CrossEntropy op, Tensor logits, Tensor targets, Tensor gradLoss, Tensor loss,
            Tensor gradLogits) {
        if (!wanted.gradient()) {
            op.loss(logits, targets, loss);
        } else if (!wanted.loss()) {
            if (gradLoss == null) {
                op.gradient(logits, targets, gradLogits);
            } else {
                op.gradient(logits, targets, gradLoss, gradLogits);
            }
        } else if (gradLoss == null) {
            op.lossAndGradient(logits, targets, loss, gradLogits);
        } else {
            op.lossAndGradient(logits, targets, gradLoss, loss, gradLogits);
        }
    }

    /**
     * Runs the case and compares with the definition.
     *
     * @param op the operation, with this case's options
     * @param block room for operands
     * @return how many elements were compared
     */
    public long check(CrossEntropy op, OperandBlock block) {
        Outcome outcome = run(op, block);
        CrossEntropyDefinition.Result expected = expected();
        long compared = 0;
        if (wanted.loss()) {
            compared += Bits.assertSame(this + " loss", expected.loss(), outcome.loss);
        }
        if (wanted.gradient()) {
            compared += Bits.assertSame(this + " gradient", expected.gradLogits(), outcome.gradLogits);
        }
        return compared;
    }

    /**
     * A variation: everything but size and kind drawn anew.
     *
     * @param rows N
     * @param classes C
     * @param kind kind
     * @param seed what decides
     * @return a case
     */
    public static CrossEntropyCase random(int rows, int classes, LogitsKind kind, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        Upstream[] upstreams = Upstream.values();
        Wanted[] wanted = Wanted.values();
        long ignoreIndex =
                new long[] {CrossEntropyOptions.DEFAULT_IGNORE_INDEX, 0, classes - 1, random.nextInt(classes),
                    classes, -1}[random.nextInt(6)];
        return new CrossEntropyCase(rows, classes, kind, Reduction.values()[random.nextInt(3)], ignoreIndex,
                random.nextBoolean() ? DType.I64 : DType.I32, upstreams[random.nextInt(upstreams.length)],
                wanted[random.nextInt(wanted.length)], random.nextLong(),
                new DType[] {DType.F32, DType.F32, DType.BF16, DType.F16}[random.nextInt(4)]);
    }
}
