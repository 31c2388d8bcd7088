package dev.isobit.cpu;

import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Binary cross-entropy from exponentials and logarithms, which {@link BceStages} has computed; what is behind the whole
 * vectors from the start. Copied per results wanted by {@link Specialized}.
 */
final class VectorBce implements BceKernel {
    private static final boolean LOSS = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean SIGMOID = Specialized.flag(MethodHandles.lookup(), 2);

    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = SPECIES.length();
    private static final ScalarBce CAREFUL = new ScalarBce();

    /** Called through {@link Specialized}. */
    VectorBce() {}

    @Override
    public void run(BceBlock block, int from, int to) {
        float[] logits = block.logits.array;
        float[] targets = block.targets.array;
        float[] posWeights = block.posWeight.array;
        float[] weights = block.weights.array;
        float[] upstreams = block.upstream.array;
        float[] exponentials = block.exp;
        float[] logarithms = block.log1p;
        float[] losses = block.loss;
        float[] gradients = block.gradLogits.array;
        float[] sigmoids = block.sigmoid.array;
        int logitsAt = block.logits.at;
        int targetsAt = block.targets.at;
        int posWeightAt = block.posWeight.at;
        int weightsAt = block.weights.at;
        int upstreamAt = block.upstream.at;
        int gradientAt = block.gradLogits.at;
        int sigmoidAt = block.sigmoid.at;
        FloatVector keep = VectorMath.constant(block.keep);
        FloatVector half = VectorMath.constant(block.half);
        int end = from + SPECIES.loopBound(to - from);
        for (int i = from; i < end; i += WIDTH) {
            FloatVector zero = VectorMath.constant(0);
            FloatVector x = FloatVector.fromArray(SPECIES, logits, logitsAt + i);
            FloatVector t = FloatVector.fromArray(SPECIES, targets, targetsAt + i);
            FloatVector w = FloatVector.fromArray(SPECIES, weights, weightsAt + i);
            FloatVector c0 = w.mul(VectorMath.constant(1).sub(t).fma(keep, half));
            FloatVector p = FloatVector.fromArray(SPECIES, posWeights, posWeightAt + i);
            FloatVector c1 = w.mul(p.mul(t.fma(keep, half)));
            // A NaN in any result: the elements are done again with care, for it may be a product of 0 and infinity.
            FloatVector check = zero;
            if (LOSS) {
                FloatVector l = FloatVector.fromArray(SPECIES, logarithms, i);
                FloatVector positive = zero.blend(x, x.compare(VectorOperators.GT, zero)).add(l);
                FloatVector negative = zero.blend(x.neg(), x.compare(VectorOperators.LT, zero)).add(l);
                FloatVector loss = c0.fma(positive, c1.mul(negative));
                loss.intoArray(losses, i);
                check = loss;
            }
            FloatVector e = FloatVector.fromArray(SPECIES, exponentials, i);
            VectorMask<Float> side = x.compare(VectorOperators.GE, zero);
            FloatVector q = VectorMath.constant(1).div(e.add(VectorMath.constant(1)));
            FloatVector r = e.mul(q);
            FloatVector positive = r.blend(q, side);
            FloatVector gradient = zero;
            if (GRADIENT) {
                FloatVector a = FloatVector.fromArray(SPECIES, upstreams, upstreamAt + i);
                gradient = c0.fma(positive, c1.mul(q.blend(r, side)).neg()).mul(a);
                check = check.add(gradient);
            }
            if (SIGMOID) {
                check = check.add(positive);
            }
            if (check.compare(VectorOperators.NE, check).anyTrue()) {
                CAREFUL.run(block, i, i + WIDTH);
            } else {
                if (SIGMOID) {
                    positive.intoArray(sigmoids, sigmoidAt + i);
                }
                if (GRADIENT) {
                    gradient.intoArray(gradients, gradientAt + i);
                }
            }
        }
        if (end < to) {
            CAREFUL.run(block, end, to);
        }
    }
}
