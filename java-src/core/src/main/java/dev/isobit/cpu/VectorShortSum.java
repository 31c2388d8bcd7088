package dev.isobit.cpu;

import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The sum of a short row: its exponentials, folded in other memory, since they are still needed. Lanes behind the row's last
 * are 0, which changes no sum of what is not negative: so 128, 256, 512 or all are folded, whose distances are constants,
 * for without these the JIT would test bounds.
 */
final class VectorShortSum implements SegmentStage {
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** Lanes that are left of the second fold, and of the first. */
    private static final int FEW = Math.max(16, WIDTH);
    private static final int SOME = 8 * FEW;
    /** From a lane to the next that is folded into the same, in bytes. */
    private static final long STEP_OF_SOME = SOME * (long) Float.BYTES;
    private static final long STEP_OF_FEW = FEW * (long) Float.BYTES;
    /** Where folded lanes are, in bytes behind the first lane: behind all lanes, and not 4096 bytes behind them. */
    private static final long FOLDED = SegmentWork.LANE_BYTES + 256;

    VectorShortSum() {}

    @Override
    public void run(SegmentWork work) {
        long lanes = work.lanesAt();
        int length = work.length;
        boolean isFolded = length > SOME;
        // Written out: what a method has returned, or been given, would be boxed where the JIT does not inline it.
        if (length > 4 * SOME) {
            for (int lane = 0; lane < SOME; lane += WIDTH) {
                long i = lanes + lane * 4L & ScratchPool.INSIDE;
                FloatVector a = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 4 * STEP_OF_SOME, ORDER));
                FloatVector b = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + STEP_OF_SOME, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 5 * STEP_OF_SOME, ORDER));
                FloatVector c = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 2 * STEP_OF_SOME, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 6 * STEP_OF_SOME, ORDER));
                FloatVector d = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 3 * STEP_OF_SOME, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 7 * STEP_OF_SOME, ORDER));
                a.add(c).add(b.add(d)).intoMemorySegment(ScratchPool.MEMORY, i + FOLDED, ORDER);
            }
        } else if (length > 2 * SOME) {
            for (int lane = 0; lane < SOME; lane += WIDTH) {
                long i = lanes + lane * 4L & ScratchPool.INSIDE;
                FloatVector a = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 2 * STEP_OF_SOME, ORDER));
                FloatVector b = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + STEP_OF_SOME, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 3 * STEP_OF_SOME, ORDER));
                a.add(b).intoMemorySegment(ScratchPool.MEMORY, i + FOLDED, ORDER);
            }
        } else if (isFolded) {
            for (int lane = 0; lane < SOME; lane += WIDTH) {
                long i = lanes + lane * 4L & ScratchPool.INSIDE;
                FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + STEP_OF_SOME, ORDER))
                        .intoMemorySegment(ScratchPool.MEMORY, i + FOLDED, ORDER);
            }
        }
        long some = isFolded ? lanes + FOLDED : lanes;
        long folded = lanes + FOLDED;
        for (int lane = 0; lane < FEW; lane += WIDTH) {
            long i = some + lane * 4L & ScratchPool.INSIDE;
            FloatVector a = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 4 * STEP_OF_FEW, ORDER));
            FloatVector b = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + STEP_OF_FEW, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 5 * STEP_OF_FEW, ORDER));
            FloatVector c = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 2 * STEP_OF_FEW, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 6 * STEP_OF_FEW, ORDER));
            FloatVector d = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 3 * STEP_OF_FEW, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, i + 7 * STEP_OF_FEW, ORDER));
            a.add(c).add(b.add(d)).intoMemorySegment(ScratchPool.MEMORY, folded + lane * 4L & ScratchPool.INSIDE,
                    ORDER);
        }
        for (int half = FEW / 2; half >= WIDTH; half /= 2) {
            for (int lane = 0; lane < half; lane += WIDTH) {
                FloatVector
                        .fromMemorySegment(SPECIES, ScratchPool.MEMORY, folded + lane * 4L & ScratchPool.INSIDE, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY,
                                folded + (lane + half) * 4L & ScratchPool.INSIDE, ORDER))
                        .intoMemorySegment(ScratchPool.MEMORY, folded + lane * 4L & ScratchPool.INSIDE, ORDER);
            }
        }
        FloatVector v = FloatVector.fromMemorySegment(SPECIES, ScratchPool.MEMORY, folded & ScratchPool.INSIDE, ORDER);
        v = WIDTH > 32 ? v.add(v.rearrange(VectorSum.FROM_32)) : v;
        v = WIDTH > 16 ? v.add(v.rearrange(VectorSum.FROM_16)) : v;
        v = WIDTH > 8 ? v.add(v.rearrange(VectorSum.FROM_8)) : v;
        v = WIDTH > 4 ? v.add(v.rearrange(VectorSum.FROM_4)) : v;
        v = WIDTH > 2 ? v.add(v.rearrange(VectorSum.FROM_2)) : v;
        v = v.add(v.rearrange(VectorSum.FROM_1));
        work.sum = v.lane(0);
    }
}
