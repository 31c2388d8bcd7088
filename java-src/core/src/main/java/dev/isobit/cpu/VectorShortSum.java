package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The sum of a short row: its exponentials, folded in other memory, since they are still needed. Lanes behind the row's last
 * are 0, which changes no sum of what is not negative: so 128, 256, 512 or all are folded, whose distances are constants.
 * Else the JIT would test bounds.
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
        MemorySegment lanes = ScratchPool.MEMORY.asSlice(work.lanesAt(), SegmentWork.APART);
        int length = work.length;
        boolean isFolded = length > SOME;
        // Written out: what a method has returned, or been given, would be boxed where the JIT does not inline it.
        if (length > 4 * SOME) {
            for (int lane = 0; lane < SOME; lane += WIDTH) {
                long i = lane * 4L;
                FloatVector a = FloatVector.fromMemorySegment(SPECIES, lanes, i, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, lanes, i + 4 * STEP_OF_SOME, ORDER));
                FloatVector b = FloatVector.fromMemorySegment(SPECIES, lanes, i + STEP_OF_SOME, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, lanes, i + 5 * STEP_OF_SOME, ORDER));
                FloatVector c = FloatVector.fromMemorySegment(SPECIES, lanes, i + 2 * STEP_OF_SOME, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, lanes, i + 6 * STEP_OF_SOME, ORDER));
                FloatVector d = FloatVector.fromMemorySegment(SPECIES, lanes, i + 3 * STEP_OF_SOME, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, lanes, i + 7 * STEP_OF_SOME, ORDER));
                a.add(c).add(b.add(d)).intoMemorySegment(lanes, FOLDED + i, ORDER);
            }
        } else if (length > 2 * SOME) {
            for (int lane = 0; lane < SOME; lane += WIDTH) {
                long i = lane * 4L;
                FloatVector a = FloatVector.fromMemorySegment(SPECIES, lanes, i, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, lanes, i + 2 * STEP_OF_SOME, ORDER));
                FloatVector b = FloatVector.fromMemorySegment(SPECIES, lanes, i + STEP_OF_SOME, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, lanes, i + 3 * STEP_OF_SOME, ORDER));
                a.add(b).intoMemorySegment(lanes, FOLDED + i, ORDER);
            }
        } else if (isFolded) {
            for (int lane = 0; lane < SOME; lane += WIDTH) {
                long i = lane * 4L;
                FloatVector.fromMemorySegment(SPECIES, lanes, i, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, lanes, i + STEP_OF_SOME, ORDER))
                        .intoMemorySegment(lanes, FOLDED + i, ORDER);
            }
        }
        MemorySegment some = ScratchPool.MEMORY.asSlice(work.lanesAt() + (isFolded ? FOLDED : 0), STEP_OF_SOME);
        for (int lane = 0; lane < FEW; lane += WIDTH) {
            long i = lane * 4L;
            FloatVector a = FloatVector.fromMemorySegment(SPECIES, some, i, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, some, i + 4 * STEP_OF_FEW, ORDER));
            FloatVector b = FloatVector.fromMemorySegment(SPECIES, some, i + STEP_OF_FEW, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, some, i + 5 * STEP_OF_FEW, ORDER));
            FloatVector c = FloatVector.fromMemorySegment(SPECIES, some, i + 2 * STEP_OF_FEW, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, some, i + 6 * STEP_OF_FEW, ORDER));
            FloatVector d = FloatVector.fromMemorySegment(SPECIES, some, i + 3 * STEP_OF_FEW, ORDER)
                    .add(FloatVector.fromMemorySegment(SPECIES, some, i + 7 * STEP_OF_FEW, ORDER));
            a.add(c).add(b.add(d)).intoMemorySegment(lanes, FOLDED + i, ORDER);
        }
        for (int half = FEW / 2; half >= WIDTH; half /= 2) {
            for (int lane = 0; lane < half; lane += WIDTH) {
                FloatVector.fromMemorySegment(SPECIES, lanes, FOLDED + lane * 4L, ORDER)
                        .add(FloatVector.fromMemorySegment(SPECIES, lanes, FOLDED + (lane + half) * 4L, ORDER))
                        .intoMemorySegment(lanes, FOLDED + lane * 4L, ORDER);
            }
        }
        FloatVector v = FloatVector.fromMemorySegment(SPECIES, lanes, FOLDED, ORDER);
        v = WIDTH > 32 ? v.add(v.rearrange(VectorSum.FROM_32)) : v;
        v = WIDTH > 16 ? v.add(v.rearrange(VectorSum.FROM_16)) : v;
        v = WIDTH > 8 ? v.add(v.rearrange(VectorSum.FROM_8)) : v;
        v = WIDTH > 4 ? v.add(v.rearrange(VectorSum.FROM_4)) : v;
        v = WIDTH > 2 ? v.add(v.rearrange(VectorSum.FROM_2)) : v;
        v = v.add(v.rearrange(VectorSum.FROM_1));
        work.sum = v.lane(0);
    }
}
