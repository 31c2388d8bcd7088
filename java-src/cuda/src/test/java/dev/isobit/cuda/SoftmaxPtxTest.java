package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels of softmax and log-softmax, interpreted and watched, in grids of any size, against the cpu backend. */
class SoftmaxPtxTest {
    private static PtxKernels kernels;
    private static Backend cpu;

    @BeforeAll
    static void open() {
        kernels = new PtxKernels(true);
        cpu = Backend.open("cpu", BackendOptions.defaults().withThreads(1));
    }

    @AfterAll
    static void close() {
        kernels.close();
        cpu.close();
    }

    private static void check(SoftmaxCase c, int turn) {
        c.inputSkip = 4 * (turn % 4);
        c.gradSkip = turn % 3 == 0 ? 4 * (turn / 4 % 4) : c.inputSkip;
        c.resultSkip = turn % 5 == 0 ? 4 * (turn / 2 % 4) : c.inputSkip;
        c.place = turn % 3;
        c.grid = 1 + turn % 3;
        c.expect(cpu).check(kernels);
    }

    /** Both sides of every bound between kernels, of a vector, of a lane, of a segment. */
    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 5, 31, 32, 33, 63, 64, 65, 127, 255, 256, 257, 1000, 1023, 1024, 1025, 4099, 8191,
        8192, 8193, 16385})
    void rows(int classes) {
        int rows = classes <= 256 ? 37 : classes <= 1024 ? 11 : classes <= 8192 ? 6 : 2;
        for (int turn = 0; turn < 6; turn++) {
            Random random = new Random(100L * classes + turn);
            check(new SoftmaxCase(rows, classes, 1, turn % 2 == 0, turn / 2 % 2 == 0, random).mixed(random),
                    turn + classes);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 10, 33, 150, 1023, 1025, 8193})
    void columns(int classes) {
        int inner = classes <= 150 ? 70 : 3;
        for (int turn = 0; turn < 4; turn++) {
            Random random = new Random(-100L * classes - turn);
            int outer = classes <= 150 ? 3 : 2;
            check(new SoftmaxCase(outer, classes, inner, turn % 2 == 0, turn / 2 % 2 == 0, random).mixed(random), turn);
        }
    }

    /** Any kernel that may take a shape has its bits. */
    @Test
    void variantsHaveTheSameBits() {
        for (int classes : new int[] {1, 10, 300, 1024}) {
            for (String variant : new String[] {"block", "column"}) {
                for (int turn = 0; turn < 4; turn++) {
                    Random random = new Random(turn + classes);
                    SoftmaxCase c =
                            new SoftmaxCase(6, classes, 1, turn % 2 == 0, turn / 2 == 0, random).mixed(random);
                    c.variant = variant;
                    check(c, turn);
                }
            }
        }
    }

    /** More segments than a block keeps the states of. */
    @Test
    void aLongRow() {
        SoftmaxCase c = new SoftmaxCase(1, 256 * 8192 + 5, 1, false, false, new Random(1));
        c.input[100 * 8192 + 4 * 31] = 30;
        try (PtxKernels unwatched = new PtxKernels(false)) {
            c.expect(cpu).check(unwatched);
        }
    }

    /** Offsets beyond 32 bits. */
    @Test
    void farRows() {
        Random random = new Random(1);
        for (boolean logarithm : new boolean[] {false, true}) {
            for (boolean gradient : new boolean[] {false, true}) {
                for (int classes : new int[] {40, 8192}) {
                    SoftmaxCase far = new SoftmaxCase(3, classes, 1, logarithm, gradient, random);
                    far.firstRow = classes == 40 ? 3L << 31 : 1L << 30;
                    check(far, 3);
                }
                SoftmaxCase column = new SoftmaxCase(2, 5, 64, logarithm, gradient, random);
                column.firstRow = 3L << 29;
                check(column, 4);
            }
        }
    }
}
