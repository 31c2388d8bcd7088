package dev.isobit.ptx;

import static dev.isobit.ptx.Lanes.COUNT;

import dev.isobit.ptx.Floats.Half;
import dev.isobit.ptx.Floats.Rounding;
import java.util.function.LongUnaryOperator;

/** Moves and conversions. */
final class ConversionDecoder {
    private ConversionDecoder() {}

    static Instruction decode(Form form) {
        return switch (form.statement.opcode()) {
            case "mov" -> move(form);
            case "cvt" -> convert(form);
            default -> null;
        };
    }

    private static Instruction move(Form form) {
        Type type = form.type();
        form.end(2);
        if (type == Type.PRED) {
            int d = form.predicate(0);
            PredicateSource a = PredicateSource.of(form, 1);
            return PredicateOperation.of(d, (warp, mask) -> a.bits(warp));
        }
        if (type.bits > 64 || type.bits < 16) {
            throw form.unsupported(type);
        }
        if (form.operand(1) instanceof Operand.Special special && Clock.isClock(special.name())) {
            return new Clock(special.name(), type.isWide(), form.at(0, type));
        }
        if (form.operand(1) instanceof Operand.Vector parts) {
            return pack(form, type, parts);
        }
        if (form.operand(0) instanceof Operand.Vector parts) {
            return unpack(form, type, parts);
        }
        return new LaneOperation(copy(type.isWide()), type.isWide(), form.at(0, type), form.at(1, type), 0, 0);
    }

    static Lanes copy(boolean wide) {
        return wide
                ? (w, q, d, a, b, c) -> System.arraycopy(q, a, q, d, COUNT)
                : (w, q, d, a, b, c) -> System.arraycopy(w, a, w, d, COUNT);
    }

    private static Type part(Form form, Type whole, int parts) {
        return switch (whole.bits / parts) {
            case 32 -> Type.B32;
            case 16 -> Type.B16;
            default -> throw form.refusal("parts of " + whole.bits / parts + " bits are not supported");
        };
    }

    private static Instruction pack(Form form, Type type, Operand.Vector vector) {
        int n = vector.elements().size();
        Type part = part(form, type, n);
        int[] from = new int[n];
        for (int i = 0; i < n; i++) {
            from[i] = form.slots.at(form.statement, vector.elements().get(i), part);
        }
        boolean wide = type.isWide();
        Lanes lanes = (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                long value = 0;
                for (int k = n - 1; k >= 0; k--) {
                    value = value << part.bits | IntegerDecoder.truncate(part, w[from[k] + i]);
                }
                if (wide) {
                    q[d + i] = value;
                } else {
                    w[d + i] = (int) value;
                }
            }
        };
        return new LaneOperation(lanes, wide, form.at(0, type), 0, 0, 0);
    }

    private static Instruction unpack(Form form, Type type, Operand.Vector vector) {
        int n = vector.elements().size();
        Type part = part(form, type, n);
        int[] to = new int[n];
        for (int i = 0; i < n; i++) {
            to[i] = form.slots.at(form.statement, vector.elements().get(i), part);
        }
        int a = form.at(1, type);
        boolean wide = type.isWide();
        return new WarpOperation((warp, mask) -> {
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                long value = warp.get(wide, a + lane);
                for (int k = 0; k < n; k++) {
                    warp.words[to[k] + lane] = (int) IntegerDecoder.truncate(part, value >>> k * part.bits);
                }
            }
        });
    }

    private static Instruction convert(Form form) {
        String mode = form.skipAny("rn", "rz", "rm", "rp", "rni", "rzi", "rmi", "rpi");
        boolean flush = form.skip("ftz");
        boolean saturate = form.skip("sat");
        boolean relu = form.skip("relu");
        if (form.skip("satfinite") || form.skip("rna") || form.skip("rs")) {
            throw form.refusal("this conversion is not supported");
        }
        Type to = form.type();
        Type from = form.type();
        Rounding rounding = mode == null ? null : Rounding.of(mode);
        boolean integral = mode != null && mode.endsWith("i");
        if (to == Type.F16X2 || to == Type.BF16X2) {
            return convertPair(form, to, from, rounding, relu);
        }
        form.end(2);
        if (!isNumber(to) || !isNumber(from)) {
            throw form.unsupported(isNumber(to) ? from : to);
        }
        checkRounding(form, to, from, rounding, integral);
        if (flush && from != Type.F32 && to != Type.F32) {
            throw form.refusal(".ftz is only defined for .f32");
        }
        LongUnaryOperator f = conversion(to, from, rounding == null ? Rounding.RN : rounding, integral, flush,
                saturate, relu);
        return conversionInstruction(form, to, from, f);
    }

    private static boolean isNumber(Type type) {
        return type.isFloat() || (type.isSigned() || type.kind == Type.Kind.UNSIGNED);
    }

    private static void checkRounding(Form form, Type to, Type from, Rounding rounding, boolean integral) {
        boolean narrows = to.isFloat() && (!from.isFloat() || to.bits < from.bits
                || to.bits == from.bits && to != from);
        boolean toInteger = !to.isFloat() && from.isFloat();
        if ((narrows || toInteger) && rounding == null) {
            throw form.refusal("needs a rounding mode");
        }
        if (toInteger != integral && rounding != null && !(integral && to == from && to.isFloat())) {
            throw form.refusal("this rounding mode is not defined here");
        }
        if (rounding != null && !narrows && !toInteger && !integral) {
            throw form.refusal("no rounding mode is defined here");
        }
    }

    /** From the bits of the source value to the bits of the result; both zero-extended to 64. */
    private static LongUnaryOperator conversion(Type to, Type from, Rounding rounding, boolean integral,
            boolean flush, boolean saturate, boolean relu) {
        if (!from.isFloat() && !to.isFloat()) {
            return bits -> {
                long value = IntegerDecoder.extend(from, bits);
                return saturate ? clamp(to, from, value) : value;
            };
        }
        if (!from.isFloat()) {
            boolean unsigned = !from.isSigned();
            return bits -> {
                long value = IntegerDecoder.extend(from, bits);
                if (to == Type.F64) {
                    double d = Floats.toDouble(value, unsigned, rounding);
                    return Double.doubleToRawLongBits(saturate ? Floats.saturate(d) : d);
                }
                return toFloatBits(to, Floats.oddFromLong(value, unsigned), rounding, flush, saturate, relu);
            };
        }
        if (!to.isFloat()) {
            long nan = from == Type.F64 || to.bits == 64 ? 1L << to.bits - 1 : 0;
            return bits -> Floats.toLong(toDouble(from, bits, flush), to.bits, to.isSigned(), rounding, nan);
        }
        return bits -> {
            double value = toDouble(from, bits, flush);
            return toFloatBits(to, integral ? Floats.integral(value, rounding) : value,
                    integral ? Rounding.RN : rounding, flush, saturate, relu);
        };
    }

    private static long clamp(Type to, Type from, long value) {
        boolean huge = !from.isSigned() && value < 0; // an unsigned number of 64 bits, above all signed ones
        if (to.isSigned()) {
            long high = Long.MAX_VALUE >> 64 - to.bits;
            return huge ? high : Math.max(-high - 1, Math.min(high, value));
        }
        if (to.bits == 64) {
            return from.isSigned() ? Math.max(0, value) : value;
        }
        long high = (1L << to.bits) - 1;
        return huge ? high : Math.max(0, Math.min(high, value));
    }

    private static double toDouble(Type from, long bits, boolean flush) {
        return switch (from) {
            case F64 -> Double.longBitsToDouble(bits);
            case F32 -> {
                float value = Float.intBitsToFloat((int) bits);
                yield flush ? Floats.flush(value) : value;
            }
            case F16 -> Half.F16.toFloat((int) bits & 0xffff);
            default -> Half.BF16.toFloat((int) bits & 0xffff);
        };
    }

    private static long toFloatBits(Type to, double value, Rounding rounding, boolean flush, boolean saturate,
            boolean relu) {
        double v = saturate ? Floats.saturate(value) : relu && value <= 0 ? 0 : value;
        return switch (to) {
            case F64 -> Floats.bits(v);
            case F32 -> {
                float rounded = Floats.round(v, rounding);
                yield Floats.bits(flush ? Floats.flush(rounded) : rounded) & 0xffff_ffffL;
            }
            case F16 -> Half.F16.round(v, rounding);
            default -> Half.BF16.round(v, rounding);
        };
    }

    /** Source and destination registers may be wider than their types. */
    private static Instruction conversionInstruction(Form form, Type to, Type from, LongUnaryOperator f) {
        Slots.Place d = form.slots.loose(form.statement, form.operand(0), to);
        Slots.Place a = form.slots.loose(form.statement, form.operand(1), from);
        Lanes fast = fastConversion(to, from, d, a, form.statement);
        if (fast != null) {
            return new LaneOperation(fast, d.wide(), d.offset(), a.offset(), 0, 0);
        }
        // A result narrower than its register is extended to the register's width.
        LongUnaryOperator extended = to.isSigned() && d.bits() > to.bits
                ? bits -> IntegerDecoder.extend(to, f.applyAsLong(bits))
                : bits -> IntegerDecoder.truncate(to, f.applyAsLong(bits));
        int unused = 64 - d.bits();
        boolean fromWide = a.wide();
        boolean toWide = d.wide();
        Lanes lanes = (w, q, dd, aa, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                long value = extended.applyAsLong(fromWide ? q[aa + i] : w[aa + i] & 0xffff_ffffL);
                if (toWide) {
                    q[dd + i] = value;
                } else {
                    w[dd + i] = (int) (value << unused >>> unused);
                }
            }
        };
        return new LaneOperation(lanes, toWide, d.offset(), a.offset(), 0, 0);
    }

    /** Loops of their own for the conversions that kernels use most. */
    private static Lanes fastConversion(Type to, Type from, Slots.Place d, Slots.Place a, Statement statement) {
        if (statement.has("sat") || statement.has("ftz") || d.bits() != to.bits || a.bits() != from.bits) {
            return null;
        }
        if (to.bits == 64 && to.isInteger() && from == Type.S32) {
            return (w, q, dd, aa, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    q[dd + i] = w[aa + i];
                }
            };
        }
        if (to.bits == 64 && to.isInteger() && from == Type.U32) {
            return (w, q, dd, aa, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    q[dd + i] = w[aa + i] & 0xffff_ffffL;
                }
            };
        }
        if (to.bits == 32 && to.isInteger() && from.bits == 64 && from.isInteger()) {
            return (w, q, dd, aa, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[dd + i] = (int) q[aa + i];
                }
            };
        }
        if (to == Type.F32 && from == Type.S32 && statement.has("rn")) {
            return (w, q, dd, aa, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[dd + i] = Float.floatToRawIntBits(w[aa + i]);
                }
            };
        }
        if (to == Type.F64 && from == Type.F32) {
            return (w, q, dd, aa, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    q[dd + i] = Floats.bits((double) Float.intBitsToFloat(w[aa + i]));
                }
            };
        }
        if (to == Type.F32 && from == Type.F64 && statement.has("rn")) {
            return (w, q, dd, aa, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[dd + i] = Floats.bits((float) Double.longBitsToDouble(q[aa + i]));
                }
            };
        }
        return null;
    }

    private static Instruction convertPair(Form form, Type to, Type from, Rounding rounding, boolean relu) {
        if (from != Type.F32 || rounding != Rounding.RN && rounding != Rounding.RZ) {
            throw form.refusal("this conversion is not supported");
        }
        Half format = to == Type.F16X2 ? Half.F16 : Half.BF16;
        form.end(3);
        Lanes lanes = Lanes.word((int high, int low) -> halfOf(format, high, rounding, relu) << 16
                | halfOf(format, low, rounding, relu));
        return new LaneOperation(lanes, false, form.at(0, to), form.at(1, from), form.at(2, from), 0);
    }

    private static int halfOf(Half format, int bits, Rounding rounding, boolean relu) {
        float value = Float.intBitsToFloat(bits);
        return format.round(relu && value <= 0 ? 0 : value, rounding);
    }
}
