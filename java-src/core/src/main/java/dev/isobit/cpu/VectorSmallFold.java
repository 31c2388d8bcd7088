package dev.isobit.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The rows of a {@link SmallBlock} folded side by side: two vectors, which hold some rows each, become one that holds all
 * of them, with half of the lanes for each. The order within a row is that of every fold, from the highest bit of the lane
 * number. Two bits at a time: four vectors, which follow each other, become one before it is stored. In the end a group's
 * rows are the lanes of one vector, in an order that one permutation puts right.
 *
 * <p>The last two bits are a loop of their own, which need not store for another one.
 * Exchanges are written out in the loops: a method for them would take vectors, which are boxed where the JIT has compiled
 * it before its caller.
 */
final class VectorSmallFold {
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final int LEVELS = Integer.numberOfTrailingZeros(WIDTH);
    /** For the distances WIDTH / 2, WIDTH / 4, ... 1: lanes whose number has that bit, and where the lane without lies. */
    private static final VectorMask<?>[] UPPER = new VectorMask<?>[LEVELS];
    private static final VectorShuffle<?>[] ACROSS = new VectorShuffle<?>[LEVELS];
    /** The lane in which a group's row ends. */
    private static final VectorShuffle<Float> LANE = VectorShuffle.fromOp(SPECIES, VectorSmallFold::lane);

    static {
        for (int level = 0; level < LEVELS; level++) {
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

    /** The first two levels turn the lowest two bits of a row's number into the highest two of its lane's, and so on. */
    private static int lane(int row) {
        int lane = 0;
        int rest = row;
        for (int level = 0; level < LEVELS; level += 2) {
            int bits = Math.min(2, LEVELS - level);
            lane = lane << bits | rest & (1 << bits) - 1;
            rest >>= bits;
        }
        return lane;
    }

    static VectorMask<Float> upper(int level) {
        return UPPER[level].check(SPECIES);
    }

    static VectorShuffle<Float> across(int level) {
        return ACROSS[level].check(SPECIES);
    }

    /**
     * Maxima of rows.
     *
     * @param folded vectors that follow each other, after {@code done} levels
     * @param groups of rows
     * @param to takes them
     */
    static void maxima(float[] folded, int done, int groups, float[] to) {
        int vectors = groups * WIDTH >> done;
        int level = done;
        for (; level + 1 < LEVELS; level += 2) {
            VectorMask<Float> upper = upper(level);
            VectorShuffle<Float> across = across(level);
            VectorMask<Float> upperNext = upper(level + 1);
            VectorShuffle<Float> acrossNext = across(level + 1);
            vectors /= 4;
            if (level + 2 == LEVELS) {
                for (int v = 0; v < vectors; v++) {
                    int at = 4 * v * WIDTH;
                    FloatVector a = FloatVector.fromArray(SPECIES, folded, at);
                    FloatVector b = FloatVector.fromArray(SPECIES, folded, at + WIDTH);
                    FloatVector c = FloatVector.fromArray(SPECIES, folded, at + 2 * WIDTH);
                    FloatVector d = FloatVector.fromArray(SPECIES, folded, at + 3 * WIDTH);
                    FloatVector ac = a.blend(c, upper);
                    FloatVector acOther = c.blend(a, upper).rearrange(across);
                    ac = ac.blend(acOther, acOther.compare(VectorOperators.GT, ac));
                    FloatVector bd = b.blend(d, upper);
                    FloatVector bdOther = d.blend(b, upper).rearrange(across);
                    bd = bd.blend(bdOther, bdOther.compare(VectorOperators.GT, bd));
                    FloatVector max = ac.blend(bd, upperNext);
                    FloatVector other = bd.blend(ac, upperNext).rearrange(acrossNext);
                    max.blend(other, other.compare(VectorOperators.GT, max)).rearrange(LANE).intoArray(to, v * WIDTH);
                }
                return;
            }
            for (int v = 0; v < vectors; v++) {
                int at = 4 * v * WIDTH;
                FloatVector a = FloatVector.fromArray(SPECIES, folded, at);
                FloatVector b = FloatVector.fromArray(SPECIES, folded, at + WIDTH);
                FloatVector c = FloatVector.fromArray(SPECIES, folded, at + 2 * WIDTH);
                FloatVector d = FloatVector.fromArray(SPECIES, folded, at + 3 * WIDTH);
                FloatVector ac = a.blend(c, upper);
                FloatVector acOther = c.blend(a, upper).rearrange(across);
                ac = ac.blend(acOther, acOther.compare(VectorOperators.GT, ac));
                FloatVector bd = b.blend(d, upper);
                FloatVector bdOther = d.blend(b, upper).rearrange(across);
                bd = bd.blend(bdOther, bdOther.compare(VectorOperators.GT, bd));
                FloatVector max = ac.blend(bd, upperNext);
                FloatVector other = bd.blend(ac, upperNext).rearrange(acrossNext);
                max.blend(other, other.compare(VectorOperators.GT, max)).intoArray(folded, v * WIDTH);
            }
        }
        if (level < LEVELS) {
            VectorMask<Float> upper = upper(level);
            VectorShuffle<Float> across = across(level);
            for (int g = 0; g < groups; g++) {
                FloatVector a = FloatVector.fromArray(SPECIES, folded, 2 * g * WIDTH);
                FloatVector b = FloatVector.fromArray(SPECIES, folded, 2 * g * WIDTH + WIDTH);
                FloatVector max = a.blend(b, upper);
                FloatVector other = b.blend(a, upper).rearrange(across);
                max.blend(other, other.compare(VectorOperators.GT, max)).intoArray(folded, g * WIDTH);
            }
        }
        take(folded, groups, to);
    }

    /**
     * Sums of rows.
     *
     * @param folded vectors that follow each other, after {@code done} levels
     * @param groups of rows
     * @param to takes them
     */
    static void sums(float[] folded, int done, int groups, float[] to) {
        int vectors = groups * WIDTH >> done;
        int level = done;
        for (; level + 1 < LEVELS; level += 2) {
            VectorMask<Float> upper = upper(level);
            VectorShuffle<Float> across = across(level);
            VectorMask<Float> upperNext = upper(level + 1);
            VectorShuffle<Float> acrossNext = across(level + 1);
            vectors /= 4;
            if (level + 2 == LEVELS) {
                for (int v = 0; v < vectors; v++) {
                    int at = 4 * v * WIDTH;
                    FloatVector a = FloatVector.fromArray(SPECIES, folded, at);
                    FloatVector b = FloatVector.fromArray(SPECIES, folded, at + WIDTH);
                    FloatVector c = FloatVector.fromArray(SPECIES, folded, at + 2 * WIDTH);
                    FloatVector d = FloatVector.fromArray(SPECIES, folded, at + 3 * WIDTH);
                    FloatVector ac = a.blend(c, upper).add(c.blend(a, upper).rearrange(across));
                    FloatVector bd = b.blend(d, upper).add(d.blend(b, upper).rearrange(across));
                    ac.blend(bd, upperNext).add(bd.blend(ac, upperNext).rearrange(acrossNext)).rearrange(LANE)
                            .intoArray(to, v * WIDTH);
                }
                return;
            }
            for (int v = 0; v < vectors; v++) {
                int at = 4 * v * WIDTH;
                FloatVector a = FloatVector.fromArray(SPECIES, folded, at);
                FloatVector b = FloatVector.fromArray(SPECIES, folded, at + WIDTH);
                FloatVector c = FloatVector.fromArray(SPECIES, folded, at + 2 * WIDTH);
                FloatVector d = FloatVector.fromArray(SPECIES, folded, at + 3 * WIDTH);
                FloatVector ac = a.blend(c, upper).add(c.blend(a, upper).rearrange(across));
                FloatVector bd = b.blend(d, upper).add(d.blend(b, upper).rearrange(across));
                ac.blend(bd, upperNext).add(bd.blend(ac, upperNext).rearrange(acrossNext))
                        .intoArray(folded, v * WIDTH);
            }
        }
        if (level < LEVELS) {
            VectorMask<Float> upper = upper(level);
            VectorShuffle<Float> across = across(level);
            for (int g = 0; g < groups; g++) {
                FloatVector a = FloatVector.fromArray(SPECIES, folded, 2 * g * WIDTH);
                FloatVector b = FloatVector.fromArray(SPECIES, folded, 2 * g * WIDTH + WIDTH);
                a.blend(b, upper).add(b.blend(a, upper).rearrange(across)).intoArray(folded, g * WIDTH);
            }
        }
        take(folded, groups, to);
    }

    private static void take(float[] folded, int groups, float[] to) {
        for (int g = 0; g < groups; g++) {
            FloatVector.fromArray(SPECIES, folded, g * WIDTH).rearrange(LANE).intoArray(to, g * WIDTH);
        }
    }
}
