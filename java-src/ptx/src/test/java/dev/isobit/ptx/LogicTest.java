package dev.isobit.ptx;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Logic, shifts and bit fields, bit by bit as PTX defines them. */
class LogicTest {
    private static final long[] AMOUNTS = {0, 1, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 0x80000000L,
        0xffffffffL};

    private static List<Type> types(Type type, int n) {
        return Collections.nCopies(n, type);
    }

    private static boolean bit(long x, int i) {
        return (x >>> i & 1) != 0;
    }

    @ParameterizedTest
    @EnumSource(names = {"B16", "B32", "B64"})
    void logic(Type type) {
        String t = type.toString();
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] two = Inputs.tuples(2, 500, 51, Inputs.special(type));
        long[][] one = Inputs.tuples(1, 500, 52, Inputs.special(type));
        cases.add("and" + t + " %d, %a, %b", type, types(type, 2), two, in -> in[0] & in[1]);
        cases.add("or" + t + " %d, %a, %b", type, types(type, 2), two, in -> in[0] | in[1]);
        cases.add("xor" + t + " %d, %a, %b", type, types(type, 2), two, in -> in[0] ^ in[1]);
        cases.add("not" + t + " %d, %a", type, types(type, 1), one, in -> ~in[0]);
        cases.add("cnot" + t + " %d, %a", type, types(type, 1), one,
                in -> InstructionCases.truncate(in[0], type.bits) == 0 ? 1 : 0);
        cases.add("xor" + t + " %d, %a, -1", type, types(type, 1), one, in -> ~in[0]);
        cases.check();
    }

    @Test
    void predicates() {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] two = {{0, 0}, {0, 1}, {1, 0}, {1, 1}};
        List<Type> p = types(Type.PRED, 2);
        cases.add("and.pred %pd, %pa, %pb", Type.PRED, p, two, in -> in[0] & in[1]);
        cases.add("or.pred %pd, %pa, %pb", Type.PRED, p, two, in -> in[0] | in[1]);
        cases.add("xor.pred %pd, %pa, %pb", Type.PRED, p, two, in -> in[0] ^ in[1]);
        cases.add("not.pred %pd, %pa", Type.PRED, types(Type.PRED, 1), new long[][] {{0}, {1}}, in -> 1 - in[0]);
        cases.add("mov.pred %pd, %pa", Type.PRED, types(Type.PRED, 1), new long[][] {{0}, {1}}, in -> in[0]);
        cases.add("mov.pred %pd, 1", Type.PRED, types(Type.PRED, 1), new long[][] {{0}, {1}}, in -> 1);
        cases.check();
    }

    @Test
    void lookup() {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] three = Inputs.tuples(3, 200, 53, new long[] {0, -1, 0x12345678});
        for (int lut : new int[] {0x00, 0x80, 0x96, 0xe8, 0xfe, 0x1b, 0xff}) {
            cases.add("lop3.b32 %d, %a, %b, %c, " + lut, Type.B32, types(Type.B32, 3), three, in -> {
                long d = 0;
                for (int i = 0; i < 32; i++) {
                    int row = (bit(in[0], i) ? 4 : 0) | (bit(in[1], i) ? 2 : 0) | (bit(in[2], i) ? 1 : 0);
                    d |= (long) (lut >>> row & 1) << i;
                }
                return d;
            });
        }
        cases.check();
    }

    @ParameterizedTest
    @EnumSource(names = {"B16", "B32", "B64", "U16", "S16", "U32", "S32", "U64", "S64"})
    void shifts(Type type) {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] inputs = Inputs.tuples(2, 300, 54, Inputs.special(type), AMOUNTS);
        List<Type> operands = List.of(type, Type.U32);
        int n = type.bits;
        if (type.kind == Type.Kind.BITS) {
            cases.add("shl" + type + " %d, %a, %b", type, operands, inputs, in -> {
                long by = in[1] & 0xffffffffL;
                long d = 0;
                for (int i = 0; i < n; i++) {
                    d |= i >= by && bit(in[0], (int) (i - by)) ? 1L << i : 0;
                }
                return d;
            });
        }
        cases.add("shr" + type + " %d, %a, %b", type, operands, inputs, in -> {
            long by = in[1] & 0xffffffffL;
            boolean fill = type.isSigned() && bit(in[0], n - 1);
            long d = 0;
            for (int i = 0; i < n; i++) {
                d |= (i + by < n ? bit(in[0], (int) (i + by)) : fill) ? 1L << i : 0;
            }
            return d;
        });
        cases.check();
    }

    @Test
    void funnelShifts() {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] inputs = Inputs.tuples(3, 300, 55, Inputs.special(Type.B32), Inputs.special(Type.B32), AMOUNTS);
        for (String mode : List.of("wrap", "clamp")) {
            for (boolean left : List.of(true, false)) {
                cases.add("shf." + (left ? "l." : "r.") + mode + ".b32 %d, %a, %b, %c", Type.B32, types(Type.B32, 3),
                        inputs, in -> {
                            long c = in[2] & 0xffffffffL;
                            int by = (int) (mode.equals("wrap") ? c & 31 : Math.min(c, 32));
                            long d = 0;
                            for (int i = 0; i < 32; i++) {
                                int from = left ? i + 32 - by : i + by; // in the 64 bits of b:a
                                boolean bit = from < 32 ? bit(in[0], from) : bit(in[1], from - 32);
                                d |= bit ? 1L << i : 0;
                            }
                            return d;
                        });
            }
        }
        cases.check();
    }

    @ParameterizedTest
    @EnumSource(names = {"U32", "S32", "U64", "S64"})
    void fields(Type type) {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] three = Inputs.tuples(3, 500, 56, Inputs.special(type), AMOUNTS, AMOUNTS);
        int msb = type.bits - 1;
        cases.add("bfe" + type + " %d, %a, %b, %c", type, List.of(type, Type.U32, Type.U32), three, in -> {
            int pos = (int) (in[1] & 0xff);
            int len = (int) (in[2] & 0xff);
            boolean sign = type.isSigned() && len != 0 && bit(in[0], Math.min(pos + len - 1, msb));
            long d = 0;
            for (int i = 0; i <= msb; i++) {
                d |= (i < len && pos + i <= msb ? bit(in[0], pos + i) : sign) ? 1L << i : 0;
            }
            return d;
        });
        if (!type.isSigned()) {
            Type bits = type.bits == 32 ? Type.B32 : Type.B64;
            long[][] four =
                    Inputs.tuples(4, 500, 57, new long[] {0, -1, 0x123456789abcdefL}, new long[] {0, -1, 0x55aa},
                            AMOUNTS, AMOUNTS);
            cases.add("bfi" + bits + " %d, %a, %b, %c, %e", bits, List.of(bits, bits, Type.U32, Type.U32), four, in -> {
                int pos = (int) (in[2] & 0xff);
                int len = (int) (in[3] & 0xff);
                long d = in[1];
                for (int i = 0; i < len && pos + i <= msb; i++) {
                    d = d & ~(1L << pos + i) | (bit(in[0], i) ? 1L << pos + i : 0);
                }
                return d;
            });
        }
        long[][] one = Inputs.tuples(1, 500, 58, Inputs.special(type));
        for (boolean amount : List.of(true, false)) {
            cases.add("bfind" + (amount ? ".shiftamt" : "") + type + " %d, %a", Type.U32, List.of(type), one, in -> {
                boolean sign = type.isSigned() && bit(in[0], msb);
                for (int i = msb; i >= 0; i--) {
                    if (bit(in[0], i) != sign) {
                        return amount ? msb - i : i;
                    }
                }
                return 0xffffffffL;
            });
        }
        cases.check();
    }

    @ParameterizedTest
    @EnumSource(names = {"B32", "B64"})
    void counts(Type type) {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] one = Inputs.tuples(1, 500, 59, Inputs.special(type));
        int n = type.bits;
        cases.add("popc" + type + " %d, %a", Type.U32, List.of(type), one, in -> {
            int ones = 0;
            for (int i = 0; i < n; i++) {
                ones += bit(in[0], i) ? 1 : 0;
            }
            return ones;
        });
        cases.add("clz" + type + " %d, %a", Type.U32, List.of(type), one, in -> {
            int zeros = 0;
            while (zeros < n && !bit(in[0], n - 1 - zeros)) {
                zeros++;
            }
            return zeros;
        });
        cases.add("brev" + type + " %d, %a", type, List.of(type), one, in -> {
            long d = 0;
            for (int i = 0; i < n; i++) {
                d |= bit(in[0], i) ? 1L << n - 1 - i : 0;
            }
            return d;
        });
        cases.check();
    }

    @Test
    void bytePermutations() {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] three = Inputs.tuples(3, 1000, 60, new long[] {0x83828180L, 0x03020100L},
                new long[] {0x87868584L, 0x07060504L},
                new long[] {0x3210, 0x7654, 0xfedc, 0x0123, 0x9080, 0, 1, 2, 3, 0xffff});
        cases.add("prmt.b32 %d, %a, %b, %c", Type.B32, types(Type.B32, 3), three, in -> {
            long d = 0;
            for (int i = 0; i < 4; i++) {
                int nibble = (int) (in[2] >>> 4 * i) & 15;
                long all = in[1] << 32 | in[0] & 0xffffffffL;
                long b = all >>> 8 * (nibble & 7) & 0xff;
                d |= ((nibble & 8) != 0 ? (b & 0x80) != 0 ? 0xff : 0 : b) << 8 * i;
            }
            return d;
        });
        // The tables of the PTX definition, byte 3 first.
        String[][] tables = {{"f4e", "3210", "4321", "5432", "6543"}, {"b4e", "5670", "6701", "7012", "0123"},
            {"rc8", "0000", "1111", "2222", "3333"}, {"ecl", "3210", "3211", "3222", "3333"},
            {"ecr", "0000", "1110", "2210", "3210"}, {"rc16", "1010", "3232", "1010", "3232"}};
        for (String[] table : tables) {
            cases.add("prmt.b32." + table[0] + " %d, %a, %b, %c", Type.B32, types(Type.B32, 3), three, in -> {
                String row = table[1 + (int) (in[2] & 3)];
                long all = in[1] << 32 | in[0] & 0xffffffffL;
                long d = 0;
                for (int i = 0; i < 4; i++) {
                    d = d << 8 | all >>> 8 * (row.charAt(i) - '0') & 0xff;
                }
                return d;
            });
        }
        cases.check();
    }

    @Test
    void masks() {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] two = Inputs.tuples(2, 300, 61, AMOUNTS);
        for (String mode : List.of("clamp", "wrap")) {
            cases.add("bmsk." + mode + ".b32 %d, %a, %b", Type.B32, types(Type.B32, 2), two, in -> {
                long from = limit(mode, in[0]);
                long length = limit(mode, in[1]);
                long d = 0;
                for (long i = from; i < Math.min(32, from + length); i++) {
                    d |= 1L << i;
                }
                return d;
            });
            for (Type type : List.of(Type.S32, Type.U32)) {
                long[][] inputs = Inputs.tuples(2, 300, 62, Inputs.special(type), AMOUNTS);
                cases.add("szext." + mode + type + " %d, %a, %b", type, types(type, 2), inputs, in -> {
                    int n = (int) limit(mode, in[1]);
                    boolean sign = type.isSigned() && n > 0 && bit(in[0], n - 1);
                    long d = 0;
                    for (int i = 0; i < 32; i++) {
                        d |= (i < n ? bit(in[0], i) : sign) ? 1L << i : 0;
                    }
                    return d;
                });
            }
        }
        cases.check();
    }

    private static long limit(String mode, long x) {
        return mode.equals("wrap") ? x & 31 : Math.min(x & 0xffffffffL, 32);
    }
}
