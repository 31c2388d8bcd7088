package dev.isobit.ptx;

/** Reads a clock: the number of warp instructions that the launch has executed so far. */
final class Clock extends Instruction {
    private final boolean high;
    private final boolean wide;
    private final int d;

    Clock(String name, boolean wide, int d) {
        this.high = name.endsWith("_hi");
        this.wide = wide;
        this.d = d;
    }

    static boolean isClock(String name) {
        return switch (name) {
            case "clock", "clock_hi", "clock64", "globaltimer", "globaltimer_lo", "globaltimer_hi" -> true;
            default -> false;
        };
    }

    @Override
    int execute(Warp warp, int mask) {
        long now = warp.block.grid.warpInstructions();
        for (int m = mask; m != 0; m &= m - 1) {
            warp.put(wide, d + Integer.numberOfTrailingZeros(m), high ? now >>> 32 : now);
        }
        return next;
    }
}
