package dev.isobit.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.isobit.DType;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The kernel that adds gradients to accumulators, interpreted: every bit, and every byte that it moves. */
class AccumulatePtxTest {
    private static final DType[] TYPES = {DType.F32, DType.BF16, DType.F16};
    /** Of the three groups of a launch, the one that is disabled. */
    private static final int DISABLED = 1;
    private static final int GROUPS = 3;
    private static final float[] SPECIAL = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY, 0, -0f,
        Float.MIN_VALUE, -Float.MAX_VALUE, Float.MAX_VALUE, 1e-30f, -1, 0x1p-24f};

    private static PtxKernels kernels;

    @BeforeAll
    static void open() {
        kernels = new PtxKernels(true);
    }

    @AfterAll
    static void close() {
        kernels.close();
    }

    /** An accumulator and what is added to it. */
    static final class Parameter {
        final float[] sum;
        final float[] grad;
        final DType dtype;
        final int group;
        final PtxKernels.Buffer accumulator;
        final PtxKernels.Buffer gradient;

        /** @param skips bytes of either before its first element */
        Parameter(PtxKernels kernels, DType dtype, int count, int group, int[] skips, Random random,
                boolean isSpecial) {
            this.dtype = dtype;
            this.group = group;
            sum = new float[count];
            float[] values = new float[count];
            for (int i = 0; i < count; i++) {
                sum[i] = value(random, isSpecial);
                values[i] = value(random, isSpecial);
            }
            accumulator = kernels.new Buffer(4L * count, skips[0]).set(sum);
            gradient = kernels.new Buffer((long) dtype.byteSize() * count, skips[1]).set(dtype, values);
            grad = gradient.floats(dtype);
        }

        private static float value(Random random, boolean isSpecial) {
            return isSpecial && random.nextInt(3) == 0
                    ? SPECIAL[random.nextInt(SPECIAL.length)]
                    : (float) random.nextGaussian();
        }

        void add(boolean zeroes) {
            for (int i = 0; group != DISABLED && i < sum.length; i++) {
                float s = sum[i] + grad[i];
                sum[i] = s != s ? Float.NaN : s;
                grad[i] = zeroes ? 0 : grad[i];
            }
        }

        void compare() {
            same("accumulator", sum, accumulator.floats());
            same("grad", grad, gradient.floats(dtype));
            assertTrue(accumulator.isUntouchedBefore() && gradient.isUntouchedBefore());
            accumulator.free();
            gradient.free();
        }

        private void same(String what, float[] expected, float[] actual) {
            for (int i = 0; i < expected.length; i++) {
                assertEquals(Integer.toHexString(Float.floatToRawIntBits(expected[i])),
                        Integer.toHexString(Float.floatToRawIntBits(actual[i])),
                        what + ", " + dtype + ", element " + i + " of " + expected.length);
            }
        }
    }

    private static PtxKernels.Buffer table(PtxKernels kernels, List<Parameter> parameters) {
        int size = kernels.size("accumulate_chunk");
        int chunks = parameters.stream().mapToInt(p -> Math.ceilDiv(p.sum.length, 2048)).sum();
        PtxKernels.Buffer table = kernels.new Buffer((long) size * chunks, 8);
        int c = 0;
        for (Parameter p : parameters) {
            for (int from = 0; from < p.sum.length; from += 2048) {
                kernels.new Struct("accumulate_chunk", table.memory().asSlice((long) size * c++, size))
                        .set("accumulator", p.accumulator.address + 4L * from)
                        .set("grad", p.gradient.address + (long) p.dtype.byteSize() * from)
                        .set("count", Math.min(2048, p.sum.length - from)).set("group", p.group)
                        .set("dtype", p.dtype == DType.F32 ? 0 : p.dtype == DType.BF16 ? 1 : 2).set("reserved", 0);
            }
        }
        return table;
    }

    /** @param firstChunk chunks before it are those of blocks that do not run: they are in no table */
    static void check(PtxKernels kernels, List<Parameter> parameters, boolean zeroes, int grid, int times,
            long firstChunk) {
        PtxKernels.Buffer table = table(kernels, parameters);
        int size = kernels.size("guard_control");
        PtxKernels.Buffer controls = kernels.new Buffer((long) size * GROUPS, 0);
        for (int g = 0; g < GROUPS; g++) {
            kernels.new Struct("guard_control", controls.memory().asSlice((long) size * g, size)).set("lr", 0L)
                    .set("disabled", g == DISABLED ? 1 : 0).set("grad_divisor", 3f);
        }
        PtxKernels.Struct params = kernels.new Struct("guard_params")
                .set("sums", table.address - firstChunk * kernels.size("accumulate_chunk"))
                .set("controls", controls)
                .set("sum_count", firstChunk + table.bytes / kernels.size("accumulate_chunk"))
                .set("flags", zeroes ? 16 : 0);
        kernels.firstBlock = firstChunk / 8;
        for (int i = 0; i < times; i++) {
            kernels.launch("accumulate", "accumulate_grad", grid, 256, 0, params);
            parameters.forEach(p -> p.add(zeroes));
        }
        kernels.firstBlock = 0;
        assertEquals(List.of(), kernels.device.findings());
        parameters.forEach(Parameter::compare);
        table.free();
        controls.free();
    }

    @Test
    void everyCountTypeAndAlignment() {
        Random random = new Random(1);
        for (boolean zeroes : new boolean[] {false, true}) {
            List<Parameter> parameters = new ArrayList<>();
            for (int n : new int[] {1, 2, 3, 4, 5, 7, 8, 9, 31, 63, 64, 127, 128, 129, 257, 1000, 2047, 2048, 2049,
                5000}) {
                for (DType dtype : TYPES) {
                    int size = dtype.byteSize();
                    for (int skip = 0; skip < 4; skip++) {
                        // Alike; each somewhere; one of them at a boundary.
                        int[][] skips = {{4 * skip, size * skip}, {4 * skip, size * (skip + 1)}, {0, size * 4}};
                        parameters.add(new Parameter(kernels, dtype, n, parameters.size() % GROUPS, skips[skip % 3],
                                random, skip % 2 == 0));
                    }
                }
            }
            check(kernels, parameters, zeroes, 3, 2, 0);
        }
    }

    /**
     * What the floor is: the accumulator read and written, the gradient read, and written where it becomes zero; beside it the
     * 32 lanes that work on a chunk read its entry of the table, but for 4 bytes, and whether its group is disabled.
     */
    @ParameterizedTest
    @EnumSource(names = {"F32", "BF16", "F16"})
    void bytesMoved(DType dtype) {
        for (boolean zeroes : new boolean[] {false, true}) {
            for (int skip : new int[] {0, 1}) {
                int chunks = 10;
                int count = 2048 * chunks - 5;
                try (PtxKernels own = new PtxKernels(false)) {
                    Parameter p = new Parameter(own, dtype, count, 0, new int[] {4 * skip, dtype.byteSize() * skip},
                            new Random(1), false);
                    check(own, List.of(p), zeroes, 2, 1, 0);
                    long tables = chunks * 32L * (28 + 4);
                    assertEquals((long) count * (4 + dtype.byteSize()) + tables, own.bytesRead, "read");
                    assertEquals((long) count * (4 + (zeroes ? dtype.byteSize() : 0)), own.bytesWritten, "written");
                }
            }
        }
    }

    /** A chunk of a group that is disabled costs its entry of the table alone. */
    @Test
    void bytesOfADisabledGroup() {
        try (PtxKernels own = new PtxKernels(false)) {
            Parameter p = new Parameter(own, DType.BF16, 5000, DISABLED, new int[] {0, 0}, new Random(1), false);
            check(own, List.of(p), true, 1, 1, 0);
            assertEquals(0, own.bytesWritten);
            assertTrue(own.bytesRead <= 3 * 32L * (28 + 4), own.bytesRead + " bytes");
        }
    }
}
