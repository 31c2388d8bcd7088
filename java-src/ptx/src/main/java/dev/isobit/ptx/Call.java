package dev.isobit.ptx;

import java.util.List;

/** A call of a device function. */
final class Call extends Instruction {
    /** An argument or result: a variable or a register on the caller's side, the same on the callee's. */
    record Transfer(Variable outer, int outerRegister, Variable inner, int innerRegister) {}

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
        for (Transfer t : in) {
            move(warp, mask, t, true);
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
        int size = t.inner != null ? (int) t.inner.size : t.outer != null ? (int) t.outer.size : 0;
        boolean wide = size == 8;
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            if (t.outer != null && t.inner != null) {
                int outer = place(warp, t.outer, lane);
                int inner = place(warp, t.inner, lane);
                System.arraycopy(warp.local, inward ? outer : inner, warp.local, inward ? inner : outer, size);
            } else {
                Variable variable = t.outer != null ? t.outer : t.inner;
                int register = t.outer != null ? t.innerRegister : t.outerRegister;
                boolean fromVariable = inward == (t.outer != null);
                Access access = warp.block.grid.access;
                access.resolve(warp, lane, Space.LOCAL, warp.program.offsets.get(variable), size, !fromVariable, null);
                if (fromVariable) {
                    warp.put(wide, register + lane, access.load(0, size));
                } else {
                    access.store(0, size, warp.get(wide, register + lane));
                }
            }
        }
    }

    private static int place(Warp warp, Variable variable, int lane) {
        return lane * warp.program.localBytes + warp.program.offsets.get(variable).intValue();
    }
}
