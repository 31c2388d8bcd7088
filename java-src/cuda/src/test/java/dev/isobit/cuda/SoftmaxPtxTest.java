package dev.isobit.cuda;

import dev.isobit.Backend;
import dev.isobit.BackendOptions;
import dev.isobit.DType;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The kernels of softmax and log-softmax, interpreted and watched, in grids of any size, against the cpu backend. */
class SoftmaxPtxTest {
    private static final DType[] DTYPES = {DType.F32, DType.BF16, DType.F16};

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
        int size = c.dtype.byteSize();
        int pack = 16 / size;
        c.inputSkip = size * (turn % pack);
        c.gradSkip = turn % 3 == 0 ? size * (turn / 4 % pack) : c.inputSkip;
        c.resultSkip = turn % 5 == 0 ? size * (turn / 2 % pack) : c.inputSkip;
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
        for (int turn = 0; turn < 12; turn++) {
            Random random = new Random(100L * classes + turn);
            SoftmaxCase c = new SoftmaxCase(rows, classes, 1, turn % 2 == 0, turn / 2 % 2 == 0, random).mixed(random);
            c.dtype = DTYPES[turn / 4];
            check(c, turn + classes);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 10, 33, 150, 1023, 1025, 8193})
    void columns(int classes) {
        int inner = classes <= 150 ? 70 : 3;
        for (int turn = 0; turn < 12; turn++) {
            Random random = new Random(-100L * classes - turn);
            int outer = classes <= 150 ? 3 : 2;
            SoftmaxCase c =
                    new SoftmaxCase(outer, classes, inner, turn % 2 == 0, turn / 2 % 2 == 0, random).mixed(random);
            c.dtype = DTYPES[turn / 4];
            check(c, turn);
        }
    }

    /** Any kernel that may take a shape has its bits. */
    @Test
    void variantsHaveTheSameBits() {
        for (int classes : new int[] {1, 10, 300, 1024}) {
            for (String variant : new String[] {"block", "column"}) {
                for (int turn = 0; turn < 12; turn++) {
                    Random random = new Random(turn + classes);
                    SoftmaxCase c =
                            new SoftmaxCase(6, classes, 1, turn % 2 == 0, turn / 2 % 2 == 0, random).mixed(random);
                    c.variant = variant;
                    c.dtype = DTYPES[turn / 4];
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
        // Of 16 bits half as many threads keep states.
        SoftmaxCase narrow = new SoftmaxCase(1, 128 * 8192 + 5, 1, false, false, new Random(1));
        narrow.dtype = DType.BF16;
        narrow.input[100 * 8192 + 4 * 31] = 30;
        try (PtxKernels unwatched = new PtxKernels(false)) {
            c.expect(cpu).check(unwatched);
            narrow.expect(cpu).check(unwatched);
        }
    }

    /** Offsets beyond 32 bits. */
    @Test
    void farRows() {
        Random random = new Random(1);
        for (boolean logarithm : new boolean[] {false, true}) {
            for (boolean gradient : new boolean[] {false, true}) {
                for (DType dtype : DTYPES) {
                    for (int classes : new int[] {40, 8192}) {
                        SoftmaxCase far = new SoftmaxCase(3, classes, 1, logarithm, gradient, random);
                        far.dtype = dtype;
                        far.firstRow = classes == 40 ? 3L << 31 : 1L << 30;
                        check(far, 3);
                    }
                    SoftmaxCase column = new SoftmaxCase(2, 5, 64, logarithm, gradient, random);
                    column.dtype = dtype;
                    column.firstRow = 3L << 29;
                    check(column, 4);
                }
            }
        }
    }
}
