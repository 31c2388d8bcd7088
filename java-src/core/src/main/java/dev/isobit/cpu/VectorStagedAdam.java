package dev.isobit.cpu;

import dev.isobit.spi.AdamScalars;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Adam of float32 by the Vector API in three loops in place of {@link VectorAdam}'s one; gradients are taken as they are.
 * Copied per kind of memory by {@link Specialized}.
 */
final class VectorStagedAdam implements AdamUpdate {
    private static final boolean PARAM_ARRAY = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean PARAM_NATIVE = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean GRAD_ARRAY = Specialized.flag(MethodHandles.lookup(), 2);
    private static final boolean GRAD_NATIVE = Specialized.flag(MethodHandles.lookup(), 3);
    private static final boolean EXP_AVG_ARRAY = Specialized.flag(MethodHandles.lookup(), 4);
    private static final boolean EXP_AVG_NATIVE = Specialized.flag(MethodHandles.lookup(), 5);
    private static final boolean EXP_AVG_SQ_ARRAY = Specialized.flag(MethodHandles.lookup(), 6);
    private static final boolean EXP_AVG_SQ_NATIVE = Specialized.flag(MethodHandles.lookup(), 7);
    private static final boolean MAX_ARRAY = Specialized.flag(MethodHandles.lookup(), 8);
    private static final boolean MAX_NATIVE = Specialized.flag(MethodHandles.lookup(), 9);
    private static final boolean AMSGRAD = Specialized.flag(MethodHandles.lookup(), 10);

    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = SPECIES.length();
    /** Elements of an inner loop, which counts in int. */
    private static final int RUN = 1 << 20;
    /**
     * Elements of a turn of three loops, of which the last finds what the others wrote in the first cache. Each has one or
     * two streams of memory: some machines give a fifth less to seven in one loop.
     */
    private static final int STAGE = 512;

    /** Called through {@link Specialized}. */
    VectorStagedAdam() {}

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
        float[] params = tensors.storage.param.array;
        float[] grads = tensors.grad.array;
        float[] expAvgs = tensors.expAvg.array;
        float[] expAvgSqs = tensors.expAvgSq.array;
        float[] maxima = tensors.maxExpAvgSq.array;
        MemorySegment paramSegment = tensors.storage.param.segment;
        MemorySegment gradSegment = tensors.grad.segment;
        MemorySegment expAvgSegment = tensors.expAvg.segment;
        MemorySegment expAvgSqSegment = tensors.expAvgSq.segment;
        MemorySegment maxSegment = tensors.maxExpAvgSq.segment;
        long paramAt = tensors.storage.param.base + from * (PARAM_ARRAY ? 1 : Float.BYTES);
        long gradAt = tensors.grad.base + from * (GRAD_ARRAY ? 1 : Float.BYTES);
        long expAvgAt = tensors.expAvg.base + from * (EXP_AVG_ARRAY ? 1 : Float.BYTES);
        long expAvgSqAt = tensors.expAvgSq.base + from * (EXP_AVG_SQ_ARRAY ? 1 : Float.BYTES);
        long maxAt = tensors.maxExpAvgSq.base + from * (MAX_ARRAY ? 1 : Float.BYTES);
        VectorAccess.require(PARAM_NATIVE, paramSegment);
        VectorAccess.require(GRAD_NATIVE, gradSegment);
        VectorAccess.require(EXP_AVG_NATIVE, expAvgSegment);
        VectorAccess.require(EXP_AVG_SQ_NATIVE, expAvgSqSegment);
        VectorAccess.require(AMSGRAD && MAX_NATIVE, maxSegment);
        FloatVector w1 = VectorMath.constant(s.w1);
        FloatVector w2 = VectorMath.constant(s.w2);
        FloatVector negStepSize = VectorMath.constant(s.negStepSize);
        FloatVector rsqrtBc2 = VectorMath.constant(s.rsqrtBc2);
        FloatVector eps = VectorMath.constant(s.eps);
        FloatVector paramDecay = VectorMath.constant(s.paramDecay);
        FloatVector gradDecay = VectorMath.constant(s.gradDecay);
        boolean maximize = s.maximize;
        boolean decaysGrad = s.decaysGrad;
        boolean decaysParam = s.paramDecay != 1;
        int step = VectorAccess.step();
        for (int start = 0; start < count; start += STAGE) {
            int end = Math.min(start + STAGE, count);
            for (int i = start; i < end; i += step) {
                FloatVector m = VectorAccess.load(EXP_AVG_ARRAY, expAvgs, expAvgSegment, expAvgAt, i);
                FloatVector g = VectorAccess.load(GRAD_ARRAY, grads, gradSegment, gradAt, i);
                if (maximize) {
                    g = g.neg();
                }
                if (decaysGrad) {
                    g = gradDecay.fma(VectorAccess.load(PARAM_ARRAY, params, paramSegment, paramAt, i), g);
                }
                VectorAccess.store(EXP_AVG_ARRAY, expAvgs, expAvgSegment, expAvgAt, i, w1.fma(g.sub(m), m));
            }
            for (int i = start; i < end; i += step) {
                FloatVector v = VectorAccess.load(EXP_AVG_SQ_ARRAY, expAvgSqs, expAvgSqSegment, expAvgSqAt, i);
                FloatVector g = VectorAccess.load(GRAD_ARRAY, grads, gradSegment, gradAt, i);
                if (maximize) {
                    g = g.neg();
                }
                if (decaysGrad) {
                    g = gradDecay.fma(VectorAccess.load(PARAM_ARRAY, params, paramSegment, paramAt, i), g);
                }
                VectorAccess.store(EXP_AVG_SQ_ARRAY, expAvgSqs, expAvgSqSegment, expAvgSqAt, i,
                        w2.fma(g.fma(g, v.neg()), v));
            }
            for (int i = start; i < end; i += step) {
                FloatVector p = VectorAccess.load(PARAM_ARRAY, params, paramSegment, paramAt, i);
                FloatVector m = VectorAccess.load(EXP_AVG_ARRAY, expAvgs, expAvgSegment, expAvgAt, i);
                FloatVector v = VectorAccess.load(EXP_AVG_SQ_ARRAY, expAvgSqs, expAvgSqSegment, expAvgSqAt, i);
                FloatVector x = v;
                if (AMSGRAD) {
                    FloatVector largest = VectorAccess.load(MAX_ARRAY, maxima, maxSegment, maxAt, i);
                    x = largest.blend(v, v.compare(VectorOperators.GT, largest).or(v.compare(VectorOperators.NE, v)));
                }
                if (decaysParam) {
                    p = p.mul(paramDecay);
                }
                p = negStepSize.fma(m.div(x.sqrt().fma(rsqrtBc2, eps)), p);
                VectorMask<Float> bad = p.compare(VectorOperators.NE, p);
                if (bad.anyTrue()) {
                    // A NaN moment makes a NaN parameter, so one test serves all.
                    p = p.blend(Float.NaN, bad);
                    VectorAccess.store(EXP_AVG_ARRAY, expAvgs, expAvgSegment, expAvgAt, i,
                            m.blend(Float.NaN, m.compare(VectorOperators.NE, m)));
                    VectorAccess.store(EXP_AVG_SQ_ARRAY, expAvgSqs, expAvgSqSegment, expAvgSqAt, i,
                            v.blend(Float.NaN, v.compare(VectorOperators.NE, v)));
                    if (AMSGRAD) {
                        x = x.blend(Float.NaN, x.compare(VectorOperators.NE, x));
                    }
                }
                if (AMSGRAD) {
                    VectorAccess.store(MAX_ARRAY, maxima, maxSegment, maxAt, i, x);
                }
                VectorAccess.store(PARAM_ARRAY, params, paramSegment, paramAt, i, p);
            }
        }
    }
}
