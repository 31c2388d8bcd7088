package dev.isobit.junit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.isobit.DType;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ElementsTest {
    @ParameterizedTest
    @CsvSource({"F32, 3f800000, 3f800003, 3", "F32, 80000000, 0, 0", "F32, 80000001, 1, 2",
        "F32, ff7fffff, 7f7fffff, 4278190078", "F16, 3c00, 3bff, 1", "BF16, 8001, 2, 3",
        "F64, 3ff0000000000000, 3ff0000000000001, 1", "F64, ffefffffffffffff, 7fefffffffffffff, 18437736874454810622"})
    void distancesAreCountedInNumbersBetween(DType dtype, String a, String b, String ulps) {
        long first = Long.parseUnsignedLong(a, 16);
        long second = Long.parseUnsignedLong(b, 16);
        assertEquals(", " + ulps + " ULP apart", Elements.distance(first, second, dtype));
        assertEquals(", " + ulps + " ULP apart", Elements.distance(second, first, dtype));
    }

    @Test
    void aNanIsFarFromEveryNumber() {
        assertEquals(", a NaN against a number", Elements.distance(0x7fc00000L, 0x3f800000L, DType.F32));
        assertEquals("0x7fc00000 (NaN)", Elements.text(0x7fc00000L, DType.F32));
        assertEquals("0x3f800000 (1.0)", Elements.text(0x3f800000L, DType.F32));
        assertEquals("0xc000 (-2.0)", Elements.text(0xc000L, DType.F16));
        assertEquals("0xc000 (-2.0)", Elements.text(0xc000L, DType.BF16));
        assertEquals("-7", Elements.text(-7, DType.I64));
        byte[] bytes = {0, (byte) 200};
        assertEquals("200", Elements.text(Elements.get(bytes, DType.U8, 1), DType.U8));
        assertArrayEquals(bytes, Elements.parse(Elements.patterns(bytes, DType.U8), DType.U8));
        assertEquals("-7", Elements.text(0xfffffff9L, DType.I32));
    }

    @ParameterizedTest
    @CsvSource({"F32, 8, 0x7fc00000", "F64, 16, 0x7ff8000000000000", "F16, 4, 0x7e00", "BF16, 4, 0x7fc0"})
    void everyNanIsOne(DType dtype, int bytes, String canonical) {
        byte[] all = new byte[bytes];
        Arrays.fill(all, (byte) 0xff);
        all[0] = -11;
        Elements.canonicalize(all, dtype);
        assertEquals(canonical, Elements.text(Elements.get(all, dtype, 0), dtype).split(" ")[0]);
        assertEquals(canonical, Elements.text(Elements.get(all, dtype, 1), dtype).split(" ")[0]);
        byte[] integers = {-1, -1, -1, -1};
        Elements.canonicalize(integers, DType.I32);
        assertArrayEquals(new byte[] {-1, -1, -1, -1}, integers);
    }
}
