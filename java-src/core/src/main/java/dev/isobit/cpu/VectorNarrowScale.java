package dev.isobit.cpu;

import dev.isobit.math.NarrowFloats;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Exponentials that wait in pairs of vectors, those of even elements and those of odd ones, to gradients of 16 bits. Written
 * out as {@link VectorShortRow} is. Copied by {@link Specialized}.
 */
final class VectorNarrowScale implements SegmentStage {
    private static final boolean OUT_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean OUT_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean F16 = Specialized.flag(MethodHandles.lookup(), VectorExponentials.F16_BIT);
    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** The last normal one. */
    private static final float F16_NORMAL = 0x1p-14f;
    /** A unit in its last place is the smallest F16: adding it rounds a small number to one. */
    private static final float F16_ROUNDER = 0.5f;
    private static final int F16_ROUNDER_BITS = 0x3f000000;

    VectorNarrowScale() {}

    @Override
    public void run(SegmentWork work) {
        float factor = work.factor;
        int whole = Float.isFinite(factor) ? work.length - work.length % (2 * WIDTH) : 0;
        if (F16 && Math.abs(factor) < F16_NORMAL) {
            small(work, factor, whole);
        } else if (F16 && whole > 0) {
            f16(work, factor, whole);
        } else {
            bf16(work, factor, whole);
        }
        for (int i = whole; i < work.length; i++) {
            int place = i / (2 * WIDTH) * (2 * WIDTH) + i % (2 * WIDTH) / 2 + (i & 1) * WIDTH;
            float g = work.waiting[work.waitingAt + place] * factor;
            short bits = F16 ? NarrowFloats.toF16(g) : NarrowFloats.toBf16(g);
            if (OUT_ARRAY) {
                work.outShorts[(int) work.outAt + i] = bits;
            } else {
                work.outSegment.set(ValueLayout.JAVA_SHORT_UNALIGNED, work.outAt + i * 2L, bits);
            }
        }
    }

    private static void bf16(SegmentWork work, float factor, int whole) {
        float[] from = work.waiting;
        short[] out = work.outShorts;
        MemorySegment outSegment = work.outSegment;
        VectorAccess.require(OUT_NATIVE, outSegment);
        int fromAt = work.waitingAt;
        long at = work.outAt;
        FloatVector f = FloatVector.broadcast(SPECIES, factor);
        int step = 2 * VectorAccess.step();
        for (int i = 0; i < whole; i += step) {
            IntVector even = FloatVector.fromArray(SPECIES, from, fromAt + i).mul(f)
                    .reinterpretAsInts();
            IntVector odd = FloatVector.fromArray(SPECIES, from, fromAt + i + WIDTH).mul(f)
                    .reinterpretAsInts();
            even = even.lanewise(VectorOperators.LSHR, 16).and(1).add(even).add(0x7fff);
            odd = odd.lanewise(VectorOperators.LSHR, 16).and(1).add(odd).add(0x7fff);
            ShortVector bits = odd.and(0xffff0000).or(even.lanewise(VectorOperators.LSHR, 16)).reinterpretAsShorts();
            if (OUT_ARRAY) {
                bits.intoArray(out, (int) at + i);
            } else {
                bits.intoMemorySegment(outSegment, at + i * 2L, ORDER);
            }
        }
    }

    /** Gradients that are no normal F16: a float with 2^-24 in its last place has rounded them, and its bits count them. */
    private static void small(SegmentWork work, float factor, int whole) {
        float[] from = work.waiting;
        short[] out = work.outShorts;
        MemorySegment outSegment = work.outSegment;
        VectorAccess.require(OUT_NATIVE, outSegment);
        int fromAt = work.waitingAt;
        long at = work.outAt;
        FloatVector f = FloatVector.broadcast(SPECIES, Math.abs(factor));
        FloatVector rounder = FloatVector.broadcast(SPECIES, F16_ROUNDER);
        int signs = Float.floatToRawIntBits(factor) < 0 ? 0x80008000 : 0;
        int correction = signs - F16_ROUNDER_BITS - (F16_ROUNDER_BITS << 16);
        int step = 2 * VectorAccess.step();
        for (int i = 0; i < whole; i += step) {
            IntVector even = FloatVector.fromArray(SPECIES, from, fromAt + i).mul(f).add(rounder)
                    .reinterpretAsInts();
            IntVector odd = FloatVector.fromArray(SPECIES, from, fromAt + i + WIDTH).mul(f)
                    .add(rounder).reinterpretAsInts();
            ShortVector bits =
                    odd.lanewise(VectorOperators.LSHL, 16).add(even).add(correction).reinterpretAsShorts();
            if (OUT_ARRAY) {
                bits.intoArray(out, (int) at + i);
            } else {
                bits.intoMemorySegment(outSegment, at + i * 2L, ORDER);
            }
        }
    }

    /** As {@link NarrowLanes#narrowF16}, without NaN, and with one sign. */
    private static void f16(SegmentWork work, float factor, int whole) {
        float[] from = work.waiting;
        short[] out = work.outShorts;
        MemorySegment outSegment = work.outSegment;
        VectorAccess.require(OUT_NATIVE, outSegment);
        int fromAt = work.waitingAt;
        long at = work.outAt;
        FloatVector f = FloatVector.broadcast(SPECIES, Math.abs(factor));
        int signs = Float.floatToRawIntBits(factor) < 0 ? 0x80008000 : 0;
        int step = 2 * VectorAccess.step();
        for (int i = 0; i < whole; i += step) {
            // From 2^16 on all become infinity, whose bits are those that 2^16 would have.
            IntVector even = FloatVector.fromArray(SPECIES, from, fromAt + i).mul(f)
                    .reinterpretAsInts().min(NarrowLanes.F16_END);
            IntVector odd = FloatVector.fromArray(SPECIES, from, fromAt + i + WIDTH).mul(f)
                    .reinterpretAsInts().min(NarrowLanes.F16_END);
            IntVector evenExponent = even.max(NarrowLanes.F16_NORMAL).and(NarrowLanes.F32_INFINITY);
            IntVector oddExponent = odd.max(NarrowLanes.F16_NORMAL).and(NarrowLanes.F32_INFINITY);
            even = even.reinterpretAsFloats().add(evenExponent.add(NarrowLanes.F16_COUNTER).reinterpretAsFloats())
                    .reinterpretAsInts().add(evenExponent.lanewise(VectorOperators.LSHR, 13));
            odd = odd.reinterpretAsFloats().add(oddExponent.add(NarrowLanes.F16_COUNTER).reinterpretAsFloats())
                    .reinterpretAsInts().add(oddExponent.lanewise(VectorOperators.LSHR, 13));
            ShortVector bits = odd.lanewise(VectorOperators.LSHL, 16).or(even.and(0xffff)).or(signs)
                    .reinterpretAsShorts();
            if (OUT_ARRAY) {
                bits.intoArray(out, (int) at + i);
            } else {
                bits.intoMemorySegment(outSegment, at + i * 2L, ORDER);
            }
        }
    }
}
