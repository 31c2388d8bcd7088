package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.TargetOutOfRangeException;
import dev.isobit.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Bad operands of cross-entropy, on any backend: an exception that names operation, operand and value, and nothing
 * written. Operands lie in one poisoned block, compared as a whole.
 */
public abstract class CrossEntropyInputContract extends BackendContract {
    private static final String OPERATION = "CrossEntropy.lossAndGradient";
    private static final int ROWS = 3;
    private static final int CLASSES = 5;

    private Tensor logits;
    private Tensor targets;
    private Tensor gradLoss;
    private Tensor loss;
    private Tensor gradLogits;

    /** For subclasses. */
    protected CrossEntropyInputContract() {}

    @BeforeEach
    void layOut() {
        block().begin(1 << 10, 5);
        logits = block().floats(new float[] {1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0, 0, 1, 0, 0}, 1, ROWS, CLASSES);
        targets = block().indices(DType.I64, new long[] {0, -100, 4}, 1);
        gradLoss = block().floats(new float[] {1, 2, 3}, 2, ROWS);
        loss = block().room(DType.F32, 3, ROWS);
        gradLogits = block().room(DType.F32, 5, ROWS, CLASSES);
    }

    private CrossEntropy op(Reduction reduction) {
        return CrossEntropy.on(backend(), CrossEntropyOptions.defaults().withReduction(reduction));
    }

    /** All five operands, for NONE. */
    private <T extends Throwable> void refused(Class<T> type, Tensor logits, Tensor targets, Tensor gradLoss,
            Tensor loss, Tensor gradLogits, String... words) {
        try (CrossEntropy op = op(Reduction.NONE)) {
            String[] all = Arrays.copyOf(words, words.length + 1);
            all[words.length] = OPERATION;
            refused(type, () -> op.lossAndGradient(logits, targets, gradLoss, loss, gradLogits), all);
        }
    }

    private static Tensor as(Tensor tensor, long... shape) {
        return Tensor.of(tensor.dtype(), tensor.memory(), tensor.byteOffset(), shape);
    }

    private static Tensor as(Tensor tensor, DType dtype, long... shape) {
        return Tensor.of(dtype, tensor.memory(), tensor.byteOffset() / 8 * 8, shape);
    }

    @Test
    void shapesOfLogits() {
        for (long[] shape : new long[][] {{15}, {5}, {}}) {
            refused(IllegalArgumentException.class, as(logits, shape), targets, gradLoss, loss, gradLogits, "logits",
                    Arrays.toString(shape));
        }
    }

    @Test
    void zeroClasses() {
        refused(IllegalArgumentException.class, as(logits, ROWS, 0), targets, gradLoss, loss, as(gradLogits, ROWS, 0),
                "logits", "[3, 0]", "C at least 1");
        refused(IllegalArgumentException.class, as(logits, 0, 0), as(targets, 0), as(gradLoss, 0), as(loss, 0),
                as(gradLogits, 0, 0), "logits", "[0, 0]");
    }

    @Test
    void shapesOfTargets() {
        for (long[] shape : new long[][] {{3, 5, 1}, {1, 3, 5}, {3, 1, 5}}) {
            refused(IllegalArgumentException.class, as(logits, shape), targets, gradLoss, loss, as(gradLogits, shape),
                    "targets", "[3]", "[N, d1, .., dk]");
        }
        for (long[] shape : new long[][] {{2}, {4}, {0}, {3, 1}, {1, 3}, {}}) {
            refused(IllegalArgumentException.class, logits, as(targets, shape), gradLoss, loss, gradLogits, "targets",
                    Arrays.toString(shape));
        }
    }

    @Test
    void shapesOfLoss() {
        for (long[] shape : new long[][] {{}, {1}, {2}, {4}, {3, 1}}) {
            refused(IllegalArgumentException.class, logits, targets, gradLoss, as(loss, shape), gradLogits, "loss",
                    Arrays.toString(shape), "[N]");
        }
        for (Reduction reduction : new Reduction[] {Reduction.SUM, Reduction.MEAN}) {
            try (CrossEntropy op = op(reduction)) {
                for (long[] shape : new long[][] {{0}, {3}, {2}, {1, 1}}) {
                    refused(IllegalArgumentException.class, () -> op.loss(logits, targets, as(loss, shape)),
                            "CrossEntropy.loss", "loss", Arrays.toString(shape), "a scalar");
                }
            }
        }
    }

    @Test
    void shapesOfGradLoss() {
        for (long[] shape : new long[][] {{0}, {2}, {4}, {3, 1}, {1, 1}}) {
            refused(IllegalArgumentException.class, logits, targets, as(gradLoss, shape), loss, gradLogits, "gradLoss",
                    Arrays.toString(shape));
        }
        for (Reduction reduction : new Reduction[] {Reduction.SUM, Reduction.MEAN}) {
            try (CrossEntropy op = op(reduction)) {
                refused(IllegalArgumentException.class, () -> op.gradient(logits, targets, gradLoss, gradLogits),
                        "CrossEntropy.gradient", "gradLoss", "[3]", "a scalar");
            }
        }
    }

    @Test
    void shapesOfGradLogits() {
        for (long[] shape : new long[][] {{15}, {5, 3}, {3, 4}, {3, 6}, {2, 5}, {3, 5, 1}, {}}) {
            refused(IllegalArgumentException.class, logits, targets, gradLoss, loss, as(gradLogits, shape),
                    "gradLogits", Arrays.toString(shape));
        }
    }

    @Test
    void types() {
        for (DType type : DType.values()) {
            boolean taken = type == DType.BF16 || type == DType.F16 || backend().dtypes().contains(type);
            if (!taken) {
                refused(UnsupportedOperationException.class, as(logits, type, 1, 5), as(targets, 1),
                        as(gradLoss, 1), as(loss, 1), as(gradLogits, 1, 5), "logits", type.name(), "F32", "BF16",
                        "F16");
            }
            if (!backend().dtypes().contains(type)) {
                refused(UnsupportedOperationException.class, logits, targets, gradLoss, loss,
                        as(gradLogits, type, ROWS, CLASSES), "gradLogits", type.name());
            }
            if (type != DType.F32 && !backend().dtypes().contains(type)) {
                refused(UnsupportedOperationException.class, logits, targets, as(gradLoss, type, ROWS), loss,
                        gradLogits, "gradLoss", type.name(), "F32");
                refused(UnsupportedOperationException.class, logits, targets, gradLoss, as(loss, type, ROWS),
                        gradLogits, "loss", type.name(), "F32");
            }
            if (type == DType.F64 && taken) {
                refused(UnsupportedOperationException.class, as(logits, type, ROWS, CLASSES), targets, gradLoss, loss,
                        as(gradLogits, type, ROWS, CLASSES), "gradLoss is F32", "takes F64 beside logits of F64");
            }
            if (type.isFloating()) {
                refused(IllegalArgumentException.class, logits, as(targets, type, ROWS), gradLoss, loss,
                        gradLogits, "targets", "[3]", "the shape of logits");
                if (type != DType.F32 && !backend().dtypes().contains(type)) {
                    refused(UnsupportedOperationException.class, logits, as(targets, type, ROWS, CLASSES), gradLoss,
                            loss, gradLogits, "targets", type.name(), "I64, I32, I16, U8, F32, the type");
                }
            }
        }
    }

    @Test
    void memoryOfAnotherDevice() {
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        String name = backend().name();
        refused(type, foreign(DType.F32, ROWS, CLASSES), targets, gradLoss, loss, gradLogits, "logits", name);
        refused(type, logits, foreign(DType.I32, ROWS), gradLoss, loss, gradLogits, "targets", name);
        refused(type, logits, targets, foreign(DType.F32, ROWS), loss, gradLogits, "gradLoss", name);
        refused(type, logits, targets, gradLoss, foreign(DType.F32, ROWS), gradLogits, "loss", name);
        refused(type, logits, targets, gradLoss, loss, foreign(DType.F32, ROWS, CLASSES), "gradLogits", name);
    }

    @Test
    void closedMemory() {
        Class<IllegalStateException> type = IllegalStateException.class;
        refused(type, closed(DType.F32, ROWS, CLASSES), targets, gradLoss, loss, gradLogits, "logits", "closed");
        refused(type, logits, closed(DType.I64, ROWS), gradLoss, loss, gradLogits, "targets", "closed");
        refused(type, logits, targets, closed(DType.F32), loss, gradLogits, "gradLoss", "closed");
        refused(type, logits, targets, gradLoss, closed(DType.F32, ROWS), gradLogits, "loss", "closed");
        refused(type, logits, targets, gradLoss, loss, closed(DType.F32, ROWS, CLASSES), "gradLogits", "closed");
    }

    @Test
    void overlaps() {
        Class<IllegalArgumentException> type = IllegalArgumentException.class;
        // By one element at either end.
        refused(type, logits, targets, gradLoss, shifted(logits, DType.F32, -8, ROWS), gradLogits, "loss", "logits",
                "overlaps");
        refused(type, logits, targets, gradLoss, shifted(logits, DType.F32, 14 * 4, ROWS), gradLogits, "loss",
                "logits", "overlaps");
        refused(type, logits, targets, gradLoss, shifted(targets, DType.F32, 20, ROWS), gradLogits, "loss", "targets",
                "overlaps");
        refused(type, logits, targets, gradLoss, shifted(gradLoss, DType.F32, 8, ROWS), gradLogits, "loss", "gradLoss",
                "overlaps");
        refused(type, logits, targets, gradLoss, gradLoss, gradLogits, "loss", "gradLoss", "overlaps");
        refused(type, logits, targets, gradLoss, shifted(gradLogits, DType.F32, 14 * 4, ROWS), gradLogits, "loss",
                "gradLogits", "overlaps");
        refused(type, logits, targets, gradLoss, loss, shifted(targets, DType.F32, 20, ROWS, CLASSES), "gradLogits",
                "targets", "overlaps");
        refused(type, logits, targets, gradLoss, loss, shifted(gradLoss, DType.F32, -14 * 4, ROWS, CLASSES),
                "gradLogits", "gradLoss", "overlaps");
        for (long shift : new long[] {-14 * 4, -20, -4, 4, 20, 14 * 4}) {
            refused(type, logits, targets, gradLoss, loss, shifted(logits, DType.F32, shift, ROWS, CLASSES),
                    "gradLogits", "logits", "overlaps");
        }
    }

    /** Touching is no overlap; over the logits is allowed; inputs may share. */
    @Test
    void neighboursAreNoOverlap() {
        block().begin(1 << 10, 2);
        Tensor all = block().floats(new float[64], 0, 64);
        Tensor first = shifted(all, DType.F32, 0, 2, 4);
        Tensor second = shifted(all, DType.F32, 32, 2, 4);
        Tensor third = shifted(all, DType.F32, 64, 2);
        Tensor zeros = shifted(all, DType.I32, 72, 2);
        block().upload();
        try (CrossEntropy op = op(Reduction.NONE)) {
            op.lossAndGradient(first, zeros, third, second);
            op.lossAndGradient(first, zeros, third, first);
            op.lossAndGradient(first, zeros, shifted(all, DType.F32, 72, 2), third, second);
        }
        block().download();
        block().assertUntouchedBut("neighbours", first, second, third);
    }

    @Test
    void negativeSizes() {
        var e = assertThrows(IllegalArgumentException.class, () -> as(logits, -1, 5));
        assertTrue(e.getMessage().contains("[-1, 5]") && e.getMessage().contains("negative"), e.getMessage());
        e = assertThrows(IllegalArgumentException.class, () -> backend().allocate(DType.F32, 3, -5));
        assertTrue(e.getMessage().contains("-5"), e.getMessage());
        e = assertThrows(IllegalArgumentException.class, () -> backend().allocate(-8));
        assertTrue(e.getMessage().contains("-8") && e.getMessage().contains("allocate"), e.getMessage());
        assertThrows(IllegalArgumentException.class, () -> backend().allocate(DType.F32, 1L << 40, 1L << 40));
    }

    /** In host memory an exception before anything is written. */
    @ParameterizedTest
    @EnumSource(Reduction.class)
    void targetsOutOfRange(Reduction reduction) {
        assumeTrue(backend().usesHostMemory(), "targets on a device are met there");
        for (DType type : new DType[] {DType.I64, DType.I32}) {
            for (long bad : new long[] {-1, CLASSES, CLASSES + 1, Integer.MAX_VALUE, Integer.MIN_VALUE, -101}) {
                block().begin(1 << 10, 5);
                Tensor x = block().floats(new float[20], 0, 4, CLASSES);
                Tensor t = block().indices(type, new long[] {4, -100, bad, bad}, 0);
                Tensor l = reduction == Reduction.NONE ? block().room(DType.F32, 0, 4) : block().room(DType.F32, 0);
                Tensor g = block().room(DType.F32, 0, 4, CLASSES);
                try (CrossEntropy op = op(reduction)) {
                    String[] words = {"CrossEntropy", "target " + bad, "row 2", "[0, 5)", "-100", "2 of 4"};
                    refused(IllegalArgumentException.class, () -> op.lossAndGradient(x, t, l, g), words);
                    refused(IllegalArgumentException.class, () -> op.lossAndGradient(x, t, l, x), words);
                    refused(IllegalArgumentException.class, () -> op.gradient(x, t, x), words);
                    refused(IllegalArgumentException.class, () -> op.loss(x, t, l), words);
                }
            }
        }
    }

    @Test
    void aTargetOf64BitsIsNotCutTo32() {
        assumeTrue(backend().usesHostMemory(), "targets on a device are met there");
        block().begin(1 << 10, 5);
        Tensor x = block().floats(new float[2], 0, 1, 2);
        Tensor t = block().indices(DType.I64, new long[] {1L << 32}, 0);
        Tensor l = block().room(DType.F32, 0);
        try (CrossEntropy op = op(Reduction.MEAN)) {
            refused(IllegalArgumentException.class, () -> op.loss(x, t, l), "target 4294967296", "row 0", "1 of 1");
        }
    }

    /** On a device such a row is NaN and not counted, and the next call that synchronises tells. */
    @ParameterizedTest
    @EnumSource(Reduction.class)
    void targetsOutOfRangeOnADevice(Reduction reduction) {
        assumeFalse(backend().usesHostMemory(), "targets in host memory are checked there");
        for (long bad : new long[] {-1, CLASSES, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
            long[] values = {4, bad, -100, bad, 0};
            float[] z = new float[values.length * CLASSES];
            for (int i = 0; i < z.length; i++) {
                z[i] = i % 7;
            }
            block().begin(1 << 10, 5);
            Tensor x = block().floats(z, 1, values.length, CLASSES);
            Tensor t = block().indices(DType.I64, values, 1);
            Tensor l = reduction == Reduction.NONE
                    ? block().room(DType.F32, 0, values.length)
                    : block().room(DType.F32, 0);
            Tensor g = block().room(DType.F32, 3, values.length, CLASSES);
            block().upload();
            try (CrossEntropy op = op(reduction)) {
                op.lossAndGradient(x, t, l, g);
                var thrown = assertThrows(TargetOutOfRangeException.class,
                        () -> backend().defaultStream().synchronize());
                assertEquals(1, thrown.firstRow());
                assertEquals(bad, thrown.firstTarget());
                assertEquals(2, thrown.count());
                for (String word : new String[] {"2 target(s)", "the first " + bad + " in row 1"}) {
                    assertTrue(thrown.getMessage().contains(word), thrown.getMessage());
                }
                // Told once; the results are there.
                backend().defaultStream().synchronize();
            }
            block().download();
            block().assertUntouchedBut(values, l, g);
            var expected = CrossEntropyDefinition.compute(z, CLASSES, values, reduction, -100, new float[0]);
            Bits.assertSame("loss", expected.loss(), block().read(l));
            Bits.assertSame("gradient", expected.gradLogits(), block().read(g));
        }
    }

    /** An empty batch is no error. */
    @ParameterizedTest
    @ValueSource(ints = {1, 5, 40_000})
    void emptyBatch(int classes) {
        for (Reduction reduction : Reduction.values()) {
            block().begin(1 << 10, 5);
            Tensor x = block().floats(new float[0], 0, 0, classes);
            Tensor t = block().indices(DType.I64, new long[0], 0);
            Tensor l = reduction == Reduction.NONE ? block().room(DType.F32, 0, 0) : block().room(DType.F32, 0);
            Tensor g = block().floats(new float[0], 0, 0, classes);
            block().upload();
            try (CrossEntropy op = op(reduction)) {
                op.lossAndGradient(x, t, l, g);
                op.lossAndGradient(x, t, l, x);
                op.gradient(x, t, g);
            }
            block().download();
            block().assertUntouchedBut(reduction, l);
            float[] expected = reduction == Reduction.NONE
                    ? new float[0]
                    : new float[] {reduction == Reduction.SUM ? 0f : Float.NaN};
            Bits.assertSame(reduction, expected, block().read(l));
        }
    }

    @Test
    void closedOperation() {
        CrossEntropy op = op(Reduction.NONE);
        op.close();
        op.close();
        refused(IllegalStateException.class, () -> op.lossAndGradient(logits, targets, loss, gradLogits),
                "CrossEntropy", "closed");
        refused(IllegalStateException.class, () -> op.loss(logits, targets, loss), "CrossEntropy", "closed");
        refused(IllegalStateException.class, () -> op.gradient(logits, targets, gradLogits), "CrossEntropy", "closed");
    }

    @Test
    void closedBackend() {
        Backend other = open();
        CrossEntropyOptions options = CrossEntropyOptions.defaults().withReduction(Reduction.NONE);
        CrossEntropy op = CrossEntropy.on(other, options);
        other.close();
        other.close();
        refused(IllegalStateException.class, () -> op.lossAndGradient(logits, targets, loss, gradLogits),
                other.name(), "closed");
        refused(IllegalStateException.class, () -> CrossEntropy.on(other, options), other.name(), "closed");
        op.close();
    }

    @Test
    void aStreamOfAnotherBackend() {
        try (Backend other = open()) {
            refused(IllegalArgumentException.class,
                    () -> CrossEntropy.on(backend(), CrossEntropyOptions.defaults(), other.defaultStream()),
                    "CrossEntropy.on", "stream");
        }
    }

    @Test
    void missingOperands() {
        Class<NullPointerException> type = NullPointerException.class;
        try (CrossEntropy op = op(Reduction.NONE)) {
            refused(type, () -> op.lossAndGradient(null, targets, loss, gradLogits));
            refused(type, () -> op.lossAndGradient(logits, null, loss, gradLogits));
            refused(type, () -> op.lossAndGradient(logits, targets, null, gradLogits), "loss");
            refused(type, () -> op.lossAndGradient(logits, targets, loss, null), "gradLogits");
            refused(type, () -> op.lossAndGradient(logits, targets, null, loss, gradLogits), "gradLoss");
        }
    }
}
