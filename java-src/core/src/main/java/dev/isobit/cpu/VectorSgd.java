package dev.isobit.cpu;

import dev.isobit.spi.SgdScalars;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** SGD by the Vector API. Copied per kind of memory, with momentum and without, by {@link Specialized}. */
final class VectorSgd implements SgdUpdate {
    private static final boolean PARAM_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean PARAM_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean GRAD_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean GRAD_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean BUFFER_ARRAY = Specialized.flag(MethodHandles.lookup(), 4);
    private static final boolean BUFFER_NATIVE = Specialized.flag(MethodHandles.lookup(), 5);
    private static final boolean MOMENTUM = Specialized.flag(MethodHandles.lookup(), 6);

    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = SPECIES.length();
    /** Elements of an inner loop, which counts in int. */
    private static final int RUN = 1 << 20;

    /** Called through {@link Specialized}. */
    VectorSgd() {}

    @Override
    public int width() {
        return WIDTH;
    }

    @Override
    public void run(SgdOperands tensors, long from, long to, SgdScalars s) {
        for (long at = from; at < to; at += RUN) {
            update(tensors, at, (int) Math.min(RUN, to - at), s);
        }
    }

    private static void update(SgdOperands tensors, long from, int count, SgdScalars s) {
        float[] params = tensors.param.array;
        float[] grads = tensors.grad.array;
        float[] buffers = tensors.momentumBuffer.array;
        MemorySegment paramSegment = tensors.param.segment;
        MemorySegment gradSegment = tensors.grad.segment;
        MemorySegment bufferSegment = tensors.momentumBuffer.segment;
        long paramAt = tensors.param.base + from * (PARAM_ARRAY ? 1 : Float.BYTES);
        long gradAt = tensors.grad.base + from * (GRAD_ARRAY ? 1 : Float.BYTES);
        long bufferAt = tensors.momentumBuffer.base + from * (BUFFER_ARRAY ? 1 : Float.BYTES);
        VectorAccess.require(PARAM_NATIVE, paramSegment);
        VectorAccess.require(GRAD_NATIVE, gradSegment);
        VectorAccess.require(MOMENTUM && BUFFER_NATIVE, bufferSegment);
        FloatVector negLr = VectorMath.constant(s.negLr);
        FloatVector momentum = VectorMath.constant(s.momentum);
        FloatVector gradShare = VectorMath.constant(s.gradShare);
        FloatVector weightDecay = VectorMath.constant(s.weightDecay);
        boolean maximize = s.maximize;
        boolean decays = s.decays;
        boolean first = s.first;
        boolean nesterov = s.nesterov;
        for (int i = 0; i < count; i += WIDTH) {
            FloatVector p = VectorAccess.load(PARAM_ARRAY, params, paramSegment, paramAt, i);
            FloatVector g = VectorAccess.load(GRAD_ARRAY, grads, gradSegment, gradAt, i);
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
                    b = momentum.fma(VectorAccess.load(BUFFER_ARRAY, buffers, bufferSegment, bufferAt, i),
                            g.mul(gradShare));
                }
                u = b;
                if (nesterov) {
                    u = momentum.fma(b, g);
                }
            }
            p = negLr.fma(u, p);
            VectorMask<Float> bad = p.compare(VectorOperators.NE, p);
            if (bad.anyTrue()) {
                // A NaN buffer makes a NaN parameter, so one test serves both.
                p = p.blend(Float.NaN, bad);
                b = b.blend(Float.NaN, b.compare(VectorOperators.NE, b));
            }
            VectorAccess.store(PARAM_ARRAY, params, paramSegment, paramAt, i, p);
            if (MOMENTUM) {
                VectorAccess.store(BUFFER_ARRAY, buffers, bufferSegment, bufferAt, i, b);
            }
        }
    }
}
