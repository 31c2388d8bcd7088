package dev.isobit.ptx;

/**
 * An instruction that named threads of a warp execute together. Threads that come alone wait for the others, so code in
 * which the members arrive on different ways still completes.
 */
final class WarpSync extends Instruction {
    @FunctionalInterface
    interface Action {
        void run(Warp warp, int mask, int members);
    }

    private final int members;
    private final Action action;

    /** @param members offset of the register with the member mask */
    WarpSync(int members, Action action) {
        this.members = members;
        this.action = action;
    }

    @Override
    int execute(Warp warp, int mask) {
        int named = warp.words[members + Warp.firstLane(mask)];
        if ((mask & ~named) != 0) {
            throw warp.fault(DeviceFault.Kind.UNDEFINED, Warp.firstLane(mask & ~named), 0, String.format(
                    "thread outside the member mask 0x%x", named));
        }
        int needed = named & warp.live;
        if ((needed & ~mask) == 0) {
            action.run(warp, mask, named);
            return next;
        }
        Fragment own = warp.current;
        int together = mask;
        for (Fragment leaf : warp.leaves()) {
            if (leaf != own && leaf.wait == Fragment.Wait.WARP && leaf.pc == own.pc) {
                together |= leaf.waitMask;
            }
        }
        if ((needed & ~together) != 0) {
            warp.await(Fragment.Wait.WARP, mask);
            return LEAVE;
        }
        warp.block.grid.changed();
        action.run(warp, together, named);
        for (Fragment leaf : warp.leaves()) {
            if (leaf != own && leaf.wait == Fragment.Wait.WARP && leaf.pc == own.pc) {
                leaf.wait = Fragment.Wait.NONE;
                leaf.pc = next;
            }
        }
        return next;
    }
}
