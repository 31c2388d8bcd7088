package dev.isobit.cpu;

import java.lang.invoke.MethodHandles;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The focal loss from exponentials, logarithms and misses, which {@link BceStages} has computed; what is behind the whole
 * vectors from the start. Copied per results wanted by {@link Specialized}.
 */
final class VectorFocal implements BceKernel {
    private static final boolean LOSS = Specialized.flag(MethodHandles.lookup(), 0);
    private static final boolean GRADIENT = Specialized.flag(MethodHandles.lookup(), 1);
    private static final boolean SIGMOID = Specialized.flag(MethodHandles.lookup(), 2);

    private static final VectorSpecies<Float> SPECIES = VectorMath.SPECIES;
    private static final int WIDTH = SPECIES.length();
    private static final ScalarFocal CAREFUL = new ScalarFocal();

    /** Called through {@link Specialized}. */
    VectorFocal() {}

    @Override
    public void run(BceBlock block, int from, int to) {
        float[] logits = block.logits.array;
        float[] targets = block.targets.array;
        float[] weights = block.weights.array;
        float[] upstreams = block.upstream.array;
        float[] exponentials = block.exp;
        float[] logarithms = block.log1p;
        float[] misses = block.miss;
        float[] losses = block.loss;
        float[] gradients = block.gradLogits.array;
        float[] sigmoids = block.sigmoid.array;
        int logitsAt = block.logits.at;
        int targetsAt = block.targets.at;
        int weightsAt = block.weights.at;
        int upstreamAt = block.upstream.at;
        int gradientAt = block.gradLogits.at;
        int sigmoidAt = block.sigmoid.at;
        FloatVector keep = VectorMath.constant(block.keep);
        FloatVector half = VectorMath.constant(block.half);
        FloatVector alpha = VectorMath.constant(block.focalAlpha);
        FloatVector restAlpha = VectorMath.constant(block.focalRest);
        FloatVector gamma = VectorMath.constant(block.focalGamma);
        boolean isRooted = (block.focalHalves & 1) != 0;
        int wholes = block.focalHalves >> 1;
        int end = from + SPECIES.loopBound(to - from);
        for (int i = from; i < end; i += WIDTH) {
            FloatVector zero = VectorMath.constant(0);
            FloatVector one = VectorMath.constant(1);
            FloatVector x = FloatVector.fromArray(SPECIES, logits, logitsAt + i);
            FloatVector t = FloatVector.fromArray(SPECIES, targets, targetsAt + i);
            FloatVector w = FloatVector.fromArray(SPECIES, weights, weightsAt + i);
            FloatVector k0 = one.sub(t).fma(keep, half);
            FloatVector k1 = t.fma(keep, half);
            VectorMask<Float> right = x.compare(VectorOperators.GE, zero);
            FloatVector near = k0.blend(k1, right);
            FloatVector far = k1.blend(k0, right);
            FloatVector l = FloatVector.fromArray(SPECIES, logarithms, i);
            FloatVector plainLoss = near.fma(l, far.mul(x.abs().add(l)));
            FloatVector miss = FloatVector.fromArray(SPECIES, misses, i);
            FloatVector weight = k1.fma(alpha, k0.mul(restAlpha));
            FloatVector root = VectorMath.constant(1);
            if (isRooted) {
                root = miss.sqrt();
            }
            // A NaN in any result: the elements are done again with care, for it may be a product of 0 and infinity.
            FloatVector check = x;
            if (LOSS) {
                FloatVector powered = plainLoss.mul(root);
                for (int rest = wholes; rest > 0; rest--) {
                    powered = powered.mul(miss);
                }
                FloatVector loss = w.mul(weight.mul(powered));
                loss.intoArray(losses, i);
                check = loss;
            }
            FloatVector e = FloatVector.fromArray(SPECIES, exponentials, i);
            FloatVector q = one.div(e.add(one));
            FloatVector r = e.mul(q);
            FloatVector gradient = zero;
            if (GRADIENT) {
                VectorMask<Float> hard = far.compare(VectorOperators.EQ, zero);
                FloatVector v = e.blend(one, hard).div(near.fma(e, far).blend(near, hard));
                FloatVector change = gamma.mul(v.mul(q)).mul(far.sub(near).mul(plainLoss));
                FloatVector powered = far.fma(q, near.mul(r).neg()).add(change).mul(root);
                for (int rest = wholes; rest > 0; rest--) {
                    powered = powered.mul(miss);
                }
                FloatVector g = w.mul(weight.mul(powered));
                FloatVector a = FloatVector.fromArray(SPECIES, upstreams, upstreamAt + i);
                gradient = g.neg().blend(g, right).mul(a);
                check = check.add(gradient);
            }
            FloatVector positive = r.blend(q, right);
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
