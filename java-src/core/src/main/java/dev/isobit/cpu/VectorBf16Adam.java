package dev.isobit.cpu;

import dev.isobit.spi.AdamScalars;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Adam where parameters, gradients and moments are all BF16: as {@link VectorAdam}, but a vector of 16 bits is two vectors
 * of float32, its even elements and its odd ones. To widen one takes one operation, not two, and to round and store it five,
 * not seven. Of each operand the beginning of the page behind the next one is read early: the hardware reads ahead within a
 * page. Written out as {@link VectorAdam} is. Copied by {@link Specialized}.
 */
final class VectorBf16Adam implements AdamUpdate {
    /** Whether all operands are arrays, else all are native memory. */
    private static final boolean ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final VectorSpecies<Float> FLOATS = VectorMath.SPECIES;
    private static final VectorSpecies<Integer> INTS = NarrowLanes.INTS;
    private static final VectorSpecies<Short> SHORTS = VectorSpecies.of(short.class, FLOATS.vectorShape());
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int WIDTH = SHORTS.length();
    private static final int UPPER = 0xffff0000;
    /** Elements from which on they come from memory rather than from a cache. */
    private static final long LARGE = 1 << 22;
    /** Elements of a page of 4 KiB, and of a cache line. */
    private static final int PAGE = 1 << 11;
    private static final int LINE = 1 << 5;

    /** What was read ahead, so that the JIT does not leave that out; whose it is does not matter. */
    @SuppressWarnings("unused")
    private static int touched;

    /** Called through {@link Specialized}. */
    VectorBf16Adam() {}

    @Override
    public int width() {
        return WIDTH;
    }

    @Override
    public void run(AdamOperands tensors, long from, long to, AdamScalars s) {
        int bits = 0;
        boolean touches = tensors.count >= LARGE;
        for (long at = from; at < to; at += PAGE) {
            if (touches) {
                bits |= touch(tensors, Math.min(at + 2 * PAGE, to - 1))
                        | touch(tensors, Math.min(at + 2 * PAGE + LINE, to - 1));
            }
            update(tensors, at, (int) Math.min(PAGE, to - at), s);
        }
        touched = bits;
    }

    private static int touch(AdamOperands tensors, long element) {
        return tensors.storage.param.bits(element) | tensors.grad.bits(element) | tensors.expAvg.bits(element)
                | tensors.expAvgSq.bits(element);
    }

    private static void update(AdamOperands tensors, long from, int count, AdamScalars s) {
        FloatOperand param = tensors.storage.param;
        short[] params = param.shorts;
        short[] grads = tensors.grad.shorts;
        short[] expAvgs = tensors.expAvg.shorts;
        short[] expAvgSqs = tensors.expAvgSq.shorts;
        MemorySegment paramSegment = param.segment;
        MemorySegment gradSegment = tensors.grad.segment;
        MemorySegment expAvgSegment = tensors.expAvg.segment;
        MemorySegment expAvgSqSegment = tensors.expAvgSq.segment;
        long paramAt = param.position(from);
        long gradAt = tensors.grad.position(from);
        long expAvgAt = tensors.expAvg.position(from);
        long expAvgSqAt = tensors.expAvgSq.position(from);
        VectorAccess.require(!ARRAY, paramSegment);
        VectorAccess.require(!ARRAY, gradSegment);
        VectorAccess.require(!ARRAY, expAvgSegment);
        VectorAccess.require(!ARRAY, expAvgSqSegment);
        FloatVector w1 = VectorMath.constant(s.w1);
        FloatVector w2 = VectorMath.constant(s.w2);
        FloatVector negStepSize = VectorMath.constant(s.negStepSize);
        FloatVector rsqrtBc2 = VectorMath.constant(s.rsqrtBc2);
        FloatVector eps = VectorMath.constant(s.eps);
        FloatVector paramDecay = VectorMath.constant(s.paramDecay);
        FloatVector gradDecay = VectorMath.constant(s.gradDecay);
        FloatVector gradFactor = VectorMath.constant(s.gradFactor);
        FloatVector most = VectorMath.constant(s.clipValue);
        FloatVector least = VectorMath.constant(-s.clipValue);
        boolean scales = s.scales();
        boolean clips = s.clips();
        boolean maximize = s.maximize;
        boolean decaysGrad = s.decaysGrad;
        boolean decaysParam = s.paramDecay != 1;
        IntVector lower = IntVector.broadcast(INTS, 0x7fff);
        int step = 2 * VectorAccess.step();
        for (int i = 0; i < count; i += step) {
            IntVector pp = (ARRAY
                    ? ShortVector.fromArray(SHORTS, params, (int) paramAt + i)
                    : ShortVector.fromMemorySegment(SHORTS, paramSegment, paramAt + 2L * i, ORDER)).reinterpretAsInts();
            IntVector gg = (ARRAY
                    ? ShortVector.fromArray(SHORTS, grads, (int) gradAt + i)
                    : ShortVector.fromMemorySegment(SHORTS, gradSegment, gradAt + 2L * i, ORDER)).reinterpretAsInts();
            IntVector mm = (ARRAY
                    ? ShortVector.fromArray(SHORTS, expAvgs, (int) expAvgAt + i)
                    : ShortVector.fromMemorySegment(SHORTS, expAvgSegment, expAvgAt + 2L * i, ORDER))
                    .reinterpretAsInts();
            IntVector vv = (ARRAY
                    ? ShortVector.fromArray(SHORTS, expAvgSqs, (int) expAvgSqAt + i)
                    : ShortVector.fromMemorySegment(SHORTS, expAvgSqSegment, expAvgSqAt + 2L * i, ORDER))
                    .reinterpretAsInts();
            FloatVector p0 = pp.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector p1 = pp.and(UPPER).reinterpretAsFloats();
            FloatVector g0 = gg.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector g1 = gg.and(UPPER).reinterpretAsFloats();
            FloatVector m0 = mm.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector m1 = mm.and(UPPER).reinterpretAsFloats();
            FloatVector v0 = vv.lanewise(VectorOperators.LSHL, 16).reinterpretAsFloats();
            FloatVector v1 = vv.and(UPPER).reinterpretAsFloats();
            if (scales) {
                g0 = g0.mul(gradFactor);
                g1 = g1.mul(gradFactor);
            }
            if (clips) {
                g0 = g0.blend(most, g0.compare(VectorOperators.GT, most));
                g1 = g1.blend(most, g1.compare(VectorOperators.GT, most));
                g0 = g0.blend(least, g0.compare(VectorOperators.LT, least));
                g1 = g1.blend(least, g1.compare(VectorOperators.LT, least));
            }
            if (maximize) {
                g0 = g0.neg();
                g1 = g1.neg();
            }
            if (decaysGrad) {
                g0 = gradDecay.fma(p0, g0);
                g1 = gradDecay.fma(p1, g1);
            }
            m0 = w1.fma(g0.sub(m0), m0);
            m1 = w1.fma(g1.sub(m1), m1);
            v0 = w2.fma(g0.fma(g0, v0.neg()), v0);
            v1 = w2.fma(g1.fma(g1, v1.neg()), v1);
            if (decaysParam) {
                p0 = p0.mul(paramDecay);
                p1 = p1.mul(paramDecay);
            }
            p0 = negStepSize.fma(m0.div(v0.sqrt().fma(rsqrtBc2, eps)), p0);
            p1 = negStepSize.fma(m1.div(v1.sqrt().fma(rsqrtBc2, eps)), p1);
            VectorMask<Float> bad0 = p0.compare(VectorOperators.NE, p0);
            VectorMask<Float> bad1 = p1.compare(VectorOperators.NE, p1);
            if (bad0.or(bad1).anyTrue()) {
                p0 = p0.blend(Float.NaN, bad0);
                p1 = p1.blend(Float.NaN, bad1);
                m0 = m0.blend(Float.NaN, m0.compare(VectorOperators.NE, m0));
                m1 = m1.blend(Float.NaN, m1.compare(VectorOperators.NE, m1));
                v0 = v0.blend(Float.NaN, v0.compare(VectorOperators.NE, v0));
                v1 = v1.blend(Float.NaN, v1.compare(VectorOperators.NE, v1));
            }
            IntVector even = m0.reinterpretAsInts();
            IntVector odd = m1.reinterpretAsInts();
            even = even.lanewise(VectorOperators.LSHR, 16).and(1).add(even).add(lower);
            odd = odd.lanewise(VectorOperators.LSHR, 16).and(1).add(odd).add(lower);
            ShortVector bits = odd.and(UPPER).or(even.lanewise(VectorOperators.LSHR, 16)).reinterpretAsShorts();
            if (ARRAY) {
                bits.intoArray(expAvgs, (int) expAvgAt + i);
            } else {
                bits.intoMemorySegment(expAvgSegment, expAvgAt + 2L * i, ORDER);
            }
            even = v0.reinterpretAsInts();
            odd = v1.reinterpretAsInts();
            even = even.lanewise(VectorOperators.LSHR, 16).and(1).add(even).add(lower);
            odd = odd.lanewise(VectorOperators.LSHR, 16).and(1).add(odd).add(lower);
            bits = odd.and(UPPER).or(even.lanewise(VectorOperators.LSHR, 16)).reinterpretAsShorts();
            if (ARRAY) {
                bits.intoArray(expAvgSqs, (int) expAvgSqAt + i);
            } else {
                bits.intoMemorySegment(expAvgSqSegment, expAvgSqAt + 2L * i, ORDER);
            }
            even = p0.reinterpretAsInts();
            odd = p1.reinterpretAsInts();
            even = even.lanewise(VectorOperators.LSHR, 16).and(1).add(even).add(lower);
            odd = odd.lanewise(VectorOperators.LSHR, 16).and(1).add(odd).add(lower);
            bits = odd.and(UPPER).or(even.lanewise(VectorOperators.LSHR, 16)).reinterpretAsShorts();
            if (ARRAY) {
                bits.intoArray(params, (int) paramAt + i);
            } else {
                bits.intoMemorySegment(paramSegment, paramAt + 2L * i, ORDER);
            }
        }
    }
}
