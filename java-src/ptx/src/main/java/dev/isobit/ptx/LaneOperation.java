package dev.isobit.ptx;

/** An instruction that computes every lane on its own: arithmetic, logic, conversion, move. */
final class LaneOperation extends Instruction {
    private final Lanes lanes;
    private final boolean wide;
    private final int d;
    private final int a;
    private final int b;
    private final int c;

    /** @param wide whether the result is a 64-bit register */
    LaneOperation(Lanes lanes, boolean wide, int d, int a, int b, int c) {
        this.lanes = lanes;
        this.wide = wide;
        this.d = d;
        this.a = a;
        this.b = b;
        this.c = c;
    }

    @Override
    int execute(Warp warp, int mask) {
        int[] w = warp.words;
        long[] q = warp.longs;
        if (mask == -1) {
            lanes.run(w, q, d, a, b, c);
            return next;
        }
        lanes.run(w, q, 0, a, b, c); // slot 0 is scratch
        for (int m = mask; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            if (wide) {
                q[d + lane] = q[lane];
            } else {
                w[d + lane] = w[lane];
            }
        }
        return next;
    }
}
