package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The rows of a {@link SmallBlock} folded side by side: two vectors, which hold some rows each, become one that holds all
 * of them, with half of the lanes for each. In the end lane r is row r of a group. The order within a row is that of every
 * fold, from the highest bit of the lane number.
 */
final class VectorSmallFold {
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** For the distances WIDTH / 2, WIDTH / 4, ... 1: lanes whose number has that bit, and where the lane without lies. */
    private static final VectorMask<?>[] UPPER = new VectorMask<?>[Integer.numberOfTrailingZeros(WIDTH)];
    private static final VectorShuffle<?>[] ACROSS = new VectorShuffle<?>[UPPER.length];

    static {
        for (int level = 0; level < UPPER.length; level++) {
            int distance = WIDTH >> level + 1;
            long bits = 0;
            for (int lane = 0; lane < WIDTH; lane++) {
                bits |= (lane & distance) != 0 ? 1L << lane : 0;
            }
            UPPER[level] = VectorMask.fromLong(SPECIES, bits);
            ACROSS[level] = VectorShuffle.fromOp(SPECIES, lane -> (lane ^ distance) % WIDTH);
        }
    }

    private VectorSmallFold() {}

    /** Maxima of the rows of some groups. */
    static void maxima(MemorySegment folded, int groups, float[] to) {
        for (int level = 0; level < UPPER.length; level++) {
            int half = (WIDTH >> level + 1) * groups;
            VectorMask<Float> upper = UPPER[level].check(SPECIES);
            VectorShuffle<Float> across = ACROSS[level].check(SPECIES);
            for (int r = 0; r < half; r++) {
                FloatVector a = FloatVector.fromMemorySegment(SPECIES, folded, r * WIDTH * 4L, ORDER);
                FloatVector b = FloatVector.fromMemorySegment(SPECIES, folded, (r + half) * WIDTH * 4L, ORDER);
                FloatVector own = a.blend(b, upper);
                FloatVector other = b.blend(a, upper).rearrange(across);
                own.blend(other, other.compare(VectorOperators.GT, own))
                        .intoMemorySegment(folded, r * WIDTH * 4L, ORDER);
            }
        }
        for (int g = 0; g < groups; g++) {
            FloatVector.fromMemorySegment(SPECIES, folded, g * WIDTH * 4L, ORDER).intoArray(to, g * WIDTH);
        }
    }

    /** Sums of the rows of some groups. */
    static void sums(MemorySegment folded, int groups, float[] to) {
        for (int level = 0; level < UPPER.length; level++) {
            int half = (WIDTH >> level + 1) * groups;
            VectorMask<Float> upper = UPPER[level].check(SPECIES);
            VectorShuffle<Float> across = ACROSS[level].check(SPECIES);
            for (int r = 0; r < half; r++) {
                FloatVector a = FloatVector.fromMemorySegment(SPECIES, folded, r * WIDTH * 4L, ORDER);
                FloatVector b = FloatVector.fromMemorySegment(SPECIES, folded, (r + half) * WIDTH * 4L, ORDER);
                a.blend(b, upper).add(b.blend(a, upper).rearrange(across))
                        .intoMemorySegment(folded, r * WIDTH * 4L, ORDER);
            }
        }
        for (int g = 0; g < groups; g++) {
            FloatVector.fromMemorySegment(SPECIES, folded, g * WIDTH * 4L, ORDER).intoArray(to, g * WIDTH);
        }
    }
}
