package dev.isobit.math;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/**
 * The same bits as the kernels' twin: native-build/check-exact-math holds kernels/exact_math.cuh and dtypes.cuh to the same file, which
 * also says what is hashed.
 */
class ExactMathChecksumTest {
    private static final Path CHECKSUMS =
            Path.of(System.getProperty("isobit.home", "../.."), "native-build", "host-check", "checksums.txt");

    @Test
    void sameBitsAsTheKernels() throws IOException {
        Map<String, String> actual = new LinkedHashMap<>();
        actual.put("exp", checksum(ExactMath::exp));
        actual.put("log", checksum(ExactMath::log));
        actual.put("log1p", checksum(ExactMath::log1p));
        actual.put("bf16", checksum(x -> NarrowFloats.fromBf16(NarrowFloats.toBf16(x))));
        actual.put("f16", checksum(x -> NarrowFloats.fromF16(NarrowFloats.toF16(x))));
        Map<String, String> expected = new LinkedHashMap<>();
        for (String line : Files.readAllLines(CHECKSUMS)) {
            String[] words = line.split(" ");
            expected.put(words[0], words[1]);
        }
        assertEquals(expected, actual);
    }

    /** FNV-1a over the results for the inputs with bits 0, 4099, 2·4099, ..., as exact_math_check.cpp has it. */
    private static String checksum(UnaryOperator<Float> function) {
        long hash = 0xcbf29ce484222325L;
        for (int i = 0; i < 1 << 20; i++) {
            float y = function.apply(Float.intBitsToFloat(i * 4099));
            int bits = y != y ? 0x7fc00000 : Float.floatToRawIntBits(y);
            for (int shift = 0; shift < 32; shift += 8) {
                hash = (hash ^ (bits >>> shift & 0xff)) * 0x100000001b3L;
            }
        }
        return HexFormat.of().toHexDigits(hash);
    }
}
