package dev.isobit.cpu;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.Backend;
import dev.isobit.CrossEntropy;
import dev.isobit.CrossEntropyOperands;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.NllLoss;
import dev.isobit.NllLossOperands;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** More than 2^31 elements, of a file with holes: what nobody writes takes no room. */
@EnabledOnOs(value = OS.LINUX, disabledReason = "files have holes there")
class CpuFarRowsTest {
    private static final long STRIDE = 1L << 30;
    private static final int ROWS = 4;

    @TempDir
    private Path folder;

    /** Rows of three classes, so far apart. */
    @Test
    void crossEntropyOfPaddedRows() throws IOException {
        float[][] rows = {{1, 2, 3}, {0, 0, 5}, {-1, 4, 2}, {7, 7, 7}};
        long[] targets = {0, 1, 2, 1};
        float[] expected = new float[ROWS];
        float[] found = new float[ROWS];
        long[] argmax = new long[ROWS];
        var options = CrossEntropyOptions.defaults().withReduction(Reduction.NONE);
        try (Arena arena = Arena.ofShared(); Backend cpu = Backend.open("cpu")) {
            MemorySegment memory = Holes.ofFile(folder, 2 * ROWS * STRIDE, arena);
            float[] near = new float[3 * ROWS];
            for (int row = 0; row < ROWS; row++) {
                for (int k = 0; k < 3; k++) {
                    near[3 * row + k] = rows[row][k];
                    memory.set(ValueLayout.JAVA_SHORT, 2 * (row * STRIDE + k), NarrowFloats.toBf16(rows[row][k]));
                }
            }
            try (CrossEntropy op = CrossEntropy.on(cpu, options.withClasses(3))) {
                op.loss(CrossEntropyOperands
                        .of(Tensor.of(DType.BF16, memory, ROWS, STRIDE), Tensor.of(targets, ROWS))
                        .withArgmax(Tensor.of(argmax, ROWS)), Tensor.of(found, ROWS));
            }
            try (CrossEntropy op = CrossEntropy.on(cpu, options)) {
                op.loss(Tensor.of(near, ROWS, 3), Tensor.of(targets, ROWS), Tensor.of(expected, ROWS));
            }
        }
        assertArrayEquals(expected, found);
        assertArrayEquals(new long[] {2, 2, 1, 0}, argmax);
    }

    @Test
    void negativeLogLikelihood() throws IOException {
        try (Arena arena = Arena.ofShared(); Backend cpu = Backend.open("cpu")) {
            MemorySegment memory = Holes.ofFile(folder, 4 * 3 * STRIDE, arena);
            long[] targets = {5, STRIDE - 1, STRIDE / 2};
            for (int row = 0; row < 3; row++) {
                memory.set(ValueLayout.JAVA_FLOAT, 4 * (row * STRIDE + targets[row]), -1f - row);
            }
            float[] loss = new float[1];
            try (NllLoss op = NllLoss.on(cpu, NllLossOptions.defaults())) {
                op.loss(NllLossOperands.of(Tensor.of(DType.F32, memory, 3, STRIDE), Tensor.of(targets, 3)),
                        Tensor.of(loss));
            }
            assertEquals(2, loss[0]);
        }
    }
}
