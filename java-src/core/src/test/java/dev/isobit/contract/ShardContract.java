package dev.isobit.contract;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Cross-entropy whose classes are split over ranks: the bits that it has in one piece, for any split. */
public abstract class ShardContract extends BackendContract {
    private static final int SEGMENT = 8192;
    private static final int STATE = 7;
    private static final int PADDING = 3;
    private static final float NAN = Float.NaN;
    private static final CrossEntropyOptions NONE = CrossEntropyOptions.defaults().withReduction(Reduction.NONE);

    /** For subclasses. */
    protected ShardContract() {}

    /**
     * Types of logits with which a backend takes options.
     *
     * @return types
     */
    protected List<DType> dtypes() {
        return List.of(DType.F32, DType.BF16, DType.F16);
    }

    /** What comes of one call, or of all ranks. */
    private record Outcome(float[] loss, float[] lse, float[] entropy, long[] argmax, long[] hits, float[] gradLogits,
            float[] logProbabilities) {
        void assertSame(String what, Outcome found) {
            Bits.assertSame(what + " loss", loss, found.loss);
            Bits.assertSame(what + " lse", lse, found.lse);
            Bits.assertSame(what + " entropy", entropy, found.entropy);
            assertArrayEquals(argmax, found.argmax, what + " argmax");
            assertArrayEquals(hits, found.hits, what + " hits");
            Bits.assertSame(what + " gradient", gradLogits, found.gradLogits);
            Bits.assertSame(what + " log-probabilities", logProbabilities, found.logProbabilities);
        }
    }

    /** Rows of every kind, whose targets are in every segment; some are ignored. */
    private final class Batch {
        final CrossEntropyOptions options;
        final DType dtype;
        final int classes;
        final int inner;
        final int rows;
        final boolean soft;
        final float[] logits;
        final float[] labels;
        final long[] targets;
        final float[] classWeights;
        final float[] weights;
        final float[] gradLoss;
        final float[] previous;

        Batch(CrossEntropyOptions options, DType dtype, int classes, int inner, boolean soft, boolean weighted) {
            this.options = options;
            this.dtype = dtype;
            this.classes = classes;
            this.inner = inner;
            this.soft = soft;
            SplittableRandom random = new SplittableRandom(classes + inner);
            LogitsKind[] kinds = LogitsKind.values();
            rows = inner * Math.ceilDiv(kinds.length + 1, inner);
            logits = new float[rows * classes];
            labels = new float[rows * classes];
            previous = new float[rows * classes];
            targets = new long[rows];
            weights = weighted ? random(random, rows) : null;
            classWeights = weighted ? random(random, classes) : null;
            gradLoss = random(random, rows);
            float[] row = new float[classes];
            int segments = Math.ceilDiv(classes, SEGMENT);
            for (int r = 0; r < rows; r++) {
                kinds[r % kinds.length].fill(row, random);
                if (r == kinds.length) {
                    Arrays.fill(row, 0, Math.min(SEGMENT, classes - 1), Float.NEGATIVE_INFINITY);
                }
                int segment = r % segments * SEGMENT;
                int end = Math.min(segment + SEGMENT, classes);
                targets[r] = r % 4 == 0 ? segment : r % 4 == 1 ? end - 1 : segment + random.nextInt(end - segment);
                targets[r] = r % 6 == 5 ? options.ignoreIndex() : targets[r];
                for (int k = 0; k < classes; k++) {
                    logits[at(r, k, classes)] = row[k];
                    labels[at(r, k, classes)] = random.nextInt(3) == 0 ? 0 : (float) random.nextDouble() / classes;
                    previous[at(r, k, classes)] = (float) random.nextDouble();
                }
            }
        }

        private static float[] random(SplittableRandom random, int count) {
            float[] values = new float[count];
            for (int i = 0; i < count; i++) {
                values[i] = i % 7 == 3 ? 0 : (float) random.nextDouble() * 2;
            }
            return values;
        }

        int at(int row, int k, int stride) {
            return (row / inner * stride + k) * inner + row % inner;
        }

        /** Some classes of what has the shape of logits, NaN behind them. */
        float[] slice(float[] all, int from, int to, int stride) {
            float[] part = new float[rows * stride];
            Arrays.fill(part, NAN);
            for (int r = 0; r < rows; r++) {
                for (int k = from; k < to; k++) {
                    part[at(r, k - from, stride)] = all[at(r, k, classes)];
                }
            }
            return part;
        }

        long[] rowShape() {
            return inner == 1 ? new long[] {rows} : new long[] {rows / inner, inner};
        }

        long[] shape(int stride) {
            return inner == 1 ? new long[] {rows, stride} : new long[] {rows / inner, stride, inner};
        }

        long[] lossShape() {
            return options.reduction() == Reduction.NONE ? rowShape() : new long[0];
        }

        /** Logits, targets and weights in the block; the classes of [from, to) and padding. */
        CrossEntropyOperands operands(int from, int to, int stride) {
            block().begin(44L * rows * stride + 8L * classes + 256L * rows * Math.ceilDiv(classes, SEGMENT) + 4096, 24);
            Tensor x = block().floats(dtype, slice(logits, from, to, stride), 3, shape(stride));
            Tensor t = soft
                    ? block().floats(slice(labels, from, to, stride), 1, shape(stride))
                    : block().indices(DType.I64, targets, 1, rowShape());
            var operands = CrossEntropyOperands.of(x, t).withGradLoss(options.reduction() == Reduction.NONE
                    ? block().floats(gradLoss, 1, rowShape())
                    : block().floats(new float[] {0.3f}, 1));
            if (weights != null) {
                operands = operands.withWeights(block().floats(weights, 1, rowShape()))
                        .withClassWeights(block().floats(classWeights, 5, classes));
            }
            return options.denominator() == Denominator.OPERAND
                    ? operands.withDenominator(block().floats(new float[] {7}, 0))
                    : operands;
        }

        /** What the operands make, with the states of shards or without. */
        Outcome call(CrossEntropy op, CrossEntropyOperands operands, int from, int to, int stride) {
            Tensor lse = block().room(DType.F32, 1, rowShape());
            Tensor entropy = block().room(DType.F32, 0, rowShape());
            Tensor loss = block().room(DType.F32, 3, lossShape());
            float[] before = slice(previous, from, to, stride);
            for (int i = 0; i < before.length; i++) {
                before[i] = before[i] != before[i] ? 0 : before[i];
            }
            Tensor gradLogits = block().floats(dtype, before, 1, shape(stride));
            Tensor argmax = block().room(DType.I64, 0, rowShape());
            Tensor hits = block().room(DType.I64, 1);
            Tensor logProbabilities = block().room(DType.F32, 3, shape(stride));
            block().upload();
            var asked = operands.withLse(lse).withEntropy(entropy).withArgmax(argmax)
                    .withLogProbabilities(logProbabilities);
            op.lossAndGradient(soft ? asked : asked.withHits(hits), loss, gradLogits);
            block().download();
            List<Tensor> written = new ArrayList<>(List.of(lse, entropy, argmax, logProbabilities, loss, gradLogits));
            if (!soft) {
                written.add(hits);
            }
            block().assertUntouchedBut(options, written.toArray(Tensor[]::new));
            return new Outcome(block().read(loss), block().read(lse), block().read(entropy), block().readLongs(argmax),
                    soft ? new long[0] : block().readLongs(hits), block().read(gradLogits),
                    block().read(logProbabilities));
        }

        Outcome whole(CrossEntropy op) {
            return call(op, operands(0, classes, classes), 0, classes, classes);
        }

        /** By as many ranks as there are boundaries, less one; the last has padding. */
        Outcome split(CrossEntropy op, long[] boundaries) {
            int ranks = boundaries.length - 1;
            int segments = Math.ceilDiv(classes, SEGMENT);
            float[] states = new float[rows * segments * STATE];
            float[] targetLogits = new float[rows];
            for (int rank = 0; rank < ranks; rank++) {
                int from = (int) boundaries[rank];
                int to = (int) boundaries[rank + 1];
                int stride = to - from + (rank == ranks - 1 ? PADDING : 0);
                var operands = operands(from, to, stride).withShard(from, classes);
                Tensor entropy = block().room(DType.F32, 1, rowShape());
                Tensor argmax = block().room(DType.I64, 1, rowShape());
                Tensor part = block().room(DType.F32, 1, op.stateShape(operands));
                Tensor own = block().room(DType.F32, 1, rowShape());
                block().upload();
                var asked = operands.withEntropy(entropy).withArgmax(argmax).withStates(part);
                op.states(soft ? asked : asked.withTargetLogits(own));
                block().download();
                block().assertUntouchedBut(options, soft ? new Tensor[] {part} : new Tensor[] {part, own});
                float[] found = block().read(part);
                assertEquals(Math.ceilDiv(to - from, SEGMENT) * rows * STATE, found.length);
                System.arraycopy(found, 0, states, from / SEGMENT * rows * STATE, found.length);
                for (int r = 0; r < rows; r++) {
                    targetLogits[r] += soft ? 0 : block().read(own)[r];
                }
            }
            Outcome joined = null;
            float[] gradient = new float[rows * classes];
            float[] logProbabilities = new float[rows * classes];
            for (int rank = 0; rank < ranks; rank++) {
                int from = (int) boundaries[rank];
                int to = (int) boundaries[rank + 1];
                int stride = to - from + (rank == ranks - 1 ? PADDING : 0);
                var operands = operands(from, to, stride).withShard(from, classes)
                        .withSavedStates(block().floats(states, 1, savedShape(segments)));
                operands = soft
                        ? operands
                        : operands.withSavedTargetLogits(block().floats(targetLogits, 1, rowShape()));
                Outcome found = call(op, operands, from, to, stride);
                for (int r = 0; r < rows; r++) {
                    for (int k = 0; k < stride; k++) {
                        float g = found.gradLogits[at(r, k, stride)];
                        float lp = found.logProbabilities[at(r, k, stride)];
                        if (from + k < classes) {
                            gradient[at(r, from + k, classes)] = g;
                            logProbabilities[at(r, from + k, classes)] = lp;
                        } else {
                            assertEquals(0, g, "padding");
                            assertEquals(Float.NEGATIVE_INFINITY, lp, "padding");
                        }
                    }
                }
                Outcome mine = new Outcome(found.loss, found.lse, found.entropy, found.argmax, found.hits, gradient,
                        logProbabilities);
                if (joined != null) {
                    joined.assertSame(options + ", rank " + rank, mine);
                }
                joined = mine;
            }
            return joined;
        }

        private long[] savedShape(int segments) {
            long[] shape = new long[rowShape().length + 2];
            shape[0] = segments;
            System.arraycopy(rowShape(), 0, shape, 1, rowShape().length);
            shape[shape.length - 1] = STATE;
            return shape;
        }
    }

    private static List<CrossEntropyOptions> options() {
        return List.of(NONE, CrossEntropyOptions.defaults(), NONE.withLabelSmoothing(0.1).withZLoss(1e-3),
                CrossEntropyOptions.defaults().withLabelSmoothing(0.2).withSoftcap(30).withScale(1.3)
                        .withIgnoreIndex(0),
                CrossEntropyOptions.defaults().withReduction(Reduction.SUM).withZLoss(0.1).withAccumulate(true),
                CrossEntropyOptions.defaults().withDenominator(Denominator.OPERAND));
    }

    /** Five segments, the last of them short. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5})
    void ranksHaveTheBitsOfOne(int ranks) {
        int classes = 4 * SEGMENT + 232;
        int i = 0;
        for (CrossEntropyOptions options : options()) {
            try (CrossEntropy op = CrossEntropy.on(backend(), options)) {
                for (DType dtype : dtypes()) {
                    Batch batch = new Batch(options, dtype, classes, 1, i % 4 == 3, i % 2 == 0);
                    i++;
                    batch.whole(op).assertSame(options + " of " + dtype,
                            batch.split(op, CrossEntropy.shardBoundaries(classes, ranks)));
                }
            }
        }
    }

    /** Splits that nobody would call even, and [N, C, d]. */
    @Test
    void anySplitHasTheBitsOfOne() {
        long[][] splits = {{0, SEGMENT, 2 * SEGMENT + 1}, {0, 2 * SEGMENT, 2 * SEGMENT + 1}};
        for (boolean soft : new boolean[] {false, true}) {
            for (int inner : new int[] {1, 3}) {
                CrossEntropyOptions options = options().get(2);
                Batch batch = new Batch(options, DType.F32, 2 * SEGMENT + 1, inner, soft, true);
                try (CrossEntropy op = CrossEntropy.on(backend(), options)) {
                    for (long[] split : splits) {
                        batch.whole(op).assertSame(Arrays.toString(split) + inner, batch.split(op, split));
                    }
                }
            }
        }
    }

    /** The gradient of a shard needs no logit that the shard does not have, and whole rows none that was saved. */
    @Test
    void whatStatesAloneGive() {
        int classes = SEGMENT + 5;
        Batch batch = new Batch(NONE, DType.F32, classes, 1, false, true);
        try (CrossEntropy op = CrossEntropy.on(backend(), NONE)) {
            Outcome whole = batch.whole(op);
            var operands = batch.operands(0, classes, classes);
            Tensor states = block().room(DType.F32, 0, op.stateShape(operands));
            Tensor own = block().room(DType.F32, 0, batch.rows);
            Tensor loss = block().room(DType.F32, 0, batch.rows);
            Tensor lse = block().room(DType.F32, 0, batch.rows);
            Tensor gradLogits = block().room(DType.F32, 0, batch.rows, SEGMENT);
            Tensor shard = block().floats(batch.slice(batch.logits, 0, SEGMENT, SEGMENT), 0, batch.rows, SEGMENT);
            block().upload();
            op.states(operands.withStates(states).withTargetLogits(own));
            op.loss(operands.withSavedStates(states).withLse(lse), loss);
            op.gradient(new CrossEntropyOperands(shard, operands.targets(), operands.classWeights(),
                    operands.weights(), operands.gradLoss(), 1, null, null, null, null, null, null, null, null, states,
                    null, new CrossEntropyOperands.Shard(0, classes)), gradLogits);
            block().download();
            Bits.assertSame("loss", whole.loss, block().read(loss));
            Bits.assertSame("lse", whole.lse, block().read(lse));
            Bits.assertSame("gradient", batch.slice(whole.gradLogits, 0, SEGMENT, SEGMENT), block().read(gradLogits));
            float[] logits = block().read(own);
            for (int r = 0; r < batch.rows; r++) {
                float expected = batch.targets[r] < 0 ? 0 : batch.logits[r * classes + (int) batch.targets[r]];
                Bits.assertSame("row " + r, new float[] {expected}, new float[] {logits[r]});
            }
        }
    }

    @Test
    void splitsThatCannotBeJoined() {
        int rows = 2;
        int all = 2 * SEGMENT + 5;
        block().begin(16L * rows * all, 12);
        Tensor logits = block().floats(new float[rows * SEGMENT], 0, rows, SEGMENT);
        Tensor inside = block().floats(new float[rows * 100], 0, rows, 100);
        Tensor targets = block().indices(DType.I64, new long[rows], 0);
        Tensor part = block().room(DType.F32, 0, 1, rows, STATE);
        Tensor states = block().room(DType.F32, 0, 3, rows, STATE);
        Tensor targetLogits = block().room(DType.F32, 0, rows);
        Tensor loss = block().room(DType.F32, 0, rows);
        Tensor gradLogits = block().room(DType.F32, 0, rows, SEGMENT);
        var operands = CrossEntropyOperands.of(logits, targets);
        var shard = operands.withShard(SEGMENT, all);
        try (CrossEntropy op = CrossEntropy.on(backend(), NONE);
                CrossEntropy padded = CrossEntropy.on(backend(), NONE.withClasses(7))) {
            for (long first : new long[] {-SEGMENT, 1, SEGMENT - 1, 3 * SEGMENT}) {
                refused(IllegalArgumentException.class,
                        () -> op.states(operands.withShard(first, all).withStates(part)), "CrossEntropy.states",
                        "from class " + first, "of " + all, "8192", "shardBoundaries");
            }
            refused(IllegalArgumentException.class,
                    () -> op.states(CrossEntropyOperands.of(inside, targets).withShard(SEGMENT, all).withStates(part)),
                    "CrossEntropy.states", "classes 8192 to 8292 of " + all, "ends", "shardBoundaries");
            refused(IllegalArgumentException.class, () -> padded.states(shard.withStates(part)), "options say 7");
            refused(IllegalArgumentException.class, () -> op.states(shard), "CrossEntropy.states", "no states");
            refused(IllegalArgumentException.class, () -> op.states(shard.withStates(states)), "states",
                    "[3, 2, 7]");
            refused(IllegalArgumentException.class, () -> op.loss(shard, loss), "CrossEntropy.loss", "savedStates");
            refused(IllegalArgumentException.class, () -> op.gradient(shard.withSavedStates(part), gradLogits),
                    "CrossEntropy.gradient", "savedStates", "[1, 2, 7]", "all shards");
            refused(IllegalArgumentException.class, () -> op.loss(shard.withSavedStates(states), loss),
                    "savedTargetLogits");
            var saved = shard.withSavedStates(states).withSavedTargetLogits(targetLogits);
            refused(IllegalArgumentException.class, () -> op.loss(saved, targetLogits), "loss", "savedTargetLogits",
                    "overlaps");
            refused(IllegalArgumentException.class, () -> op.loss(saved.withTargetLogits(loss), loss),
                    "targetLogits is asked for");
            refused(IllegalArgumentException.class,
                    () -> op.loss(shard.withSavedTargetLogits(targetLogits), loss), "savedStates");
            refused(IllegalArgumentException.class,
                    () -> op.states(CrossEntropyOperands.of(logits, gradLogits).withShard(0, all).withStates(part)
                            .withTargetLogits(loss)),
                    "targetLogits are those of class indices");
            refused(IllegalArgumentException.class,
                    () -> op.states(operands.withShard(0, all).withStates(part)
                            .withClassWeights(Tensor.of(DType.F32, logits.memory(), logits.byteOffset(), SEGMENT))),
                    "classWeights", "[8192]");
        }
    }

    @Test
    void boundaries() {
        assertArrayEquals(new long[] {0, 50257}, CrossEntropy.shardBoundaries(50257, 1));
        assertArrayEquals(new long[] {0, 24576, 50257}, CrossEntropy.shardBoundaries(50257, 2));
        assertArrayEquals(new long[] {0, 16384, 32768, 50257}, CrossEntropy.shardBoundaries(50257, 3));
        assertArrayEquals(new long[] {0, 1}, CrossEntropy.shardBoundaries(1, 1));
        assertArrayEquals(new long[] {0, 8192, 8193}, CrossEntropy.shardBoundaries(8193, 2));
        for (long classes : new long[] {8192, 128256, 151936, 262144, 262145}) {
            int segments = (int) Math.ceilDiv(classes, SEGMENT);
            for (int ranks = 1; ranks <= segments; ranks++) {
                long[] found = CrossEntropy.shardBoundaries(classes, ranks);
                long most = SEGMENT * Math.ceilDiv((long) segments, ranks);
                for (int r = 0; r < ranks; r++) {
                    assertTrue(found[r] % SEGMENT == 0 && found[r + 1] > found[r] && found[r + 1] - found[r] <= most,
                            Arrays.toString(found));
                }
                assertEquals(classes, found[ranks]);
            }
        }
        for (int[] wrong : new int[][] {{0, 1}, {8192, 2}, {50257, 8}, {100, 0}, {100, -1}}) {
            var thrown = assertThrows(IllegalArgumentException.class,
                    () -> CrossEntropy.shardBoundaries(wrong[0], wrong[1]));
            assertTrue(thrown.getMessage().contains(wrong[0] + " classes")
                    && thrown.getMessage().contains(wrong[1] + " ranks"), thrown.getMessage());
        }
    }
}
