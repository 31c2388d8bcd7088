package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.BceWithLogits;
import dev.isobit.BceWithLogitsOperands;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Bad operands of binary cross-entropy, on any backend: an exception that names operation, operand and value. */
public abstract class BceInputContract extends BackendContract {
    private static final String OPERATION = "BceWithLogits.lossAndGradient";

    private Tensor logits;
    private Tensor targets;
    private Tensor posWeight;
    private Tensor weights;
    private Tensor mask;
    private Tensor gradLoss;
    private Tensor sigmoid;
    private Tensor loss;
    private Tensor gradLogits;

    /** For subclasses. */
    protected BceInputContract() {}

    @BeforeEach
    void layOut() {
        block().begin(1 << 10, 9);
        logits = block().floats(new float[] {1, -2, 3, 4, 5, -5}, 1, 2, 3);
        targets = block().floats(new float[] {1, 0, 0, 1, 0, 0}, 2, 2, 3);
        posWeight = block().floats(new float[] {1, 2, 3}, 1, 3);
        weights = block().floats(new float[] {1, 2}, 0, 2, 1);
        mask = block().bytes(new byte[] {1, 0, 1, 1, 0, 1}, 1, 2, 3);
        gradLoss = block().floats(new float[6], 3, 2, 3);
        sigmoid = block().room(DType.F32, 1, 2, 3);
        loss = block().room(DType.F32, 3, 2, 3);
        gradLogits = block().room(DType.F32, 5, 2, 3);
    }

    private BceWithLogits op(Reduction reduction) {
        return BceWithLogits.on(backend(), BceWithLogitsOptions.defaults().withReduction(reduction));
    }

    private BceWithLogitsOperands operands() {
        return new BceWithLogitsOperands(logits, targets, posWeight, weights, mask, gradLoss, sigmoid);
    }

    private <T extends Throwable> void refused(Class<T> type, BceWithLogitsOperands operands, Tensor loss,
            Tensor gradLogits, String... words) {
        try (BceWithLogits op = op(Reduction.NONE)) {
            String[] all = Arrays.copyOf(words, words.length + 1);
            all[words.length] = OPERATION;
            refused(type, () -> op.lossAndGradient(operands, loss, gradLogits), all);
        }
    }

    private static Tensor as(Tensor tensor, long... shape) {
        return Tensor.of(tensor.dtype(), tensor.memory(), tensor.byteOffset(), shape);
    }

    private static Tensor as(Tensor tensor, DType dtype, long... shape) {
        return Tensor.of(dtype, tensor.memory(), tensor.byteOffset() / 8 * 8, shape);
    }

    private BceWithLogitsOperands withTargets(Tensor tensor) {
        return new BceWithLogitsOperands(logits, tensor, posWeight, weights, mask, gradLoss, sigmoid);
    }

    @Test
    void shapes() {
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        for (long[] shape : new long[][] {{6}, {3, 2}, {2, 3, 1}, {2, 2}, {1, 3}, {}}) {
            String text = Arrays.toString(shape);
            refused(type, withTargets(as(targets, shape)), loss, gradLogits, "targets", text);
            refused(type, operands().withSigmoid(as(sigmoid, shape)), loss, gradLogits, "sigmoid", text);
            refused(type, operands(), as(loss, shape), gradLogits, "loss", text);
            refused(type, operands(), loss, as(gradLogits, shape), "gradLogits", text);
        }
        for (long[] shape : new long[][] {{6}, {3, 2}, {0}, {2}, {1, 2}}) {
            refused(type, operands().withGradLoss(as(gradLoss, shape)), loss, gradLogits, "gradLoss",
                    Arrays.toString(shape), "a scalar or the shape of logits");
        }
    }

    @Test
    void targetBits() {
        try (BceWithLogits op = op(Reduction.NONE)) {
            for (long[] shape : new long[][] {{2}, {0}, {1, 1}, {}}) {
                refused(IllegalArgumentException.class,
                        () -> op.loss(BceWithLogitsOperands.ofBits(logits, as(mask, shape)), loss), "targets",
                        Arrays.toString(shape), "an eighth");
            }
            refused(UnsupportedOperationException.class,
                    () -> op.loss(BceWithLogitsOperands.ofBits(logits, as(targets, 1)), loss), "targets", "F32", "U8");
        }
    }

    @Test
    void weightsThatDoNotBroadcast() {
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        for (long[] shape : new long[][] {{2}, {0}, {3, 1}, {1, 2}, {1, 2, 3}, {3, 3}}) {
            Tensor bad = as(gradLoss, shape.clone());
            if (bad.elementCount() <= 6) {
                refused(type, operands().withPosWeight(bad), loss, gradLogits, "posWeight", Arrays.toString(shape),
                        "broadcasts");
                refused(type, operands().withWeights(bad), loss, gradLogits, "weights", Arrays.toString(shape),
                        "broadcasts");
            }
        }
    }

    /** Ten axes, of which every other one repeats, are more than are taken; what merges is not. */
    @Test
    void tooManyRunsOfAxes() {
        long[] shape = {2, 2, 2, 2, 2, 2, 2, 2, 2};
        block().begin(1 << 14, 5);
        Tensor x = block().floats(new float[512], 0, shape);
        Tensor t = block().floats(new float[512], 0, shape);
        Tensor w = block().floats(new float[32], 0, 2, 1, 2, 1, 2, 1, 2, 1, 2);
        Tensor merges = block().floats(new float[32], 0, 2, 1, 2, 1, 2, 2, 2, 1, 1);
        Tensor l = block().room(DType.F32, 0);
        block().upload();
        try (BceWithLogits op = op(Reduction.SUM)) {
            refused(IllegalArgumentException.class,
                    () -> op.loss(BceWithLogitsOperands.of(x, t).withWeights(w), l), "weights", "at most 4");
            op.loss(BceWithLogitsOperands.of(x, t).withWeights(merges), l);
        }
    }

    @Test
    void lossesThatAreNoScalar() {
        for (Reduction reduction : new Reduction[] {Reduction.SUM, Reduction.MEAN}) {
            try (BceWithLogits op = op(reduction)) {
                for (long[] shape : new long[][] {{0}, {3}, {1, 1}, {2, 3}}) {
                    refused(IllegalArgumentException.class, () -> op.loss(logits, targets, as(loss, shape)),
                            "BceWithLogits.loss", "loss", Arrays.toString(shape), "a scalar");
                }
                refused(IllegalArgumentException.class, () -> op.gradient(operands(), gradLogits),
                        "BceWithLogits.gradient", "gradLoss", "[2, 3]", "a scalar");
            }
        }
    }

    @Test
    void types() {
        Class<UnsupportedOperationException> type = UnsupportedOperationException.class;
        for (DType dtype : DType.values()) {
            boolean taken = dtype == DType.BF16 || dtype == DType.F16 || backend().dtypes().contains(dtype);
            if (!taken) {
                refused(type, BceWithLogitsOperands.of(as(logits, dtype, 1, 2), as(targets, 1, 2)), as(loss, 1, 2),
                        as(gradLogits, dtype, 1, 2), "logits", dtype.name(), "F32", "BF16", "F16");
            }
            if (!backend().dtypes().contains(dtype)) {
                refused(type, operands(), loss, as(gradLogits, dtype, 2, 3), "gradLogits", dtype.name());
            }
            if (dtype != DType.F32 && !backend().dtypes().contains(dtype)) {
                if (dtype != DType.U8) {
                    refused(type, withTargets(as(targets, dtype, 2, 3)), loss, gradLogits, "targets", dtype.name());
                }
                refused(type, operands().withPosWeight(as(posWeight, dtype, 3)), loss, gradLogits, "posWeight",
                        dtype.name());
                refused(type, operands().withMask(as(mask, DType.F32, 1)), loss, gradLogits, "mask", "F32", "U8");
                refused(type, operands().withWeights(as(weights, dtype, 2, 1)), loss, gradLogits, "weights",
                        dtype.name());
                refused(type, operands().withGradLoss(as(gradLoss, dtype, 2, 3)), loss, gradLogits, "gradLoss",
                        dtype.name());
                refused(type, operands().withSigmoid(as(sigmoid, dtype, 2, 3)), loss, gradLogits, "sigmoid",
                        dtype.name());
                refused(type, operands(), as(loss, dtype, 2, 3), gradLogits, "loss", dtype.name());
            }
        }
    }

    @Test
    void memoryOfAnotherDevice() {
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        String name = backend().name();
        Tensor elsewhere = foreign(DType.F32, 2, 3);
        refused(type, BceWithLogitsOperands.of(elsewhere, targets), loss, gradLogits, "logits", name);
        refused(type, withTargets(elsewhere), loss, gradLogits, "targets", name);
        refused(type, operands().withPosWeight(elsewhere), loss, gradLogits, "posWeight", name);
        refused(type, operands().withMask(foreign(DType.U8, 3)), loss, gradLogits, "mask", name);
        refused(type, operands().withWeights(elsewhere), loss, gradLogits, "weights", name);
        refused(type, operands().withGradLoss(elsewhere), loss, gradLogits, "gradLoss", name);
        refused(type, operands().withSigmoid(elsewhere), loss, gradLogits, "sigmoid", name);
        refused(type, operands(), elsewhere, gradLogits, "loss", name);
        refused(type, operands(), loss, elsewhere, "gradLogits", name);
    }

    @Test
    void closedMemory() {
        Class<IllegalStateException> type = IllegalStateException.class;
        Tensor gone = closed(DType.F32, 2, 3);
        refused(type, BceWithLogitsOperands.of(gone, targets), loss, gradLogits, "logits", "closed");
        refused(type, withTargets(gone), loss, gradLogits, "targets", "closed");
        refused(type, operands().withPosWeight(gone), loss, gradLogits, "posWeight", "closed");
        refused(type, operands().withMask(closed(DType.U8, 3)), loss, gradLogits, "mask", "closed");
        refused(type, operands().withWeights(gone), loss, gradLogits, "weights", "closed");
        refused(type, operands().withGradLoss(gone), loss, gradLogits, "gradLoss", "closed");
        refused(type, operands().withSigmoid(gone), loss, gradLogits, "sigmoid", "closed");
        refused(type, operands(), gone, gradLogits, "loss", "closed");
        refused(type, operands(), loss, gone, "gradLogits", "closed");
    }

    @Test
    void overlaps() {
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        Tensor[] inputs = {logits, targets, posWeight, weights, gradLoss, mask};
        String[] names = {"logits", "targets", "posWeight", "weights", "gradLoss", "mask"};
        for (int i = 0; i < inputs.length; i++) {
            // By one element at either end.
            long start = inputs[i].byteOffset() % 4;
            for (long shift : new long[] {-20 - start, (inputs[i].byteSize() - 1) / 4 * 4 - start}) {
                Tensor over = shifted(inputs[i], DType.F32, shift, 2, 3);
                refused(type, operands(), over, gradLogits, "loss", names[i], "overlaps");
                refused(type, operands(), loss, over, "gradLogits", names[i], "overlaps");
                refused(type, operands().withSigmoid(over), loss, gradLogits, "sigmoid", names[i], "overlaps");
            }
        }
        refused(type, operands(), shifted(gradLogits, DType.F32, 20, 2, 3), gradLogits, "loss", "gradLogits",
                "overlaps");
        refused(type, operands().withSigmoid(loss), loss, gradLogits, "sigmoid", "loss", "overlaps");
        refused(type, operands().withSigmoid(gradLogits), loss, gradLogits, "sigmoid", "gradLogits", "overlaps");
        refused(type, operands().withSigmoid(logits), loss, logits, "sigmoid", "logits", "overlaps");
    }

    @Test
    void afterClose() {
        BceWithLogits op = op(Reduction.NONE);
        op.close();
        op.close();
        var e = assertThrows(IllegalStateException.class, () -> op.loss(logits, targets, loss));
        assertTrue(e.getMessage().contains("BceWithLogits"), e.getMessage());
    }

    @Test
    void labelSmoothingOutsideItsRange() {
        for (double bad : new double[] {-0.1, 1.01, Double.NaN, Double.NEGATIVE_INFINITY}) {
            var e = assertThrows(IllegalArgumentException.class,
                    () -> BceWithLogitsOptions.defaults().withLabelSmoothing(bad));
            assertTrue(e.getMessage().contains("labelSmoothing " + bad), e.getMessage());
        }
    }
}
