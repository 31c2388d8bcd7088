package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.contract.Rounded;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * While a segment's exponentials are computed, the maximum of the next one is found, of the next row's first one as well; or those
 * of some segments are found before. Either way rows have the bits that each has by itself, where nothing is looked ahead at but its own segments, and float32 goes by
 * scalar code.
 */
class CpuLookAheadTest {
    /** So many rows are of as many kinds. */
    private static final int KINDS = 24;
    /** The ones without anything particular. */
    private static final int[] ORDINARY = {0, 2, 6, 11, 15, 20, 22, 23};

    /**
     * Segments that are followed by longer and by shorter ones, by ones without a whole vector, and by none. Gradients of short
     * rows in more bytes than a cache has are written from each row's beginning, others from its end.
     */
    @ParameterizedTest
    @CsvSource({"F32, 1, 24, 8192, false", "F32, 1, 24, 8193, false", "F32, 1, 24, 16399, true",
        "F32, 2, 24, 9000, false",
        "F32, 3, 24, 20001, true", "F32, 1, 24, 1040, false", "F32, 1, 24, 1025, true", "F32, 1, 24, 1000, true",
        "F32, 2, 24, 100, false",
        "BF16, 1, 24, 8193, false", "BF16, 2, 24, 16420, true", "BF16, 1, 24, 9000, false", "BF16, 1, 24, 1024, true",
        "F16, 1, 24, 16420, false", "F16, 2, 24, 9001, true", "F16, 1, 24, 1040, false", "F32, 2, 1100, 1000, false",
        "F32, 1, 1030, 1024, true", "F32, 2, 11000, 100, true",
        "F32, 1, 24, 513, false", "F32, 1, 24, 544, true", "F32, 2, 24, 767, true", "F32, 1, 24, 1023, false",
        "F32, 1, 24, 1024, true",
        "BF16, 2, 2200, 1000, false", "BF16, 1, 2100, 1024, true"})
    void rowsHaveTheBitsThatEachHasByItself(DType type, int threads, int rows, int classes, boolean inPlace) {
        try (Arena arena = Arena.ofShared();
                Backend cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
                CrossEntropy op = CrossEntropy.on(cpu,
                        CrossEntropyOptions.defaults().withReduction(Reduction.NONE).withIgnoreIndex(-1))) {
            long bytes = (long) type.byteSize() * classes;
            MemorySegment logits = arena.allocate(rows * bytes, 64);
            MemorySegment grad = inPlace ? logits : arena.allocate(rows * bytes, 64).fill((byte) 0x5a);
            long[] targets = targets(rows, classes);
            fill(logits, type, rows, classes);
            float[] losses = new float[rows];
            float[] expectedLosses = new float[rows];
            MemorySegment expected = arena.allocate(rows * bytes, 64);
            for (int row = 0; row < rows; row++) {
                MemorySegment alone = MemorySegment.ofArray(new byte[(int) bytes]);
                alone.copyFrom(logits.asSlice(row * bytes, bytes));
                MemorySegment gradient = MemorySegment.ofArray(new byte[(int) bytes]);
                float[] loss = new float[1];
                op.lossAndGradient(Tensor.of(type, HostMemory.of(alone), 0, 1, classes),
                        Tensor.of(new long[] {targets[row]}, 1), Tensor.of(loss, 1),
                        Tensor.of(type, HostMemory.of(gradient), 0, 1, classes));
                expectedLosses[row] = loss[0];
                expected.asSlice(row * bytes, bytes).copyFrom(gradient);
            }
            // Runs of rows go one way or the other by turns, however many runs a call has: so each row goes both.
            for (int call = 0; call < 4; call++) {
                fill(logits, type, rows, classes);
                int count = call == 2 ? 1 : rows;
                op.lossAndGradient(Tensor.of(type, HostMemory.of(logits), 0, count, classes), Tensor.of(targets, count),
                        Tensor.of(losses, count), Tensor.of(type, HostMemory.of(grad), 0, count, classes));
                for (int row = 0; row < count; row++) {
                    assertEquals(Float.floatToRawIntBits(expectedLosses[row]), Float.floatToRawIntBits(losses[row]),
                            "loss of row " + row + ", call " + call);
                }
                assertEquals(-1,
                        expected.asSlice(0, count * bytes).mismatch(grad.asSlice(0, count * bytes)),
                        "the first other byte of the gradient, call " + call);
                Arrays.fill(losses, 0);
                grad.fill((byte) 0x5a);
            }
            assertNotEquals(0, expectedLosses[0]);
        }
    }

    private static long[] targets(int rows, int classes) {
        Random random = new Random(classes);
        long[] targets = new long[rows];
        for (int row = 0; row < rows; row++) {
            targets[row] = row % 7 == 3 ? -1 : random.nextInt(classes);
        }
        return targets;
    }

    /** Rows of what the maximum's short cut does not hold for stand before and behind ordinary ones. */
    private static void fill(MemorySegment logits, DType type, int rows, int classes) {
        Random random = new Random(classes + 1);
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < classes; i++) {
                float z = random.nextFloat(-6, 6);
                set(logits, type, (long) row * classes + i, switch (row % KINDS) {
                    case 1 -> z - 100;
                    case 4 -> i < classes / 2 ? z - 100 : z;
                    case 5 -> i < classes / 2 ? Float.NEGATIVE_INFINITY : z;
                    case 8 -> i % 2 == 0 ? -0f : 0f;
                    case 9 -> -0f;
                    case 14 -> i >= classes / 2 ? z - 1000 : z;
                    case 19 -> Float.NEGATIVE_INFINITY;
                    default -> z;
                });
            }
        }
        int vector = 64 / type.byteSize();
        for (long first = 0; first + KINDS <= rows; first += KINDS) {
            // The greatest is in each vector of eight, which is what a turn takes at most; a maximum without it would not do.
            for (int k = 0; k < ORDINARY.length; k++) {
                set(logits, type, (first + ORDINARY[k]) * classes + (k * vector + 5) % classes, 200);
            }
            // The greatest of its row and segment is the last one.
            set(logits, type, (first + 7) * classes - 1, 50);
            set(logits, type, (first + 12) * classes + classes * 3L / 4, Float.NaN);
            set(logits, type, (first + 13) * classes + 2, Float.intBitsToFloat(0xffc00000));
            set(logits, type, (first + 16) * classes + classes * 3L / 4, Float.POSITIVE_INFINITY);
            set(logits, type, (first + 18) * classes + 1, Float.NEGATIVE_INFINITY);
            set(logits, type, (first + 21) * classes, Float.NaN);
        }
    }

    private static void set(MemorySegment memory, DType type, long i, float value) {
        if (type == DType.F32) {
            memory.setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
        } else {
            memory.setAtIndex(ValueLayout.JAVA_SHORT, i, Rounded.bits(type, value));
        }
    }
}
