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
 * Adam by the Vector API over float32, BF16 and F16, which are widened and rounded in registers. Copied per type and kind of
 * memory by {@link Specialized}. The loop calls methods of the Vector API alone: beyond so many nodes the JIT inlines no
 * others, and boxes the vectors that they take.
 */
final class VectorAdam implements AdamUpdate {
    /** Bits of {@link Specialized#flag} for each operand: whether it is an array, native memory, of 16 bits. */
    static final int BITS = 3;
    /** After the operands: param or its master, grad, expAvg, expAvgSq, maxExpAvgSq, and what is beside the first. */
    static final int AMSGRAD_BIT = 6 * BITS;
    static final int MASTER_BIT = AMSGRAD_BIT + 1;
    static final int REMAINDERS_BIT = AMSGRAD_BIT + 2;
    /** Whether 16 bits of the parameter, and of the gradient, are F16, else BF16. */
    static final int F16_PARAM_BIT = AMSGRAD_BIT + 3;
    static final int F16_GRAD_BIT = AMSGRAD_BIT + 4;

    private static final boolean PARAM_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean PARAM_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean PARAM_16 = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean GRAD_ARRAY = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRAD_NATIVE = Specialized.flag(MethodHandles.lookup(), 4);
    private static final boolean GRAD_16 = Specialized.flag(MethodHandles.lookup(), 5);
    private static final boolean EXP_AVG_ARRAY = Specialized.flag(MethodHandles.lookup(), 6);
    private static final boolean EXP_AVG_NATIVE = Specialized.flag(MethodHandles.lookup(), 7);
    private static final boolean EXP_AVG_BF16 = Specialized.flag(MethodHandles.lookup(), 8);
    private static final boolean EXP_AVG_SQ_ARRAY = Specialized.flag(MethodHandles.lookup(), 9);
    private static final boolean EXP_AVG_SQ_NATIVE = Specialized.flag(MethodHandles.lookup(), 10);
    private static final boolean EXP_AVG_SQ_BF16 = Specialized.flag(MethodHandles.lookup(), 11);
    private static final boolean MAX_ARRAY = Specialized.flag(MethodHandles.lookup(), 12);
    private static final boolean MAX_NATIVE = Specialized.flag(MethodHandles.lookup(), 13);
    private static final boolean MAX_BF16 = Specialized.flag(MethodHandles.lookup(), 14);
    private static final boolean BESIDE_ARRAY = Specialized.flag(MethodHandles.lookup(), 15);
    private static final boolean BESIDE_NATIVE = Specialized.flag(MethodHandles.lookup(), 16);
    private static final boolean AMSGRAD = Specialized.flag(MethodHandles.lookup(), AMSGRAD_BIT);
    /** The first operand is a master; beside it stands the parameter, of 16 bits. */
    private static final boolean MASTER = Specialized.flag(MethodHandles.lookup(), MASTER_BIT);
    /** Beside the parameter stand the remainders of its master. */
    private static final boolean REMAINDERS = Specialized.flag(MethodHandles.lookup(), REMAINDERS_BIT);
    private static final boolean F16_PARAM = Specialized.flag(MethodHandles.lookup(), F16_PARAM_BIT);
    private static final boolean F16_GRAD = Specialized.flag(MethodHandles.lookup(), F16_GRAD_BIT);
    private static final boolean PARAM_BF16 = PARAM_16 && !F16_PARAM;
    private static final boolean PARAM_F16 = PARAM_16 && F16_PARAM;
    private static final boolean GRAD_BF16 = GRAD_16 && !F16_GRAD;
    private static final boolean GRAD_F16 = GRAD_16 && F16_GRAD;
    /** The parameter is written as F16, beside a master or not. */
    private static final boolean TO_F16 = F16_PARAM && (PARAM_16 || MASTER);

    private static final VectorSpecies<Float> FLOATS = VectorMath.SPECIES;
    private static final VectorSpecies<Integer> INTS = NarrowLanes.INTS;
    private static final VectorSpecies<Short> SHORTS = NarrowLanes.SHORTS;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int WIDTH = VectorAccess.WIDTH;
    /** Elements of an inner loop, which counts in int. */
    static final int RUN = 1 << 13;

    /** Called through {@link Specialized}. */
    VectorAdam() {}

    @Override
    public int width() {
        return WIDTH;
    }

    @Override
    public void run(AdamOperands tensors, long from, long to, AdamScalars s) {
        for (long at = from; at < to; at += RUN) {
            update(tensors, at, (int) Math.min(RUN, to - at), s);
        }
    }

    private static void update(AdamOperands tensors, long from, int count, AdamScalars s) {
        FloatOperand param = tensors.storage.first();
        FloatOperand beside = tensors.storage.beside();
        float[] params = param.array;
        short[] paramShorts = param.shorts;
        float[] grads = tensors.grad.array;
        short[] gradShorts = tensors.grad.shorts;
        float[] expAvgs = tensors.expAvg.array;
        short[] expAvgShorts = tensors.expAvg.shorts;
        float[] expAvgSqs = tensors.expAvgSq.array;
        short[] expAvgSqShorts = tensors.expAvgSq.shorts;
        float[] maxima = tensors.maxExpAvgSq.array;
        short[] maxShorts = tensors.maxExpAvgSq.shorts;
        short[] besideShorts = beside.shorts;
        MemorySegment paramSegment = param.segment;
        MemorySegment gradSegment = tensors.grad.segment;
        MemorySegment expAvgSegment = tensors.expAvg.segment;
        MemorySegment expAvgSqSegment = tensors.expAvgSq.segment;
        MemorySegment maxSegment = tensors.maxExpAvgSq.segment;
        MemorySegment besideSegment = beside.segment;
        long paramAt = param.position(from);
        long gradAt = tensors.grad.position(from);
        long expAvgAt = tensors.expAvg.position(from);
        long expAvgSqAt = tensors.expAvgSq.position(from);
        long maxAt = tensors.maxExpAvgSq.position(from);
        long besideAt = beside.position(from);
        // See VectorAccess on slices.
        VectorAccess.require(PARAM_NATIVE, paramSegment);
        paramSegment = PARAM_NATIVE ? paramSegment.asSlice(paramAt, count * (PARAM_16 ? 2L : 4L), 1) : paramSegment;
        paramAt = PARAM_NATIVE ? 0 : paramAt;
        VectorAccess.require(PARAM_NATIVE, paramSegment);
        VectorAccess.require(GRAD_NATIVE, gradSegment);
        gradSegment = GRAD_NATIVE ? gradSegment.asSlice(gradAt, count * (GRAD_16 ? 2L : 4L), 1) : gradSegment;
        gradAt = GRAD_NATIVE ? 0 : gradAt;
        VectorAccess.require(GRAD_NATIVE, gradSegment);
        VectorAccess.require(EXP_AVG_NATIVE, expAvgSegment);
        expAvgSegment =
                EXP_AVG_NATIVE ? expAvgSegment.asSlice(expAvgAt, count * (EXP_AVG_BF16 ? 2L : 4L), 1) : expAvgSegment;
        expAvgAt = EXP_AVG_NATIVE ? 0 : expAvgAt;
        VectorAccess.require(EXP_AVG_NATIVE, expAvgSegment);
        VectorAccess.require(EXP_AVG_SQ_NATIVE, expAvgSqSegment);
        expAvgSqSegment = EXP_AVG_SQ_NATIVE
                ? expAvgSqSegment.asSlice(expAvgSqAt, count * (EXP_AVG_SQ_BF16 ? 2L : 4L), 1)
                : expAvgSqSegment;
        expAvgSqAt = EXP_AVG_SQ_NATIVE ? 0 : expAvgSqAt;
        VectorAccess.require(EXP_AVG_SQ_NATIVE, expAvgSqSegment);
        VectorAccess.require(AMSGRAD && MAX_NATIVE, maxSegment);
        maxSegment = AMSGRAD && MAX_NATIVE ? maxSegment.asSlice(maxAt, count * (MAX_BF16 ? 2L : 4L), 1) : maxSegment;
        maxAt = AMSGRAD && MAX_NATIVE ? 0 : maxAt;
        VectorAccess.require(AMSGRAD && MAX_NATIVE, maxSegment);
        VectorAccess.require((MASTER || REMAINDERS) && BESIDE_NATIVE, besideSegment);
        besideSegment = (MASTER || REMAINDERS) && BESIDE_NATIVE
                ? besideSegment.asSlice(besideAt, count * 2L, 1)
                : besideSegment;
        besideAt = (MASTER || REMAINDERS) && BESIDE_NATIVE ? 0 : besideAt;
        VectorAccess.require((MASTER || REMAINDERS) && BESIDE_NATIVE, besideSegment);
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
        FloatVector f16Scale = VectorMath.constant(NarrowLanes.F16_SCALE);
        IntVector f16Bits = IntVector.fromArray(INTS, Kept.MASKS, Kept.F16_BITS);
        IntVector magnitude = IntVector.broadcast(INTS, Integer.MAX_VALUE);
        IntVector f16End = IntVector.broadcast(INTS, NarrowLanes.F16_END);
        IntVector f16Normal = IntVector.broadcast(INTS, NarrowLanes.F16_NORMAL);
        int step = VectorAccess.step();
        for (int i = 0; i < count; i += step) {
            FloatVector p = PARAM_F16
                    ? ((IntVector) (PARAM_ARRAY
                            ? ShortVector.fromArray(SHORTS, paramShorts, (int) paramAt + i)
                            : ShortVector.fromMemorySegment(SHORTS, paramSegment, paramAt + 2L * i, ORDER))
                            .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 13)
                            .and(f16Bits).reinterpretAsFloats().mul(f16Scale)
                    : PARAM_BF16
                            ? ((IntVector) (PARAM_ARRAY
                                    ? ShortVector.fromArray(SHORTS, paramShorts, (int) paramAt + i)
                                    : ShortVector.fromMemorySegment(SHORTS, paramSegment, paramAt + 2L * i, ORDER))
                                    .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                                    .reinterpretAsFloats()
                            : PARAM_ARRAY
                                    ? FloatVector.fromArray(FLOATS, params, (int) paramAt + i)
                                    : FloatVector.fromMemorySegment(FLOATS, paramSegment, paramAt + 4L * i, ORDER);
            if (REMAINDERS) {
                ShortVector remainder = BESIDE_ARRAY
                        ? ShortVector.fromArray(SHORTS, besideShorts, (int) besideAt + i)
                        : ShortVector.fromMemorySegment(SHORTS, besideSegment, besideAt + 2L * i, ORDER);
                p = p.reinterpretAsInts().add(remainder.convertShape(VectorOperators.S2I, INTS, 0))
                        .reinterpretAsFloats();
            }
            FloatVector g = GRAD_F16
                    ? ((IntVector) (GRAD_ARRAY
                            ? ShortVector.fromArray(SHORTS, gradShorts, (int) gradAt + i)
                            : ShortVector.fromMemorySegment(SHORTS, gradSegment, gradAt + 2L * i, ORDER))
                            .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 13)
                            .and(f16Bits).reinterpretAsFloats().mul(f16Scale)
                    : GRAD_BF16
                            ? ((IntVector) (GRAD_ARRAY
                                    ? ShortVector.fromArray(SHORTS, gradShorts, (int) gradAt + i)
                                    : ShortVector.fromMemorySegment(SHORTS, gradSegment, gradAt + 2L * i, ORDER))
                                    .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                                    .reinterpretAsFloats()
                            : GRAD_ARRAY
                                    ? FloatVector.fromArray(FLOATS, grads, (int) gradAt + i)
                                    : FloatVector.fromMemorySegment(FLOATS, gradSegment, gradAt + 4L * i, ORDER);
            if (PARAM_F16 || GRAD_F16) {
                IntVector pBits = p.reinterpretAsInts().and(magnitude);
                IntVector gBits = g.reinterpretAsInts().and(magnitude);
                IntVector largest = PARAM_F16 && GRAD_F16 ? pBits.max(gBits) : PARAM_F16 ? pBits : gBits;
                if (largest.compare(VectorOperators.GE, f16End).anyTrue()) {
                    // Infinite or NaN, of the exponent behind the last one.
                    if (PARAM_F16) {
                        p = p.reinterpretAsInts().lanewise(VectorOperators.OR, NarrowLanes.F32_INFINITY,
                                pBits.compare(VectorOperators.GE, f16End)).reinterpretAsFloats();
                    }
                    if (GRAD_F16) {
                        g = g.reinterpretAsInts().lanewise(VectorOperators.OR, NarrowLanes.F32_INFINITY,
                                gBits.compare(VectorOperators.GE, f16End)).reinterpretAsFloats();
                    }
                }
            }
            FloatVector m = EXP_AVG_BF16
                    ? ((IntVector) (EXP_AVG_ARRAY
                            ? ShortVector.fromArray(SHORTS, expAvgShorts, (int) expAvgAt + i)
                            : ShortVector.fromMemorySegment(SHORTS, expAvgSegment, expAvgAt + 2L * i, ORDER))
                            .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats()
                    : EXP_AVG_ARRAY
                            ? FloatVector.fromArray(FLOATS, expAvgs, (int) expAvgAt + i)
                            : FloatVector.fromMemorySegment(FLOATS, expAvgSegment, expAvgAt + 4L * i, ORDER);
            FloatVector v = EXP_AVG_SQ_BF16
                    ? ((IntVector) (EXP_AVG_SQ_ARRAY
                            ? ShortVector.fromArray(SHORTS, expAvgSqShorts, (int) expAvgSqAt + i)
                            : ShortVector.fromMemorySegment(SHORTS, expAvgSqSegment, expAvgSqAt + 2L * i, ORDER))
                            .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats()
                    : EXP_AVG_SQ_ARRAY
                            ? FloatVector.fromArray(FLOATS, expAvgSqs, (int) expAvgSqAt + i)
                            : FloatVector.fromMemorySegment(FLOATS, expAvgSqSegment, expAvgSqAt + 4L * i, ORDER);
            if (scales) {
                g = g.mul(gradFactor);
            }
            if (clips) {
                g = g.blend(most, g.compare(VectorOperators.GT, most));
                g = g.blend(least, g.compare(VectorOperators.LT, least));
            }
            if (maximize) {
                g = g.neg();
            }
            if (decaysGrad) {
                g = gradDecay.fma(p, g);
            }
            m = w1.fma(g.sub(m), m);
            v = w2.fma(g.fma(g, v.neg()), v);
            FloatVector x = v;
            if (AMSGRAD) {
                FloatVector largest = MAX_BF16
                        ? ((IntVector) (MAX_ARRAY
                                ? ShortVector.fromArray(SHORTS, maxShorts, (int) maxAt + i)
                                : ShortVector.fromMemorySegment(SHORTS, maxSegment, maxAt + 2L * i, ORDER))
                                .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                                .reinterpretAsFloats()
                        : MAX_ARRAY
                                ? FloatVector.fromArray(FLOATS, maxima, (int) maxAt + i)
                                : FloatVector.fromMemorySegment(FLOATS, maxSegment, maxAt + 4L * i, ORDER);
                x = largest.blend(v, v.compare(VectorOperators.GT, largest).or(v.compare(VectorOperators.NE, v)));
            }
            if (decaysParam) {
                p = p.mul(paramDecay);
            }
            p = negStepSize.fma(m.div(x.sqrt().fma(rsqrtBc2, eps)), p);
            VectorMask<Float> bad = p.compare(VectorOperators.NE, p);
            // What F16 is made of: 2^16, which becomes infinity, for all beyond.
            IntVector f16 = TO_F16 ? p.reinterpretAsInts().and(magnitude).min(f16End) : f16End;
            if (bad.anyTrue()) {
                // A NaN moment makes a NaN parameter, so one test serves all.
                p = p.blend(Float.NaN, bad);
                if (TO_F16) {
                    f16 = f16.blend(NarrowLanes.F16_NAN_BEFORE, bad.cast(INTS));
                }
                m = m.blend(Float.NaN, m.compare(VectorOperators.NE, m));
                v = v.blend(Float.NaN, v.compare(VectorOperators.NE, v));
                x = x.blend(Float.NaN, x.compare(VectorOperators.NE, x));
            }
            if (EXP_AVG_BF16) {
                ShortVector bits = (ShortVector) m.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(1)
                        .add(m.reinterpretAsInts()).add(0x7fff).lanewise(VectorOperators.LSHR, 16)
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (EXP_AVG_ARRAY) {
                    bits.intoArray(expAvgShorts, (int) expAvgAt + i);
                } else {
                    bits.intoMemorySegment(expAvgSegment, expAvgAt + 2L * i, ORDER);
                }
            } else if (EXP_AVG_ARRAY) {
                m.intoArray(expAvgs, (int) expAvgAt + i);
            } else {
                m.intoMemorySegment(expAvgSegment, expAvgAt + 4L * i, ORDER);
            }
            if (EXP_AVG_SQ_BF16) {
                ShortVector bits = (ShortVector) v.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(1)
                        .add(v.reinterpretAsInts()).add(0x7fff).lanewise(VectorOperators.LSHR, 16)
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (EXP_AVG_SQ_ARRAY) {
                    bits.intoArray(expAvgSqShorts, (int) expAvgSqAt + i);
                } else {
                    bits.intoMemorySegment(expAvgSqSegment, expAvgSqAt + 2L * i, ORDER);
                }
            } else if (EXP_AVG_SQ_ARRAY) {
                v.intoArray(expAvgSqs, (int) expAvgSqAt + i);
            } else {
                v.intoMemorySegment(expAvgSqSegment, expAvgSqAt + 4L * i, ORDER);
            }
            if (AMSGRAD && MAX_BF16) {
                ShortVector bits = (ShortVector) x.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(1)
                        .add(x.reinterpretAsInts()).add(0x7fff).lanewise(VectorOperators.LSHR, 16)
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (MAX_ARRAY) {
                    bits.intoArray(maxShorts, (int) maxAt + i);
                } else {
                    bits.intoMemorySegment(maxSegment, maxAt + 2L * i, ORDER);
                }
            } else if (AMSGRAD && MAX_ARRAY) {
                x.intoArray(maxima, (int) maxAt + i);
            } else if (AMSGRAD) {
                x.intoMemorySegment(maxSegment, maxAt + 4L * i, ORDER);
            }
            if (REMAINDERS) {
                ShortVector remainder =
                        (ShortVector) p.reinterpretAsInts().convertShape(VectorOperators.I2S, SHORTS, 0);
                if (BESIDE_ARRAY) {
                    remainder.intoArray(besideShorts, (int) besideAt + i);
                } else {
                    remainder.intoMemorySegment(besideSegment, besideAt + 2L * i, ORDER);
                }
                ShortVector bits = (ShortVector) p.reinterpretAsInts().add(0x8000).lanewise(VectorOperators.LSHR, 16)
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (PARAM_ARRAY) {
                    bits.intoArray(paramShorts, (int) paramAt + i);
                } else {
                    bits.intoMemorySegment(paramSegment, paramAt + 2L * i, ORDER);
                }
            } else if (PARAM_F16) {
                // A sum with 2^13 of the exponent's units, whose last place is one of F16, counts those: r in its last bits.
                IntVector exponent = f16.max(f16Normal).and(NarrowLanes.F32_INFINITY);
                ShortVector bits = (ShortVector) f16.reinterpretAsFloats()
                        .add(exponent.add(NarrowLanes.F16_COUNTER).reinterpretAsFloats()).reinterpretAsInts()
                        .add(exponent.lanewise(VectorOperators.LSHR, 13))
                        .or(p.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(0x8000))
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (PARAM_ARRAY) {
                    bits.intoArray(paramShorts, (int) paramAt + i);
                } else {
                    bits.intoMemorySegment(paramSegment, paramAt + 2L * i, ORDER);
                }
            } else if (PARAM_BF16) {
                ShortVector bits = (ShortVector) p.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(1)
                        .add(p.reinterpretAsInts()).add(0x7fff).lanewise(VectorOperators.LSHR, 16)
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (PARAM_ARRAY) {
                    bits.intoArray(paramShorts, (int) paramAt + i);
                } else {
                    bits.intoMemorySegment(paramSegment, paramAt + 2L * i, ORDER);
                }
            } else if (PARAM_ARRAY) {
                p.intoArray(params, (int) paramAt + i);
            } else {
                p.intoMemorySegment(paramSegment, paramAt + 4L * i, ORDER);
            }
            if (MASTER && F16_PARAM) {
                IntVector exponent = f16.max(f16Normal).and(NarrowLanes.F32_INFINITY);
                ShortVector bits = (ShortVector) f16.reinterpretAsFloats()
                        .add(exponent.add(NarrowLanes.F16_COUNTER).reinterpretAsFloats()).reinterpretAsInts()
                        .add(exponent.lanewise(VectorOperators.LSHR, 13))
                        .or(p.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(0x8000))
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (BESIDE_ARRAY) {
                    bits.intoArray(besideShorts, (int) besideAt + i);
                } else {
                    bits.intoMemorySegment(besideSegment, besideAt + 2L * i, ORDER);
                }
            } else if (MASTER) {
                ShortVector bits = (ShortVector) p.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(1)
                        .add(p.reinterpretAsInts()).add(0x7fff).lanewise(VectorOperators.LSHR, 16)
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (BESIDE_ARRAY) {
                    bits.intoArray(besideShorts, (int) besideAt + i);
                } else {
                    bits.intoMemorySegment(besideSegment, besideAt + 2L * i, ORDER);
                }
            }
        }
    }
}
