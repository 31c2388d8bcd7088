package dev.isobit.spi;

import dev.isobit.StepState;
import dev.isobit.Tensor;

/**
 * An optimizer's step with {@link dev.isobit.StepOptions}, prepared on a backend and stream over fixed parameters. It
 * keeps the step counts, since it alone knows which steps were skipped. Used by one thread at a time.
 */
public interface GuardedKernel extends AutoCloseable {
    /**
     * Changes a group from the next step on.
     *
     * @param group index of the group
     * @param lr its learning rate, which the schedule's factor multiplies
     * @param enabled whether it is updated
     */
    void set(int group, double lr, boolean enabled);

    /**
     * Changes what gradients are divided by beside the loss scale, from the next step on; before, it is that of the options.
     *
     * @param gradDivisor a normal positive number
     */
    void setGradDivisor(float gradDivisor);

    /** Queues what {@link #set} and {@link #setGradDivisor} changed now; else the next step does. */
    void queueChanges();

    /**
     * Adds, or queues it, the gradients of enabled groups to the accumulators; only with
     * {@link dev.isobit.StepOptions#accumulateGrad}.
     */
    void accumulate();

    /** What {@link #accumulate} and then {@link #step} do, to the bit. */
    void accumulateAndStep();

    /** Runs, or queues, one step over all parameters. With accumulators it takes those for gradients, and zeroes them. */
    void step();

    /**
     * Waits for the steps that are queued.
     *
     * @return the state after them
     */
    StepState state();

    /**
     * Waits for the steps that are queued, then sets what they left.
     *
     * @param state loss scale and counts; norm and flag are not looked at
     */
    void setState(StepState state);

    /**
     * Waits for the steps that are queued.
     *
     * @param group index of the group
     * @return how many of them were done, and before
     */
    long stepCount(int group);

    /**
     * Waits for the steps that are queued, then sets a group's count.
     *
     * @param group index of the group
     * @param stepCount steps done
     */
    void setStepCount(int group, long stepCount);

    /**
     * The loss scale of the next step, in stream order.
     *
     * @return a float32 scalar in memory of the backend, not to be written
     */
    Tensor gradScale();

    /** Releases tables and state. Idempotent. */
    @Override
    void close();
}
