package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.CrossEntropyOptions.Denominator;
import dev.isobit.DType;
import dev.isobit.Memory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Cross-entropy with options where kernels run: the cpu backend's bits, of every type, and in shards of the classes. */
@GpuTest
class GpuGeneralCrossEntropyTest {
    private static final int SEGMENT = 8192;
    private static final CrossEntropyOptions NONE = CrossEntropyOptions.defaults().withReduction(Reduction.NONE);

    private Backend cuda;
    private Backend cpu;
    private final List<Memory> memories = new ArrayList<>();

    @BeforeEach
    void open() {
        cuda = Backend.open("cuda");
        cpu = Backend.open("cpu");
    }

    @AfterEach
    void close() {
        memories.forEach(Memory::close);
        memories.clear();
        cpu.close();
        cuda.close();
    }

    /** The same values in a backend's memory, so many bytes off a boundary there. */
    private Tensor place(Backend backend, Tensor host, long offset) {
        Tensor tensor;
        if (backend.usesHostMemory()) {
            tensor = Tensor.of(host.dtype(), MemorySegment.ofArray(new byte[(int) host.byteSize()]), host.shape());
        } else {
            Memory memory = backend.allocate(offset + host.byteSize());
            memories.add(memory);
            tensor = Tensor.of(host.dtype(), memory, offset, host.shape());
        }
        backend.copy(host, tensor);
        return tensor;
    }

    private static byte[] bytes(Backend backend, Tensor tensor) {
        byte[] found = new byte[(int) tensor.byteSize()];
        backend.copy(tensor, Tensor.of(tensor.dtype(), MemorySegment.ofArray(found), tensor.shape()));
        return found;
    }

    private static void assertSame(String what, Map<String, byte[]> expected, Map<String, byte[]> found) {
        assertEquals(expected.keySet(), found.keySet());
        expected.forEach((name, bytes) -> assertEquals(-1, Arrays.mismatch(bytes, found.get(name)),
                what + ": first byte of " + name + " that differs"));
    }

    /** Operands of one shape: rows with NaN, infinities and ties among others; ignored ones. */
    private final class Batch {
        final DType dtype;
        final int rows;
        final int classes;
        final boolean soft;
        final float[] logits;
        final float[] labels;
        final long[] targets;
        final float[] classWeights;
        final float[] weights;

        Batch(DType dtype, int rows, int classes, boolean soft) {
            this.dtype = dtype;
            this.rows = rows;
            this.classes = classes;
            this.soft = soft;
            Random random = new Random(classes + 7L * rows);
            logits = new float[rows * classes];
            labels = new float[rows * classes];
            targets = new long[rows];
            weights = new float[rows];
            classWeights = new float[classes];
            for (int i = 0; i < logits.length; i++) {
                int row = i / classes;
                float normal = (float) random.nextGaussian();
                logits[i] = row % 5 == 1 ? Math.round(normal) : row % 5 == 2 ? 20 * normal : 2 * normal;
                labels[i] = random.nextInt(3) == 0 ? 0 : random.nextFloat() / classes;
            }
            for (int row = 0; row < rows; row++) {
                targets[row] = row % 6 == 5 ? -100 : random.nextInt(classes);
                weights[row] = random.nextInt(4) == 0 ? 0 : 2 * random.nextFloat();
            }
            for (int k = 0; k < classes; k++) {
                classWeights[k] = random.nextInt(5) == 0 ? 0 : 2 * random.nextFloat();
            }
            if (rows > 4) {
                logits[3 * classes + random.nextInt(classes)] = Float.NaN;
                logits[4 * classes + random.nextInt(classes)] = Float.NEGATIVE_INFINITY;
            }
        }

        private float[] slice(float[] of, int from, int to) {
            float[] part = new float[rows * (to - from)];
            for (int row = 0; row < rows; row++) {
                System.arraycopy(of, row * classes + from, part, row * (to - from), to - from);
            }
            return part;
        }

        CrossEntropyOperands operands(Backend backend, CrossEntropyOptions options, int from, int to, long skip) {
            long size = dtype.byteSize();
            int count = to - from;
            Tensor x = place(backend, HostTensors.of(dtype, slice(logits, from, to), rows, count), skip * size);
            Tensor t = soft
                    ? place(backend, HostTensors.of(skip % 2 == 0 ? dtype : DType.F32, slice(labels, from, to), rows,
                            count), skip % 2 == 0 ? size : 4)
                    : place(backend, Tensor.of(targets, rows), 8);
            var operands = CrossEntropyOperands.of(x, t).withGradLossScale(0.7f);
            if (options.denominator() == Denominator.OPERAND) {
                operands = operands.withDenominator(place(backend, Tensor.of(new float[] {3}), 0));
            }
            return options.labelSmoothing() == 0
                    ? operands
                    : operands.withWeights(place(backend, Tensor.of(weights, rows), 4))
                            .withClassWeights(place(backend, Tensor.of(classWeights, classes), 4));
        }

        Tensor room(Backend backend, DType type, long skip, long... shape) {
            int count = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
            float[] before = new float[count];
            for (int i = 0; i < count; i++) {
                before[i] = (float) Math.cos(i);
            }
            Tensor host = type == DType.I64 ? Tensor.of(new long[count], shape) : HostTensors.of(type, before, shape);
            return place(backend, host, skip * type.byteSize());
        }

        /** Everything, loss and gradient apart and together, and in place. */
        Map<String, byte[]> all(Backend backend, CrossEntropyOptions options, long skip) {
            Map<String, byte[]> results = new LinkedHashMap<>();
            long[] lossShape = options.reduction() == Reduction.NONE ? new long[] {rows} : new long[0];
            try (CrossEntropy op = CrossEntropy.on(backend, options)) {
                var operands = operands(backend, options, 0, classes, skip);
                Tensor lse = room(backend, DType.F32, 1, rows);
                Tensor entropy = room(backend, DType.F32, 1, rows);
                Tensor argmax = room(backend, DType.I64, 1, rows);
                Tensor hits = room(backend, DType.I64, 1, 1);
                Tensor logProbabilities = room(backend, DType.F32, skip % 4, rows, classes);
                Tensor states = room(backend, DType.F32, 1, op.stateShape(operands));
                Tensor loss = room(backend, DType.F32, 1, lossShape);
                var wanted = operands.withLse(lse).withEntropy(entropy).withArgmax(argmax)
                        .withLogProbabilities(logProbabilities).withStates(states);
                op.loss(soft ? wanted : wanted.withHits(hits), loss);
                results.put("lse", bytes(backend, lse));
                results.put("entropy", bytes(backend, entropy));
                results.put("argmax", bytes(backend, argmax));
                results.put("hits", bytes(backend, hits));
                results.put("log-probabilities", bytes(backend, logProbabilities));
                results.put("states", bytes(backend, states));
                results.put("loss", bytes(backend, loss));
                Tensor gradient = room(backend, dtype, skip, rows, classes);
                op.gradient(operands, gradient);
                results.put("gradient", bytes(backend, gradient));
                Tensor fromStates = room(backend, dtype, 1, rows, classes);
                var saved = operands.withSavedStates(states).withArgmax(argmax).withLogProbabilities(logProbabilities);
                op.lossAndGradient(soft ? saved : saved.withHits(hits), loss, fromStates);
                results.put("loss from states", bytes(backend, loss));
                results.put("gradient from states", bytes(backend, fromStates));
                results.put("argmax from states", bytes(backend, argmax));
                results.put("hits from states", bytes(backend, hits));
                results.put("log-probabilities from states", bytes(backend, logProbabilities));
                if (!options.accumulate()) {
                    op.lossAndGradient(operands, loss, operands.logits());
                    results.put("in place", bytes(backend, operands.logits()));
                }
            }
            return results;
        }

        /** By shards: the results of all ranks. */
        Map<String, byte[]> shards(Backend backend, CrossEntropyOptions options, long[] boundaries) {
            int segments = Math.ceilDiv(classes, SEGMENT);
            int ranks = boundaries.length - 1;
            float[] states = new float[rows * segments * 7];
            float[] targetLogits = new float[rows];
            Map<String, byte[]> results = new LinkedHashMap<>();
            long[] lossShape = options.reduction() == Reduction.NONE ? new long[] {rows} : new long[0];
            try (CrossEntropy op = CrossEntropy.on(backend, options)) {
                for (int rank = 0; rank < ranks; rank++) {
                    int from = (int) boundaries[rank];
                    var shard = operands(backend, options, from, (int) boundaries[rank + 1], rank)
                            .withShard(from, classes);
                    Tensor part = room(backend, DType.F32, 1, op.stateShape(shard));
                    Tensor own = room(backend, DType.F32, 0, rows);
                    var asked = shard.withStates(part).withEntropy(room(backend, DType.F32, 0, rows))
                            .withArgmax(room(backend, DType.I64, 0, rows));
                    op.states(soft ? asked : asked.withTargetLogits(own));
                    float[] found = floats(bytes(backend, part));
                    System.arraycopy(found, 0, states, from / SEGMENT * rows * 7, found.length);
                    for (int row = 0; row < rows; row++) {
                        targetLogits[row] += soft ? 0 : floats(bytes(backend, own))[row];
                    }
                }
                for (int rank = 0; rank < ranks; rank++) {
                    int from = (int) boundaries[rank];
                    int to = (int) boundaries[rank + 1];
                    var shard = operands(backend, options, from, to, rank).withShard(from, classes)
                            .withSavedStates(place(backend, Tensor.of(states, segments, rows, 7), 4));
                    shard = soft
                            ? shard
                            : shard.withSavedTargetLogits(place(backend, Tensor.of(targetLogits, rows), 4));
                    Tensor entropy = room(backend, DType.F32, 0, rows);
                    Tensor loss = room(backend, DType.F32, 1, lossShape);
                    Tensor gradient = place(backend,
                            HostTensors.of(dtype, new float[rows * (to - from)], rows, to - from), 0);
                    Tensor argmax = room(backend, DType.I64, 0, rows);
                    Tensor logProbabilities = room(backend, DType.F32, 1, rows, to - from);
                    op.lossAndGradient(shard.withEntropy(entropy).withArgmax(argmax)
                            .withLogProbabilities(logProbabilities), loss, gradient);
                    results.put("argmax of " + rank, bytes(backend, argmax));
                    results.put("log-probabilities of " + rank, bytes(backend, logProbabilities));
                    results.put("loss of " + rank, bytes(backend, loss));
                    results.put("entropy of " + rank, bytes(backend, entropy));
                    results.put("gradient of " + rank, bytes(backend, gradient));
                }
            }
            return results;
        }

        /** What the ranks ought to find, of the loss and gradient in one piece. */
        Map<String, byte[]> pieces(CrossEntropyOptions options, long[] boundaries) {
            Map<String, byte[]> results = new LinkedHashMap<>();
            Tensor loss = room(cpu, DType.F32, 0, options.reduction() == Reduction.NONE
                    ? new long[] {rows}
                    : new long[0]);
            Tensor entropy = room(cpu, DType.F32, 0, rows);
            Tensor gradient = HostTensors.of(dtype, new float[rows * classes], rows, classes);
            Tensor argmax = room(cpu, DType.I64, 0, rows);
            Tensor logProbabilities = room(cpu, DType.F32, 0, rows, classes);
            try (CrossEntropy op = CrossEntropy.on(cpu, options)) {
                // The labels are those of the first rank.
                op.lossAndGradient(operands(cpu, options, 0, classes, 1).withEntropy(entropy).withArgmax(argmax)
                        .withLogProbabilities(logProbabilities), loss, gradient);
            }
            float[] logarithms = HostTensors.floats(logProbabilities);
            float[] all = HostTensors.floats(gradient);
            for (int rank = 0; rank < boundaries.length - 1; rank++) {
                int from = (int) boundaries[rank];
                int to = (int) boundaries[rank + 1];
                results.put("argmax of " + rank, bytes(cpu, argmax));
                results.put("log-probabilities of " + rank,
                        bytes(cpu, Tensor.of(slice(logarithms, from, to), rows, to - from)));
                results.put("loss of " + rank, bytes(cpu, loss));
                results.put("entropy of " + rank, bytes(cpu, entropy));
                results.put("gradient of " + rank,
                        bytes(cpu, HostTensors.of(dtype, slice(all, from, to), rows, to - from)));
            }
            return results;
        }
    }

    private static float[] floats(byte[] bytes) {
        return MemorySegment.ofArray(bytes).toArray(java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED);
    }

    private static List<CrossEntropyOptions> options() {
        return List.of(NONE, CrossEntropyOptions.defaults().withLabelSmoothing(0.1).withZLoss(1e-3),
                CrossEntropyOptions.defaults().withReduction(Reduction.SUM).withSoftcap(20).withScale(1.3)
                        .withAccumulate(true),
                CrossEntropyOptions.defaults().withDenominator(Denominator.OPERAND));
    }

    /** Both sides of the bound between the kernels, of a pack, of the lanes, of a segment; at any alignment. */
    @ParameterizedTest
    @ValueSource(ints = {1, 7, 32, 33, 41, 1000, 1025, 2051, 8195})
    void theCpusBitsOfEveryType(int classes) {
        int i = classes;
        for (DType dtype : List.of(DType.F32, DType.BF16, DType.F16)) {
            for (CrossEntropyOptions options : options()) {
                if (classes > 2000 && (i + classes) % 3 != 0) {
                    i++;
                    continue;
                }
                Batch batch = new Batch(dtype, classes > 2000 ? 2 : classes > 500 ? 5 : 9, classes, i % 3 == 0);
                assertSame(dtype + " " + options, batch.all(cpu, options, i % 8), batch.all(cuda, options, i % 8));
                i++;
            }
        }
    }

    /** More rows than a segment of them has, whose weights are summed: what each block joins anew. */
    @Test
    void manyRows() {
        Batch batch = new Batch(DType.BF16, SEGMENT + 3, 2, false);
        assertSame("", batch.all(cpu, options().get(1), 0), batch.all(cuda, options().get(1), 0));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3})
    void ranksHaveTheBitsOfOne(int ranks) {
        int classes = 2 * SEGMENT + 13;
        int i = 0;
        for (DType dtype : List.of(DType.F32, DType.F16)) {
            for (CrossEntropyOptions options : options().subList(0, 2)) {
                Batch batch = new Batch(dtype, 3, classes, false);
                long[] boundaries = CrossEntropy.shardBoundaries(classes, ranks);
                assertSame(dtype + " " + options, batch.pieces(options, boundaries),
                        batch.shards(i++ % 2 == 0 ? cuda : cpu, options, boundaries));
                assertSame(dtype + " " + options, batch.shards(cpu, options, boundaries),
                        batch.shards(cuda, options, boundaries));
            }
        }
    }
}
