package dev.isobit.ptx;

import java.math.BigInteger;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Integer arithmetic against exact whole numbers, taken modulo the width. */
class IntegerTest {
    /** An operation on values. */
    @FunctionalInterface
    private interface Exact {
        BigInteger apply(BigInteger a, BigInteger b, BigInteger c);
    }

    private static BigInteger value(Type type, long bits) {
        return ConversionTest.value(type, bits);
    }

    private static InstructionCases.Definition definition(Type type, Exact f) {
        return in -> f.apply(value(type, in[0]), in.length > 1 ? value(type, in[1]) : null,
                in.length > 2 ? value(type, in[2]) : null).longValue();
    }

    private static List<Type> types(Type type, int n) {
        return Collections.nCopies(n, type);
    }

    @ParameterizedTest
    @EnumSource(names = {"U16", "S16", "U32", "S32", "U64", "S64"})
    void arithmetic(Type type) {
        String t = type.toString();
        InstructionCases cases = new InstructionCases("sm_75");
        long[] special = Inputs.special(type);
        long[][] one = Inputs.tuples(1, 500, 41, special);
        long[][] two = Inputs.tuples(2, 2000, 42, special);
        long[][] three = Inputs.tuples(3, 2000, 43, java.util.Arrays.copyOf(special, 20));
        long[][] divisible = java.util.Arrays.stream(two)
                .filter(row -> InstructionCases.truncate(row[1], type.bits) != 0).toArray(long[][]::new);
        int bits = type.bits;
        cases.add("add" + t + " %d, %a, %b", type, types(type, 2), two, definition(type, (a, b, c) -> a.add(b)));
        cases.add("sub" + t + " %d, %a, %b", type, types(type, 2), two, definition(type, (a, b, c) -> a.subtract(b)));
        cases.add("mul.lo" + t + " %d, %a, %b", type, types(type, 2), two,
                definition(type, (a, b, c) -> a.multiply(b)));
        cases.add("mul.hi" + t + " %d, %a, %b", type, types(type, 2), two,
                definition(type, (a, b, c) -> a.multiply(b).shiftRight(bits)));
        cases.add("mad.lo" + t + " %d, %a, %b, %c", type, types(type, 3), three,
                definition(type, (a, b, c) -> a.multiply(b).add(c)));
        cases.add("mad.hi" + t + " %d, %a, %b, %c", type, types(type, 3), three,
                definition(type, (a, b, c) -> a.multiply(b).shiftRight(bits).add(c)));
        cases.add("sad" + t + " %d, %a, %b, %c", type, types(type, 3), three,
                definition(type, (a, b, c) -> a.subtract(b).abs().add(c)));
        cases.add("div" + t + " %d, %a, %b", type, types(type, 2), divisible,
                definition(type, (a, b, c) -> a.divide(b)));
        cases.add("rem" + t + " %d, %a, %b", type, types(type, 2), divisible,
                definition(type, (a, b, c) -> a.remainder(b)));
        cases.add("min" + t + " %d, %a, %b", type, types(type, 2), two, definition(type, (a, b, c) -> a.min(b)));
        cases.add("max" + t + " %d, %a, %b", type, types(type, 2), two, definition(type, (a, b, c) -> a.max(b)));
        if (bits < 64) {
            Type wide = bits == 16 ? Type.U32 : Type.U64;
            cases.add("mul.wide" + t + " %d, %a, %b", wide, types(type, 2), two,
                    definition(type, (a, b, c) -> a.multiply(b)));
            cases.add("mad.wide" + t + " %d, %a, %b, %c", wide, List.of(type, type, wide), three,
                    in -> value(type, in[0]).multiply(value(type, in[1])).add(BigInteger.valueOf(in[2])).longValue());
        }
        if (type.isSigned()) {
            cases.add("abs" + t + " %d, %a", type, types(type, 1), one, definition(type, (a, b, c) -> a.abs()));
            cases.add("neg" + t + " %d, %a", type, types(type, 1), one, definition(type, (a, b, c) -> a.negate()));
        }
        cases.check();
    }

    private static BigInteger clamp32(BigInteger x) {
        return x.max(BigInteger.valueOf(Integer.MIN_VALUE)).min(BigInteger.valueOf(Integer.MAX_VALUE));
    }

    @Test
    void saturatingAndNarrowForms() {
        InstructionCases cases = new InstructionCases("sm_90");
        Type s = Type.S32;
        long[][] two = Inputs.tuples(2, 2000, 44, Inputs.special(s));
        long[][] three = Inputs.tuples(3, 2000, 45, java.util.Arrays.copyOf(Inputs.special(s), 20));
        cases.add("add.sat.s32 %d, %a, %b", s, types(s, 2), two, definition(s, (a, b, c) -> clamp32(a.add(b))));
        cases.add("sub.sat.s32 %d, %a, %b", s, types(s, 2), two, definition(s, (a, b, c) -> clamp32(a.subtract(b))));
        cases.add("mad.hi.sat.s32 %d, %a, %b, %c", s, types(s, 3), three,
                definition(s, (a, b, c) -> clamp32(a.multiply(b).shiftRight(32).add(c))));
        for (Type t : List.of(Type.S32, Type.U32)) {
            Type narrow = t;
            cases.add("mul24.lo" + t + " %d, %a, %b", t, types(t, 2), two,
                    in -> low24(narrow, in[0]).multiply(low24(narrow, in[1])).longValue());
            cases.add("mul24.hi" + t + " %d, %a, %b", t, types(t, 2), two,
                    in -> low24(narrow, in[0]).multiply(low24(narrow, in[1])).shiftRight(16).longValue());
            cases.add("mad24.lo" + t + " %d, %a, %b, %c", t, types(t, 3), three,
                    in -> low24(narrow, in[0]).multiply(low24(narrow, in[1])).longValue() + in[2]);
            Type half = t == Type.S32 ? Type.S16 : Type.U16;
            String x2 = half + "x2";
            cases.add("add" + x2 + " %d, %a, %b", t, types(t, 2), two,
                    in -> in[0] + in[1] & 0xffff | (in[0] >>> 16) + (in[1] >>> 16) << 16);
            cases.add("min" + x2 + " %d, %a, %b", t, types(t, 2), two,
                    in -> value(half, in[0]).min(value(half, in[1])).longValue() & 0xffff
                            | value(half, in[0] >>> 16).min(value(half, in[1] >>> 16)).longValue() << 16);
            cases.add("max" + x2 + " %d, %a, %b", t, types(t, 2), two,
                    in -> value(half, in[0]).max(value(half, in[1])).longValue() & 0xffff
                            | value(half, in[0] >>> 16).max(value(half, in[1] >>> 16)).longValue() << 16);
        }
        cases.add("max.relu.s32 %d, %a, %b", s, types(s, 2), two,
                definition(s, (a, b, c) -> a.max(b).max(BigInteger.ZERO)));
        cases.add("dp4a.u32.s32 %d, %a, %b, %c", s, types(s, 3), three, in -> {
            long sum = in[2];
            for (int i = 0; i < 32; i += 8) {
                sum += value(Type.U8, in[0] >>> i).multiply(value(Type.S8, in[1] >>> i)).longValue();
            }
            return sum;
        });
        cases.check();
    }

    private static BigInteger low24(Type type, long bits) {
        long low = bits & 0xffffff;
        return BigInteger.valueOf(type.isSigned() && (low & 0x800000) != 0 ? low - 0x1000000 : low);
    }

    @Test
    void carries() {
        InstructionCases cases = new InstructionCases("sm_75");
        for (Type t : List.of(Type.U32, Type.U64)) {
            long[][] four = Inputs.tuples(4, 2000, 46, new long[] {0, 1, -1, Long.MIN_VALUE, 0x7fffffffL, 0x80000000L});
            int n = t.bits;
            BigInteger modulus = BigInteger.ONE.shiftLeft(2 * n);
            String reg = "{ .reg .b" + n + " %u; ";
            cases.add(reg + "add.cc" + t + " %u, %a, %b; addc" + t + " %d, %c, %e; }", t, types(t, 4), four,
                    in -> pair(t, in[2], in[0]).add(pair(t, in[3], in[1])).mod(modulus).shiftRight(n).longValue());
            cases.add(reg + "sub.cc" + t + " %u, %a, %b; subc" + t + " %d, %c, %e; }", t, types(t, 4), four,
                    in -> pair(t, in[2], in[0]).subtract(pair(t, in[3], in[1])).mod(modulus).shiftRight(n)
                            .longValue());
            // (a·b) + (e:c), high half
            cases.add(reg + "mad.lo.cc" + t + " %u, %a, %b, %c; madc.hi" + t + " %d, %a, %b, %e; }", t, types(t, 4),
                    four, in -> value(t, in[0]).multiply(value(t, in[1])).add(pair(t, in[3], in[2])).mod(modulus)
                            .shiftRight(n).longValue());
            // Three words: the carry goes through the middle one.
            cases.add(reg + "add.cc" + t + " %u, %a, %b; addc.cc" + t + " %u, %c, -1; addc" + t + " %d, %e, 0; }", t,
                    types(t, 4), four, in -> {
                        BigInteger low = value(t, in[0]).add(value(t, in[1])).shiftRight(n);
                        BigInteger middle = value(t, in[2]).add(value(t, -1)).add(low).shiftRight(n);
                        return value(t, in[3]).add(middle).longValue();
                    });
        }
        cases.check();
    }

    private static BigInteger pair(Type type, long high, long low) {
        return value(type, high).shiftLeft(type.bits).or(value(type, low));
    }

    @Test
    void divisionByZeroDoesNotStopTheWarp() {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] inputs = {{7, 0}};
        cases.add("div.u32 %d, %a, %b", Type.U32, types(Type.U32, 2), inputs, in -> 0xffffffffL);
        cases.add("rem.s64 %d, %a, %b", Type.S64, types(Type.S64, 2), inputs, in -> 7);
        cases.check();
    }
}
