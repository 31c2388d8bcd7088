package dev.isobit.ptx;

import java.util.List;

/** The functions that a CUDA system provides to device code: {@code vprintf} and {@code __assertfail}. */
final class SystemCall extends Instruction {
    private final boolean print;
    private final Variable[] arguments;
    private final Variable result;

    private SystemCall(boolean print, Variable[] arguments, Variable result) {
        this.print = print;
        this.arguments = arguments;
        this.result = result;
    }

    /** The call of a system function, or null if the name is of none. */
    static Instruction of(Form form, String name, List<Operand> returns, List<Operand> arguments) {
        boolean print = name.equals("vprintf");
        if (!print && !name.equals("__assertfail")) {
            return null;
        }
        if (arguments.size() != (print ? 2 : 5) || returns.size() != (print ? 1 : 0)) {
            throw form.refusal("wrong number of arguments or results");
        }
        return new SystemCall(print, arguments.stream().map(a -> variable(form, a)).toArray(Variable[]::new),
                print ? variable(form, returns.getFirst()) : null);
    }

    private static Variable variable(Form form, Operand operand) {
        if (operand instanceof Operand.Symbol symbol) {
            return symbol.variable();
        }
        throw form.refusal("arguments of system functions must be .param variables");
    }

    @Override
    int execute(Warp warp, int mask) {
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            if (!print) {
                throw warp.fault(DeviceFault.Kind.TRAP, lane, 0, "assertion failed: "
                        + string(warp, lane, argument(warp, lane, 0)) + ", " + string(warp, lane,
                                argument(warp, lane, 1))
                        + ":" + (int) argument(warp, lane, 2));
            }
            warp.block.grid.output.add(format(warp, lane, string(warp, lane, argument(warp, lane, 0)),
                    argument(warp, lane, 1)));
            access(warp, lane, Space.LOCAL, warp.program.offsets.get(result), 4, true).store(0, 4, 1);
        }
        return next;
    }

    private long argument(Warp warp, int lane, int index) {
        int size = (int) arguments[index].size;
        return access(warp, lane, Space.LOCAL, warp.program.offsets.get(arguments[index]), size, false).load(0, size);
    }

    private static Access access(Warp warp, int lane, Space space, long address, int size, boolean write) {
        Access access = warp.block.grid.access;
        access.resolve(warp, lane, space, address, size, write, null);
        return access;
    }

    private static String string(Warp warp, int lane, long address) {
        StringBuilder text = new StringBuilder();
        for (long at = address;; at++) {
            char c = (char) access(warp, lane, null, at, 1, false).load(0, 1);
            if (c == 0) {
                return text.toString();
            }
            text.append(c);
        }
    }

    /** C's printf for integers, floating-point numbers, characters, strings and pointers. */
    private static String format(Warp warp, int lane, String format, long arguments) {
        StringBuilder text = new StringBuilder();
        long at = arguments;
        for (int i = 0; i < format.length(); i++) {
            char c = format.charAt(i);
            if (c != '%') {
                text.append(c);
                continue;
            }
            int start = i++;
            while (i < format.length() && "-+ #0123456789.".indexOf(format.charAt(i)) >= 0) {
                i++;
            }
            String flags = format.substring(start, i);
            int longs = 0;
            while (i < format.length() && "lhzjt".indexOf(format.charAt(i)) >= 0) {
                longs += format.charAt(i++) == 'h' ? 0 : 1;
            }
            char kind = i < format.length() ? format.charAt(i) : '%';
            if (kind == '%') {
                text.append('%');
                continue;
            }
            int size = longs > 0 || "fFeEgGaAsp".indexOf(kind) >= 0 ? 8 : 4;
            at = PtxModule.align(at, size);
            long bits = access(warp, lane, null, at, size, false).load(0, size);
            at += size;
            text.append(switch (kind) {
                case 'd', 'i' -> String.format(flags + "d", size == 4 ? (int) bits : bits);
                case 'u' -> String.format(flags + "s", Long.toUnsignedString(bits));
                case 'x', 'X', 'o' -> String.format(flags + kind, bits);
                case 'c' -> String.valueOf((char) bits);
                case 's' -> String.format(flags + "s", string(warp, lane, bits));
                case 'p' -> String.format("0x%x", bits);
                default -> String.format(flags + (kind == 'F' ? 'f' : kind), Double.longBitsToDouble(bits));
            });
        }
        return text.toString();
    }
}
