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
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Gradients that no cache holds are made in scratch memory: they are those of each row by itself. */
class CpuLargeGradientTest {
    /** Of whole copies and what is left of them; a row longer than a copy; in place, which goes the direct way. */
    @ParameterizedTest
    @CsvSource({"F32, 1, 67, 131077, false", "F32, 3, 530, 16400, false", "F32, 2, 12, 800001, false",
        "F32, 3, 530, 16400, true", "BF16, 2, 530, 16400, false", "F16, 1, 67, 131077, false",
        "BF16, 1, 530, 16400, true"})
    void itsRowsAreThoseOfSmallCalls(DType type, int threads, int rows, int classes, boolean inPlace) {
        try (Arena arena = Arena.ofShared();
                Backend cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(threads));
                CrossEntropy op = CrossEntropy.on(cpu,
                        CrossEntropyOptions.defaults().withReduction(Reduction.NONE).withIgnoreIndex(-1))) {
            long bytes = (long) type.byteSize() * classes;
            MemorySegment logits = arena.allocate(rows * bytes, 64);
            MemorySegment grad = inPlace ? logits : arena.allocate(rows * bytes, 64).fill((byte) 0x5a);
            float[] losses = new float[rows];
            float[] expectedLosses = new float[rows];
            long[] targets = new long[rows];
            Random random = new Random(classes);
            for (long i = 0; i < (long) rows * classes; i++) {
                set(logits, type, i, random.nextFloat(-6, 6));
            }
            for (int row = 0; row < rows; row++) {
                targets[row] = row % 7 == 3 ? -1 : random.nextInt(classes);
            }
            set(logits, type, 5L * classes + 9000, Float.NaN);
            set(logits, type, 6L * classes + 12, Float.NEGATIVE_INFINITY);
            MemorySegment expected = arena.allocate(rows * bytes, 64);
            for (int row = 0; row < rows; row++) {
                Tensor x = Tensor.of(type, HostMemory.of(logits.asSlice(row * bytes, bytes)), 0, 1, classes);
                Tensor g = Tensor.of(type, HostMemory.of(expected.asSlice(row * bytes, bytes)), 0, 1, classes);
                float[] loss = new float[1];
                op.lossAndGradient(x, Tensor.of(new long[] {targets[row]}, 1), Tensor.of(loss, 1), g);
                expectedLosses[row] = loss[0];
            }
            op.lossAndGradient(Tensor.of(type, HostMemory.of(logits), 0, rows, classes), Tensor.of(targets, rows),
                    Tensor.of(losses, rows), Tensor.of(type, HostMemory.of(grad), 0, rows, classes));
            for (int row = 0; row < rows; row++) {
                assertEquals(Float.floatToRawIntBits(expectedLosses[row]), Float.floatToRawIntBits(losses[row]),
                        "loss of row " + row);
            }
            assertEquals(-1, expected.mismatch(grad), "the first other byte of the gradient");
            assertNotEquals(0, losses[0]);
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
