package dev.isobit.ptx;

import java.util.ArrayList;
import java.util.List;

/**
 * An instruction that named threads of a warp execute together. Threads may name different groups. Threads that come
 * alone wait for the others, so code in which the members arrive on different ways still completes.
 */
final class WarpSync extends Instruction {
    @FunctionalInterface
    interface Action {
        /** Executes for one complete group. */
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
        if (group(warp, mask, named) == mask && (mask & ~named) == 0 && (named & warp.live & ~mask) == 0) {
            action.run(warp, mask, named);
            return next;
        }
        return meet(warp, mask);
    }

    /** The lanes among these that name this group. */
    private int group(Warp warp, int lanes, int named) {
        int same = 0;
        for (int m = lanes; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            same |= warp.words[members + lane] == named ? 1 << lane : 0;
        }
        return same;
    }

    /** Several groups, or threads that are not here yet: whoever is part of complete groups only goes on. */
    private int meet(Warp warp, int mask) {
        Fragment own = warp.current;
        own.waitMask = mask;
        List<Fragment> here = new ArrayList<>();
        here.add(own);
        for (Fragment leaf : warp.leaves()) {
            if (leaf != own && leaf.wait == Fragment.Wait.WARP && leaf.pc == own.pc) {
                here.add(leaf);
            }
        }
        while (here.removeIf(leaf -> !isComplete(warp, leaf.waitMask, together(here)))) {
            // a fragment that waits takes others with it that need its threads
        }
        if (!here.contains(own)) {
            warp.await(Fragment.Wait.WARP, mask);
            return LEAVE;
        }
        warp.block.grid.changed();
        int left = together(here);
        while (left != 0) {
            int named = warp.words[members + Warp.firstLane(left)];
            int lanes = group(warp, left, named);
            action.run(warp, lanes, named);
            left &= ~lanes;
        }
        here.remove(own);
        for (Fragment leaf : here) {
            leaf.wait = Fragment.Wait.NONE;
            leaf.pc = next;
        }
        return next;
    }

    private static int together(List<Fragment> leaves) {
        int all = 0;
        for (Fragment leaf : leaves) {
            all |= leaf.waitMask;
        }
        return all;
    }

    /** Whether all members of all groups that these lanes name are present. */
    private boolean isComplete(Warp warp, int lanes, int present) {
        for (int m = lanes; m != 0; m &= m - 1) {
            int lane = Integer.numberOfTrailingZeros(m);
            int named = warp.words[members + lane];
            if ((named >>> lane & 1) == 0) {
                throw warp.fault(DeviceFault.Kind.UNDEFINED, lane, 0, String.format(
                        "thread outside the member mask 0x%x", named));
            }
            if ((named & warp.live & ~group(warp, present, named)) != 0) {
                return false;
            }
        }
        return true;
    }
}
