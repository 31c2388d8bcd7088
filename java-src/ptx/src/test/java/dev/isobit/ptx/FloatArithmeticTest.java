package dev.isobit.ptx;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Arithmetic against its IEEE definition, every rounding mode, all special values. */
class FloatArithmeticTest {
    private static final List<String> MODES = List.of("rn", "rz", "rm", "rp");

    private static List<Type> types(Type type, int n) {
        return Collections.nCopies(n, type);
    }

    static Binary format(Type type) {
        return switch (type) {
            case F16, F16X2 -> Binary.F16;
            case BF16, BF16X2 -> Binary.BF16;
            case F32 -> Binary.F32;
            default -> Binary.F64;
        };
    }

    private static long[][] inputs(Binary format, int operands) {
        long[] special = Inputs.special(format);
        long[] few = java.util.Arrays.stream(special).filter(x -> Long.bitCount(x * 0x9E3779B97F4A7C15L) % 2 == 0)
                .toArray();
        long[][] rows = operands == 3
                ? Inputs.tuples(3, 3000, 11, special, few, special)
                : Inputs.tuples(operands, 3000, 12, special);
        return Inputs.join(rows, Inputs.near(format, operands, 3000, 13));
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F64"})
    void everyRoundingMode(Type type) {
        Binary f = format(type);
        String t = type.toString();
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] one = inputs(f, 1);
        long[][] two = inputs(f, 2);
        long[][] three = inputs(f, 3);
        for (String m : MODES) {
            cases.add("add." + m + t + " %d, %a, %b", type, types(type, 2), two, in -> f.add(in[0], in[1], m));
            cases.add("sub." + m + t + " %d, %a, %b", type, types(type, 2), two, in -> f.subtract(in[0], in[1], m));
            cases.add("mul." + m + t + " %d, %a, %b", type, types(type, 2), two, in -> f.multiply(in[0], in[1], m));
            cases.add("div." + m + t + " %d, %a, %b", type, types(type, 2), two, in -> f.divide(in[0], in[1], m));
            cases.add("fma." + m + t + " %d, %a, %b, %c", type, types(type, 3), three,
                    in -> f.fma(in[0], in[1], in[2], m));
            cases.add("mad." + m + t + " %d, %a, %b, %c", type, types(type, 3), three,
                    in -> f.fma(in[0], in[1], in[2], m));
            cases.add("sqrt." + m + t + " %d, %a", type, types(type, 1), one, in -> f.sqrt(in[0], m));
            cases.add("rcp." + m + t + " %d, %a", type, types(type, 1), one,
                    in -> f.divide(f.convert(Binary.F64, Double.doubleToRawLongBits(1), "rn"), in[0], m));
        }
        cases.add("add" + t + " %d, %a, %b", type, types(type, 2), two, in -> f.add(in[0], in[1], "rn"));
        cases.add("mul" + t + " %d, %a, %b", type, types(type, 2), two, in -> f.multiply(in[0], in[1], "rn"));
        cases.check();
    }

    @Test
    void flushedAndSaturated() {
        Binary f = Binary.F32;
        Type t = Type.F32;
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] two = inputs(f, 2);
        long[][] three = inputs(f, 3);
        cases.add("add.ftz.f32 %d, %a, %b", t, types(t, 2), two,
                in -> f.flush(f.add(f.flush(in[0]), f.flush(in[1]), "rn")));
        cases.add("mul.rz.ftz.f32 %d, %a, %b", t, types(t, 2), two,
                in -> f.flush(f.multiply(f.flush(in[0]), f.flush(in[1]), "rz")));
        cases.add("div.rn.ftz.f32 %d, %a, %b", t, types(t, 2), two,
                in -> f.flush(f.divide(f.flush(in[0]), f.flush(in[1]), "rn")));
        cases.add("sqrt.rn.ftz.f32 %d, %a", t, types(t, 1), inputs(f, 1),
                in -> f.flush(f.sqrt(f.flush(in[0]), "rn")));
        cases.add("fma.rn.ftz.f32 %d, %a, %b, %c", t, types(t, 3), three,
                in -> f.flush(f.fma(f.flush(in[0]), f.flush(in[1]), f.flush(in[2]), "rn")));
        cases.add("add.sat.f32 %d, %a, %b", t, types(t, 2), two, in -> saturate(f, f.add(in[0], in[1], "rn")));
        cases.add("mul.rn.ftz.sat.f32 %d, %a, %b", t, types(t, 2), two,
                in -> saturate(f, f.flush(f.multiply(f.flush(in[0]), f.flush(in[1]), "rn"))));
        cases.add("fma.rn.sat.f32 %d, %a, %b, %c", t, types(t, 3), three,
                in -> saturate(f, f.fma(in[0], in[1], in[2], "rn")));
        cases.check();
    }

    /** To [0, 1]; NaN becomes +0. */
    static long saturate(Binary f, long x) {
        long one = f.convert(Binary.F64, Double.doubleToRawLongBits(1), "rn");
        if (f.isNan(x) || f.isNegative(x)) {
            return 0;
        }
        return f.compare(x, one) > 0 ? one : x;
    }

    @ParameterizedTest
    @ValueSource(strings = {"f16", "bf16"})
    void halfPrecision(String name) {
        Type type = Type.of(name);
        Binary f = format(type);
        InstructionCases cases = new InstructionCases("sm_90");
        long[][] two = inputs(f, 2);
        long[][] three = inputs(f, 3);
        String t = "." + name;
        for (String rounding : List.of("", ".rn")) {
            cases.add("add" + rounding + t + " %d, %a, %b", type, types(type, 2), two,
                    in -> f.add(low(in[0]), low(in[1]), "rn"));
            cases.add("sub" + rounding + t + " %d, %a, %b", type, types(type, 2), two,
                    in -> f.subtract(low(in[0]), low(in[1]), "rn"));
            cases.add("mul" + rounding + t + " %d, %a, %b", type, types(type, 2), two,
                    in -> f.multiply(low(in[0]), low(in[1]), "rn"));
        }
        cases.add("fma.rn" + t + " %d, %a, %b, %c", type, types(type, 3), three,
                in -> f.fma(low(in[0]), low(in[1]), low(in[2]), "rn"));
        cases.add("fma.rn.relu" + t + " %d, %a, %b, %c", type, types(type, 3), three,
                in -> relu(f, f.fma(low(in[0]), low(in[1]), low(in[2]), "rn")));
        Type pair = type == Type.F16 ? Type.F16X2 : Type.BF16X2;
        cases.add("fma.rn" + t + "x2 %d, %a, %b, %c", pair, types(pair, 3), three,
                in -> f.fma(low(in[0]), low(in[1]), low(in[2]), "rn")
                        | f.fma(high(in[0]), high(in[1]), high(in[2]), "rn") << 16);
        cases.add("add.rn" + t + "x2 %d, %a, %b", pair, types(pair, 2), two,
                in -> f.add(low(in[0]), low(in[1]), "rn") | f.add(high(in[0]), high(in[1]), "rn") << 16);
        if (type == Type.F16) {
            cases.add("add.ftz.f16 %d, %a, %b", type, types(type, 2), two,
                    in -> f.flush(f.add(f.flush(low(in[0])), f.flush(low(in[1])), "rn")));
            cases.add("mul.sat.f16 %d, %a, %b", type, types(type, 2), two,
                    in -> saturate(f, f.multiply(low(in[0]), low(in[1]), "rn")));
        }
        cases.check();
    }

    private static long low(long x) {
        return x & 0xffff;
    }

    private static long high(long x) {
        return x >>> 16 & 0xffff;
    }

    static long relu(Binary f, long x) {
        return !f.isNan(x) && f.isNegative(x) ? 0 : x;
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F64", "F16", "BF16"})
    void minimumAndMaximum(Type type) {
        Binary f = format(type);
        String t = type.toString();
        InstructionCases cases = new InstructionCases("sm_90");
        long[][] two = inputs(f, 2);
        int bits = type.bits;
        for (boolean min : List.of(true, false)) {
            String op = min ? "min" : "max";
            cases.add(op + t + " %d, %a, %b", type, types(type, 2), two,
                    in -> f.minOrMax(min, cut(in[0], bits), cut(in[1], bits)));
            if (type == Type.F64) {
                continue;
            }
            cases.add(op + ".NaN" + t + " %d, %a, %b", type, types(type, 2), two,
                    in -> f.isNan(cut(in[0], bits)) || f.isNan(cut(in[1], bits))
                            ? f.nan()
                            : f.minOrMax(min, cut(in[0], bits), cut(in[1], bits)));
            if (type != Type.BF16) {
                cases.add(op + ".ftz" + t + " %d, %a, %b", type, types(type, 2), two,
                        in -> f.minOrMax(min, f.flush(cut(in[0], bits)), f.flush(cut(in[1], bits))));
            }
        }
        cases.check();
    }

    private static long cut(long x, int bits) {
        return InstructionCases.truncate(x, bits);
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F64", "F16", "BF16"})
    void signs(Type type) {
        Binary f = format(type);
        String t = type.toString();
        InstructionCases cases = new InstructionCases("sm_90");
        long[][] one = java.util.Arrays.stream(inputs(f, 1)).filter(row -> !f.isNan(cut(row[0], type.bits)))
                .toArray(long[][]::new);
        cases.add("abs" + t + " %d, %a", type, types(type, 1), one, in -> in[0] & ~f.sign(true));
        cases.add("neg" + t + " %d, %a", type, types(type, 1), one, in -> in[0] ^ f.sign(true));
        if (type == Type.F32 || type == Type.F64) {
            cases.add("copysign" + t + " %d, %a, %b", type, types(type, 2), inputs(f, 2),
                    in -> in[0] & f.sign(true) | in[1] & ~f.sign(true));
        }
        if (type == Type.F32) {
            cases.add("abs.ftz.f32 %d, %a", type, types(type, 1), one,
                    in -> f.flush(cut(in[0], 32)) & ~f.sign(true));
        }
        cases.check();
    }
}
