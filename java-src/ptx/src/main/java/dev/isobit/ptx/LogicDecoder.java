package dev.isobit.ptx;

import static dev.isobit.ptx.Lanes.COUNT;

/** Logic, shifts and bit fields. Shift amounts and field positions beyond the width are clamped as PTX says. */
final class LogicDecoder {
    private LogicDecoder() {}

    static Instruction decode(Form form) {
        return switch (form.statement.opcode()) {
            case "and", "or", "xor", "not", "cnot" -> logic(form);
            case "lop3" -> lookup(form);
            case "shl" -> shiftLeft(form);
            case "shr" -> shiftRight(form);
            case "shf" -> funnelShift(form);
            case "bfe" -> extract(form);
            case "bfi" -> insert(form);
            case "bfind" -> find(form);
            case "brev" -> bits(form, Lanes.word(Integer::reverse), Lanes.wide(Long::reverse));
            case "popc" -> count(form, true);
            case "clz" -> count(form, false);
            case "prmt" -> permute(form);
            case "bmsk" -> mask(form);
            case "szext" -> extend(form);
            default -> null;
        };
    }

    private static Instruction logic(Form form) {
        String opcode = form.statement.opcode();
        Type type = form.type();
        if (type == Type.PRED) {
            return predicateLogic(form);
        }
        if (type.kind != Type.Kind.BITS || type.bits < 16 || type.bits > 64) {
            throw form.unsupported(type);
        }
        boolean wide = type.isWide();
        return switch (opcode) {
            case "and" -> form.binary(type, wide ? (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    q[d + i] = q[a + i] & q[b + i];
                }
            } : (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = w[a + i] & w[b + i];
                }
            });
            case "or" -> form.binary(type, wide ? (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    q[d + i] = q[a + i] | q[b + i];
                }
            } : (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = w[a + i] | w[b + i];
                }
            });
            case "xor" -> form.binary(type, wide ? (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    q[d + i] = q[a + i] ^ q[b + i];
                }
            } : (w, q, d, a, b, c) -> {
                for (int i = 0; i < COUNT; i++) {
                    w[d + i] = w[a + i] ^ w[b + i];
                }
            });
            case "not" -> form.unary(type, IntegerDecoder.lanes(type, a -> ~a));
            default -> form.unary(type, IntegerDecoder.lanes(type, a -> a == 0 ? 1 : 0));
        };
    }

    private static Instruction predicateLogic(Form form) {
        String opcode = form.statement.opcode();
        boolean one = opcode.equals("not") || opcode.equals("cnot");
        form.end(one ? 2 : 3);
        int d = form.predicate(0);
        PredicateSource a = PredicateSource.of(form, 1);
        PredicateSource b = one ? a : PredicateSource.of(form, 2);
        return PredicateOperation.of(d, (warp, mask) -> {
            int x = a.bits(warp);
            int y = b.bits(warp);
            return switch (opcode) {
                case "and" -> x & y;
                case "or" -> x | y;
                case "xor" -> x ^ y;
                default -> ~x;
            };
        });
    }

    private static Instruction lookup(Form form) {
        if (form.skipAny("or", "and") != null) {
            throw form.refusal("lop3 with a predicate is not supported");
        }
        Type type = form.type();
        if (type != Type.B32) {
            throw form.unsupported(type);
        }
        form.end(5);
        if (!(form.operand(4) instanceof Operand.Whole table)) {
            throw form.refusal("the lookup table must be a number");
        }
        int lut = (int) table.value();
        Lanes lanes = Lanes.word((int a, int b, int c) -> {
            int result = 0;
            for (int row = 0; row < 8; row++) {
                if ((lut >> row & 1) != 0) {
                    result |= ((row & 4) != 0 ? a : ~a) & ((row & 2) != 0 ? b : ~b) & ((row & 1) != 0 ? c : ~c);
                }
            }
            return result;
        });
        return new LaneOperation(lanes, false, form.at(0, type), form.at(1, type), form.at(2, type),
                form.at(3, type));
    }

    private static Instruction shiftLeft(Form form) {
        Type type = form.type();
        if (type.kind != Type.Kind.BITS || type.bits < 16 || type.bits > 64) {
            throw form.unsupported(type);
        }
        form.end(3);
        int width = type.bits;
        Lanes lanes = type.isWide() ? (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = w[b + i] >>> 6 == 0 ? q[a + i] << w[b + i] : 0;
            }
        } : width == 32 ? (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = w[b + i] >>> 5 == 0 ? w[a + i] << w[b + i] : 0;
            }
        } : (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = w[b + i] >>> 4 == 0 ? w[a + i] << w[b + i] & 0xffff : 0;
            }
        };
        return new LaneOperation(lanes, type.isWide(), form.at(0, type), form.at(1, type), form.at(2, Type.U32), 0);
    }

    private static Instruction shiftRight(Form form) {
        Type type = form.type();
        if (!type.isInteger() || type.bits < 16 || type.bits > 64) {
            throw form.unsupported(type);
        }
        form.end(3);
        boolean signed = type.isSigned();
        int last = type.bits - 1;
        Lanes lanes = type.isWide() ? signed ? (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = q[a + i] >> (w[b + i] >>> 6 == 0 ? w[b + i] : 63);
            }
        } : (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                q[d + i] = w[b + i] >>> 6 == 0 ? q[a + i] >>> w[b + i] : 0;
            }
        } : signed ? (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                int by = Integer.compareUnsigned(w[b + i], last) < 0 ? w[b + i] : last;
                w[d + i] = (int) IntegerDecoder.truncate(type, IntegerDecoder.extend(type, w[a + i]) >> by);
            }
        } : (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                w[d + i] = Integer.compareUnsigned(w[b + i], last) <= 0 ? w[a + i] >>> w[b + i] : 0;
            }
        };
        return new LaneOperation(lanes, type.isWide(), form.at(0, type), form.at(1, type), form.at(2, Type.U32), 0);
    }

    private static Instruction funnelShift(Form form) {
        boolean left = form.one("l", "r").equals("l");
        boolean wrap = form.one("wrap", "clamp").equals("wrap");
        Type type = form.type();
        if (type != Type.B32) {
            throw form.unsupported(type);
        }
        return form.ternary(type, Lanes.word((int low, int high, int c) -> {
            int n = wrap ? c & 31 : Integer.compareUnsigned(c, 32) < 0 ? c : 32;
            long both = (long) high << 32 | low & 0xffff_ffffL;
            return left ? (int) (both << n >>> 32) : (int) (both >>> n);
        }));
    }

    private static Type fieldType(Form form) {
        Type type = form.type();
        if (!type.isInteger() || type.bits < 32 || type.bits > 64) {
            throw form.unsupported(type);
        }
        return type;
    }

    /** The field as PTX defines it: bits beyond the register are its sign bit (signed) or 0. */
    private static long field(Type type, long value, int position, int length) {
        int msb = type.bits - 1;
        if (length == 0) {
            return 0;
        }
        boolean signBit = type.isSigned() && (value >>> Math.min(position + length - 1, msb) & 1) != 0;
        long result = signBit ? -1L : 0;
        for (int i = 0; i < Math.min(length, type.bits); i++) {
            boolean bit = position + i <= msb ? (value >>> position + i & 1) != 0 : signBit;
            result = bit ? result | 1L << i : result & ~(1L << i);
        }
        return result;
    }

    private static Instruction extract(Form form) {
        Type type = fieldType(form);
        form.end(4);
        boolean wide = type.isWide();
        Lanes lanes = (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                long value = field(type, wide ? q[a + i] : w[a + i] & 0xffff_ffffL, w[b + i] & 0xff, w[c + i] & 0xff);
                if (wide) {
                    q[d + i] = value;
                } else {
                    w[d + i] = (int) value;
                }
            }
        };
        return new LaneOperation(lanes, wide, form.at(0, type), form.at(1, type), form.at(2, Type.U32),
                form.at(3, Type.U32));
    }

    private static Instruction insert(Form form) {
        Type type = fieldType(form);
        if (type.kind != Type.Kind.BITS) {
            throw form.unsupported(type);
        }
        form.end(5);
        boolean wide = type.isWide();
        int length = form.at(4, Type.U32);
        Lanes lanes = (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                long value = wide ? q[a + i] : w[a + i];
                long into = wide ? q[b + i] : w[b + i];
                int position = w[c + i] & 0xff;
                int n = w[length + i] & 0xff;
                long ones = n >= 64 ? -1L : (1L << n) - 1;
                long field = position >= 64 ? 0 : ones << position;
                long result = into & ~field | (position >= 64 ? 0 : value << position) & field;
                if (wide) {
                    q[d + i] = result;
                } else {
                    w[d + i] = (int) result;
                }
            }
        };
        return new LaneOperation(lanes, wide, form.at(0, type), form.at(1, type), form.at(2, type),
                form.at(3, Type.U32));
    }

    private static Instruction find(Form form) {
        boolean shiftAmount = form.skip("shiftamt");
        Type type = fieldType(form);
        if (type.kind == Type.Kind.BITS) {
            throw form.unsupported(type);
        }
        form.end(2);
        Lanes lanes = (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                long value = IntegerDecoder.extend(type, type.isWide() ? q[a + i] : w[a + i]);
                long searched = type.isSigned() && value < 0 ? ~value : value;
                int at = searched == 0 ? -1 : 63 - Long.numberOfLeadingZeros(searched);
                w[d + i] = shiftAmount && at >= 0 ? type.bits - 1 - at : at;
            }
        };
        return new LaneOperation(lanes, false, form.at(0, Type.U32), form.at(1, type), 0, 0);
    }

    private static Instruction bits(Form form, Lanes word, Lanes wide) {
        Type type = form.type();
        if (type != Type.B32 && type != Type.B64) {
            throw form.unsupported(type);
        }
        return form.unary(type, type == Type.B64 ? wide : word);
    }

    private static Instruction count(Form form, boolean ones) {
        Type type = form.type();
        if (type != Type.B32 && type != Type.B64) {
            throw form.unsupported(type);
        }
        form.end(2);
        boolean wide = type.isWide();
        Lanes lanes = (w, q, d, a, b, c) -> {
            for (int i = 0; i < COUNT; i++) {
                long value = wide ? q[a + i] : w[a + i] & 0xffff_ffffL;
                w[d + i] = ones ? Long.bitCount(value) : Long.numberOfLeadingZeros(value) - (wide ? 0 : 32);
            }
        };
        return new LaneOperation(lanes, false, form.at(0, Type.U32), form.at(1, type), 0, 0);
    }

    private static Instruction permute(Form form) {
        Type type = form.type();
        if (type != Type.B32) {
            throw form.unsupported(type);
        }
        String mode = form.skipAny("f4e", "b4e", "rc8", "ecl", "ecr", "rc16");
        return form.ternary(type, Lanes.word((int a, int b, int c) -> {
            long bytes = (long) b << 32 | a & 0xffff_ffffL;
            int result = 0;
            for (int i = 0; i < 4; i++) {
                int select = selector(mode, c, i);
                int value = (int) (bytes >>> 8 * (select & 7)) & 0xff;
                if ((select & 8) != 0) {
                    value = (byte) value < 0 ? 0xff : 0;
                }
                result |= value << 8 * i;
            }
            return result;
        }));
    }

    /** Which of the eight bytes goes to byte {@code i}; 8 is added where its sign is to be spread. */
    private static int selector(String mode, int c, int i) {
        int n = c & 3;
        return switch (mode) {
            case null -> c >>> 4 * i & 15;
            case "f4e" -> n + i;
            case "b4e" -> n - i & 7;
            case "rc8" -> n;
            case "ecl" -> Math.max(n, i);
            case "ecr" -> Math.min(n, i);
            default -> (n & 1) * 2 + (i & 1);
        };
    }

    private static Instruction mask(Form form) {
        boolean wrap = form.one("clamp", "wrap").equals("wrap");
        Type type = form.type();
        if (type != Type.B32) {
            throw form.unsupported(type);
        }
        return form.binary(type, Lanes.word((int a, int b) -> {
            long from = wrap ? a & 31 : Math.min(a & 0xffff_ffffL, 32);
            long length = wrap ? b & 31 : Math.min(b & 0xffff_ffffL, 32);
            return (int) ((1L << length) - 1 << from);
        }));
    }

    private static Instruction extend(Form form) {
        boolean wrap = form.one("clamp", "wrap").equals("wrap");
        Type type = form.type();
        if (type != Type.U32 && type != Type.S32) {
            throw form.unsupported(type);
        }
        return form.binary(type, Lanes.word((int a, int b) -> {
            long n = wrap ? b & 31 : Math.min(b & 0xffff_ffffL, 32);
            if (n == 0) {
                return 0;
            }
            int unused = 32 - (int) n;
            return type.isSigned() ? a << unused >> unused : a << unused >>> unused;
        }));
    }
}
