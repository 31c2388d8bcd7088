package dev.isobit.cpu;

import static dev.isobit.math.Fma.fma;

import dev.isobit.math.ExactMath;

/**
 * Binary cross-entropy by scalar code: any JVM. {@link VectorBce} must match it to the bit, and leaves to it whatever has
 * an infinity or a NaN.
 */
final class ScalarBce implements BceKernel {
    @Override
    public void run(BceBlock block, int from, int to) {
        for (int i = from; i < to; i++) {
            float x = block.logits.get(i);
            float t = block.targets.get(i);
            float w = block.weights.array[block.weights.at + i];
            float p = block.posWeight.array[block.posWeight.at + i];
            float c0 = product(w, fma(1 - t, block.keep, block.half));
            float c1 = product(w, product(p, fma(t, block.keep, block.half)));
            float e = ExactMath.exp(-Math.abs(x));
            if (block.wantsLoss) {
                float l = ExactMath.log1p(e);
                float b = product(c1, (x < 0 ? -x : 0) + l);
                float loss = SegmentWork.canonical(productSum(c0, (x > 0 ? x : 0) + l, b));
                if (block.addsLosses) {
                    block.lanes[i] += loss;
                } else {
                    block.loss[i] = loss;
                }
            }
            float q = 1 / (1 + e);
            float r = e * q;
            float positive = x >= 0 ? q : r;
            if (block.wantsSigmoid) {
                block.sigmoid.array[block.sigmoid.at + i] = SegmentWork.canonical(positive);
            }
            // Last: the gradient may lie over the logits.
            if (block.wantsGradient) {
                float b = product(c1, x >= 0 ? r : q);
                float a = block.upstream.array[block.upstream.at + i];
                block.gradLogits.set(i, SegmentWork.canonical(productSum(c0, positive, -b) * a));
            }
        }
    }

    /** a·b, where 0 wins over infinity but not over NaN. */
    static float product(float a, float b) {
        return isZeroByInfinity(a, b) ? 0 : a * b;
    }

    /** a·b + c, with the product as above. */
    static float productSum(float a, float b, float c) {
        return isZeroByInfinity(a, b) ? c : fma(a, b, c);
    }

    private static boolean isZeroByInfinity(float a, float b) {
        return a == 0 && Math.abs(b) == Float.POSITIVE_INFINITY || b == 0 && Math.abs(a) == Float.POSITIVE_INFINITY;
    }
}
