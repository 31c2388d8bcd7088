package dev.isobit.ptx;

/** {@code bar} and {@code barrier}: threads of a block wait for each other, or vote. */
final class BarrierInstruction extends Instruction {
    private final int id;
    private final int count;
    private final boolean waits;
    private final PredicateSource vote;
    private final String reduction;
    private final int d;

    /**
     * @param count offset of the number of threads, or -1 for all
     * @param vote the predicate of a reducing barrier, or null
     * @param reduction {@code and}, {@code or}, {@code popc} or null
     */
    BarrierInstruction(int id, int count, boolean waits, PredicateSource vote, String reduction, int d) {
        this.id = id;
        this.count = count;
        this.waits = waits;
        this.vote = vote;
        this.reduction = reduction;
        this.d = d;
    }

    @Override
    int execute(Warp warp, int mask) {
        int lane = Warp.firstLane(mask);
        if (mask != warp.current.mask) {
            if (warp.block.grid.sanitizer != null) {
                warp.block.grid.sanitizer.divergentBarrier(warp, warp.current,
                        () -> "barrier that only some threads of a warp execute,");
            }
            throw warp.fault(DeviceFault.Kind.UNDEFINED, lane, 0, "barrier that only some threads of a warp execute");
        }
        warp.block.arrive(warp, mask, warp.words[id + lane], count < 0 ? 0 : warp.words[count + lane]);
        return LEAVE;
    }

    boolean waits() {
        return waits;
    }

    int votes(Warp warp) {
        return vote == null ? 0 : vote.bits(warp);
    }

    /** The barrier is complete: hands out the result of the vote. */
    void complete(Warp warp, int mask, boolean all, boolean any, int votes) {
        if (reduction == null) {
            return;
        }
        switch (reduction) {
            case "and" -> warp.setPredicate(d, mask, all ? -1 : 0);
            case "or" -> warp.setPredicate(d, mask, any ? -1 : 0);
            default -> {
                for (int m = mask; m != 0; m &= m - 1) {
                    warp.words[d + Integer.numberOfTrailingZeros(m)] = votes;
                }
            }
        }
    }
}
