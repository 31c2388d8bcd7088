package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.isobit.Backend;
import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.AllIgnored;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.LogSoftmax;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Softmax;
import dev.isobit.SoftmaxOptions;
import dev.isobit.TargetOutOfRangeException;
import dev.isobit.Tensor;
import java.util.Arrays;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The table of edges in kernels/NUMERICS.md row by row, a test each, for every loss that has that edge: cross-entropy without
 * options and with them and binary cross-entropy of F32, BF16 and F16, the focal loss, negative log-likelihood and softmax of these types.
 */
public abstract class LossEdgeContract {
    private static final float INF = Float.POSITIVE_INFINITY;
    private static final float NAN = Float.NaN;
    private static final float LN2 = 0x1.62e43p-1f;
    private static final int CLASSES = 3;

    private Backend backend;
    private OperandBlock block;

    /** For subclasses. */
    protected LossEdgeContract() {}

    /**
     * Opens the backend under test; it is closed after each test.
     *
     * @return an open backend
     */
    protected abstract Backend open();

    @BeforeEach
    void openBackend() {
        backend = open();
        block = new OperandBlock(backend);
    }

    @AfterEach
    void closeBackend() {
        if (block != null) {
            block.close();
        }
        if (backend != null) {
            backend.close();
        }
    }

    /** Losses of rows with class indices. */
    private enum Loss {
        CE_F32(DType.F32), CE_BF16(DType.BF16), CE_F16(DType.F16), OPTIONS_F32(DType.F32), OPTIONS_BF16(
                DType.BF16), OPTIONS_F16(DType.F16), NLL_F32(DType.F32), NLL_BF16(DType.BF16), NLL_F16(DType.F16);

        final DType dtype;

        Loss(DType dtype) {
            this.dtype = dtype;
        }

        boolean isNll() {
            return name().startsWith("NLL");
        }

        boolean hasOptions() {
            return name().startsWith("OPTIONS");
        }
    }

    private static final DType[] DTYPES = {DType.F32, DType.BF16, DType.F16};

    private record Outcome(float[] loss, float[] gradient) {}

    /** Of the last call, one that threw too. */
    private Outcome found;

    private static void same(Object what, float[] found, float... expected) {
        Bits.assertSame(what, expected, found);
    }

    /** The same but for the sign of a zero, which the focal loss's formula leaves to the logit's. */
    private static void equal(Object what, float[] found, float... expected) {
        float[] positive = found.clone();
        for (int i = 0; i < positive.length; i++) {
            positive[i] += 0f;
        }
        same(what, positive, expected);
    }

    /** Loss and gradient of rows one after the other; what the host refuses, or a device tells later, is thrown. */
    private Outcome rows(Loss loss, Reduction reduction, AllIgnored allIgnored, float[] values, int classes,
            float[] classWeights, float[] weights, long... targets) {
        int rows = targets.length;
        boolean none = reduction == Reduction.NONE;
        block.begin(1 << 12, 8);
        Tensor x = block.floats(loss.dtype, values, 1, rows, classes);
        Tensor t = block.indices(DType.I64, targets, 0);
        Tensor classWeightsAt = classWeights == null ? null : block.floats(classWeights, 1, classes);
        Tensor weightsAt = weights == null ? null : block.floats(weights, 1, rows);
        Tensor lossAt = none ? block.room(DType.F32, 3, rows) : block.room(DType.F32, 3);
        Tensor gradAt = block.floats(loss.dtype, new float[rows * classes], 1, rows, classes);
        Tensor lseAt = block.room(DType.F32, 0, rows);
        block.upload();
        try {
            if (loss.isNll()) {
                var operands = NllLossOperands.of(x, t);
                try (NllLoss op = NllLoss.on(backend, NllLossOptions.defaults().withReduction(reduction))) {
                    op.lossAndGradient(classWeights == null ? operands : operands.withClassWeights(classWeightsAt),
                            lossAt, gradAt);
                }
            } else {
                var options = CrossEntropyOptions.defaults().withReduction(reduction).withAllIgnored(allIgnored);
                var operands = CrossEntropyOperands.of(x, t);
                operands = loss.hasOptions() ? operands.withLse(lseAt) : operands;
                operands = classWeights == null ? operands : operands.withClassWeights(classWeightsAt);
                operands = weights == null ? operands : operands.withWeights(weightsAt);
                try (CrossEntropy op = CrossEntropy.on(backend, options)) {
                    op.lossAndGradient(operands, lossAt, gradAt);
                }
            }
            backend.defaultStream().synchronize();
        } finally {
            block.download();
            found = new Outcome(block.read(lossAt), block.read(gradAt));
        }
        return found;
    }

    private Outcome rows(Loss loss, Reduction reduction, float[] values, long... targets) {
        return rows(loss, reduction, AllIgnored.NAN, values,
                targets.length == 0 ? CLASSES : values.length / targets.length,
                null, null, targets);
    }

    /** Loss and gradient of elements; operands may get more, by what this makes of values. */
    private Outcome elements(DType dtype, BceWithLogitsOptions options, float[] logits, float[] targets,
            UnaryOperator<BceWithLogitsOperands> more) {
        boolean none = options.reduction() == Reduction.NONE;
        int count = logits.length;
        block.begin(1 << 12, 8);
        var operands = more.apply(BceWithLogitsOperands.of(block.floats(dtype, logits, 1, count),
                block.floats(targets, 1, count)));
        Tensor lossAt = none ? block.room(DType.F32, 3, count) : block.room(DType.F32, 3);
        Tensor gradAt = block.floats(dtype, new float[count], 1, count);
        block.upload();
        try (BceWithLogits op = BceWithLogits.on(backend, options)) {
            op.lossAndGradient(operands, lossAt, gradAt);
        }
        block.download();
        return new Outcome(block.read(lossAt), block.read(gradAt));
    }

    private Outcome elements(DType dtype, BceWithLogitsOptions options, float[] logits, float... targets) {
        return elements(dtype, options, logits, targets, operands -> operands);
    }

    private static BceWithLogitsOptions bce(Reduction reduction) {
        return BceWithLogitsOptions.defaults().withReduction(reduction);
    }

    /** Without and with a focal factor. */
    private static List<BceWithLogitsOptions> bces(Reduction reduction) {
        return List.of(bce(reduction), bce(reduction).withFocal(2, 0.25), bce(reduction).withFocal(0.5, NAN));
    }

    /** Probabilities, or log-probabilities, of rows of three. */
    private float[] softmax(DType dtype, boolean logarithm, float... values) {
        block.begin(1 << 12, 3);
        Tensor x = block.floats(dtype, values, 1, values.length / CLASSES, CLASSES);
        Tensor y = block.room(dtype, 3, values.length / CLASSES, CLASSES);
        block.upload();
        SoftmaxOptions options = SoftmaxOptions.defaults();
        if (logarithm) {
            try (LogSoftmax op = LogSoftmax.on(backend, options)) {
                op.logProbabilities(x, y);
            }
        } else {
            try (Softmax op = Softmax.on(backend, options)) {
                op.probabilities(x, y);
            }
        }
        block.download();
        return block.read(y);
    }

    private static float[] empty(Reduction reduction) {
        return switch (reduction) {
            case NONE -> new float[0];
            case SUM -> new float[] {0};
            case MEAN -> new float[] {NAN};
        };
    }

    @ParameterizedTest
    @EnumSource(Reduction.class)
    void emptyBatch(Reduction reduction) {
        for (Loss loss : Loss.values()) {
            same(loss, rows(loss, reduction, new float[0]).loss, empty(reduction));
        }
        for (DType dtype : DTYPES) {
            for (BceWithLogitsOptions options : bces(reduction)) {
                same(options, elements(dtype, options, new float[0]).loss, empty(reduction));
            }
        }
    }

    /** Whatever it holds. */
    @Test
    void rowIgnored() {
        for (Loss loss : Loss.values()) {
            float[] values = {NAN, INF, 1, -INF, -INF, -INF, -1, -1, -1};
            Outcome found = rows(loss, Reduction.NONE, values, -100, -100, -100);
            same(loss, found.loss, 0, 0, 0);
            same(loss, found.gradient, new float[9]);
            same(loss, rows(loss, Reduction.SUM, values, -100, -100, -100).loss, 0);
        }
    }

    /** On a host nothing is written; on a device the row is NaN and does not count, and the next wait tells. */
    @ParameterizedTest
    @EnumSource(Loss.class)
    void targetOutOfRange(Loss loss) {
        float[] values = new float[5 * CLASSES];
        long[] targets = {0, 5, -1, 2, Long.MAX_VALUE};
        if (backend.usesHostMemory()) {
            var thrown = assertThrows(IllegalArgumentException.class,
                    () -> rows(loss, Reduction.MEAN, values, targets));
            for (String word : new String[] {"target 5 in row 1", "3 of 5 rows"}) {
                assertEquals(true, thrown.getMessage().contains(word), thrown.getMessage());
            }
            block.assertUntouchedBut(loss);
            return;
        }
        for (Reduction reduction : Reduction.values()) {
            var thrown = assertThrows(TargetOutOfRangeException.class, () -> rows(loss, reduction, values, targets));
            assertEquals(1, thrown.firstRow());
            assertEquals(5, thrown.firstTarget());
            assertEquals(3, thrown.count());
            double share = reduction == Reduction.MEAN ? 0.5 : 1;
            for (int i = 0; i < values.length; i++) {
                boolean isBad = i / CLASSES == 1 || i / CLASSES == 2 || i / CLASSES == 4;
                double p = loss.isNll() ? 0 : 1.0 / 3;
                double expected = isBad ? NAN : share * (p - (targets[i / CLASSES] == i % CLASSES ? 1 : 0));
                assertEquals(expected, found.gradient[i], 2e-3, loss + " gradient " + i);
            }
            for (int row = 0; reduction == Reduction.NONE && row < targets.length; row++) {
                assertEquals(row != 0 && row != 3, Float.isNaN(found.loss[row]), loss + " row " + row);
            }
        }
    }

    /** NaN, +inf or only -inf: NaN in that row alone. */
    @Test
    void rowThatHasNoSoftmax() {
        float[] values = {NAN, 0, 1, 0, 0, 0, INF, 0, -INF, 1, 1, 1, -INF, -INF, -INF, INF, INF, NAN, 2, 2, 2};
        for (Loss loss : Loss.values()) {
            if (loss.isNll()) {
                continue;
            }
            Outcome outcome = rows(loss, Reduction.NONE, values, 0, 0, 1, 1, 2, 2, 2);
            for (int row = 0; row < 7; row++) {
                boolean isNaN = row % 2 == 0 && row < 6 || row == 5;
                assertEquals(isNaN, Float.isNaN(outcome.loss[row]), loss + " row " + row);
                for (int k = 0; k < CLASSES; k++) {
                    assertEquals(isNaN, Float.isNaN(outcome.gradient[row * CLASSES + k]), loss + " row " + row);
                }
            }
        }
        for (DType dtype : DTYPES) {
            for (boolean logarithm : new boolean[] {false, true}) {
                float[] outputs = softmax(dtype, logarithm, values);
                for (int i = 0; i < outputs.length; i++) {
                    int row = i / CLASSES;
                    assertEquals(row % 2 == 0 && row < 6 || row == 5, Float.isNaN(outputs[i]),
                            dtype + " softmax, row " + row);
                }
            }
        }
    }

    /** No probability; an infinite loss where it is the target's. */
    @Test
    void minusInfinityElsewhere() {
        float[] values = {-INF, 2, 2, -INF, 2, 2};
        for (Loss loss : Loss.values()) {
            Outcome outcome = rows(loss, Reduction.NONE, values, 1, 0);
            if (loss.isNll()) {
                same(loss, outcome.loss, -2, INF);
                same(loss, outcome.gradient, 0, -1, 0, -1, 0, 0);
            } else {
                same(loss, outcome.loss, LN2, INF);
                same(loss, outcome.gradient, 0, -0.5f, 0.5f, -1, 0.5f, 0.5f);
            }
        }
        for (DType dtype : DTYPES) {
            same(dtype, softmax(dtype, false, -INF, 2, 2), 0, 0.5f, 0.5f);
            same(dtype, softmax(dtype, true, -INF, 2, 2), Rounded.to(dtype, new float[] {-INF, -LN2, -LN2}));
        }
    }

    @Test
    void oneClass() {
        for (Loss loss : Loss.values()) {
            for (Reduction reduction : Reduction.values()) {
                Outcome outcome = rows(loss, reduction, new float[] {-7}, 0);
                same(loss, outcome.loss, loss.isNll() ? 7 : 0);
                same(loss, outcome.gradient, loss.isNll() ? -1 : 0);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Loss.class)
    void allRowsIgnored(Loss loss) {
        float[] values = {1, 2, 3, 4, 5, 6};
        same(loss, rows(loss, Reduction.MEAN, values, -100, -100).loss, NAN);
        same(loss, found.gradient, new float[6]);
        if (!loss.isNll()) {
            rows(loss, Reduction.MEAN, AllIgnored.ZERO, values, CLASSES, null, null, -100, -100);
            same(loss, found.loss, 0);
            same(loss, found.gradient, new float[6]);
        }
    }

    /** Of classes or rows; the gradient at classes that nobody weighs, too, but of negative log-likelihood. */
    @ParameterizedTest
    @EnumSource(Loss.class)
    void weightsThatAddUpToZero(Loss loss) {
        float[] values = {1, 2, 3};
        float[] weights = {0, 1, 1};
        rows(loss, Reduction.MEAN, AllIgnored.NAN, values, CLASSES, weights, null, 0);
        same(loss, found.loss, NAN);
        same(loss, found.gradient, loss.isNll() ? new float[] {NAN, 0, 0} : new float[] {NAN, NAN, NAN});
        if (!loss.isNll()) {
            rows(loss, Reduction.MEAN, AllIgnored.NAN, values, CLASSES, null, new float[] {0}, 0);
            same(loss, found.loss, NAN);
            rows(loss, Reduction.MEAN, AllIgnored.ZERO, values, CLASSES, weights, null, 0);
            same(loss, found.loss, 0);
            same(loss, found.gradient, new float[3]);
        }
    }

    /** Losses that do not vanish with the weights, as x/0; a class so far off that its probability is 0 in float32 alone. */
    @Test
    void denominatorOfZeroWhereLossesAreNone() {
        CrossEntropyOptions mean = CrossEntropyOptions.defaults();
        for (DType dtype : DTYPES) {
            for (CrossEntropyOptions options : List.of(mean.withLabelSmoothing(1), mean.withLabelSmoothing(0.25),
                    mean.withZLoss(0.5), mean.withZLoss(0.5).withAccumulate(true))) {
                denominatorOfZero(dtype, options, 0, 0);
            }
            for (CrossEntropyOptions options : List.of(mean, mean.withLabelSmoothing(1), mean.withZLoss(0.5))) {
                denominatorOfZero(dtype, options, 2, -2);
                denominatorOfZero(dtype, options.withDenominator(Denominator.OPERAND), 1, 1);
            }
        }
        for (Loss loss : List.of(Loss.NLL_F32, Loss.NLL_BF16, Loss.NLL_F16)) {
            rows(loss, Reduction.MEAN, AllIgnored.NAN, new float[] {-1, -2, -3, -4}, 2, new float[] {2, -2}, null, 0,
                    1);
            same(loss, found.loss, NAN);
            same(loss, found.gradient, NAN, 0, 0, NAN);
        }
    }

    private void denominatorOfZero(DType dtype, CrossEntropyOptions options, float... weights) {
        for (AllIgnored allIgnored : AllIgnored.values()) {
            boolean zero = allIgnored == AllIgnored.ZERO;
            block.begin(1 << 12, 8);
            var operands = CrossEntropyOperands
                    .of(block.floats(dtype, new float[] {-200, 3, 1, 1, 2, -200}, 1, 2, CLASSES),
                            block.indices(DType.I64, new long[] {0, 1}, 0))
                    .withWeights(block.floats(weights, 0, 2));
            operands = options.denominator() == Denominator.OPERAND
                    ? operands.withDenominator(block.floats(new float[1], 0))
                    : operands;
            Tensor lossAt = block.room(DType.F32, 3);
            Tensor gradAt = block.floats(dtype, new float[2 * CLASSES], 1, 2, CLASSES);
            block.upload();
            try (CrossEntropy op = CrossEntropy.on(backend, options.withAllIgnored(allIgnored))) {
                op.lossAndGradient(operands, lossAt, gradAt);
            }
            block.download();
            float[] gradient = new float[2 * CLASSES];
            Arrays.fill(gradient, zero ? 0 : NAN);
            String what = dtype + " " + options + " " + allIgnored;
            same(what, block.read(lossAt), zero ? 0 : NAN);
            equal(what, block.read(gradAt), gradient);
        }
    }

    /** A weight of 0 takes away an infinite loss. */
    @Test
    void zeroTimesInfinity() {
        float[] values = {-INF, 0, 0};
        for (Loss loss : Loss.values()) {
            rows(loss, Reduction.NONE, AllIgnored.NAN, values, CLASSES, new float[] {0, 1, 1}, null, 0);
            same(loss, found.loss, 0);
            same(loss, found.gradient, new float[3]);
            if (!loss.isNll()) {
                rows(loss, Reduction.NONE, AllIgnored.NAN, values, CLASSES, null, new float[] {0}, 0);
                same(loss, found.loss, 0);
                same(loss, found.gradient, new float[3]);
            }
        }
        for (DType dtype : DTYPES) {
            for (BceWithLogitsOptions options : bces(Reduction.NONE)) {
                Outcome outcome = elements(dtype, options, new float[] {INF, -INF}, new float[] {0, 1},
                        operands -> operands.withWeights(block.floats(new float[2], 0, 2)));
                same(options, outcome.loss, 0, 0);
                equal(options, outcome.gradient, 0, 0);
            }
        }
    }

    @Test
    void infiniteLogitsUnderSoftcap() {
        for (DType dtype : DTYPES) {
            block.begin(1 << 12, 4);
            Tensor x = block.floats(dtype, new float[] {INF, -INF, INF}, 1, 1, CLASSES);
            Tensor t = block.indices(DType.I64, new long[] {0}, 0);
            Tensor lossAt = block.room(DType.F32, 0, 1);
            Tensor gradAt = block.floats(dtype, new float[CLASSES], 1, 1, CLASSES);
            block.upload();
            try (CrossEntropy op = CrossEntropy.on(backend,
                    CrossEntropyOptions.defaults().withReduction(Reduction.NONE).withSoftcap(2))) {
                op.lossAndGradient(x, t, lossAt, gradAt);
            }
            block.download();
            assertEquals(Math.log(2 + Math.exp(-4)), block.read(lossAt)[0], 1e-6);
            for (float g : block.read(gradAt)) {
                assertEquals(0, Math.abs(g), "the slope there");
            }
        }
    }

    /** The limit, finite or infinite, never NaN. */
    @Test
    void bceAtInfinity() {
        float[] logits = {INF, -INF, INF, -INF};
        for (DType dtype : DTYPES) {
            Outcome outcome = elements(dtype, bce(Reduction.NONE), logits, 1, 0, 0, 1);
            same(dtype, outcome.loss, 0, 0, INF, INF);
            same(dtype, outcome.gradient, 0, 0, 1, -1);
            outcome = elements(dtype, bce(Reduction.NONE).withFocal(2, 0.25), logits, 1, 0, 0, 1);
            same(dtype, outcome.loss, 0, 0, INF, INF);
            equal(dtype, outcome.gradient, 0, 0, 0.75f, -0.25f);
        }
    }

    @Test
    void bceTargetsOutsideZeroAndOne() {
        for (DType dtype : DTYPES) {
            Outcome outcome = elements(dtype, bce(Reduction.NONE), new float[] {0, 0}, 2, -1);
            same(dtype, outcome.loss, LN2, LN2);
            same(dtype, outcome.gradient, -1.5f, 1.5f);
        }
    }

    @Test
    void bceNaN() {
        for (DType dtype : DTYPES) {
            for (BceWithLogitsOptions options : bces(Reduction.NONE)) {
                Outcome outcome = elements(dtype, options, new float[] {NAN, 0, 0, 0}, new float[] {1, NAN, 1, 1},
                        operands -> operands.withWeights(block.floats(new float[] {1, 1, NAN, 1}, 0, 4)));
                for (int i = 0; i < 4; i++) {
                    assertEquals(i < 3, Float.isNaN(outcome.loss[i]), options + " element " + i);
                    assertEquals(i < 3, Float.isNaN(outcome.gradient[i]), options + " element " + i);
                }
            }
            Outcome outcome = elements(dtype, bce(Reduction.NONE), new float[] {0, 0}, new float[] {1, 1},
                    operands -> operands.withPosWeight(block.floats(new float[] {NAN, 1}, 0, 2)));
            same(dtype, outcome.loss, NAN, LN2);
            same(dtype, outcome.gradient, NAN, -0.5f);
        }
    }

    /** By mask or by value; all of them, too. */
    @Test
    void bceElementIgnored() {
        float[] logits = {NAN, INF, 0};
        float[] targets = {1, 0, 1};
        for (DType dtype : DTYPES) {
            for (Reduction reduction : Reduction.values()) {
                for (BceWithLogitsOptions options : bces(reduction)) {
                    Outcome outcome = elements(dtype, options, logits, targets,
                            operands -> operands.withMask(block.bytes(new byte[3], 0, 3)));
                    same(options, outcome.gradient, 0, 0, 0);
                    same(options, outcome.loss, switch (reduction) {
                        case NONE -> new float[3];
                        case SUM -> new float[] {0};
                        case MEAN -> new float[] {NAN};
                    });
                    outcome = elements(dtype, options.withIgnoreValue(-1), logits, -1, -1, 1);
                    assertEquals(0, outcome.gradient[0] + outcome.gradient[1]);
                    float[] alone = elements(dtype, options, new float[] {0}, 1).loss;
                    same(options, outcome.loss, reduction == Reduction.NONE ? new float[] {0, 0, alone[0]} : alone);
                }
            }
        }
    }

    @Test
    void bceWeightsThatAddUpToZero() {
        var mean = bce(Reduction.MEAN).withWeightedMean(true);
        for (DType dtype : DTYPES) {
            Outcome outcome = elements(dtype, mean, new float[] {0, 0}, new float[] {1, 1},
                    operands -> operands.withWeights(block.floats(new float[2], 0, 2)));
            same(dtype, outcome.loss, NAN);
            same(dtype, outcome.gradient, NAN, NAN);
            // The loss of the second, and its gradient, are 0 in float32 alone.
            for (float logit : new float[] {0, -200}) {
                outcome = elements(dtype, mean, new float[] {logit, -200}, new float[] {1, 0},
                        operands -> operands.withWeights(block.floats(new float[] {2, -2}, 0, 2)));
                same(dtype, outcome.loss, NAN);
                same(dtype, outcome.gradient, NAN, NAN);
            }
        }
    }
}
