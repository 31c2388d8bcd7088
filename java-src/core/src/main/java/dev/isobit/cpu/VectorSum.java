package dev.isobit.cpu;

import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * The sum of a segment of a long row: the lanes, folded in other memory. Of 16 bits a vector of even lanes and one of odd lanes lie in
 * turn. Copied by {@link Specialized}.
 */
final class VectorSum implements SegmentStage {
    private static final boolean PAIRS = Specialized.flag(MethodHandles.lookup(), VectorExponentials.BF16_BIT)
            || Specialized.flag(MethodHandles.lookup(), VectorExponentials.F16_BIT);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    static final VectorShuffle<Float> FROM_32 = distant(32);
    static final VectorShuffle<Float> FROM_16 = distant(16);
    static final VectorShuffle<Float> FROM_8 = distant(8);
    static final VectorShuffle<Float> FROM_4 = distant(4);
    static final VectorShuffle<Float> FROM_2 = distant(2);
    static final VectorShuffle<Float> FROM_1 = distant(1);

    VectorSum() {}

    private static VectorShuffle<Float> distant(int lanes) {
        return VectorShuffle.fromOp(SPECIES, i -> (i ^ lanes) % WIDTH);
    }

    /** The smallest power of two of lanes that covers a segment, at least so many. */
    static int width(int length, int least) {
        int covering = length <= 1 ? 1 : Integer.highestOneBit(length - 1) << 1;
        return Math.clamp(covering, least, SegmentWork.LANES);
    }

    @Override
    public void run(SegmentWork work) {
        float[] from = work.lanes;
        float[] to = work.folded;
        int last = PAIRS ? 2 * WIDTH : WIDTH;
        int width = width(work.length, last);
        if (width == SegmentWork.LANES) {
            // The same as below; with constant distances it takes two thirds of the time.
            for (int i = 0; i < SegmentWork.LANES / 8; i += WIDTH) {
                eight(from, to, i, SegmentWork.LANES / 8);
            }
            width = SegmentWork.LANES / 8;
            from = to;
        }
        for (; width >= 8 * last; width >>= 3) {
            for (int i = 0; i < width >> 3; i += WIDTH) {
                eight(from, to, i, width >> 3);
            }
            from = to;
        }
        for (; width > last; width >>= 1) {
            int half = width >> 1;
            for (int i = 0; i < half; i += WIDTH) {
                load(from, i).add(load(from, i + half)).intoArray(to, i);
            }
            from = to;
        }
        FloatVector v = load(from, 0);
        v = WIDTH > 32 ? v.add(v.rearrange(FROM_32)) : v;
        v = WIDTH > 16 ? v.add(v.rearrange(FROM_16)) : v;
        v = WIDTH > 8 ? v.add(v.rearrange(FROM_8)) : v;
        v = WIDTH > 4 ? v.add(v.rearrange(FROM_4)) : v;
        v = WIDTH > 2 ? v.add(v.rearrange(FROM_2)) : v;
        v = v.add(v.rearrange(FROM_1));
        if (PAIRS) {
            FloatVector odd = load(from, WIDTH);
            odd = WIDTH > 32 ? odd.add(odd.rearrange(FROM_32)) : odd;
            odd = WIDTH > 16 ? odd.add(odd.rearrange(FROM_16)) : odd;
            odd = WIDTH > 8 ? odd.add(odd.rearrange(FROM_8)) : odd;
            odd = WIDTH > 4 ? odd.add(odd.rearrange(FROM_4)) : odd;
            odd = WIDTH > 2 ? odd.add(odd.rearrange(FROM_2)) : odd;
            v = v.add(odd.add(odd.rearrange(FROM_1)));
        }
        work.sum = v.lane(0);
    }

    /**
     * Folds the lanes at i, i + step, ... i + 7·step into those at i. It returns nothing: where the JIT does not inline
     * it, since it has compiled it before, a vector returned would be boxed.
     */
    private static void eight(float[] from, float[] to, int i, int step) {
        FloatVector a = load(from, i).add(load(from, i + 4 * step));
        FloatVector b = load(from, i + step).add(load(from, i + 5 * step));
        FloatVector c = load(from, i + 2 * step).add(load(from, i + 6 * step));
        FloatVector d = load(from, i + 3 * step).add(load(from, i + 7 * step));
        a.add(c).add(b.add(d)).intoArray(to, i);
    }

    private static FloatVector load(float[] from, int i) {
        return FloatVector.fromArray(SPECIES, from, i);
    }
}
