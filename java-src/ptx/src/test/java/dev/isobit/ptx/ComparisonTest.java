package dev.isobit.ptx;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Comparison and selection. */
class ComparisonTest {
    private static List<Type> types(Type type, int n) {
        return Collections.nCopies(n, type);
    }

    private static boolean holds(String operator, int order) {
        return switch (operator) {
            case "eq" -> order == 0;
            case "ne" -> order != 0;
            case "lt", "lo" -> order < 0;
            case "le", "ls" -> order <= 0;
            case "gt", "hi" -> order > 0;
            default -> order >= 0;
        };
    }

    @ParameterizedTest
    @EnumSource(names = {"B16", "B32", "B64", "U16", "S16", "U32", "S32", "U64", "S64"})
    void integers(Type type) {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] two = Inputs.tuples(2, 1000, 71, Inputs.special(type));
        List<String> operators = type.kind == Type.Kind.BITS
                ? List.of("eq", "ne")
                : type.isSigned()
                        ? List.of("eq", "ne", "lt", "le", "gt", "ge")
                        : List.of("eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs");
        for (String operator : operators) {
            InstructionCases.Definition definition = in -> holds(operator,
                    ConversionTest.value(type, in[0]).compareTo(ConversionTest.value(type, in[1]))) ? 1 : 0;
            cases.add("setp." + operator + type + " %pd, %a, %b", Type.PRED, types(type, 2), two, definition);
            cases.add("set." + operator + ".u32" + type + " %d, %a, %b", Type.U32, types(type, 2), two,
                    in -> -definition.apply(in));
        }
        cases.check();
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F64", "F16", "BF16"})
    void floats(Type type) {
        Binary f = FloatArithmeticTest.format(type);
        InstructionCases cases = new InstructionCases("sm_90");
        long[][] two = Inputs.join(Inputs.tuples(2, 1000, 72, Inputs.special(f)), Inputs.near(f, 2, 500, 73));
        for (String operator : List.of("eq", "ne", "lt", "le", "gt", "ge")) {
            for (boolean unordered : List.of(false, true)) {
                String name = operator + (unordered ? "u" : "");
                InstructionCases.Definition definition = in -> {
                    long a = InstructionCases.truncate(in[0], type.bits);
                    long b = InstructionCases.truncate(in[1], type.bits);
                    return (f.isNan(a) || f.isNan(b) ? unordered : holds(operator, f.compare(a, b))) ? 1 : 0;
                };
                cases.add("setp." + name + type + " %pd, %a, %b", Type.PRED, types(type, 2), two, definition);
                if (type == Type.F32) {
                    cases.add("set." + name + ".f32.f32 %d, %a, %b", Type.F32, types(type, 2), two,
                            in -> definition.apply(in) == 0 ? 0 : Float.floatToRawIntBits(1f));
                    cases.add("setp." + name + ".ftz.f32 %pd, %a, %b", Type.PRED, types(type, 2), two,
                            in -> definition.apply(new long[] {f.flush(in[0] & 0xffffffffL),
                                f.flush(in[1] & 0xffffffffL)}));
                }
            }
        }
        for (String operator : List.of("num", "nan")) {
            cases.add("setp." + operator + type + " %pd, %a, %b", Type.PRED, types(type, 2), two, in -> {
                boolean nan = f.isNan(InstructionCases.truncate(in[0], type.bits))
                        || f.isNan(InstructionCases.truncate(in[1], type.bits));
                return nan == operator.equals("nan") ? 1 : 0;
            });
        }
        cases.check();
    }

    @Test
    void combinedWithAPredicate() {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] three = {{1, 2, 0}, {1, 2, 1}, {2, 1, 0}, {2, 1, 1}};
        List<Type> operands = List.of(Type.S32, Type.S32, Type.PRED);
        for (boolean negated : List.of(false, true)) {
            String c = negated ? "!%pc" : "%pc";
            for (String op : List.of("and", "or", "xor")) {
                cases.add("setp.lt." + op + ".s32 %pd, %a, %b, " + c, Type.PRED, operands, three,
                        in -> combine(op, in[0] < in[1], in[2] != 0 != negated));
                cases.add("{ .reg .pred %pq; setp.lt." + op + ".s32 %pq|%pd, %a, %b, " + c + "; }", Type.PRED,
                        operands, three, in -> combine(op, !(in[0] < in[1]), in[2] != 0 != negated));
            }
        }
        cases.add("{ .reg .pred %pq; setp.lt.s32 %pq|%pd, %a, %b; }", Type.PRED, operands, three,
                in -> in[0] < in[1] ? 0 : 1);
        cases.check();
    }

    private static long combine(String op, boolean a, boolean b) {
        return (op.equals("and") ? a && b : op.equals("or") ? a || b : a != b) ? 1 : 0;
    }

    @ParameterizedTest
    @EnumSource(names = {"B16", "B32", "B64", "F32", "F64", "U64", "S16"})
    void selection(Type type) {
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] three = Inputs.tuples(3, 0, 74, new long[] {1, -1}, new long[] {5, -7}, new long[] {0, 1});
        cases.add("selp" + type + " %d, %a, %b, %pc", type, List.of(type, type, Type.PRED), three,
                in -> in[2] != 0 ? in[0] : in[1]);
        cases.add("slct" + type + ".s32 %d, %a, %b, %c", type, List.of(type, type, Type.S32),
                Inputs.tuples(3, 0, 75, new long[] {1, -1}, new long[] {5, -7}, Inputs.special(Type.S32)),
                in -> (int) in[2] >= 0 ? in[0] : in[1]);
        long[][] byFloat = Inputs.tuples(3, 0, 76, new long[] {1, -1}, new long[] {5, -7}, Inputs.special(Binary.F32));
        cases.add("slct" + type + ".f32 %d, %a, %b, %c", type, List.of(type, type, Type.F32), byFloat,
                in -> Float.intBitsToFloat((int) in[2]) >= 0 ? in[0] : in[1]);
        cases.check();
    }

    @ParameterizedTest
    @EnumSource(names = {"F32", "F64"})
    void classes(Type type) {
        Binary f = FloatArithmeticTest.format(type);
        InstructionCases cases = new InstructionCases("sm_75");
        long[][] one = Inputs.tuples(1, 200, 77, Inputs.special(f));
        for (String what : List.of("finite", "infinite", "number", "notanumber", "normal", "subnormal")) {
            cases.add("testp." + what + type + " %pd, %a", Type.PRED, types(type, 1), one, in -> {
                long x = InstructionCases.truncate(in[0], type.bits);
                boolean finite = !f.isNan(x) && !f.isInfinite(x);
                boolean holds = switch (what) {
                    case "finite" -> finite;
                    case "infinite" -> f.isInfinite(x);
                    case "number" -> !f.isNan(x);
                    case "notanumber" -> f.isNan(x);
                    case "normal" -> finite && !f.isSubnormal(x) && !f.exact(x).isZero();
                    default -> f.isSubnormal(x);
                };
                return holds ? 1 : 0;
            });
        }
        cases.check();
    }

    @Test
    void packedHalves() {
        InstructionCases cases = new InstructionCases("sm_90");
        long[][] two = Inputs.tuples(2, 2000, 78, new long[] {0x3c00bc00L, 0x7e000001L, 0x80000000L});
        for (Type type : List.of(Type.F16X2, Type.BF16X2)) {
            Binary f = FloatArithmeticTest.format(type);
            for (int half = 0; half < 2; half++) {
                int shift = 16 * half;
                cases.add("{ .reg .pred %pq; setp.lt" + type + (half == 0 ? " %pd|%pq" : " %pq|%pd") + ", %a, %b; }",
                        Type.PRED, types(type, 2), two, in -> {
                            long a = in[0] >>> shift & 0xffff;
                            long b = in[1] >>> shift & 0xffff;
                            return !f.isNan(a) && !f.isNan(b) && f.compare(a, b) < 0 ? 1 : 0;
                        });
            }
        }
        cases.check();
    }
}
