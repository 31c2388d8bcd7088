package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;

/**
 * The logits of small rows' targets, and their exponentials; of an ignored row, those of its first class.
 * Copied by {@link Specialized}.
 */
final class SmallTargets implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);

    SmallTargets() {}

    @Override
    public void run(SegmentWork work) {
        float[] in = work.in;
        MemorySegment inSegment = work.inSegment;
        SmallBlock block = work.block;
        float[] exponentials = block.exponentials;
        VectorAccess.require(IN_NATIVE, inSegment);
        long[] offsets = block.targetOffsets;
        float[] logits = block.targetLogits;
        float[] exps = block.targetExps;
        long at = work.at;
        int rows = block.groups * block.width;
        for (int r = 0; r < rows; r++) {
            long offset = offsets[r];
            logits[r] = IN_ARRAY
                    ? in[(int) (at + offset / Float.BYTES)]
                    : inSegment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, at + offset);
            exps[r] = exponentials[(int) (offset / Float.BYTES)];
        }
    }
}
