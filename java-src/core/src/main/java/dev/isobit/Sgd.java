package dev.isobit;

import dev.isobit.spi.GuardedKernel;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SgdScalars;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Stochastic gradient descent over a list of parameters, with momentum, dampening and Nesterov's momentum; a step is one
 * launch.
 *
 * <p>With {@code g} the gradient (negated if {@code maximize}), {@code b = momentumBuffer}, the scalars rounded to
 * float32, one rounding per operation:
 * <pre>
 * g  = fma(weightDecay, p, g)                       with weight decay only
 * b' = fma(momentum, b, (1 - dampening)·g)          with momentum only; in the first step b' = g, whatever b is
 * u  = nesterov ? fma(momentum, b', g) : b'         without momentum u = g
 * p' = fma(-lr, u, p)
 * </pre>
 *
 * <p>Shapes: any; a parameter, its gradient and momentum buffer have one element count. Types: parameter and gradient F32,
 * BF16 or F16, buffer F32 or BF16, in any mix: what is read is widened, which is exact, and what is written is rounded
 * once, to nearest, ties to even. A parameter of 16 bits may have a float32 master or the
 * remainders of one, {@link SgdParameter#withMaster}; one of BF16 without may be rounded stochastically,
 * {@link SgdOptions#rounding}. Non-finite values follow the formula. No tensor may overlap another.
 *
 * <p>Groups: parameters with options of their own, see {@link SgdGroup}. A group that is not enabled keeps every bit and
 * its step count. Of more than 64 a device keeps their learning rates and step counts itself: a step is one launch, and the
 * host's share the same, however many there are.
 *
 * <p>The learning rate of a group follows the {@link LrSchedule} in its options.
 *
 * <p>Around the update, see {@link StepOptions}: loss scaling, a divisor of gradients, clipping, steps that
 * are skipped, zeroed gradients, gradients summed over micro-batches.
 *
 * <p>Errors: {@link IllegalArgumentException} for shapes, overlap, devices and hyper-parameters;
 * {@link UnsupportedOperationException} for types the backend does not have; {@link IllegalStateException} for closed
 * memory or after {@link #close}; {@link WrongThreadException} for memory confined to another thread. Nothing is
 * written in any of these cases.
 *
 * <p>Threading: one thread at a time and one stream. It allocates nothing per step. Ownership: close it when done; it
 * owns its tables and the buffers that it allocated. Source: Sutskever, Martens, Dahl and Hinton 2013; PyTorch
 * {@code torch.optim.SGD}.
 */
public final class Sgd implements AutoCloseable {
    private static final String[] ROLES = {"param", "grad", "momentumBuffer", OptimizerTensors.MASTER,
        OptimizerTensors.ACCUMULATOR};

    private final OptimizerTensors tensors;
    private final List<SgdGroup> groups;
    private final StepOptions stepOptions;
    /** One of them: where steps may be skipped, or a device has the groups, the kernel counts the steps. */
    private final @Nullable SgdKernel kernel;
    private final @Nullable GuardedKernel guarded;
    private final SgdScalars[] scalars;
    private final double[] lrs;
    private final long[] stepCounts;
    private float gradDivisor;
    private boolean closed;

    private Sgd(Backend backend, List<SgdGroup> groups, StepOptions step, Stream stream) {
        this.stepOptions = step;
        this.gradDivisor = step.gradDivisor();
        this.tensors = new OptimizerTensors("Sgd", backend, stream, step.zeroGrad());
        boolean made = false;
        try {
            this.groups = complete(groups);
            boolean guards = hasStepOptions() || groups.size() > backend.maxHostGroups();
            this.kernel = guards ? null : backend.sgdKernel(this.groups, stream);
            this.guarded = guards ? backend.guardedSgdKernel(this.groups, step, stream) : null;
            made = true;
        } finally {
            if (!made) {
                tensors.close();
            }
        }
        this.scalars = new SgdScalars[groups.size()];
        Arrays.setAll(scalars, group -> new SgdScalars());
        this.lrs = groups.stream().mapToDouble(group -> group.options().lr()).toArray();
        this.stepCounts = new long[groups.size()];
        for (int i = 0; i < scalars.length; i++) {
            setGuarded(i);
        }
    }

    private void setGuarded(int group) {
        if (guarded != null) {
            guarded.set(group, lrs[group], scalars[group].enabled);
        }
    }

    /**
     * Prepares the optimizer on a backend's default stream.
     *
     * @param backend where it runs
     * @param options options
     * @param parameters the parameters
     * @return the optimizer, the caller's to close
     */
    public static Sgd on(Backend backend, SgdOptions options, List<SgdParameter> parameters) {
        return on(backend, options, parameters, backend.defaultStream());
    }

    /**
     * Prepares the optimizer on a stream.
     *
     * @param backend where it runs
     * @param options options
     * @param parameters the parameters
     * @param stream a stream of that backend
     * @return the optimizer, the caller's to close
     */
    public static Sgd on(Backend backend, SgdOptions options, List<SgdParameter> parameters, Stream stream) {
        return on(backend, List.of(new SgdGroup(options, parameters)), stream);
    }

    /**
     * Prepares the optimizer on a backend's default stream, over groups.
     *
     * @param backend where it runs
     * @param groups parameters with their options, one group at least
     * @return the optimizer, the caller's to close
     */
    public static Sgd on(Backend backend, List<SgdGroup> groups) {
        return on(backend, groups, backend.defaultStream());
    }

    /**
     * Prepares the optimizer on a stream, over groups.
     *
     * @param backend where it runs
     * @param groups parameters with their options, one group at least
     * @param stream a stream of that backend
     * @return the optimizer, the caller's to close
     */
    public static Sgd on(Backend backend, List<SgdGroup> groups, Stream stream) {
        return on(backend, groups, StepOptions.defaults(), stream);
    }

    /**
     * Prepares the optimizer on a stream, over groups, with more than the update in a step: loss scaling, clipping, a check
     * of the gradients, or zeroing them.
     *
     * @param backend where it runs
     * @param groups parameters with their options, one group at least
     * @param step what is done around the update
     * @param stream a stream of that backend
     * @return the optimizer, the caller's to close
     */
    public static Sgd on(Backend backend, List<SgdGroup> groups, StepOptions step, Stream stream) {
        return new Sgd(backend, List.copyOf(groups), step, stream);
    }

    private List<SgdGroup> complete(List<SgdGroup> given) {
        if (given.isEmpty()) {
            throw new IllegalArgumentException("Sgd.on: no groups");
        }
        for (SgdGroup group : given) {
            for (SgdParameter p : group.parameters()) {
                if (p.momentumBuffer() != null && group.options().momentum() == 0) {
                    throw new IllegalArgumentException(
                            "Sgd.on: momentumBuffer of " + p.name() + " is given, and momentum is 0");
                }
                tensors.requireAccumulates(stepOptions, p.name(), p.gradAccumulator());
                tensors.add(p.name(), ROLES, p.param(), p.grad(), p.momentumBuffer(), p.master(), p.gradAccumulator());
            }
        }
        tensors.checkOverlap();
        List<SgdGroup> completed = new ArrayList<>();
        for (SgdGroup group : given) {
            boolean hasMomentum = group.options().momentum() != 0;
            completed.add(new SgdGroup(group.options(), group.parameters().stream().map(
                    p -> new SgdParameter(p.name(), p.param(), p.grad(),
                            hasMomentum ? state(p, p.momentumBuffer(), 2) : null, p.master(),
                            stepOptions.accumulateGrad() ? state(p, p.gradAccumulator(), 4) : null))
                    .toList()));
        }
        tensors.complete();
        return List.copyOf(completed);
    }

    private Tensor state(SgdParameter p, @Nullable Tensor given, int role) {
        return tensors.orAllocate(given, ROLES[role] + " of " + p.name(), p.param());
    }

    /**
     * Updates every parameter of the enabled groups from its gradient, as the next step of its group.
     *
     * @throws IllegalStateException if the optimizer or one of its tensors is closed
     * @throws WrongThreadException if a tensor is confined to another thread
     */
    public void step() {
        if (closed) {
            throw new IllegalStateException("Sgd is closed");
        }
        tensors.requireUsable("step");
        if (kernel == null) {
            Objects.requireNonNull(guarded).step();
            return;
        }
        for (int i = 0; i < scalars.length; i++) {
            scalars[i].set(groups.get(i).options(), lrs[i], stepCounts[i] + 1);
        }
        kernel.step(scalars);
        for (int i = 0; i < scalars.length; i++) {
            if (scalars[i].enabled) {
                stepCounts[i]++;
            }
        }
    }

    /**
     * Adds the gradients of the enabled groups to their accumulators, which the next step takes in their place: see
     * {@link StepOptions}. With {@code zeroGrad} the gradients are zero afterwards.
     *
     * @throws IllegalStateException if the optimizer or one of its tensors is closed, or it was made without
     *     {@code accumulateGrad}
     * @throws WrongThreadException if a tensor is confined to another thread
     */
    public void accumulate() {
        accumulating("accumulate").accumulate();
    }

    /**
     * What {@link #accumulate} and then {@link #step} do, to the bit, in one launch: for the last micro-batch of a step, or its
     * only one.
     *
     * @throws IllegalStateException if the optimizer or one of its tensors is closed, or it was made without
     *     {@code accumulateGrad}
     * @throws WrongThreadException if a tensor is confined to another thread
     */
    public void accumulateAndStep() {
        accumulating("accumulateAndStep").accumulateAndStep();
    }

    private GuardedKernel accumulating(String call) {
        if (closed) {
            throw new IllegalStateException("Sgd is closed");
        }
        if (!stepOptions.accumulateGrad()) {
            throw new IllegalStateException(
                    "Sgd." + call + ": Sgd was made without accumulateGrad in its StepOptions");
        }
        tensors.requireUsable(call);
        return Objects.requireNonNull(guarded);
    }

    /**
     * The groups, with the momentum buffers in use.
     *
     * @return groups in the order given, with the options given
     */
    public List<SgdGroup> groups() {
        return groups;
    }

    /**
     * How many steps a group has done. With {@link StepOptions}, or more than 64 groups on a device, it waits for those that
     * are queued.
     *
     * @param group index of the group
     * @return step count
     */
    public long stepCount(int group) {
        return guarded == null ? stepCounts[index(group)] : guarded.stepCount(index(group));
    }

    /**
     * Sets the step count of a group, to resume a run. At 0 the next step begins its momentum.
     *
     * @param group index of the group
     * @param stepCount steps done so far, from 0 to 2^53
     */
    public void setStepCount(int group, long stepCount) {
        stepCounts[index(group)] = OptimizerTensors.checkedStepCount("Sgd", stepCount);
        if (guarded != null) {
            guarded.setStepCount(group, stepCount);
        }
    }

    /**
     * Sets the step count of all groups.
     *
     * @param stepCount steps done so far, from 0 to 2^53
     */
    public void setStepCount(long stepCount) {
        for (int i = 0; i < stepCounts.length; i++) {
            setStepCount(i, stepCount);
        }
    }

    /**
     * The learning rate of a group that was given or set, which the schedule's factor multiplies.
     *
     * @param group index of the group
     * @return learning rate
     */
    public double lr(int group) {
        return lrs[index(group)];
    }

    /**
     * The learning rate of a group's next step, by its {@link LrSchedule}. With {@link StepOptions}, or more than 64 groups on
     * a device, it waits for the steps that are queued.
     *
     * @param group index of the group
     * @return learning rate times the schedule's factor
     */
    public double scheduledLr(int group) {
        return lrs[index(group)] * groups.get(group).options().schedule().factor(stepCount(group) + 1);
    }

    /**
     * Sets the learning rate of a group, which its schedule's factor multiplies, from the next step on. Nothing is built
     * anew.
     *
     * @param group index of the group
     * @param lr learning rate, finite, at least 0
     */
    public void setLr(int group, double lr) {
        lrs[index(group)] = groups.get(group).options().withLr(lr).lr();
        setGuarded(group);
    }

    /**
     * Sets the learning rate of all groups, which their schedules' factors multiply, from the next step on.
     *
     * @param lr learning rate, finite, at least 0
     */
    public void setLr(double lr) {
        for (int i = 0; i < lrs.length; i++) {
            setLr(i, lr);
        }
    }

    /**
     * Whether a group is updated.
     *
     * @param group index of the group
     * @return true unless it was disabled
     */
    public boolean isEnabled(int group) {
        return scalars[index(group)].enabled;
    }

    /**
     * Has a group updated or left as it is, from the next step on. Nothing is built anew.
     *
     * @param group index of the group
     * @param enabled whether steps update it
     */
    public void setEnabled(int group, boolean enabled) {
        scalars[index(group)].enabled = enabled;
        setGuarded(group);
    }

    /**
     * What gradients are divided by beside the loss scale.
     *
     * @return the divisor of {@link StepOptions}, or the one that was set
     * @throws IllegalStateException if the optimizer was made without {@link StepOptions}
     */
    public float gradDivisor() {
        guarded();
        return gradDivisor;
    }

    /**
     * Sets what gradients are divided by beside the loss scale, from the next step on: of a sum over micro-batches, their
     * number. Nothing is built anew.
     *
     * @param gradDivisor a normal positive float
     * @throws IllegalStateException if the optimizer was made without {@link StepOptions}
     */
    public void setGradDivisor(float gradDivisor) {
        guarded().setGradDivisor(stepOptions.withGradDivisor(gradDivisor).gradDivisor());
        this.gradDivisor = gradDivisor;
    }

    /**
     * Queues now what {@link #setLr}, {@link #setEnabled} and {@link #setGradDivisor} changed, where the next {@link #step} would: before a CUDA graph
     * captures a step, which then finds nothing to write, and for graphs that replay one. A replayed step takes its learning
     * rate from the device: the one written there last, times its schedule's factor for the step count, which is there too.
     *
     * @throws IllegalStateException if the host has the learning rate: without {@link StepOptions}, unless a device has more
     *     than 64 groups
     */
    public void queueChanges() {
        if (guarded == null) {
            throw madeWithout();
        }
        guarded.queueChanges();
    }

    /**
     * What is done around the update.
     *
     * @return options given
     */
    public StepOptions stepOptions() {
        return stepOptions;
    }

    /**
     * The loss scale, the count of skipped steps, and what the last step came upon. Waits for the steps that are queued.
     *
     * @return the state after them
     * @throws IllegalStateException if the optimizer was made without {@link StepOptions}
     */
    public StepState stepState() {
        return guarded().state();
    }

    /**
     * Sets the loss scale and the counts, to resume a run, for which {@link #setStepCount(long)} is needed too. Waits for
     * the steps that are queued.
     *
     * @param state state of an earlier run; its norm and flag are not looked at
     * @throws IllegalStateException if the optimizer was made without {@link StepOptions}
     */
    public void setStepState(StepState state) {
        guarded().setState(state);
    }

    /**
     * The loss scale of the next step, where the backend's operations find it: as upstream gradient ({@code gradLoss}) of a
     * loss it has its gradients scaled, with no copy and no wait. Queue that on the optimizer's stream.
     *
     * @return an F32 scalar, to be read only; valid until this optimizer is closed
     * @throws IllegalStateException if the optimizer was made without {@link StepOptions}
     */
    public Tensor gradScale() {
        return guarded().gradScale();
    }

    private boolean hasStepOptions() {
        return !stepOptions.equals(StepOptions.defaults());
    }

    private GuardedKernel guarded() {
        if (guarded == null || !hasStepOptions()) {
            throw madeWithout();
        }
        return guarded;
    }

    private static IllegalStateException madeWithout() {
        return new IllegalStateException("Sgd was made without StepOptions");
    }

    private int index(int group) {
        return Objects.checkIndex(group, scalars.length);
    }

    /** Releases tables and the buffers that this object allocated. Idempotent. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            if (kernel != null) {
                kernel.close();
            }
            if (guarded != null) {
                guarded.close();
            }
            tensors.close();
        }
    }
}
