package dev.isobit.ptx;

/** An instruction that works on the warp as a whole and goes on with the next one. */
final class WarpOperation extends Instruction {
    @FunctionalInterface
    interface Action {
        void run(Warp warp, int mask);
    }

    private final Action action;

    WarpOperation(Action action) {
        this.action = action;
    }

    @Override
    int execute(Warp warp, int mask) {
        action.run(warp, mask);
        return next;
    }
}
