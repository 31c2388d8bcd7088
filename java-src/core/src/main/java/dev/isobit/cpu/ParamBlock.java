package dev.isobit.cpu;

import dev.isobit.math.RoundingNoise;

/** Elements of a parameter as float32, see {@link NarrowBlock}: its master, or the parameter itself. */
final class ParamBlock {
    private static final long HALF = 1L << 32;

    private final NarrowBlock block = new NarrowBlock();

    /** What an update works on. */
    FloatOperand window(ParamStorage of) {
        return of.hasMaster ? of.master : NarrowBlock.window(of.param, block);
    }

    /** Takes elements, if they do not stand in memory as float32. */
    void load(ParamStorage of, long first, int count) {
        if (!of.hasMaster) {
            block.load(of.param, first, count);
        }
        if (of.hasRemainders) {
            int whole = whole(of, count);
            of.bf16.join(of.remainders, first, block.floats(), whole);
            ScalarBf16Block.join(of.remainders, first, block.floats(), whole, count);
        }
    }

    /** Writes what {@link #load} took or, of a master in memory, its rounded elements. */
    void store(ParamStorage of, long first, int count, long step) {
        if (of.hasMaster) {
            of.param.narrowFrom(of.master, first, count);
            return;
        }
        int whole = whole(of, count);
        if (of.hasRemainders) {
            of.bf16.split(of.remainders, first, block.floats(), whole);
            ScalarBf16Block.split(of.remainders, first, block.floats(), whole, count);
        }
        if (of.isRoundedStochastically) {
            long key = RoundingNoise.atStep(RoundingNoise.key(of.seed, of.number, first), step);
            of.bf16.round(block.floats(), whole, key, (int) first);
            ScalarBf16Block.round(block.floats(), whole, count, key, (int) first);
        }
        block.store(of.param, first, count);
    }

    /** What is left is for scalar code, see {@link FloatOperand}. */
    private static int whole(ParamStorage of, int count) {
        return count - count % of.bf16.width();
    }

    /** How many of so many elements have the upper half of an index in common, and so their keys. */
    static int together(long first, int count) {
        return (int) Math.min(count, HALF - (first & HALF - 1));
    }
}
