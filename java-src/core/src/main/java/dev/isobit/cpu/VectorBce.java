package dev.isobit.cpu;

import dev.isobit.math.ExactMath;
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
 * Binary cross-entropy from the exponentials that {@link VectorBceExp} has left: one exponential and one division serve loss
 * and gradient. BF16 is widened and rounded in registers. Copied per results wanted and kinds of memory by
 * {@link Specialized}.
 *
 * <p>All is written out in one method, which calls the Vector API alone: what the JIT does not inline, since the method is
 * large, would take its vectors boxed.
 */
final class VectorBce implements BceKernel {
    /** Bits of {@link Specialized#flag}: results wanted, operands that there are, {@link BlockView#kind} of three. */
    static final int LOSS_BIT = 0;
    static final int GRADIENT_BIT = 1;
    static final int SIGMOID_BIT = 2;
    static final int POS_WEIGHT_BIT = 3;
    static final int WEIGHTS_BIT = 4;
    static final int ADDS_BIT = 5;
    static final int SMOOTHS_BIT = 6;
    static final int LOGITS_BITS = 7;
    static final int TARGETS_BITS = LOGITS_BITS + BlockView.KIND_BITS;
    static final int GRAD_LOGITS_BITS = TARGETS_BITS + BlockView.KIND_BITS;
    /** How many bits these are. */
    static final int FLAGS = GRAD_LOGITS_BITS + BlockView.KIND_BITS;

    private static final boolean LOSS = Specialized.flag(MethodHandles.lookup(), LOSS_BIT);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), GRADIENT_BIT);
    private static final boolean SIGMOID = Specialized.flag(MethodHandles.lookup(), SIGMOID_BIT);
    private static final boolean POS_WEIGHT = Specialized.flag(MethodHandles.lookup(), POS_WEIGHT_BIT);
    private static final boolean WEIGHTS = Specialized.flag(MethodHandles.lookup(), WEIGHTS_BIT);
    private static final boolean ADDS = Specialized.flag(MethodHandles.lookup(), ADDS_BIT);
    private static final boolean SMOOTHS = Specialized.flag(MethodHandles.lookup(), SMOOTHS_BIT);
    private static final boolean LOGITS_NATIVE = Specialized.flag(MethodHandles.lookup(), LOGITS_BITS);
    private static final boolean LOGITS_BF16 = Specialized.flag(MethodHandles.lookup(), LOGITS_BITS + 1);
    private static final boolean TARGETS_NATIVE = Specialized.flag(MethodHandles.lookup(), TARGETS_BITS);
    private static final boolean TARGETS_BF16 = Specialized.flag(MethodHandles.lookup(), TARGETS_BITS + 1);
    private static final boolean GRAD_NATIVE = Specialized.flag(MethodHandles.lookup(), GRAD_LOGITS_BITS);
    private static final boolean GRAD_BF16 = Specialized.flag(MethodHandles.lookup(), GRAD_LOGITS_BITS + 1);

    private static final VectorSpecies<Float> FLOATS = VectorMath.SPECIES;
    private static final VectorSpecies<Integer> INTS = NarrowLanes.INTS;
    private static final VectorSpecies<Short> SHORTS = NarrowLanes.SHORTS;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int WIDTH = VectorAccess.WIDTH;
    private static final ScalarBce CAREFUL = new ScalarBce();

    private static final float[] KEPT = VectorMath.table(1, 0, ExactMath.LOG1P_NEAR_END, 0.5f, -1, ExactMath.LN2_HI,
            ExactMath.LN2_LO, ExactMath.LOG_C10, ExactMath.LOG_C9, ExactMath.LOG_C8, ExactMath.LOG_C7,
            ExactMath.LOG_C6, ExactMath.LOG_C5, ExactMath.LOG_C4, ExactMath.LOG_C3, -0.5f);

    /** Called through {@link Specialized}. */
    VectorBce() {}

    @Override
    public void run(BceBlock block, int from, int to) {
        int end = from + FLOATS.loopBound(to - from);
        for (int i = run(block, from, end, end); i < end; i = run(block, i + WIDTH, end, end)) {
            CAREFUL.run(block, i, i + WIDTH);
        }
        if (end < to) {
            CAREFUL.run(block, end, to);
        }
    }

    /**
     * Computes vectors as far as there is no NaN in any result: that may be a product of 0 and infinity.
     *
     * @return where the vector with the first NaN begins, or {@code none}
     */
    private static int run(BceBlock block, int from, int to, int none) {
        float[] logits = block.logits.array;
        short[] logitShorts = block.logits.direct.shorts;
        MemorySegment logitSegment = block.logits.direct.segment;
        long logitsAt = block.logits.position();
        float[] targets = block.targets.array;
        short[] targetShorts = block.targets.direct.shorts;
        MemorySegment targetSegment = block.targets.direct.segment;
        long targetsAt = block.targets.position();
        float[] gradients = block.gradLogits.array;
        short[] gradientShorts = block.gradLogits.direct.shorts;
        MemorySegment gradientSegment = block.gradLogits.direct.segment;
        long gradientsAt = block.gradLogits.position();
        float[] posWeights = block.posWeight.array;
        float[] weights = block.weights.array;
        float[] upstreams = block.upstream.array;
        float[] exponentials = block.exp;
        float[] losses = ADDS ? block.lanes : block.loss;
        float[] sigmoids = block.sigmoid.array;
        int posWeightAt = block.posWeight.at;
        int weightsAt = block.weights.at;
        int upstreamAt = block.upstream.at;
        int sigmoidAt = block.sigmoid.at;
        VectorAccess.require(LOGITS_NATIVE, logitSegment);
        VectorAccess.require(TARGETS_NATIVE, targetSegment);
        VectorAccess.require(GRADIENT && GRAD_NATIVE, gradientSegment);
        FloatVector one = FloatVector.fromArray(FLOATS, KEPT, 0 * WIDTH);
        FloatVector zero = FloatVector.fromArray(FLOATS, KEPT, 1 * WIDTH);
        IntVector sign = one.mul(-0f).reinterpretAsInts();
        FloatVector nearEnd = FloatVector.fromArray(FLOATS, KEPT, 2 * WIDTH);
        FloatVector oneHalf = FloatVector.fromArray(FLOATS, KEPT, 3 * WIDTH);
        FloatVector minusOne = FloatVector.fromArray(FLOATS, KEPT, 4 * WIDTH);
        FloatVector ln2Hi = FloatVector.fromArray(FLOATS, KEPT, 5 * WIDTH);
        FloatVector ln2Lo = FloatVector.fromArray(FLOATS, KEPT, 6 * WIDTH);
        FloatVector c10 = FloatVector.fromArray(FLOATS, KEPT, 7 * WIDTH);
        FloatVector c9 = FloatVector.fromArray(FLOATS, KEPT, 8 * WIDTH);
        FloatVector c8 = FloatVector.fromArray(FLOATS, KEPT, 9 * WIDTH);
        FloatVector c7 = FloatVector.fromArray(FLOATS, KEPT, 10 * WIDTH);
        FloatVector c6 = FloatVector.fromArray(FLOATS, KEPT, 11 * WIDTH);
        FloatVector c5 = FloatVector.fromArray(FLOATS, KEPT, 12 * WIDTH);
        FloatVector c4 = FloatVector.fromArray(FLOATS, KEPT, 13 * WIDTH);
        FloatVector c3 = FloatVector.fromArray(FLOATS, KEPT, 14 * WIDTH);
        FloatVector minusHalf = FloatVector.fromArray(FLOATS, KEPT, 15 * WIDTH);
        // As vectors they would be alive in every turn, for the interpreter's sake, and on the stack in some compilations.
        float keep = block.keep;
        float half = block.half;
        int step = VectorAccess.step();
        for (int i = from; i < to; i += step) {
            FloatVector x = LOGITS_BF16
                    ? ((IntVector) (LOGITS_NATIVE
                            ? ShortVector.fromMemorySegment(SHORTS, logitSegment, logitsAt + 2L * i, ORDER)
                            : ShortVector.fromArray(SHORTS, logitShorts, (int) logitsAt + i))
                            .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats()
                    : LOGITS_NATIVE
                            ? FloatVector.fromMemorySegment(FLOATS, logitSegment, logitsAt + 4L * i, ORDER)
                            : FloatVector.fromArray(FLOATS, logits, (int) logitsAt + i);
            FloatVector t = TARGETS_BF16
                    ? ((IntVector) (TARGETS_NATIVE
                            ? ShortVector.fromMemorySegment(SHORTS, targetSegment, targetsAt + 2L * i, ORDER)
                            : ShortVector.fromArray(SHORTS, targetShorts, (int) targetsAt + i))
                            .convertShape(VectorOperators.S2I, INTS, 0)).lanewise(VectorOperators.LSHL, 16)
                            .reinterpretAsFloats()
                    : TARGETS_NATIVE
                            ? FloatVector.fromMemorySegment(FLOATS, targetSegment, targetsAt + 4L * i, ORDER)
                            : FloatVector.fromArray(FLOATS, targets, (int) targetsAt + i);
            FloatVector c0 = one.sub(t);
            FloatVector c1 = t;
            if (SMOOTHS) {
                c0 = c0.fma(FloatVector.broadcast(FLOATS, keep), FloatVector.broadcast(FLOATS, half));
                c1 = t.fma(FloatVector.broadcast(FLOATS, keep), FloatVector.broadcast(FLOATS, half));
            } else if (WEIGHTS) {
                // As that would: -0 becomes 0. Without weights neither zero shows.
                c1 = t.add(zero);
            }
            if (POS_WEIGHT) {
                c1 = c1.mul(FloatVector.fromArray(FLOATS, posWeights, posWeightAt + i));
            }
            if (WEIGHTS) {
                FloatVector w = FloatVector.fromArray(FLOATS, weights, weightsAt + i);
                c0 = w.mul(c0);
                c1 = w.mul(c1);
            }
            // At 0 both sides are equal.
            VectorMask<Float> side = x.compare(VectorOperators.GT, zero);
            FloatVector e = FloatVector.fromArray(FLOATS, exponentials, i);
            FloatVector u = e.add(one);
            FloatVector q = one.div(u);
            FloatVector check = x;
            FloatVector loss = zero;
            if (LOSS) {
                // log1p(e), by a quotient of what 1 + e is rounded by. This is 0 or a power of two, so a product with q is as good.
                VectorMask<Float> far = e.compare(VectorOperators.GE, nearEnd);
                FloatVector correction = zero.blend(e.sub(u.sub(one)).fma(q, ln2Lo), far);
                FloatVector f = e.blend(u.fma(oneHalf, minusOne), far);
                FloatVector hi = zero.blend(ln2Hi, far);
                FloatVector polynomial = c10.fma(f, c9).fma(f, c8).fma(f, c7).fma(f, c6).fma(f, c5).fma(f, c4)
                        .fma(f, c3).fma(f, minusHalf);
                FloatVector inner = polynomial.fma(f.mul(f), correction);
                FloatVector sum = hi.add(f);
                FloatVector l = sum.add(f.sub(sum.sub(hi)).add(inner));
                FloatVector large = l.sub(x.reinterpretAsInts().or(sign).reinterpretAsFloats());
                loss = c0.fma(l.blend(large, side), c1.mul(large.blend(l, side)));
                check = loss;
            }
            FloatVector s = e.mul(q);
            FloatVector positive = s.blend(q, side);
            FloatVector gradient = zero;
            if (GRADIENT) {
                FloatVector a = FloatVector.fromArray(FLOATS, upstreams, upstreamAt + i);
                gradient = c0.fma(positive, c1.mul(q.blend(s, side)).neg()).mul(a);
                check = check.add(gradient);
            }
            if (check.compare(VectorOperators.NE, check).anyTrue()) {
                return i;
            }
            if (LOSS && ADDS) {
                FloatVector.fromArray(FLOATS, losses, i).add(loss).intoArray(losses, i);
            } else if (LOSS) {
                loss.intoArray(losses, i);
            }
            if (SIGMOID) {
                positive.intoArray(sigmoids, sigmoidAt + i);
            }
            if (GRADIENT && GRAD_BF16) {
                ShortVector bits = (ShortVector) gradient.reinterpretAsInts().lanewise(VectorOperators.LSHR, 16).and(1)
                        .add(gradient.reinterpretAsInts()).add(0x7fff).lanewise(VectorOperators.LSHR, 16)
                        .convertShape(VectorOperators.I2S, SHORTS, 0);
                if (GRAD_NATIVE) {
                    bits.intoMemorySegment(gradientSegment, gradientsAt + 2L * i, ORDER);
                } else {
                    bits.intoArray(gradientShorts, (int) gradientsAt + i);
                }
            } else if (GRADIENT && GRAD_NATIVE) {
                gradient.intoMemorySegment(gradientSegment, gradientsAt + 4L * i, ORDER);
            } else if (GRADIENT) {
                gradient.intoArray(gradients, (int) gradientsAt + i);
            }
        }
        return none;
    }
}
