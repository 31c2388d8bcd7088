package dev.isobit.ptx;

import java.math.BigInteger;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Conversions between all number types, every rounding mode. */
class ConversionTest {
    private static final List<Type> INTEGERS = List.of(Type.U8, Type.S8, Type.U16, Type.S16, Type.U32, Type.S32,
            Type.U64, Type.S64);
    private static final List<String> MODES = List.of("rn", "rz", "rm", "rp");

    /** The register type that holds a value: there are no 8-bit operations but cvt. */
    private static Type register(Type type) {
        return type.bits == 8 ? Type.B32 : type;
    }

    /** All but bf16 with 8 bits, which the assembler refuses. */
    private static List<Type> integersFor(Type format) {
        return format == Type.BF16 ? INTEGERS.subList(2, INTEGERS.size()) : INTEGERS;
    }

    static BigInteger value(Type type, long bits) {
        BigInteger all = new BigInteger(Long.toUnsignedString(InstructionCases.truncate(bits, type.bits)));
        return type.isSigned() && all.testBit(type.bits - 1) ? all.subtract(BigInteger.ONE.shiftLeft(type.bits)) : all;
    }

    private static BigInteger lowest(Type type) {
        return type.isSigned() ? BigInteger.ONE.shiftLeft(type.bits - 1).negate() : BigInteger.ZERO;
    }

    private static BigInteger highest(Type type) {
        return BigInteger.ONE.shiftLeft(type.isSigned() ? type.bits - 1 : type.bits).subtract(BigInteger.ONE);
    }

    private static BigInteger clamp(Type type, BigInteger value) {
        return value.max(lowest(type)).min(highest(type));
    }

    /** A narrow result is extended to its register. */
    private static long inRegister(Type to, BigInteger value) {
        return value(to, value.longValue()).longValue();
    }

    @ParameterizedTest
    @EnumSource(names = {"U8", "S8", "U16", "S16", "U32", "S32", "U64", "S64"})
    void betweenIntegers(Type from) {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] inputs = Inputs.tuples(1, 500, 21, Inputs.special(from));
        for (Type to : INTEGERS) {
            cases.add("cvt" + to + from + " %d, %a", register(to), List.of(register(from)), inputs,
                    in -> inRegister(to, value(from, in[0])));
            if (lowest(to).compareTo(lowest(from)) <= 0 && highest(to).compareTo(highest(from)) >= 0) {
                continue; // nothing to saturate: the assembler refuses it
            }
            cases.add("cvt.sat" + to + from + " %d, %a", register(to), List.of(register(from)), inputs,
                    in -> inRegister(to, clamp(to, value(from, in[0]))));
        }
        cases.check();
    }

    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16", "F32", "F64"})
    void fromIntegers(Type to) {
        Binary f = FloatArithmeticTest.format(to);
        InstructionCases cases = new InstructionCases("sm_90");
        for (Type from : integersFor(to)) {
            long[][] inputs = Inputs.tuples(1, 2000, 22, Inputs.special(from));
            for (String mode : MODES) {
                cases.add("cvt." + mode + to + from + " %d, %a", to, List.of(register(from)), inputs, in -> {
                    BigInteger v = value(from, in[0]);
                    return f.round(new Binary.Exact(v.signum() < 0, v.abs(), 0, false), mode);
                });
            }
        }
        cases.check();
    }

    @ParameterizedTest
    @EnumSource(names = {"F16", "BF16", "F32", "F64"})
    void toIntegers(Type from) {
        Binary f = FloatArithmeticTest.format(from);
        InstructionCases cases = new InstructionCases("sm_90");
        long[][] inputs = Inputs.join(Inputs.tuples(1, 2000, 23, Inputs.special(f)), wholeNumbers(f));
        for (Type to : integersFor(from)) {
            for (String mode : MODES) {
                cases.add("cvt." + mode + "i" + to + from + " %d, %a", register(to), List.of(from), inputs, in -> {
                    long x = InstructionCases.truncate(in[0], from.bits);
                    if (f.isNan(x)) {
                        // 0, unless 64 bits are on either side: then the top bit
                        return from == Type.F64 || to.bits == 64
                                ? inRegister(to, BigInteger.ONE.shiftLeft(to.bits - 1))
                                : 0;
                    }
                    if (f.isInfinite(x)) {
                        return inRegister(to, f.isNegative(x) ? lowest(to) : highest(to));
                    }
                    return inRegister(to, clamp(to, Binary.integral(f.exact(x), mode)));
                });
            }
        }
        if (from == Type.F32) {
            cases.add("cvt.rni.ftz.s32.f32 %d, %a", Type.S32, List.of(from), inputs, in -> {
                long x = InstructionCases.truncate(in[0], 32);
                return f.isNan(x)
                        ? 0
                        : f.isInfinite(x)
                                ? inRegister(Type.S32, f.isNegative(x) ? lowest(Type.S32) : highest(Type.S32))
                                : inRegister(Type.S32, clamp(Type.S32, Binary.integral(f.exact(f.flush(x)), "rn")));
            });
        }
        cases.check();
    }

    /** Numbers around the ends of the integer ranges, and halves. */
    private static long[][] wholeNumbers(Binary f) {
        long[][] rows = new long[400][];
        for (int i = 0; i < rows.length; i++) {
            double base = i < 200 ? (i - 100) * 0.25 : Math.scalb(1 + i % 5 * 0x1p-10, i % 67);
            double value = i % 2 == 0 ? base : -base;
            rows[i] = new long[] {f.convert(Binary.F64, Double.doubleToRawLongBits(value), "rn")};
        }
        return rows;
    }

    @Test
    void betweenFormats() {
        InstructionCases cases = new InstructionCases("sm_90");
        List<Type> formats = List.of(Type.F16, Type.BF16, Type.F32, Type.F64);
        for (Type from : formats) {
            Binary a = FloatArithmeticTest.format(from);
            long[][] inputs = Inputs.join(Inputs.tuples(1, 3000, 24, Inputs.special(a)), halfway(a));
            for (Type to : formats) {
                Binary d = FloatArithmeticTest.format(to);
                if (to.bits > from.bits) {
                    cases.add("cvt" + to + from + " %d, %a", to, List.of(from), inputs,
                            in -> d.convert(a, InstructionCases.truncate(in[0], from.bits), "rn"));
                } else if (to.bits < from.bits) {
                    for (String mode : MODES) {
                        cases.add("cvt." + mode + to + from + " %d, %a", to, List.of(from), inputs,
                                in -> d.convert(a, InstructionCases.truncate(in[0], from.bits), mode));
                    }
                }
            }
        }
        cases.check();
    }

    /** Doubles and floats that lie on, and next to, the middle between two narrower numbers. */
    private static long[][] halfway(Binary f) {
        java.util.Random random = new java.util.Random(25);
        long[][] rows = new long[3000][];
        for (int i = 0; i < rows.length; i++) {
            Binary narrow = List.of(Binary.F16, Binary.BF16, Binary.F32).get(i % 3);
            long bits = InstructionCases.truncate(random.nextLong(), narrow.bits());
            if (narrow.isNan(bits) || narrow.isInfinite(bits) || narrow.precision() >= f.precision()) {
                rows[i] = new long[] {InstructionCases.truncate(random.nextLong(), f.bits())};
                continue;
            }
            Binary.Exact x = narrow.exact(bits);
            Binary.Exact middle = new Binary.Exact(x.negative(),
                    x.magnitude().shiftLeft(1).add(BigInteger.ONE), x.exponent() - 1, false);
            rows[i] = new long[] {f.round(middle, "rn") + random.nextInt(3) - 1};
        }
        return rows;
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F64"})
    void toWholeNumbersInTheSameFormat(Type type) {
        Binary f = FloatArithmeticTest.format(type);
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] inputs = Inputs.join(Inputs.tuples(1, 2000, 26, Inputs.special(f)), wholeNumbers(f));
        for (String mode : MODES) {
            cases.add("cvt." + mode + "i" + type + type + " %d, %a", type, List.of(type), inputs, in -> {
                long x = InstructionCases.truncate(in[0], type.bits);
                if (f.isNan(x) || f.isInfinite(x)) {
                    return f.isNan(x) ? f.nan() : x;
                }
                BigInteger whole = Binary.integral(f.exact(x), mode);
                return f.round(new Binary.Exact(f.isNegative(x), whole.abs(), 0, false), "rn");
            });
        }
        cases.check();
    }

    @Test
    void flushedSaturatedAndRectified() {
        Binary f = Binary.F32;
        InstructionCases cases = new InstructionCases("sm_90");
        long[][] inputs = Inputs.join(Inputs.tuples(1, 2000, 27, Inputs.special(f)), wholeNumbers(f));
        cases.add("cvt.sat.f32.f32 %d, %a", Type.F32, List.of(Type.F32), inputs,
                in -> FloatArithmeticTest.saturate(f, InstructionCases.truncate(in[0], 32)));
        cases.add("cvt.ftz.f32.f32 %d, %a", Type.F32, List.of(Type.F32), inputs, in -> {
            long x = InstructionCases.truncate(in[0], 32);
            return f.isNan(x) ? f.nan() : f.flush(x);
        });
        cases.add("cvt.rn.ftz.f32.f64 %d, %a", Type.F32, List.of(Type.F64),
                Inputs.tuples(1, 3000, 28, Inputs.special(Binary.F64)),
                in -> f.flush(f.convert(Binary.F64, in[0], "rn")));
        cases.add("cvt.rn.relu.bf16.f32 %d, %a", Type.BF16, List.of(Type.F32), inputs,
                in -> FloatArithmeticTest.relu(Binary.BF16,
                        Binary.BF16.convert(f, InstructionCases.truncate(in[0], 32), "rn")));
        cases.check();
    }

    @Test
    void pairsOfHalves() {
        InstructionCases cases = new InstructionCases("sm_90");
        long[][] inputs = Inputs.tuples(2, 3000, 29, Inputs.special(Binary.F32));
        for (Type to : List.of(Type.F16X2, Type.BF16X2)) {
            Binary d = FloatArithmeticTest.format(to);
            for (String mode : List.of("rn", "rz")) {
                cases.add("cvt." + mode + to + ".f32 %d, %a, %b", to, List.of(Type.F32, Type.F32), inputs,
                        in -> d.convert(Binary.F32, in[0] & 0xffffffffL, mode) << 16
                                | d.convert(Binary.F32, in[1] & 0xffffffffL, mode));
            }
        }
        cases.check();
    }

    @Test
    void moves() {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] words = Inputs.tuples(1, 100, 30, Inputs.special(Type.B32));
        long[][] longs = Inputs.tuples(1, 100, 31, Inputs.special(Type.B64));
        cases.add("mov.b32 %d, %a", Type.B32, List.of(Type.B32), words, in -> in[0]);
        cases.add("mov.f64 %d, %a", Type.F64, List.of(Type.F64), longs, in -> in[0]);
        cases.add("mov.b64 %d, {%a, %b}", Type.B64, List.of(Type.B32, Type.B32),
                Inputs.tuples(2, 100, 32, Inputs.special(Type.B32)),
                in -> in[0] & 0xffffffffL | in[1] << 32);
        cases.add("mov.b32 %d, {%a, %b}", Type.B32, List.of(Type.B16, Type.B16),
                Inputs.tuples(2, 100, 33, Inputs.special(Type.B16)), in -> in[0] & 0xffff | in[1] << 16);
        cases.add("mov.b64 %d, {%a, %b, %c, %e}", Type.B64, List.of(Type.B16, Type.B16, Type.B16, Type.B16),
                Inputs.tuples(4, 100, 34, new long[] {1, 0xffff}),
                in -> in[0] & 0xffff | (in[1] & 0xffff) << 16 | (in[2] & 0xffff) << 32 | in[3] << 48);
        cases.add("{ .reg .b32 %t; mov.b64 {%t, %d}, %a; }", Type.B32, List.of(Type.B64), longs, in -> in[0] >>> 32);
        cases.add("{ .reg .b16 %t; mov.b32 {%d, %t}, %a; }", Type.B16, List.of(Type.B32), words, in -> in[0]);
        cases.check();
    }
}
