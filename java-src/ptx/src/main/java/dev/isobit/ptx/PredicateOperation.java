package dev.isobit.ptx;

/** An instruction whose results are predicates. */
final class PredicateOperation extends Instruction {
    /** Computes one bit per lane. */
    @FunctionalInterface
    interface Test {
        int bits(Warp warp, int mask);
    }

    private final int d;
    private final int complement;
    private final Test test;
    private final Test other;

    private PredicateOperation(int d, int complement, Test test, Test other) {
        this.d = d;
        this.complement = complement;
        this.test = test;
        this.other = other;
    }

    static PredicateOperation of(int d, Test test) {
        return new PredicateOperation(d, 0, test, null);
    }

    /** Two results. */
    static PredicateOperation of(int d, int second, Test test, Test other) {
        return new PredicateOperation(d, second, test, other);
    }

    @Override
    int execute(Warp warp, int mask) {
        int bits = test.bits(warp, mask);
        int others = other == null ? 0 : other.bits(warp, mask);
        warp.setPredicate(d, mask, bits);
        if (other != null) {
            warp.setPredicate(complement, mask, others);
        }
        return next;
    }
}
