package dev.isobit.contract;

import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/**
 * One call of binary cross-entropy: everything but the backend.
 *
 * @param shape of the logits
 * @param kind kind of the logits
 * @param targets kind of the targets
 * @param posWeight how it spreads
 * @param weights how they spread
 * @param mask how it spreads
 * @param options options
 * @param upstream the upstream gradient
 * @param wanted what is asked for
 * @param sigmoid whether probabilities are asked for too
 * @param seed of everything random
 * @param dtype of the logits and their gradient: F32, BF16 or F16
 */
public record BceCase(long[] shape, Logits kind, Targets targets, Spread posWeight, Spread weights,
        Spread mask, BceWithLogitsOptions options, CrossEntropyCase.Upstream upstream, CrossEntropyCase.Wanted wanted,
        boolean sigmoid, long seed, DType dtype) {
    /**
     * A case of F32.
     *
     * @param shape of the logits
     * @param kind kind of the logits
     * @param targets kind of the targets
     * @param posWeight how it spreads
     * @param weights how they spread
     * @param mask how it spreads
     * @param options options
     * @param upstream the upstream gradient
     * @param wanted what is asked for
     * @param sigmoid whether probabilities are asked for too
     * @param seed of everything random
     */
    public BceCase(long[] shape, Logits kind, Targets targets, Spread posWeight, Spread weights, Spread mask,
            BceWithLogitsOptions options, CrossEntropyCase.Upstream upstream, CrossEntropyCase.Wanted wanted,
            boolean sigmoid, long seed) {
        this(shape, kind, targets, posWeight, weights, mask, options, upstream, wanted, sigmoid, seed, DType.F32);
    }

    /**
     * The same of another type.
     *
     * @param type of the logits and their gradient
     * @return a case
     */
    public BceCase of(DType type) {
        return new BceCase(shape, kind, targets, posWeight, weights, mask, options, upstream, wanted, sigmoid, seed,
                type);
    }

    /** Kinds of logits. */
    public enum Logits {
        /** As in training. */
        NORMAL,
        /** From -120 to 120: exponentials down to and below the smallest float. */
        WIDE,
        /** Around the places where something changes: 0, ±20, ±87.3, ±88, ±103.97, ±104; tiny and huge. */
        HARD,
        /** Infinities among them. */
        INFINITE,
        /** NaN of any payload and infinities among them. */
        WILD;

        private static final float[] PLACES = {0, -0f, 20, 16.6f, 87.3f, 88, 103.28f, 103.97f, 104, 200,
            Float.MIN_VALUE, 1e-40f, Float.MIN_NORMAL, 1e-8f, 0.88137358f, 3e38f, Float.MAX_VALUE};

        float next(SplittableRandom random) {
            float place = PLACES[random.nextInt(PLACES.length)];
            float signed = random.nextBoolean() ? place : -place;
            return switch (this) {
                case NORMAL -> 2 * LogitsKind.gaussian(random);
                case WIDE -> (float) (random.nextDouble() * 240 - 120);
                case HARD -> random.nextInt(3) > 0
                        ? signed
                        : Float.intBitsToFloat(Float.floatToRawIntBits(signed) + random.nextInt(9));
                case INFINITE -> random.nextInt(4) > 0
                        ? LogitsKind.gaussian(random)
                        : random.nextBoolean() ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY;
                case WILD -> switch (random.nextInt(12)) {
                    case 0 -> LogitsKind.nan(random);
                    case 1 -> Float.POSITIVE_INFINITY;
                    case 2 -> Float.NEGATIVE_INFINITY;
                    default -> signed;
                };
            };
        }
    }

    /** Kinds of targets. */
    public enum Targets {
        /** 0 and 1. */
        BINARY,
        /** Anything from 0 to 1, the ends and the smallest too. */
        SOFT,
        /** Outside [0, 1], infinities and NaN. */
        WILD;

        float next(SplittableRandom random) {
            return switch (this) {
                case BINARY -> random.nextInt(2);
                case SOFT -> new float[] {0, 1, 1e-30f, Math.nextDown(1f), 0.5f, (float) random.nextDouble(),
                    (float) random.nextDouble(), 1e-9f}[random.nextInt(8)];
                case WILD -> new float[] {-1, 2, -0f, 3e38f, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY,
                    Float.NaN, 0, 1, Float.MIN_VALUE}[random.nextInt(10)];
            };
        }
    }

    /** How a weight spreads over the shape. */
    public enum Spread {
        /** Not given. */
        ABSENT,
        /** One value, shape []. */
        SCALAR,
        /** The shape of the logits. */
        FULL,
        /** The innermost axis: a weight per class. */
        LAST,
        /** The outermost axis: a weight per row. */
        FIRST,
        /** All axes but the outermost and the innermost: a weight per channel. */
        MIDDLE,
        /** Every other axis, beginning with the outermost. */
        ODD,
        /** The other axes. */
        EVEN,
        /** The innermost axis, with zeros, infinities and NaN. */
        LAST_WILD;

        long[] shape(long[] logits) {
            int last = logits.length - 1;
            if (this == SCALAR || last < 0) {
                return new long[0];
            }
            if (this == LAST || this == LAST_WILD) {
                return new long[] {logits[last]};
            }
            long[] shape = logits.clone();
            for (int axis = 0; axis <= last; axis++) {
                boolean repeats = switch (this) {
                    case FIRST -> axis > 0;
                    case MIDDLE -> axis == 0 || axis == last;
                    case ODD -> axis % 2 == 1;
                    case EVEN -> axis % 2 == 0;
                    default -> false;
                };
                shape[axis] = repeats ? 1 : shape[axis];
            }
            return shape;
        }

        float next(SplittableRandom random) {
            if (this == LAST_WILD) {
                return new float[] {0, -0f, Float.POSITIVE_INFINITY, Float.NaN, 1, -1, 1e-40f}[random.nextInt(7)];
            }
            return random.nextInt(8) == 0 ? 0 : (float) random.nextDouble() * 3;
        }
    }

    private int count() {
        return Math.toIntExact(product(shape));
    }

    private static long product(long[] sizes) {
        return Arrays.stream(sizes).reduce(1, (a, b) -> a * b);
    }

    private SplittableRandom random(int stream) {
        return new SplittableRandom(seed * 31 + stream);
    }

    /**
     * The logits.
     *
     * @return one per element
     */
    public float[] logits() {
        SplittableRandom random = random(1);
        float[] values = new float[count()];
        for (int i = 0; i < values.length; i++) {
            values[i] = kind.next(random);
        }
        return Rounded.to(dtype, values);
    }

    /**
     * The targets.
     *
     * @return one per element
     */
    public float[] targetValues() {
        SplittableRandom random = random(2);
        float[] values = new float[count()];
        for (int i = 0; i < values.length; i++) {
            values[i] = targets.next(random);
        }
        return Rounded.to(targetType(), values);
    }

    /** Float targets are F32 or as the logits. */
    private DType targetType() {
        return seed % 2 == 0 ? dtype : DType.F32;
    }

    /**
     * A weight's values.
     *
     * @param spread how it spreads
     * @param stream which
     * @return as many as its shape has elements
     */
    private float[] weight(Spread spread, int stream) {
        SplittableRandom random = random(stream);
        float[] values = new float[(int) product(spread.shape(shape))];
        for (int i = 0; i < values.length; i++) {
            values[i] = spread.next(random);
        }
        return values;
    }

    /**
     * A weight for each element, by the coordinates of the element: what broadcasting means.
     *
     * @param spread how it spreads
     * @param values its values
     * @return one per element
     */
    private float[] spread(Spread spread, float[] values) {
        float[] all = new float[count()];
        if (spread == Spread.ABSENT) {
            Arrays.fill(all, 1);
            return all;
        }
        long[] own = spread.shape(shape);
        long[] coordinates = new long[shape.length];
        for (int i = 0; i < all.length; i++) {
            long rest = i;
            for (int axis = shape.length - 1; axis >= 0; axis--) {
                coordinates[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            long index = 0;
            for (int axis = 0; axis < own.length; axis++) {
                long at = coordinates[shape.length - own.length + axis];
                index = index * own[axis] + (own[axis] == 1 ? 0 : at);
            }
            all[i] = values[(int) index];
        }
        return all;
    }

    /**
     * The upstream gradient.
     *
     * @return nothing, one value, or one per element
     */
    public float[] gradLoss() {
        boolean none = options.reduction() == Reduction.NONE;
        return new CrossEntropyCase(count(), 1, LogitsKind.NORMAL, none ? Reduction.NONE : Reduction.SUM, 0, DType.I64,
                upstream, wanted, seed).gradLoss();
    }

    /**
     * What the contract says.
     *
     * @return results, asked for or not
     */
    public BceDefinition.Result expected() {
        BceDefinition.Result exact = BceDefinition.compute(logits(), targetValues(), posWeights(), weightValues(),
                spread(mask, maskValues()), gradLoss(), options);
        return new BceDefinition.Result(exact.loss(), Rounded.to(dtype, exact.gradLogits()), exact.sigmoid());
    }

    /** 0 in a third of the elements, else anything that a byte holds. */
    private float[] maskValues() {
        SplittableRandom random = random(7);
        float[] values = new float[(int) product(mask.shape(shape))];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextInt(3) == 0 ? 0 : 1 + random.nextInt(255);
        }
        return values;
    }

    private static byte[] bytes(float[] values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) (int) values[i];
        }
        return bytes;
    }

    /** Eight a byte, the lowest bit first; what is left of the last byte is set. */
    private static byte[] packed(float[] values) {
        byte[] bytes = new byte[(values.length + 7) / 8];
        Arrays.fill(bytes, (byte) -1);
        for (int i = 0; i < values.length; i++) {
            if (values[i] == 0) {
                bytes[i / 8] &= (byte) ~(1 << i % 8);
            }
        }
        return bytes;
    }

    /**
     * The weights of positives.
     *
     * @return one per element
     */
    public float[] posWeights() {
        return spread(posWeight, weight(posWeight, 4));
    }

    /**
     * The weights.
     *
     * @return one per element
     */
    public float[] weightValues() {
        return spread(weights, weight(weights, 5));
    }

    /** What was written: an array is empty where it was not asked for. */
    record Outcome(float[] loss, float[] gradLogits, float[] sigmoid) {}

    /** Runs the case, sees that nothing but the outputs was written, and returns them. */
    Outcome run(BceWithLogits op, OperandBlock block) {
        SplittableRandom random = random(6);
        int count = count();
        float[] gradLoss = gradLoss();
        block.begin(36L * count + 64, 9);
        boolean aligned = random.nextInt(3) == 0;
        Tensor logits = block.floats(dtype, logits(), skip(random, aligned), shape);
        boolean narrow = targets == Targets.BINARY && random.nextBoolean();
        boolean bits = narrow && random.nextBoolean();
        var operands = bits
                ? BceWithLogitsOperands.ofBits(logits,
                        block.bytes(packed(targetValues()), skip(random, aligned), (count + 7) / 8))
                : BceWithLogitsOperands.of(logits, narrow
                        ? block.bytes(bytes(targetValues()), skip(random, aligned), shape)
                        : block.floats(targetType(), targetValues(), skip(random, aligned), shape));
        if (mask != Spread.ABSENT) {
            operands = operands.withMask(block.bytes(bytes(maskValues()), skip(random, aligned), mask.shape(shape)));
        }
        if (posWeight != Spread.ABSENT) {
            operands = operands.withPosWeight(
                    block.floats(weight(posWeight, 4), skip(random, aligned), posWeight.shape(shape)));
        }
        if (weights != Spread.ABSENT) {
            operands = operands.withWeights(
                    block.floats(weight(weights, 5), skip(random, aligned), weights.shape(shape)));
        }
        if (gradLoss.length > 0) {
            boolean perElement = gradLoss.length == count && options.reduction() == Reduction.NONE;
            operands = operands.withGradLoss(
                    block.floats(gradLoss, skip(random, aligned), perElement ? shape : new long[0]));
        }
        Tensor loss = options.reduction() == Reduction.NONE
                ? block.room(DType.F32, skip(random, aligned), shape)
                : block.room(DType.F32, skip(random, aligned));
        Tensor gradLogits =
                wanted.inPlace() ? logits : block.room(dtype, skip(random, aligned), shape);
        Tensor probabilities = block.room(DType.F32, skip(random, aligned), shape);
        if (sigmoid) {
            operands = operands.withSigmoid(probabilities);
        }
        block.upload();
        if (!wanted.gradient()) {
            op.loss(operands, loss);
        } else if (!wanted.loss()) {
            op.gradient(operands, gradLogits);
        } else {
            op.lossAndGradient(operands, loss, gradLogits);
        }
        block.download();
        List<Tensor> outputs = new ArrayList<>();
        if (wanted.loss()) {
            outputs.add(loss);
        }
        if (wanted.gradient()) {
            outputs.add(gradLogits);
        }
        if (sigmoid) {
            outputs.add(probabilities);
        }
        block.assertUntouchedBut(this, outputs.toArray(Tensor[]::new));
        float[] nothing = new float[0];
        return new Outcome(wanted.loss() ? block.read(loss) : nothing,
                wanted.gradient() ? block.read(gradLogits) : nothing, sigmoid ? block.read(probabilities) : nothing);
    }

    private static int skip(SplittableRandom random, boolean aligned) {
        return aligned ? 0 : random.nextInt(16);
    }

    /**
     * Runs the case and compares with the definition.
     *
     * @param op the operation, with this case's options
     * @param block room for operands
     * @return how many elements were compared
     */
    public long check(BceWithLogits op, OperandBlock block) {
        Outcome outcome = run(op, block);
        BceDefinition.Result expected = expected();
        long compared = 0;
        if (wanted.loss()) {
            compared += Bits.assertSame(this + " loss", expected.loss(), outcome.loss);
        }
        if (wanted.gradient()) {
            compared += Bits.assertSame(this + " gradient", expected.gradLogits(), outcome.gradLogits);
        }
        if (sigmoid) {
            compared += Bits.assertSame(this + " sigmoid", expected.sigmoid(), outcome.sigmoid);
        }
        return compared;
    }

    /**
     * A variation: everything but the shape drawn.
     *
     * @param seed what decides
     * @param shape of the logits
     * @return a case
     */
    public static BceCase random(long seed, long... shape) {
        SplittableRandom random = new SplittableRandom(seed);
        var options = new BceWithLogitsOptions(any(random, Reduction.values()), random.nextBoolean(),
                new double[] {0, 0, 0.1, 1}[random.nextInt(4)],
                new double[] {Double.NaN, Double.NaN, 0, 1, -1}[random.nextInt(5)]);
        return new BceCase(shape, any(random, Logits.values()), any(random, Targets.values()),
                any(random, Spread.values()), any(random, Spread.values()),
                random.nextInt(3) == 0 ? any(random, Spread.values()) : Spread.ABSENT, options,
                any(random, CrossEntropyCase.Upstream.values()), any(random, CrossEntropyCase.Wanted.values()),
                random.nextInt(3) == 0, random.nextLong(),
                any(random, new DType[] {DType.F32, DType.F32, DType.BF16, DType.F16}));
    }

    private static <T> T any(SplittableRandom random, T[] values) {
        return values[random.nextInt(values.length)];
    }

    @Override
    public String toString() {
        return "BceCase " + dtype + Arrays.toString(shape) + " " + kind + " " + targets + " posWeight " + posWeight
                + " weights "
                + weights + " mask " + mask + " " + options + " " + upstream + " " + wanted
                + (sigmoid ? " sigmoid " : " ") + seed;
    }
}
