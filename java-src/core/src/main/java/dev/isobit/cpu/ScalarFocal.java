package dev.isobit.cpu;

import static dev.isobit.math.Fma.fma;

import dev.isobit.math.ExactMath;

/**
 * The focal loss by scalar code: any JVM. {@link VectorFocal} must match it to the bit, and leaves to it whatever has an
 * infinity or a NaN.
 */
final class ScalarFocal implements BceKernel {
    @Override
    public void run(BceBlock block, int from, int to) {
        for (int i = from; i < to; i++) {
            float x = block.logits.array[block.logits.at + i];
            float t = block.targets.array[block.targets.at + i];
            float w = block.weights.array[block.weights.at + i];
            float k0 = fma(1 - t, block.keep, block.half);
            float k1 = fma(t, block.keep, block.half);
            // The label of the likelier side, and of the other.
            boolean right = x >= 0;
            float near = right ? k1 : k0;
            float far = right ? k0 : k1;
            float e = ExactMath.exp(-Math.abs(x));
            float l = ExactMath.log1p(e);
            float q = 1 / (1 + e);
            float r = e * q;
            float loss = ScalarBce.productSum(near, l, ScalarBce.product(far, Math.abs(x) + l));
            float miss = ScalarBce.productSum(near, r, ScalarBce.product(far, q));
            float alpha = ScalarBce.productSum(k1, block.focalAlpha, ScalarBce.product(k0, block.focalRest));
            if (block.wantsLoss) {
                block.loss[i] = SegmentWork.canonical(
                        ScalarBce.product(w, ScalarBce.product(alpha, powered(loss, miss, block.focalHalves))));
            }
            if (block.wantsSigmoid) {
                block.sigmoid.array[block.sigmoid.at + i] = SegmentWork.canonical(right ? q : r);
            }
            // Last: the gradient may lie over the logits.
            if (block.wantsGradient) {
                float v = (far == 0 ? 1 : e) / (far == 0 ? near : ScalarBce.productSum(near, e, far));
                float plain = ScalarBce.productSum(far, q, -ScalarBce.product(near, r));
                float slope = ScalarBce.product(block.focalGamma, ScalarBce.product(v, q));
                float change = ScalarBce.product(slope, ScalarBce.product(far - near, loss));
                float both = powered(plain + change, miss, block.focalHalves);
                float g = ScalarBce.product(w, ScalarBce.product(alpha, both));
                float a = block.upstream.array[block.upstream.at + i];
                block.gradLogits.array[block.gradLogits.at + i] = SegmentWork.canonical((right ? g : -g) * a);
            }
        }
    }

    /** A power of 1 - p_t by itself may lie below the normal range where the product does not. */
    private static float powered(float y, float miss, int halves) {
        float product = (halves & 1) != 0 ? ScalarBce.product(y, (float) Math.sqrt(miss)) : y;
        for (int rest = halves >> 1; rest > 0; rest--) {
            product = ScalarBce.product(product, miss);
        }
        return product;
    }
}
