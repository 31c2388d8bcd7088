package dev.isobit.spi;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class HostTargetsTest {
    private static HostTargets view(Tensor targets) {
        HostTargets view = new HostTargets();
        view.view(targets);
        return view;
    }

    @Test
    void countsRowsNotIgnored() {
        assertEquals(3, view(Tensor.of(new long[] {0, -100, 9, 4, -100}, 5)).countNotIgnored("op", 10, -100));
        assertEquals(2, view(Tensor.of(new int[] {3, 0, 9}, 3)).countNotIgnored("op", 10, 3));
        assertEquals(0, view(Tensor.of(new long[0], 0)).countNotIgnored("op", 10, 3));
    }

    @Test
    void namesFirstBadRowValueAndCount() {
        var targets = Tensor.of(new int[] {0, -100, 10, -1, 9}, 5);
        var e = assertThrows(IllegalArgumentException.class,
                () -> view(targets).countNotIgnored("CrossEntropy", 10, -100));
        assertEquals("CrossEntropy: target 10 in row 2 is outside [0, 10) and is not ignoreIndex -100; "
                + "2 of 5 rows have such a target", e.getMessage());
    }

    /** Targets are counted some hundreds at a time. */
    @ParameterizedTest
    @ValueSource(ints = {0, 511, 512, 513, 1300})
    void findsABadOneAnywhere(int row) {
        for (long bad : new long[] {10, -1, Long.MIN_VALUE, Long.MAX_VALUE}) {
            long[] longs = new long[1301];
            Arrays.setAll(longs, i -> i % 10);
            assertEquals(1301 - 130, view(Tensor.of(longs, 1301)).countNotIgnored("op", 10, 5));
            longs[row] = bad;
            assertEquals(1300, view(Tensor.of(longs, 1301)).countNotIgnored("op", 10, bad));
            var e = assertThrows(IllegalArgumentException.class,
                    () -> view(Tensor.of(longs, 1301)).countNotIgnored("op", 10, -100));
            assertEquals("op: target " + bad + " in row " + row + " is outside [0, 10) and is not ignoreIndex -100; "
                    + "1 of 1301 rows have such a target", e.getMessage());
        }
    }

    @Test
    void copiesFromAnyRow() {
        try (Arena arena = Arena.ofConfined()) {
            var segment = arena.allocate(ValueLayout.JAVA_LONG, 8);
            for (int i = 0; i < 8; i++) {
                segment.setAtIndex(ValueLayout.JAVA_LONG, i, i);
            }
            var ofNative = Tensor.of(DType.I64, HostMemory.of(segment), 8, 6);
            var ofArray = Tensor.of(new long[] {1, 2, 3, 4, 5, 6}, 6);
            var ofInts = Tensor.of(new int[] {1, 2, 3, 4, 5, 6}, 6);
            for (Tensor targets : new Tensor[] {ofNative, ofArray, ofInts}) {
                long[] copy = {-7, -7, -7, -7};
                view(targets).copy(2, 3, copy);
                assertArrayEquals(new long[] {3, 4, 5, -7}, copy);
            }
        }
    }

    @Test
    void aLongIsNotTruncated() {
        var targets = Tensor.of(new long[] {1L << 32}, 1);
        assertThrows(IllegalArgumentException.class, () -> view(targets).countNotIgnored("op", 10, -100));
    }

    @Test
    void readsViewsOfNativeMemory() {
        try (Arena arena = Arena.ofConfined()) {
            var segment = arena.allocate(ValueLayout.JAVA_INT, 4);
            segment.setAtIndex(ValueLayout.JAVA_INT, 2, 7);
            var targets = Tensor.of(DType.I32, HostMemory.of(segment), 8, 2);
            assertEquals(7, view(targets).get(0));
            assertEquals(0, view(targets).get(1));
            assertEquals(2, view(targets).countNotIgnored("op", 8, -100));
        }
    }
}
