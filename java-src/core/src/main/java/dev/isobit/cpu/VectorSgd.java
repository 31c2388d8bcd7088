package dev.isobit.cpu;

import dev.isobit.spi.SgdScalars;
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
 * SGD by the Vector API over float32, BF16 and F16. Copied per type and kind of memory, with momentum and without, by
 * {@link Specialized}. Its loop is written out, as that of {@link VectorAdam} is.
 */
final class VectorSgd implements SgdUpdate {
    /** Of {@link Specialized#flag}, after the operands: param or its master, grad, momentumBuffer, what is beside the first. */
    static final int MOMENTUM_BIT = 4 * VectorAdam.BITS;
    static final int MASTER_BIT = MOMENTUM_BIT + 1;
    static final int REMAINDERS_BIT = MOMENTUM_BIT + 2;
    /** Whether 16 bits of the parameter, and of the gradient, are F16, else BF16. */
    static final int F16_PARAM_BIT = MOMENTUM_BIT + 3;
    static final int F16_GRAD_BIT = MOMENTUM_BIT + 4;

    private static final boolean PARAM_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean PARAM_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean PARAM_16 = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean GRAD_ARRAY = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean GRAD_NATIVE = Specialized.flag(MethodHandles.lookup(), 4);
    private static final boolean GRAD_16 = Specialized.flag(MethodHandles.lookup(), 5);
    private static final boolean BUFFER_ARRAY = Specialized.flag(MethodHandles.lookup(), 6);
    private static final boolean BUFFER_NATIVE = Specialized.flag(MethodHandles.lookup(), 7);
    private static final boolean BUFFER_BF16 = Specialized.flag(MethodHandles.lookup(), 8);
    private static final boolean BESIDE_ARRAY = Specialized.flag(MethodHandles.lookup(), 9);
    private static final boolean BESIDE_NATIVE = Specialized.flag(MethodHandles.lookup(), 10);
    private static final boolean MOMENTUM = Specialized.flag(MethodHandles.lookup(), MOMENTUM_BIT);
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

    /** Called through {@link Specialized}. */
    VectorSgd() {}

    @Override
    public int width() {
        return WIDTH;
    }

    @Override
    public void run(SgdOperands tensors, long from, long to, SgdScalars s) {
        for (long at = from; at < to; at += VectorAdam.RUN) {
            update(tensors, at, (int) Math.min(VectorAdam.RUN, to - at), s);
        }
    }

    private static void update(SgdOperands tensors, long from, int count, SgdScalars s) {
        FloatOperand param = tensors.storage.first();
        FloatOperand beside = tensors.storage.beside();
        float[] params = param.array;
        short[] paramShorts = param.shorts;
        float[] grads = tensors.grad.array;
        short[] gradShorts = tensors.grad.shorts;
        float[] buffers = tensors.momentumBuffer.array;
        short[] bufferShorts = tensors.momentumBuffer.shorts;
        short[] besideShorts = beside.shorts;
        MemorySegment paramSegment = param.segment;
        MemorySegment gradSegment = tensors.grad.segment;
        MemorySegment bufferSegment = tensors.momentumBuffer.segment;
        MemorySegment besideSegment = beside.segment;
        long paramAt = param.position(from);
        long gradAt = tensors.grad.position(from);
        long bufferAt = tensors.momentumBuffer.position(from);
        long besideAt = beside.position(from);
        VectorAccess.require(PARAM_NATIVE, paramSegment);
        VectorAccess.require(GRAD_NATIVE, gradSegment);
        VectorAccess.require(MOMENTUM && BUFFER_NATIVE, bufferSegment);
        VectorAccess.require((MASTER || REMAINDERS) && BESIDE_NATIVE, besideSegment);
        FloatVector negLr = VectorMath.constant(s.negLr);
        FloatVector momentum = VectorMath.constant(s.momentum);
        FloatVector gradShare = VectorMath.constant(s.gradShare);
        FloatVector weightDecay = VectorMath.constant(s.weightDecay);
        FloatVector gradFactor = VectorMath.constant(s.gradFactor);
        FloatVector most = VectorMath.constant(s.clipValue);
        FloatVector least = VectorMath.constant(-s.clipValue);
        boolean scales = s.scales();
        boolean clips = s.clips();
        boolean maximize = s.maximize;
        boolean decays = s.decays;
        boolean first = s.first;
        boolean nesterov = s.nesterov;
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
            if (decays) {
                g = weightDecay.fma(p, g);
            }
            FloatVector b = g;
            FloatVector u = g;
            if (MOMENTUM) {
                if (!first) {
                    FloatVector old = BUFFER_BF16
                            ? ((IntVector) (BUFFER_ARRAY
                                    ? ShortVector.fromArray(SHORTS, bufferShorts, (int) bufferAt + i)
                                    : ShortVector.fromMemorySegment(SHORTS, bufferSegment, bufferAt + 2L * i, ORDER))
                                    .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                                    .reinterpretAsFloats()
                            : BUFFER_ARRAY
                                    ? FloatVector.fromArray(FLOATS, buffers, (int) bufferAt + i)
                                    : FloatVector.fromMemorySegment(FLOATS, bufferSegment, bufferAt + 4L * i, ORDER);
                    b = momentum.fma(old, g.mul(gradShare));
                }
                u = b;
                if (nesterov) {
                    u = momentum.fma(b, g);
                }
            }
            p = negLr.fma(u, p);
            VectorMask<Float> bad = p.compare(VectorOperators.NE, p);
            // What F16 is made of: 2^16, which becomes infinity, for all beyond.
            IntVector f16 = TO_F16 ? p.reinterpretAsInts().and(magnitude).min(f16End) : f16End;
            if (bad.anyTrue()) {
                // A NaN buffer makes a NaN parameter, so one test serves both.
                p = p.blend(Float.NaN, bad);
                if (TO_F16) {
                    f16 = f16.blend(NarrowLanes.F16_NAN_BEFORE, bad.cast(INTS));
                }
                b = b.blend(Float.NaN, b.compare(VectorOperators.NE, b));
            }
            if (MOMENTUM && BUFFER_BF16) {
                ShortVector bits = (ShortVector) b.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(1)
                        .add(b.reinterpretAsInts()).add(0x7fff).lanewise(VectorOperators.LSHR, 16)
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (BUFFER_ARRAY) {
                    bits.intoArray(bufferShorts, (int) bufferAt + i);
                } else {
                    bits.intoMemorySegment(bufferSegment, bufferAt + 2L * i, ORDER);
                }
            } else if (MOMENTUM && BUFFER_ARRAY) {
                b.intoArray(buffers, (int) bufferAt + i);
            } else if (MOMENTUM) {
                b.intoMemorySegment(bufferSegment, bufferAt + 4L * i, ORDER);
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
