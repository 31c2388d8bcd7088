package dev.isobit.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The lanes of whole vectors of a segment, from the exponentials that {@link VectorExponentials} has left in the gradient's memory
 * and {@link SegmentWork#MAXIMUM}. Copied by {@link Specialized}.
 */
final class VectorLanes implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int LANES = SegmentWork.LANES;

    VectorLanes() {}

    @Override
    public void run(SegmentWork work) {
        float[] out = work.out;
        MemorySegment outSegment = work.outSegment;
        VectorAccess.require(OUT_NATIVE, outSegment);
        long outAt = work.outAt;
        float[] lanes = work.lanes;
        int whole = SPECIES.loopBound(work.length);
        int step = VectorAccess.step();
        int at = 0;
        if (whole == 8 * LANES) {
            FloatVector zero = FloatVector.broadcast(SPECIES, 0);
            for (int i = 0; i < LANES; i += step) {
                // All of a lane's elements. See VectorAccess on slices.
                MemorySegment eight =
                        OUT_NATIVE ? outSegment.asSlice(outAt + i * 4L, (7 * LANES + WIDTH) * 4, 1) : outSegment;
                long first = OUT_NATIVE ? 0 : outAt + i * 4L;
                FloatVector a = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i)
                        : FloatVector.fromMemorySegment(SPECIES, eight, first, ORDER);
                FloatVector b = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + LANES)
                        : FloatVector.fromMemorySegment(SPECIES, eight, first + LANES * 4, ORDER);
                FloatVector c = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + 2 * LANES)
                        : FloatVector.fromMemorySegment(SPECIES, eight, first + 2 * LANES * 4, ORDER);
                FloatVector d = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + 3 * LANES)
                        : FloatVector.fromMemorySegment(SPECIES, eight, first + 3 * LANES * 4, ORDER);
                FloatVector e = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + 4 * LANES)
                        : FloatVector.fromMemorySegment(SPECIES, eight, first + 4 * LANES * 4, ORDER);
                FloatVector f = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + 5 * LANES)
                        : FloatVector.fromMemorySegment(SPECIES, eight, first + 5 * LANES * 4, ORDER);
                FloatVector g = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + 6 * LANES)
                        : FloatVector.fromMemorySegment(SPECIES, eight, first + 6 * LANES * 4, ORDER);
                FloatVector h = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + 7 * LANES)
                        : FloatVector.fromMemorySegment(SPECIES, eight, first + 7 * LANES * 4, ORDER);
                zero.add(a).add(b).add(c).add(d).add(e).add(f).add(g).add(h).intoArray(lanes, i);
            }
            return;
        }
        Arrays.fill(lanes, 0, VectorSum.width(work.length, WIDTH), 0);
        // The row's last segment: four of a lane's elements at a time.
        for (; at <= whole - 4 * LANES; at += 4 * LANES) {
            for (int lane = 0; lane < LANES; lane += step) {
                int i = at + lane;
                MemorySegment four =
                        OUT_NATIVE ? outSegment.asSlice(outAt + i * 4L, (3 * LANES + WIDTH) * 4, 1) : outSegment;
                long first = OUT_NATIVE ? 0 : outAt + i * 4L;
                FloatVector a = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i)
                        : FloatVector.fromMemorySegment(SPECIES, four, first, ORDER);
                FloatVector b = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + LANES)
                        : FloatVector.fromMemorySegment(SPECIES, four, first + LANES * 4, ORDER);
                FloatVector c = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + 2 * LANES)
                        : FloatVector.fromMemorySegment(SPECIES, four, first + 2 * LANES * 4, ORDER);
                FloatVector d = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i + 3 * LANES)
                        : FloatVector.fromMemorySegment(SPECIES, four, first + 3 * LANES * 4, ORDER);
                FloatVector.fromArray(SPECIES, lanes, lane).add(a).add(b).add(c).add(d).intoArray(lanes, lane);
            }
        }
        for (; at < whole; at += LANES) {
            int end = Math.min(LANES, whole - at);
            for (int lane = 0; lane < end; lane += step) {
                int i = at + lane;
                FloatVector a = OUT_ARRAY
                        ? FloatVector.fromArray(SPECIES, out, (int) outAt + i)
                        : FloatVector.fromMemorySegment(SPECIES, outSegment, outAt + i * 4L, ORDER);
                FloatVector.fromArray(SPECIES, lanes, lane).add(a).intoArray(lanes, lane);
            }
        }
    }
}
