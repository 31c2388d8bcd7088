package dev.isobit.ptx;

import static dev.isobit.ptx.Lanes.COUNT;

import dev.isobit.ptx.Floats.Half;

/** Comparison and selection. */
final class ComparisonDecoder {
    /** Compares two operands in all lanes: one bit each. */
    @FunctionalInterface
    private interface Comparison {
        int bits(int[] w, long[] q, int a, int b);
    }

    @FunctionalInterface
    private interface LongTest {
        boolean holds(long a, long b);
    }

    @FunctionalInterface
    private interface DoubleTest {
        boolean holds(double a, double b);
    }

    private static final String[] OPERATORS = {"eq", "ne", "lt", "le", "gt", "ge", "lo", "ls", "hi", "hs", "equ",
        "neu", "ltu", "leu", "gtu", "geu", "num", "nan"};

    private ComparisonDecoder() {}

    static Instruction decode(Form form) {
        return switch (form.statement.opcode()) {
            case "setp" -> setPredicate(form);
            case "set" -> set(form);
            case "selp" -> select(form);
            case "slct" -> selectBySign(form);
            default -> null;
        };
    }

    /** The source of the boolean that the comparison is combined with. */
    private static PredicateSource combined(Form form, String combination, int index) {
        return combination == null ? null : PredicateSource.of(form, index);
    }

    private static int combine(String combination, int bits, int other) {
        return switch (combination) {
            case null -> bits;
            case "and" -> bits & other;
            case "or" -> bits | other;
            default -> bits ^ other;
        };
    }

    private static Instruction setPredicate(Form form) {
        String operator = form.one(OPERATORS);
        String combination = form.skipAny("and", "or", "xor");
        boolean flush = form.skip("ftz");
        Type type = form.type();
        form.end(combination == null ? 3 : 4);
        int a = form.at(1, type);
        int b = form.at(2, type);
        PredicateSource c = combined(form, combination, 3);
        if (type == Type.F16X2 || type == Type.BF16X2) {
            return setPackedPredicate(form, operator, combination, flush, type, a, b, c);
        }
        Comparison comparison = comparison(form, operator, type, flush);
        PredicateOperation.Test test = combination == null
                ? (warp, mask) -> comparison.bits(warp.words, warp.longs, a, b)
                : (warp, mask) -> combine(combination, comparison.bits(warp.words, warp.longs, a, b), c.bits(warp));
        if (form.operand(0) instanceof Operand.Pair pair) {
            int d = form.slots.predicate(form.statement, pair.first());
            int complement = form.slots.predicate(form.statement, pair.second());
            return PredicateOperation.of(d, complement, test, (warp, mask) -> {
                int bits = ~comparison.bits(warp.words, warp.longs, a, b);
                return combination == null ? bits : combine(combination, bits, c.bits(warp));
            });
        }
        return PredicateOperation.of(form.predicate(0), test);
    }

    private static Instruction setPackedPredicate(Form form, String operator, String combination, boolean flush,
            Type type, int a, int b, PredicateSource c) {
        if (!(form.operand(0) instanceof Operand.Pair pair)) {
            throw form.refusal("a packed comparison has two results");
        }
        Half format = type == Type.F16X2 ? Half.F16 : Half.BF16;
        DoubleTest holds = floatTest(form, operator);
        int d = form.slots.predicate(form.statement, pair.first());
        int second = form.slots.predicate(form.statement, pair.second());
        return PredicateOperation.of(d, second,
                (warp, mask) -> combine(combination, halfBits(warp, format, flush, holds, a, b, 0),
                        c == null ? 0 : c.bits(warp)),
                (warp, mask) -> combine(combination, halfBits(warp, format, flush, holds, a, b, 16),
                        c == null ? 0 : c.bits(warp)));
    }

    private static int halfBits(Warp warp, Half format, boolean flush, DoubleTest holds, int a, int b, int shift) {
        int bits = 0;
        for (int i = 0; i < COUNT; i++) {
            float x = half(format, warp.words[a + i] >>> shift & 0xffff, flush);
            float y = half(format, warp.words[b + i] >>> shift & 0xffff, flush);
            bits |= holds.holds(x, y) ? 1 << i : 0;
        }
        return bits;
    }

    private static float half(Half format, int bits, boolean flush) {
        float value = format.toFloat(bits);
        return flush && Math.abs(value) < 0x1p-14f ? Math.copySign(0f, value) : value;
    }

    private static Comparison comparison(Form form, String operator, Type type, boolean flush) {
        if (flush && type != Type.F32 && type != Type.F16) {
            throw form.refusal(".ftz is not defined for this type");
        }
        return switch (type) {
            case F32 -> singleComparison(form, operator, flush);
            case F64 -> {
                DoubleTest holds = floatTest(form, operator);
                yield (w, q, a, b) -> {
                    int bits = 0;
                    for (int i = 0; i < COUNT; i++) {
                        boolean h = holds.holds(Double.longBitsToDouble(q[a + i]), Double.longBitsToDouble(q[b + i]));
                        bits |= h ? 1 << i : 0;
                    }
                    return bits;
                };
            }
            case F16, BF16 -> {
                Half format = type == Type.F16 ? Half.F16 : Half.BF16;
                DoubleTest holds = floatTest(form, operator);
                yield (w, q, a, b) -> {
                    int bits = 0;
                    for (int i = 0; i < COUNT; i++) {
                        bits |= holds.holds(half(format, w[a + i], flush), half(format, w[b + i], flush)) ? 1 << i : 0;
                    }
                    return bits;
                };
            }
            default -> integerComparison(form, operator, type);
        };
    }

    private static Comparison singleComparison(Form form, String operator, boolean flush) {
        if (operator.equals("lt") && !flush) {
            return (w, q, a, b) -> {
                int bits = 0;
                for (int i = 0; i < COUNT; i++) {
                    bits |= Float.intBitsToFloat(w[a + i]) < Float.intBitsToFloat(w[b + i]) ? 1 << i : 0;
                }
                return bits;
            };
        }
        DoubleTest holds = floatTest(form, operator);
        return (w, q, a, b) -> {
            int bits = 0;
            for (int i = 0; i < COUNT; i++) {
                float x = Float.intBitsToFloat(w[a + i]);
                float y = Float.intBitsToFloat(w[b + i]);
                bits |= holds.holds(flush ? Floats.flush(x) : x, flush ? Floats.flush(y) : y) ? 1 << i : 0;
            }
            return bits;
        };
    }

    private static DoubleTest floatTest(Form form, String operator) {
        return switch (operator) {
            case "eq" -> (a, b) -> a == b;
            case "ne" -> (a, b) -> a < b || a > b;
            case "lt" -> (a, b) -> a < b;
            case "le" -> (a, b) -> a <= b;
            case "gt" -> (a, b) -> a > b;
            case "ge" -> (a, b) -> a >= b;
            case "equ" -> (a, b) -> !(a < b || a > b);
            case "neu" -> (a, b) -> a != b;
            case "ltu" -> (a, b) -> !(a >= b);
            case "leu" -> (a, b) -> !(a > b);
            case "gtu" -> (a, b) -> !(a <= b);
            case "geu" -> (a, b) -> !(a < b);
            case "num" -> (a, b) -> a == a && b == b;
            case "nan" -> (a, b) -> a != a || b != b;
            default -> throw form.refusal("." + operator + " is not defined for floating point");
        };
    }

    private static Comparison integerComparison(Form form, String operator, Type type) {
        if (!type.isInteger() || type.bits < 16 || type.bits > 64
                || type.kind == Type.Kind.BITS && !operator.equals("eq") && !operator.equals("ne")) {
            throw form.unsupported(type);
        }
        boolean ofUnsigned = operator.startsWith("h") || operator.startsWith("lo") || operator.equals("ls");
        if (ofUnsigned && type.isSigned()) {
            throw form.refusal("." + operator + " is not defined for signed types");
        }
        LongTest holds = switch (operator) {
            case "eq" -> (a, b) -> a == b;
            case "ne" -> (a, b) -> a != b;
            case "lt", "lo" -> (a, b) -> a < b;
            case "le", "ls" -> (a, b) -> a <= b;
            case "gt", "hi" -> (a, b) -> a > b;
            case "ge", "hs" -> (a, b) -> a >= b;
            default -> throw form.refusal("." + operator + " is not defined for integers");
        };
        if (type.isWide()) {
            long bias = type.isSigned() ? 0 : Long.MIN_VALUE; // turns unsigned order into signed order
            return (w, q, a, b) -> {
                int bits = 0;
                for (int i = 0; i < COUNT; i++) {
                    bits |= holds.holds(q[a + i] ^ bias, q[b + i] ^ bias) ? 1 << i : 0;
                }
                return bits;
            };
        }
        if (type.bits == 32 && operator.equals("ne")) {
            return (w, q, a, b) -> {
                int bits = 0;
                for (int i = 0; i < COUNT; i++) {
                    bits |= w[a + i] != w[b + i] ? 1 << i : 0;
                }
                return bits;
            };
        }
        if (type.bits == 32 && (operator.equals("lt") || operator.equals("lo") || operator.equals("ge")
                || operator.equals("hs"))) {
            int bias = type.isSigned() ? 0 : Integer.MIN_VALUE;
            int flip = operator.equals("lt") || operator.equals("lo") ? 0 : -1;
            return (w, q, a, b) -> {
                int bits = 0;
                for (int i = 0; i < COUNT; i++) {
                    bits |= (w[a + i] ^ bias) < (w[b + i] ^ bias) ? 1 << i : 0;
                }
                return bits ^ flip;
            };
        }
        return (w, q, a, b) -> {
            int bits = 0;
            for (int i = 0; i < COUNT; i++) {
                boolean h = holds.holds(IntegerDecoder.extend(type, w[a + i]), IntegerDecoder.extend(type, w[b + i]));
                bits |= h ? 1 << i : 0;
            }
            return bits;
        };
    }

    /** Like setp, but the result is a register: all ones or 0, or 1.0 or 0. */
    private static Instruction set(Form form) {
        String operator = form.one(OPERATORS);
        String combination = form.skipAny("and", "or", "xor");
        boolean flush = form.skip("ftz");
        Type result = form.type();
        Type type = form.type();
        int truth = switch (result) {
            case U32, S32 -> -1;
            case F32 -> Float.floatToRawIntBits(1f);
            default -> throw form.unsupported(result);
        };
        form.end(combination == null ? 3 : 4);
        int d = form.at(0, result);
        int a = form.at(1, type);
        int b = form.at(2, type);
        PredicateSource c = combined(form, combination, 3);
        Comparison comparison = comparison(form, operator, type, flush);
        return new WarpOperation((warp, mask) -> {
            int bits = combine(combination, comparison.bits(warp.words, warp.longs, a, b),
                    c == null ? 0 : c.bits(warp));
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                warp.words[d + lane] = (bits >>> lane & 1) != 0 ? truth : 0;
            }
        });
    }

    private static Instruction select(Form form) {
        Type type = form.type();
        if (type.bits < 16 || type.bits > 64 || type.kind == Type.Kind.PACKED) {
            throw form.unsupported(type);
        }
        form.end(4);
        int d = form.at(0, type);
        int a = form.at(1, type);
        int b = form.at(2, type);
        PredicateSource c = PredicateSource.of(form, 3);
        boolean wide = type.isWide();
        return new WarpOperation((warp, mask) -> {
            int bits = c.bits(warp);
            int[] w = warp.words;
            long[] q = warp.longs;
            for (int i = 0; i < COUNT; i++) {
                if ((mask >>> i & 1) != 0) {
                    int from = ((bits >>> i & 1) != 0 ? a : b) + i;
                    if (wide) {
                        q[d + i] = q[from];
                    } else {
                        w[d + i] = w[from];
                    }
                }
            }
        });
    }

    private static Instruction selectBySign(Form form) {
        boolean flush = form.skip("ftz");
        Type type = form.type();
        Type by = form.type();
        if (type.bits < 16 || type.bits > 64 || by != Type.S32 && by != Type.F32 || flush && by != Type.F32) {
            throw form.unsupported(by);
        }
        form.end(4);
        boolean wide = type.isWide();
        Lanes lanes = (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                // NaN and negative numbers select b; -0, and with ftz a negative subnormal, select a
                float f = Float.intBitsToFloat(w[c + i]);
                boolean first = by == Type.S32 ? w[c + i] >= 0 : (flush ? Floats.flush(f) : f) >= 0;
                int from = (first ? a : b) + i;
                if (wide) {
                    q[d + i] = q[from];
                } else {
                    w[d + i] = w[from];
                }
            }
        };
        return new LaneOperation(lanes, wide, form.at(0, type), form.at(1, type), form.at(2, type), form.at(3, by));
    }
}
