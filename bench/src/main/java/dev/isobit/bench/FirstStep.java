package dev.isobit.bench;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * For optimizers of peers that keep their moments to themselves: from no moments, the first step of AdamW and of SGD has a
 * closed form.
 */
public final class FirstStep {
    /** Of a parameter below 1, of which a step of AdamW moves 1e-3. */
    private static final double TOLERANCE = 2e-7;

    private FirstStep() {}

    /**
     * Compares one tensor after its first step.
     *
     * @param peer whose
     * @param problem what the step began with, but for moments, which were 0
     * @param eps what AdamW adds to the square root of the bias-corrected second moment
     * @param first where the tensor begins among the parameters
     * @param param the tensor now
     * @throws IllegalStateException if an element is not what float64 says
     */
    public static void check(String peer, Peer.Problem problem, double eps, long first, float[] param) {
        MemorySegment params = problem.inputs().get("param");
        MemorySegment grads = problem.inputs().get("grad");
        double lr = problem.scalars().get("lr");
        double decay = problem.scalars().get("weightDecay");
        for (int i = 0; i < param.length; i++) {
            double p = params.getAtIndex(ValueLayout.JAVA_FLOAT, first + i);
            double g = grads.getAtIndex(ValueLayout.JAVA_FLOAT, first + i);
            double expected = problem.operation().equals("adamw")
                    ? p * (1 - lr * decay) - lr * g / (Math.abs(g) + eps)
                    : p - lr * (g + decay * p);
            if (!(Math.abs(param[i] - expected) <= TOLERANCE)) {
                throw new IllegalStateException(peer + ", " + problem.operation() + ": parameter " + (first + i)
                        + " is " + param[i] + " after one step, not " + expected);
            }
        }
    }
}
