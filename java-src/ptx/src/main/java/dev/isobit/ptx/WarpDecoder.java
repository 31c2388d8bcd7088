package dev.isobit.ptx;

import static dev.isobit.ptx.Lanes.COUNT;

/** Instructions by which the threads of a warp talk to each other. */
final class WarpDecoder {
    private WarpDecoder() {}

    static Instruction decode(Form form) {
        return switch (form.statement.opcode()) {
            case "shfl" -> shuffle(form);
            case "vote" -> vote(form);
            case "match" -> match(form);
            case "redux" -> reduce(form);
            case "activemask" -> active(form);
            case "elect" -> elect(form);
            default -> null;
        };
    }

    /** {@code bar.warp.sync}, of which the opcode and {@code warp} have been taken. */
    static Instruction barrier(Form form) {
        if (!form.skip("sync")) {
            throw form.refusal("not supported");
        }
        form.end(1);
        return new WarpSync(form.at(0, Type.B32), (warp, mask, members) -> {
            if (warp.block.grid.sanitizer != null) {
                warp.block.grid.sanitizer.warpBarrier(warp, mask);
            }
        });
    }

    private static void sync(Form form) {
        if (!form.skip("sync")) {
            throw form.refusal("only the .sync form is supported");
        }
    }

    private static Instruction shuffle(Form form) {
        sync(form);
        String mode = form.one("up", "down", "bfly", "idx");
        Type type = form.type();
        if (type != Type.B32) {
            throw form.unsupported(type);
        }
        form.end(5);
        Operand first = form.operand(0) instanceof Operand.Pair pair ? pair.first() : form.operand(0);
        int d = form.slots.at(form.statement, first, type);
        int p = form.operand(0) instanceof Operand.Pair pair ? form.slots.predicate(form.statement, pair.second()) : 0;
        int a = form.at(1, type);
        int b = form.at(2, Type.U32);
        int c = form.at(3, Type.U32);
        return new WarpSync(form.at(4, Type.B32), (warp, mask, members) -> {
            int[] w = warp.words;
            int[] result = new int[COUNT];
            int inRange = 0;
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                int by = w[b + lane] & 31;
                int clamp = w[c + lane] & 31;
                int segment = w[c + lane] >>> 8 & 31;
                int min = lane & segment;
                int max = min | clamp & ~segment;
                int from = switch (mode) {
                    case "up" -> lane - by;
                    case "down" -> lane + by;
                    case "bfly" -> lane ^ by;
                    default -> min | by & ~segment;
                };
                boolean good = mode.equals("up") ? from >= max : from <= max;
                if (good && (mask >>> from & 1) == 0 && warp.block.grid.sanitizer != null) {
                    warp.block.grid.sanitizer.undefinedShuffle(warp, lane, from);
                }
                result[lane] = w[a + (good ? from : lane)];
                inRange |= good ? 1 << lane : 0;
            }
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                w[d + lane] = result[lane];
            }
            warp.setPredicate(p, mask, inRange);
        });
    }

    private static Instruction vote(Form form) {
        sync(form);
        String mode = form.one("all", "any", "uni", "ballot");
        Type type = form.type();
        boolean ballot = mode.equals("ballot");
        if (type != (ballot ? Type.B32 : Type.PRED)) {
            throw form.unsupported(type);
        }
        form.end(3);
        int d = ballot ? form.at(0, type) : form.predicate(0);
        PredicateSource a = PredicateSource.of(form, 1);
        return new WarpSync(form.at(2, Type.B32), (warp, mask, members) -> {
            int votes = a.bits(warp) & mask;
            if (ballot) {
                fill(warp, d, mask, votes);
                return;
            }
            boolean holds = switch (mode) {
                case "all" -> votes == mask;
                case "any" -> votes != 0;
                default -> votes == mask || votes == 0;
            };
            warp.setPredicate(d, mask, holds ? -1 : 0);
        });
    }

    private static void fill(Warp warp, int d, int mask, int value) {
        for (int m = mask; m != 0; m &= m - 1) {
            warp.words[d + Integer.numberOfTrailingZeros(m)] = value;
        }
    }

    private static Instruction match(Form form) {
        boolean all = form.one("any", "all").equals("all");
        sync(form);
        Type type = form.type();
        if (type != Type.B32 && type != Type.B64) {
            throw form.unsupported(type);
        }
        form.end(3);
        Operand.Pair pair = form.operand(0) instanceof Operand.Pair both ? both : null;
        if (pair != null && !all) {
            throw form.refusal("match.any has one result");
        }
        int d = form.slots.at(form.statement, pair == null ? form.operand(0) : pair.first(), Type.B32);
        int p = pair == null ? 0 : form.slots.predicate(form.statement, pair.second());
        int a = form.at(1, type);
        boolean wide = type.isWide();
        return new WarpSync(form.at(2, Type.B32), (warp, mask, members) -> {
            int together = 0;
            for (int m = mask; m != 0; m &= m - 1) {
                int lane = Integer.numberOfTrailingZeros(m);
                int same = 0;
                for (int n = mask; n != 0; n &= n - 1) {
                    int other = Integer.numberOfTrailingZeros(n);
                    same |= warp.get(wide, a + lane) == warp.get(wide, a + other) ? 1 << other : 0;
                }
                together |= same == mask ? 1 << lane : 0;
                if (!all) {
                    warp.words[d + lane] = same;
                }
            }
            if (all) {
                fill(warp, d, mask, together == mask ? mask : 0);
                warp.setPredicate(p, mask, together == mask ? -1 : 0);
            }
        });
    }

    private static Instruction reduce(Form form) {
        sync(form);
        String op = form.one("add", "min", "max", "and", "or", "xor");
        Type type = form.type();
        boolean bitwise = op.equals("and") || op.equals("or") || op.equals("xor");
        if (bitwise ? type != Type.B32 : type != Type.U32 && type != Type.S32) {
            throw form.unsupported(type);
        }
        form.end(3);
        int d = form.at(0, type);
        int a = form.at(1, type);
        return new WarpSync(form.at(2, Type.B32), (warp, mask, members) -> {
            long result = IntegerDecoder.extend(type, warp.words[a + Warp.firstLane(mask)]);
            for (int m = mask & mask - 1; m != 0; m &= m - 1) {
                long value = IntegerDecoder.extend(type, warp.words[a + Integer.numberOfTrailingZeros(m)]);
                result = switch (op) {
                    case "add" -> result + value;
                    case "min" -> Math.min(result, value);
                    case "max" -> Math.max(result, value);
                    case "and" -> result & value;
                    case "or" -> result | value;
                    default -> result ^ value;
                };
            }
            fill(warp, d, mask, (int) result);
        });
    }

    private static Instruction active(Form form) {
        Type type = form.type();
        form.end(1);
        int d = form.at(0, type);
        return new WarpOperation((warp, mask) -> fill(warp, d, mask, mask));
    }

    private static Instruction elect(Form form) {
        sync(form);
        form.end(2);
        if (!(form.operand(0) instanceof Operand.Pair pair)) {
            throw form.refusal("elect.sync has two results");
        }
        int d = form.slots.at(form.statement, pair.first(), Type.B32);
        int p = form.slots.predicate(form.statement, pair.second());
        return new WarpSync(form.at(1, Type.B32), (warp, mask, members) -> {
            int leader = Warp.firstLane(mask);
            fill(warp, d, mask, leader);
            warp.setPredicate(p, mask, 1 << leader);
        });
    }
}
