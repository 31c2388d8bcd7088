package dev.isobit.cpu;

import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The maximum of a segment of 16 bits, found among the bits as integers: these rise with numbers that are not negative, fall
 * with the others. With a NaN above all numbers it is infinity: either way the row has no softmax. Written out as
 * {@link VectorShortRow} is. Copied by {@link Specialized}.
 */
final class VectorNarrowMax implements SegmentStage {
    private static final boolean IN_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean IN_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean F16 = Specialized.flag(MethodHandles.lookup(), VectorExponentials.F16_BIT);
    private static final int INFINITY = F16 ? 0x7c00 : 0x7f80;
    private static final VectorSpecies<Short> SHORTS = NarrowLanes.PAIRS;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();

    VectorNarrowMax() {}

    @Override
    public void run(SegmentWork work) {
        short[] in = work.inShorts;
        MemorySegment segment = work.inSegment;
        VectorAccess.require(IN_NATIVE, segment);
        long at = work.at;
        int length = work.length;
        int whole = length - length % (2 * WIDTH);
        int step = 2 * VectorAccess.step();
        ShortVector a = ShortVector.broadcast(SHORTS, Short.MIN_VALUE);
        ShortVector b = ShortVector.broadcast(SHORTS, Short.MIN_VALUE);
        int i = 0;
        if (IN_NATIVE && length == SegmentWork.SEGMENT) {
            // See VectorAccess on slices.
            for (; i < whole - 14 * WIDTH; i += 8 * step) {
                MemorySegment eight = segment.asSlice(at + i * 2L, 16 * WIDTH * 2, 1);
                a = a.max(ShortVector.fromMemorySegment(SHORTS, eight, 0, ORDER))
                        .max(ShortVector.fromMemorySegment(SHORTS, eight, 2 * WIDTH * 2, ORDER));
                b = b.max(ShortVector.fromMemorySegment(SHORTS, eight, 4 * WIDTH * 2, ORDER))
                        .max(ShortVector.fromMemorySegment(SHORTS, eight, 6 * WIDTH * 2, ORDER));
                a = a.max(ShortVector.fromMemorySegment(SHORTS, eight, 8 * WIDTH * 2, ORDER))
                        .max(ShortVector.fromMemorySegment(SHORTS, eight, 10 * WIDTH * 2, ORDER));
                b = b.max(ShortVector.fromMemorySegment(SHORTS, eight, 12 * WIDTH * 2, ORDER))
                        .max(ShortVector.fromMemorySegment(SHORTS, eight, 14 * WIDTH * 2, ORDER));
            }
        }
        for (; i < whole - 6 * WIDTH; i += 4 * step) {
            ShortVector x = IN_ARRAY
                    ? ShortVector.fromArray(SHORTS, in, (int) at + i)
                    : ShortVector.fromMemorySegment(SHORTS, segment, at + i * 2L, ORDER);
            ShortVector y = IN_ARRAY
                    ? ShortVector.fromArray(SHORTS, in, (int) at + i + 2 * WIDTH)
                    : ShortVector.fromMemorySegment(SHORTS, segment, at + (i + 2 * WIDTH) * 2L, ORDER);
            ShortVector z = IN_ARRAY
                    ? ShortVector.fromArray(SHORTS, in, (int) at + i + 4 * WIDTH)
                    : ShortVector.fromMemorySegment(SHORTS, segment, at + (i + 4 * WIDTH) * 2L, ORDER);
            ShortVector w = IN_ARRAY
                    ? ShortVector.fromArray(SHORTS, in, (int) at + i + 6 * WIDTH)
                    : ShortVector.fromMemorySegment(SHORTS, segment, at + (i + 6 * WIDTH) * 2L, ORDER);
            a = a.max(x).max(y);
            b = b.max(z).max(w);
        }
        for (; i < whole; i += step) {
            a = a.max(IN_ARRAY
                    ? ShortVector.fromArray(SHORTS, in, (int) at + i)
                    : ShortVector.fromMemorySegment(SHORTS, segment, at + i * 2L, ORDER));
        }
        int greatest = a.max(b).reduceLanes(VectorOperators.MAX);
        for (i = whole; i < length; i++) {
            greatest = Math.max(greatest, bits(in, segment, at, i));
        }
        if (greatest < 0) {
            greatest = leastNegative(in, segment, at, length);
        }
        work.max = (greatest & Short.MAX_VALUE) > INFINITY ? Float.POSITIVE_INFINITY : value((short) greatest);
        if (F16 && work.max < VectorExponentials.F16_LOW) {
            work.patience = Math.max(work.patience, 1);
        }
    }

    /** All are negative: the one whose bits are the least. */
    private static int leastNegative(short[] in, MemorySegment segment, long at, int length) {
        int least = Short.MAX_VALUE;
        for (int i = 0; i < length; i++) {
            least = Math.min(least, bits(in, segment, at, i));
        }
        return least;
    }

    private static short bits(short[] in, MemorySegment segment, long at, int i) {
        return IN_ARRAY ? in[(int) at + i] : segment.get(ValueLayout.JAVA_SHORT_UNALIGNED, at + i * 2L);
    }

    private static float value(short bits) {
        return F16 ? NarrowFloats.fromF16(bits) : NarrowFloats.fromBf16(bits);
    }
}
