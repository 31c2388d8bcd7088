package dev.isobit.spi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

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
