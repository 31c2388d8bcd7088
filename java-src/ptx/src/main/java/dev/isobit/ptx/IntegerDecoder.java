package dev.isobit.ptx;

import static dev.isobit.ptx.Lanes.COUNT;

import java.util.function.LongBinaryOperator;
import java.util.function.LongUnaryOperator;

/** Integer arithmetic. */
final class IntegerDecoder {
    private IntegerDecoder() {}

    static Instruction decode(Form form) {
        return switch (form.statement.opcode()) {
            case "add", "sub" -> form.statement.has("cc") ? withCarry(form) : addOrSubtract(form);
            case "addc", "subc", "madc" -> withCarry(form);
            case "mul" -> multiply(form, false);
            case "mad" -> form.statement.has("cc") ? withCarry(form) : multiply(form, true);
            case "mul24", "mad24" -> multiply24(form);
            case "sad" -> sumOfDifference(form);
            case "div" -> divide(form, (a, b) -> b == 0 ? -1 : a / b,
                    (a, b) -> b == 0 ? -1 : Long.divideUnsigned(a, b));
            case "rem" -> divide(form, (a, b) -> b == 0 ? a : a % b,
                    (a, b) -> b == 0 ? a : Long.remainderUnsigned(a, b));
            case "abs" -> one(form, true, a -> a < 0 ? -a : a);
            case "neg" -> one(form, true, a -> -a);
            case "min" -> minOrMax(form, true);
            case "max" -> minOrMax(form, false);
            case "dp4a" -> dotProduct(form);
            default -> null;
        };
    }

    /** Reads a value of the type from zero-extended bits. */
    static long extend(Type type, long bits) {
        int unused = 64 - type.bits;
        return type.isSigned() ? bits << unused >> unused : bits << unused >>> unused;
    }

    /** Bits of a value as a register of that width holds them: 16-bit ones zero-extended. */
    static long truncate(Type type, long value) {
        return truncate(type.bits, value);
    }

    static long truncate(int bits, long value) {
        int unused = 64 - bits;
        return value << unused >>> unused;
    }

    private static Type integerType(Form form) {
        Type type = form.type();
        if (!type.isInteger() || type.bits < 16 || type.bits > 64) {
            throw form.unsupported(type);
        }
        return type;
    }

    /** An operation on values of any integer type, given on longs that hold the value. */
    static Lanes lanes(Type type, LongBinaryOperator f) {
        if (type.isWide()) {
            return Lanes.wide(f);
        }
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = (int) truncate(type, f.applyAsLong(extend(type, w[a + i]), extend(type, w[b + i])));
            }
        };
    }

    static Lanes lanes(Type type, LongUnaryOperator f) {
        return lanes(type, (a, b) -> f.applyAsLong(a));
    }

    private static Instruction addOrSubtract(Form form) {
        boolean add = form.statement.opcode().equals("add");
        boolean saturate = form.skip("sat");
        Type type = form.type();
        if (type == Type.U16X2 || type == Type.S16X2) {
            return form.binary(type, Lanes.word((int a, int b) -> add
                    ? a + b & 0xffff | (a >>> 16) + (b >>> 16) << 16
                    : a - b & 0xffff | (a >>> 16) - (b >>> 16) << 16));
        }
        if (!type.isInteger() || type.bits < 16 || saturate && type != Type.S32) {
            throw form.unsupported(type);
        }
        if (saturate) {
            return form.binary(type, lanes(type, (a, b) -> Math.clamp(add ? a + b : a - b, Integer.MIN_VALUE,
                    Integer.MAX_VALUE)));
        }
        if (type.bits == 32) {
            return form.binary(type, add ? (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = w[a + i] + w[b + i];
                }
            } : (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = w[a + i] - w[b + i];
                }
            });
        }
        if (type.bits == 64) {
            return form.binary(type, add ? (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    q[d + i] = q[a + i] + q[b + i];
                }
            } : (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    q[d + i] = q[a + i] - q[b + i];
                }
            });
        }
        return form.binary(type, lanes(type, (a, b) -> add ? a + b : a - b));
    }

    /** The forms that write the carry flag ({@code .cc}), read it ({@code addc}, ...), or both. */
    private static Instruction withCarry(Form form) {
        String opcode = form.statement.opcode();
        boolean takes = opcode.endsWith("c");
        boolean product = opcode.startsWith("mad");
        boolean high = product && form.one("lo", "hi").equals("hi");
        boolean gives = form.skip("cc");
        Type type = form.type();
        if (!type.isInteger() || type.bits < 32 || type.kind == Type.Kind.BITS) {
            throw form.unsupported(type);
        }
        form.end(product ? 4 : 3);
        int d = form.at(0, type);
        int a = form.at(1, type);
        int b = form.at(2, type);
        int c = product ? form.at(3, type) : 0;
        boolean subtract = opcode.startsWith("sub");
        Lanes times = product ? product(type, high, false, false) : null;
        return new WarpOperation((warp, mask) -> {
            if (product) {
                times.run(warp.words, warp.longs, 0, a, b, 0); // to scratch
            }
            int carries = 0;
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                long x = warp.get(type.isWide(), (product ? 0 : a) + lane);
                long y = warp.get(type.isWide(), (product ? c : b) + lane);
                long in = takes ? warp.carries >>> lane & 1 : 0;
                long sum = subtract ? x - y - in : x + y + in;
                boolean carry = type.isWide()
                        ? subtract
                                ? Long.compareUnsigned(x, y) < 0 || x == y && in != 0
                                : Long.compareUnsigned(sum, x) < 0 || sum == x && in != 0
                        : (sum >>> 32 & 1) != 0;
                warp.put(type.isWide(), d + lane, sum);
                carries |= carry ? 1 << lane : 0;
            }
            if (gives) {
                warp.carries = warp.carries & ~mask | carries;
            }
        });
    }

    private static Instruction multiply(Form form, boolean addend) {
        String part = form.one("lo", "hi", "wide");
        boolean saturate = addend && part.equals("hi") && form.skip("sat");
        Type type = integerType(form);
        if (part.equals("wide")) {
            return multiplyWide(form, type, addend);
        }
        boolean high = part.equals("hi");
        form.end(addend ? 4 : 3);
        Lanes lanes = product(type, high, saturate, addend);
        return new LaneOperation(lanes, type.isWide(), form.at(0, type), form.at(1, type), form.at(2, type),
                addend ? form.at(3, type) : 0);
    }

    private static Lanes product(Type type, boolean high, boolean saturate, boolean addend) {
        if (type.bits == 32 && !high) {
            return addend ? (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = w[a + i] * w[b + i] + w[c + i];
                }
            } : (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = w[a + i] * w[b + i];
                }
            };
        }
        if (type.isWide()) {
            LongBinaryOperator f = !high
                    ? (x, y) -> x * y
                    : type.isSigned() ? Math::multiplyHigh : Math::unsignedMultiplyHigh;
            return addend ? Lanes.wide((long x, long y, long z) -> f.applyAsLong(x, y) + z) : Lanes.wide(f);
        }
        int shift = high ? type.bits : 0;
        return (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                long product = extend(type, w[a + i]) * extend(type, w[b + i]) >> shift;
                long sum = product + (addend ? extend(type, w[c + i]) : 0);
                w[d + i] = (int) truncate(type, saturate
                        ? Math.clamp(sum, Integer.MIN_VALUE, Integer.MAX_VALUE)
                        : sum);
            }
        };
    }

    private static Instruction multiplyWide(Form form, Type type, boolean addend) {
        form.end(addend ? 4 : 3);
        Type result = type.bits == 16 ? Type.B32 : Type.B64;
        if (type.bits == 64) {
            throw form.unsupported(type);
        }
        boolean signed = type.isSigned();
        Lanes lanes = type.bits == 16 ? (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = (int) (extend(type, w[a + i]) * extend(type, w[b + i])) + (addend ? w[c + i] : 0);
            }
        } : signed ? (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = (long) w[a + i] * w[b + i] + (addend ? q[c + i] : 0);
            }
        } : (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = (w[a + i] & 0xffff_ffffL) * (w[b + i] & 0xffff_ffffL) + (addend ? q[c + i] : 0);
            }
        };
        return new LaneOperation(lanes, result.isWide(), form.at(0, result), form.at(1, type), form.at(2, type),
                addend ? form.at(3, result) : 0);
    }

    private static Instruction multiply24(Form form) {
        boolean addend = form.statement.opcode().equals("mad24");
        boolean high = form.one("lo", "hi").equals("hi");
        Type type = form.type();
        if (type != Type.U32 && type != Type.S32) {
            throw form.unsupported(type);
        }
        boolean signed = type == Type.S32;
        Lanes lanes = (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                long x = signed ? w[a + i] << 8 >> 8 : w[a + i] & 0xff_ffff;
                long y = signed ? w[b + i] << 8 >> 8 : w[b + i] & 0xff_ffff;
                w[d + i] = (int) (high ? x * y >> 16 : x * y) + (addend ? w[c + i] : 0);
            }
        };
        return addend ? form.ternary(type, lanes) : form.binary(type, lanes);
    }

    private static Instruction sumOfDifference(Form form) {
        Type type = integerType(form);
        boolean signed = type.isSigned();
        if (type.isWide()) {
            return form.ternary(type, Lanes.wide((long a, long b, long c) -> c
                    + ((signed ? a < b : Long.compareUnsigned(a, b) < 0) ? b - a : a - b)));
        }
        return form.ternary(type, Lanes
                .word((int a, int b, int c) -> (int) truncate(type, c + Math.abs(extend(type, a) - extend(type, b)))));
    }

    private static Instruction divide(Form form, LongBinaryOperator signed, LongBinaryOperator unsigned) {
        Type type = form.type();
        if (type.kind != Type.Kind.SIGNED && type.kind != Type.Kind.UNSIGNED || type.bits < 16) {
            throw form.unsupported(type);
        }
        return form.binary(type, lanes(type, type.isSigned() ? signed : unsigned));
    }

    private static Instruction one(Form form, boolean signedOnly, LongUnaryOperator f) {
        Type type = form.type();
        if (type.bits < 16 || !type.isInteger() || signedOnly && !type.isSigned()) {
            throw form.unsupported(type);
        }
        return form.unary(type, lanes(type, f));
    }

    private static Instruction minOrMax(Form form, boolean min) {
        boolean relu = form.skip("relu");
        Type type = form.type();
        if (type == Type.U16X2 || type == Type.S16X2) {
            Type half = type == Type.S16X2 ? Type.S16 : Type.U16;
            LongBinaryOperator f = (a, b) -> {
                long r = min ? Math.min(a, b) : Math.max(a, b);
                return relu ? Math.max(r, 0) : r;
            };
            return form.binary(type,
                    Lanes.word((int a, int b) -> (int) (truncate(half, f.applyAsLong(extend(half, a), extend(half, b)))
                            | truncate(half, f.applyAsLong(extend(half, a >>> 16), extend(half, b >>> 16))) << 16)));
        }
        if (type.kind != Type.Kind.SIGNED && type.kind != Type.Kind.UNSIGNED || type.bits < 16
                || relu && type != Type.S32) {
            throw form.unsupported(type);
        }
        LongBinaryOperator f = type == Type.U64
                ? (a, b) -> Long.compareUnsigned(a, b) < 0 == min ? a : b
                : min ? Math::min : Math::max;
        return form.binary(type, lanes(type, relu ? (a, b) -> Math.max(0, f.applyAsLong(a, b)) : f));
    }

    private static Instruction dotProduct(Form form) {
        Type left = form.type();
        Type right = form.type();
        if (left.bits != 32 || right.bits != 32 || !left.isInteger() || !right.isInteger()) {
            throw form.unsupported(left);
        }
        boolean x = left.isSigned();
        boolean y = right.isSigned();
        return form.ternary(left, Lanes.word((int a, int b, int c) -> {
            int sum = c;
            for (int i = 0; i < 32; i += 8) {
                int l = a >>> i & 0xff;
                int r = b >>> i & 0xff;
                sum += (x ? (byte) l : l) * (y ? (byte) r : r);
            }
            return sum;
        }));
    }
}
