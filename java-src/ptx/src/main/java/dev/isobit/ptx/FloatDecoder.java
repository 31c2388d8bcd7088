package dev.isobit.ptx;

import static dev.isobit.ptx.Lanes.COUNT;

import dev.isobit.ptx.Floats.Half;
import dev.isobit.ptx.Floats.Rounding;

/**
 * Floating-point arithmetic in f32, f64, f16 and bf16. Approximate instructions ({@code .approx}, {@code .full}) are
 * refused: PTX bounds their error but not their bits.
 */
final class FloatDecoder {
    private FloatDecoder() {}

    static Instruction decode(Form form) {
        return switch (form.statement.opcode()) {
            case "add", "sub", "mul", "fma", "mad", "div", "rcp", "sqrt" -> arithmetic(form);
            case "min", "max" -> minOrMax(form);
            case "abs", "neg" -> sign(form);
            case "copysign" -> copySign(form);
            case "testp" -> test(form);
            case "ex2", "lg2", "sin", "cos", "tanh", "rsqrt" -> throw form.refusal("approximate: PTX does not define "
                    + "its bits");
            default -> null;
        };
    }

    /** An operation on two or three operands, in the terms of one format. */
    private static Instruction arithmetic(Form form) {
        String opcode = form.statement.opcode();
        if (form.skip("approx") || form.skip("full")) {
            throw form.refusal("approximate: PTX does not define its bits");
        }
        Rounding given = form.rounding();
        boolean needsRounding = !opcode.equals("add") && !opcode.equals("sub") && !opcode.equals("mul");
        if (given == null && needsRounding) {
            throw form.refusal("needs a rounding mode");
        }
        Rounding rounding = given == null ? Rounding.RN : given;
        boolean flush = form.skip("ftz");
        boolean saturate = form.skip("sat");
        boolean relu = form.skip("relu");
        Type type = form.type();
        int operands = switch (opcode) {
            case "fma", "mad" -> 3;
            case "rcp", "sqrt" -> 1;
            default -> 2;
        };
        form.end(operands + 1);
        Lanes lanes = switch (type) {
            case F32 -> {
                refuse(form, relu, "relu");
                yield single(form, opcode, rounding, flush, saturate);
            }
            case F64 -> {
                refuse(form, relu || flush || saturate, "ftz, sat or relu");
                yield twice(opcode, rounding);
            }
            case F16, F16X2 -> half(form, Half.F16, opcode, rounding, flush, saturate, relu, type == Type.F16X2);
            case BF16, BF16X2 -> {
                refuse(form, flush || saturate, "ftz or sat");
                yield half(form, Half.BF16, opcode, rounding, false, false, relu, type == Type.BF16X2);
            }
            default -> throw form.unsupported(type);
        };
        return new LaneOperation(lanes, type.isWide(), form.at(0, type), form.at(1, type),
                operands > 1 ? form.at(2, type) : 0, operands > 2 ? form.at(3, type) : 0);
    }

    private static void refuse(Form form, boolean present, String what) {
        if (present) {
            throw form.refusal("." + what + " is not defined for this type");
        }
    }

    private static Lanes single(Form form, String opcode, Rounding rounding, boolean flush, boolean saturate) {
        if (rounding == Rounding.RN && !flush && !saturate) {
            Lanes plain = nearestSingle(opcode);
            if (plain != null) {
                return plain;
            }
        }
        Lanes.Float3 exact = switch (opcode) {
            case "add" -> (a, b, c) -> Floats.add(a, b, rounding);
            case "sub" -> (a, b, c) -> Floats.add(a, -b, rounding);
            case "mul" -> (a, b, c) -> Floats.round((double) a * b, rounding);
            case "div" -> (a, b, c) -> Floats.round(Floats.divideOdd(a, b), rounding);
            case "rcp" -> (a, b, c) -> Floats.round(Floats.divideOdd(1, a), rounding);
            case "sqrt" -> (a, b, c) -> Floats.round(Floats.sqrtOdd(a), rounding);
            case "fma", "mad" -> (a, b, c) -> Floats.fma(a, b, c, rounding);
            default -> throw form.refusal("not supported for .f32");
        };
        Lanes.Float3 flushed = !flush
                ? exact
                : (a, b, c) -> Floats.flush(exact.apply(Floats.flush(a), Floats.flush(b), Floats.flush(c)));
        return Lanes.single(!saturate ? flushed : (a, b, c) -> Floats.saturate(flushed.apply(a, b, c)));
    }

    /** The everyday operations, in loops of their own. */
    private static Lanes nearestSingle(String opcode) {
        return switch (opcode) {
            case "add" -> (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = Floats.bits(Float.intBitsToFloat(w[a + i]) + Float.intBitsToFloat(w[b + i]));
                }
            };
            case "sub" -> (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = Floats.bits(Float.intBitsToFloat(w[a + i]) - Float.intBitsToFloat(w[b + i]));
                }
            };
            case "mul" -> (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = Floats.bits(Float.intBitsToFloat(w[a + i]) * Float.intBitsToFloat(w[b + i]));
                }
            };
            case "div" -> (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = Floats.bits(Float.intBitsToFloat(w[a + i]) / Float.intBitsToFloat(w[b + i]));
                }
            };
            case "sqrt" -> (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    // A float's root rounded to double and then to float is the float root.
                    w[d + i] = Floats.bits((float) Math.sqrt(Float.intBitsToFloat(w[a + i])));
                }
            };
            case "fma", "mad" -> (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = Floats.bits(Math.fma(Float.intBitsToFloat(w[a + i]), Float.intBitsToFloat(w[b + i]),
                            Float.intBitsToFloat(w[c + i])));
                }
            };
            default -> null;
        };
    }

    private static Lanes twice(String opcode, Rounding rounding) {
        boolean nearest = rounding == Rounding.RN;
        return switch (opcode) {
            case "add" -> nearest
                    ? Lanes.twice((double a, double b) -> a + b)
                    : Lanes.twice((double a, double b) -> Floats.add(a, b, rounding));
            case "sub" -> nearest
                    ? Lanes.twice((double a, double b) -> a - b)
                    : Lanes.twice((double a, double b) -> Floats.add(a, -b, rounding));
            case "mul" -> nearest
                    ? Lanes.twice((double a, double b) -> a * b)
                    : Lanes.twice((double a, double b) -> Floats.multiply(a, b, rounding));
            case "div" -> Lanes.twice((double a, double b) -> Floats.divide(a, b, rounding));
            case "rcp" -> Lanes.twice((double a) -> Floats.divide(1, a, rounding));
            case "sqrt" -> Lanes.twice((double a) -> Floats.sqrt(a, rounding));
            default -> Lanes.twice((double a, double b, double c) -> Floats.fma(a, b, c, rounding));
        };
    }

    private static Lanes half(Form form, Half format, String opcode, Rounding rounding, boolean flush,
            boolean saturate, boolean relu, boolean packed) {
        if (rounding != Rounding.RN) {
            throw form.refusal("only .rn is defined for this type");
        }
        Lanes.Int3 exact = switch (opcode) {
            case "add" -> (a, b, c) -> format.round(Floats.addOdd(format.toFloat(a), format.toFloat(b)), rounding);
            case "sub" -> (a, b, c) -> format.round(Floats.addOdd(format.toFloat(a), -format.toFloat(b)), rounding);
            case "mul" -> (a, b, c) -> format.round((double) format.toFloat(a) * format.toFloat(b), rounding);
            case "fma" -> (a, b, c) -> Floats.fma(format, a, b, c, rounding);
            default -> throw form.refusal("not supported for this type");
        };
        Lanes.Int3 flushed = !flush
                ? exact
                : (a, b, c) -> flushHalf(exact.apply(flushHalf(a), flushHalf(b), flushHalf(c)));
        Lanes.Int3 clamped = !saturate && !relu ? flushed : (a, b, c) -> {
            int r = flushed.apply(a, b, c);
            float value = format.toFloat(r);
            if (relu) {
                return value != value ? Floats.NAN16 : value > 0 ? r : 0;
            }
            return format.round(Floats.saturate(value), Rounding.RN);
        };
        return halves(clamped, packed);
    }

    /** A function of 16-bit patterns, on one or on both halves of a register. */
    private static Lanes halves(Lanes.Int3 f, boolean packed) {
        return !packed
                ? Lanes.word(f)
                : Lanes.word((int a, int b, int c) -> f.apply(a & 0xffff, b & 0xffff, c & 0xffff)
                        | f.apply(a >>> 16, b >>> 16, c >>> 16) << 16);
    }

    /** f16: zero of the same sign for a subnormal. */
    private static int flushHalf(int bits) {
        return (bits & 0x7c00) == 0 ? bits & 0x8000 : bits;
    }

    private static Instruction minOrMax(Form form) {
        boolean min = form.statement.opcode().equals("min");
        boolean flush = form.skip("ftz");
        boolean keepNan = form.skip("NaN");
        boolean signs = form.skip("xorsign");
        if (signs && !form.skip("abs")) {
            throw form.refusal("xorsign without abs");
        }
        Type type = form.type();
        return switch (type) {
            case F32 -> form.binary(type, min || flush || keepNan || signs ? Lanes.single((float x, float y) -> {
                float a = flush ? Floats.flush(x) : x;
                float b = flush ? Floats.flush(y) : y;
                return extreme(min, keepNan, signs, a, b);
            }) : (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = Floats.bits(Floats.max(Float.intBitsToFloat(w[a + i]),
                            Float.intBitsToFloat(w[b + i])));
                }
            });
            case F64 -> {
                refuse(form, flush || keepNan || signs, "ftz, NaN or xorsign");
                yield form.binary(type, min
                        ? Lanes.twice((double a, double b) -> Floats.min(a, b))
                        : Lanes.twice((double a, double b) -> Floats.max(a, b)));
            }
            case F16, F16X2, BF16, BF16X2 -> {
                Half format = type == Type.F16 || type == Type.F16X2 ? Half.F16 : Half.BF16;
                refuse(form, flush && format == Half.BF16, "ftz");
                Lanes.Int3 f = (x, y, c) -> {
                    float a = format.toFloat(flush ? flushHalf(x) : x);
                    float b = format.toFloat(flush ? flushHalf(y) : y);
                    return format.round(extreme(min, keepNan, signs, a, b), Rounding.RN);
                };
                yield form.binary(type, halves(f, type.bits == 32));
            }
            default -> throw form.unsupported(type);
        };
    }

    private static float extreme(boolean min, boolean keepNan, boolean signs, float x, float y) {
        if (keepNan && (x != x || y != y)) {
            return Float.NaN;
        }
        float a = signs ? Math.abs(x) : x;
        float b = signs ? Math.abs(y) : y;
        float result = min ? Floats.min(a, b) : Floats.max(a, b);
        boolean negative = signs && (Float.floatToRawIntBits(x) ^ Float.floatToRawIntBits(y)) < 0;
        return negative ? -result : result;
    }

    /** Only the sign bit changes; PTX leaves a NaN's bits open, here they keep their payload. */
    private static Instruction sign(Form form) {
        boolean abs = form.statement.opcode().equals("abs");
        boolean flush = form.skip("ftz");
        Type type = form.type();
        return switch (type) {
            case F32 -> form.unary(type, Lanes.word((int x) -> {
                int a = flush ? Float.floatToRawIntBits(Floats.flush(Float.intBitsToFloat(x))) : x;
                return abs ? a & Integer.MAX_VALUE : a ^ Integer.MIN_VALUE;
            }));
            case F64 -> {
                refuse(form, flush, "ftz");
                yield form.unary(type, Lanes.wide((long a) -> abs ? a & Long.MAX_VALUE : a ^ Long.MIN_VALUE));
            }
            case F16, F16X2, BF16, BF16X2 -> {
                Lanes lanes = halves((x, y, c) -> {
                    int a = flush ? flushHalf(x) : x;
                    return abs ? a & 0x7fff : a ^ 0x8000;
                }, type.bits == 32);
                form.end(2);
                int a = form.at(1, type);
                yield new LaneOperation(lanes, false, form.at(0, type), a, a, a);
            }
            default -> throw form.unsupported(type);
        };
    }

    private static Instruction copySign(Form form) {
        Type type = form.type();
        return switch (type) {
            case F32 -> form.binary(type, Lanes.word((int a, int b) -> a & Integer.MIN_VALUE | b & Integer.MAX_VALUE));
            case F64 -> form.binary(type, Lanes.wide((long a, long b) -> a & Long.MIN_VALUE | b & Long.MAX_VALUE));
            default -> throw form.unsupported(type);
        };
    }

    private static Instruction test(Form form) {
        String what = form.one("finite", "infinite", "number", "notanumber", "normal", "subnormal");
        Type type = form.type();
        if (type != Type.F32 && type != Type.F64) {
            throw form.unsupported(type);
        }
        form.end(2);
        int d = form.predicate(0);
        int a = form.at(1, type);
        boolean wide = type.isWide();
        return PredicateOperation.of(d, (warp, mask) -> {
            int bits = 0;
            for (int i = 0; i < COUNT; i++) {
                double value = wide
                        ? Double.longBitsToDouble(warp.longs[a + i])
                        : Float.intBitsToFloat(warp.words[a + i]);
                double magnitude = Math.abs(value);
                double smallest = wide ? Double.MIN_NORMAL : Float.MIN_NORMAL;
                boolean holds = switch (what) {
                    case "finite" -> magnitude < Double.POSITIVE_INFINITY;
                    case "infinite" -> magnitude == Double.POSITIVE_INFINITY;
                    case "number" -> value == value;
                    case "notanumber" -> value != value;
                    case "normal" -> magnitude >= smallest && magnitude < Double.POSITIVE_INFINITY;
                    default -> magnitude > 0 && magnitude < smallest;
                };
                bits |= holds ? 1 << i : 0;
            }
            return bits;
        });
    }
}
