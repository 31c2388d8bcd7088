package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Inputs for instruction tests: everything special, and seeded random numbers of several kinds. */
final class Inputs {
    private Inputs() {}

    /** Zeros, infinities, NaNs, ends of ranges, and their neighbours, in both signs. */
    static long[] special(Binary format) {
        long one = format.convert(Binary.F64, Double.doubleToRawLongBits(1), "rn");
        long smallestNormal = 1L << format.precision() - 1;
        long infinity = format.infinity(false);
        long[] positive = {0, 1, 2, smallestNormal - 1, smallestNormal, smallestNormal + 1, one - 1, one, one + 1,
            format.convert(Binary.F64, Double.doubleToRawLongBits(0.5), "rn"),
            format.convert(Binary.F64, Double.doubleToRawLongBits(1.5), "rn"),
            format.convert(Binary.F64, Double.doubleToRawLongBits(2.5), "rn"),
            format.convert(Binary.F64, Double.doubleToRawLongBits(3), "rn"),
            format.convert(Binary.F64, Double.doubleToRawLongBits(255.5), "rn"), format.largest(false) - 1,
            format.largest(false), infinity, infinity + 1, format.nan()};
        long[] all = new long[2 * positive.length];
        for (int i = 0; i < positive.length; i++) {
            all[i] = positive[i];
            all[positive.length + i] = positive[i] | format.sign(true);
        }
        return all;
    }

    static long[] special(Type type) {
        long top = 1L << type.bits - 1;
        long[] all = {0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 32767, 32768, 65535,
            65536, top - 2, top - 1, top, top + 1, -1, -2, -3, -128, -129, -32768, -32769, 0x5555555555555555L,
            0x123456789abcdef0L, 0x7fffffffL, 0x80000000L, 0xffffffffL};
        for (int i = 0; i < all.length; i++) {
            all[i] = InstructionCases.truncate(all[i], type.bits);
        }
        return all;
    }

    /** All pairs (or triples, ...) of special values, then random tuples. */
    static long[][] tuples(int operands, int random, long seed, long[]... values) {
        List<long[]> rows = new ArrayList<>();
        cross(rows, new long[operands], 0, values);
        Random generator = new Random(seed);
        for (int i = 0; i < random; i++) {
            long[] row = new long[operands];
            for (int k = 0; k < operands; k++) {
                long[] pool = values[Math.min(k, values.length - 1)];
                row[k] = i % 7 == 0 ? pool[generator.nextInt(pool.length)] : generator.nextLong();
            }
            rows.add(row);
        }
        return rows.toArray(long[][]::new);
    }

    private static void cross(List<long[]> rows, long[] row, int at, long[][] values) {
        if (at == row.length) {
            rows.add(row.clone());
            return;
        }
        for (long value : values[Math.min(at, values.length - 1)]) {
            row[at] = value;
            cross(rows, row, at + 1, values);
        }
    }

    /** Random operands of close exponents, where sums cancel and round. */
    static long[][] near(Binary format, int operands, int count, long seed) {
        Random random = new Random(seed);
        long[][] rows = new long[count][operands];
        for (long[] row : rows) {
            int exponent = random.nextInt(2 * format.maxExponent() / 2 + 1) + 1;
            for (int k = 0; k < operands; k++) {
                long field = Math.clamp(exponent + random.nextInt(2 * format.precision() + 4) - format.precision(), 0L,
                        2L * format.maxExponent());
                row[k] = format.sign(random.nextBoolean()) | field << format.precision() - 1
                        | random.nextLong() & (1L << format.precision() - 1) - 1;
            }
        }
        return rows;
    }

    static long[][] join(long[][] a, long[][] b) {
        long[][] all = java.util.Arrays.copyOf(a, a.length + b.length);
        System.arraycopy(b, 0, all, a.length, b.length);
        return all;
    }
}
