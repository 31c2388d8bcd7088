package dev.isobit.ptx;

import java.util.List;

/** A call of a device function. */
final class Call extends Instruction {
    /** An argument or result: a variable or a register on the caller's side, the same on the callee's. */
    record Transfer(Variable outer, int outerRegister, Variable inner, int innerRegister, int registerBytes) {}

    final Function callee;
    private final List<Transfer> in;
    private final List<Transfer> out;
    int start;

    Call(Function callee, List<Transfer> in, List<Transfer> out) {
        this.callee = callee;
        this.in = in;
        this.out = out;
    }

    @Override
    int execute(Warp warp, int mask) {
        if (mask == warp.current.mask) {
            for (Transfer t : in) {
                move(warp, mask, t, true);
            }
        }
        return warp.call(mask, start, next, this);
    }

    /** Hands the results of threads that return to their caller. */
    void finish(Warp warp, int mask) {
        for (Transfer t : out) {
            move(warp, mask, t, false);
        }
    }

    private static void move(Warp warp, int mask, Transfer t, boolean inward) {
        int size = t.inner != null ? (int) t.inner.size : t.outer != null ? (int) t.outer.size : t.registerBytes;
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            if (t.outer != null && t.inner != null) {
                int outer = place(warp, t.outer, lane);
                int inner = place(warp, t.inner, lane);
                System.arraycopy(warp.local, inward ? outer : inner, warp.local, inward ? inner : outer, size);
            } else if (inward) {
                write(warp, lane, t.inner, t.innerRegister, size, read(warp, lane, t.outer, t.outerRegister, size));
            } else {
                write(warp, lane, t.outer, t.outerRegister, size, read(warp, lane, t.inner, t.innerRegister, size));
            }
        }
    }

    private static long read(Warp warp, int lane, Variable variable, int register, int size) {
        return variable == null
                ? warp.get(size == Long.BYTES, register + lane)
                : local(warp, lane, variable, size, false).load(0, size);
    }

    private static void write(Warp warp, int lane, Variable variable, int register, int size, long value) {
        if (variable == null) {
            warp.put(size == Long.BYTES, register + lane, value);
        } else {
            local(warp, lane, variable, size, true).store(0, size, value);
        }
    }

    private static Access local(Warp warp, int lane, Variable variable, int size, boolean write) {
        Access access = warp.block.grid.access;
        access.resolve(warp, lane, Space.LOCAL, warp.program.offsets.get(variable), size, write, null);
        return access;
    }

    private static int place(Warp warp, Variable variable, int lane) {
        return lane * warp.program.localBytes + warp.program.offsets.get(variable).intValue();
    }
}
