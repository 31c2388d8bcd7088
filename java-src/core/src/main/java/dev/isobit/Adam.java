package dev.isobit;

import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import dev.isobit.spi.GuardedKernel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Adam and AdamW over a list of parameters; a step is one launch.
 *
 * <p>With {@code g} the gradient (negated if {@code maximize}), {@code m = expAvg}, {@code v = expAvgSq},
 * {@code x = maxExpAvgSq}, and {@link AdamScalars} for the scalars, one rounding per operation:
 * <pre>
 * g  = fma(gradDecay, p, g)                    Adam with weight decay only
 * m' = fma(w1, g - m, m)
 * v' = fma(w2, fma(g, g, -v), v)
 * x' = v' > x ? v' : x                         amsgrad only, else x' = v'; NaN where one of them is
 * p1 = p·paramDecay                            AdamW with weight decay only
 * p' = fma(negStepSize, m' / fma(sqrt(x'), rsqrtBc2, eps), p1)
 * </pre>
 * Where {@link AdamSemantics} differ, the scalars do.
 *
 * <p>Shapes: any; a parameter, its gradient and moments have one element count. Types: parameter and gradient F32, BF16 or
 * F16, moments F32 or BF16, in any mix: what is read is widened, which is exact, and what is written is rounded once, to
 * nearest, ties to even. A BF16 {@code expAvgSq} keeps 8 bits: with {@code w2} below 1/512 it stays where it is once it is
 * near {@code g²}. A parameter of 16 bits may have a float32 master or the remainders of one,
 * {@link AdamParameter#withMaster}; one of BF16 without may be rounded stochastically, {@link AdamOptions#rounding}. Non-finite values follow the formula. No tensor may overlap another.
 *
 * <p>Groups: parameters with options of their own, see {@link AdamGroup}. A group that is not enabled keeps every bit and
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
 * owns its tables and the moments that it allocated. Source: Kingma and Ba 2014, Loshchilov and Hutter 2017, Reddi,
 * Kale and Kumar 2018 (AMSGrad); PyTorch {@code torch.optim.AdamW}.
 */
public final class Adam implements AutoCloseable {
    private static final String[] ROLES =
            {"param", "grad", "expAvg", "expAvgSq", "maxExpAvgSq", OptimizerTensors.MASTER,
                OptimizerTensors.ACCUMULATOR};

    private final OptimizerTensors tensors;
    private final List<AdamGroup> groups;
    private final List<AdamParameter> parameters;
    private final StepOptions stepOptions;
    /** One of them: where steps may be skipped, or a device has the groups, the kernel counts the steps. */
    private final @Nullable AdamKernel kernel;
    private final @Nullable GuardedKernel guarded;
    private final AdamScalars[] scalars;
    private final double[] lrs;
    private final long[] stepCounts;
    private float gradDivisor;
    private boolean closed;

    private Adam(Backend backend, List<AdamGroup> groups, StepOptions step, Stream stream) {
        this.stepOptions = step;
        this.gradDivisor = step.gradDivisor();
        this.tensors = new OptimizerTensors("Adam", backend, stream, step.zeroGrad());
        boolean made = false;
        try {
            this.groups = complete(groups);
            this.parameters = this.groups.stream().flatMap(group -> group.parameters().stream()).toList();
            boolean guards = hasStepOptions() || groups.size() > backend.maxHostGroups();
            this.kernel = guards ? null : backend.adamKernel(this.groups, stream);
            this.guarded = guards ? backend.guardedAdamKernel(this.groups, step, stream) : null;
            made = true;
        } finally {
            if (!made) {
                tensors.close();
            }
        }
        this.scalars = new AdamScalars[groups.size()];
        Arrays.setAll(scalars, group -> new AdamScalars());
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
     * @param options options, of Adam or AdamW
     * @param parameters the parameters
     * @return the optimizer, the caller's to close
     */
    public static Adam on(Backend backend, AdamOptions options, List<AdamParameter> parameters) {
        return on(backend, options, parameters, backend.defaultStream());
    }

    /**
     * Prepares the optimizer on a stream.
     *
     * @param backend where it runs
     * @param options options, of Adam or AdamW
     * @param parameters the parameters
     * @param stream a stream of that backend
     * @return the optimizer, the caller's to close
     */
    public static Adam on(Backend backend, AdamOptions options, List<AdamParameter> parameters, Stream stream) {
        return on(backend, List.of(new AdamGroup(options, parameters)), stream);
    }

    /**
     * Prepares the optimizer on a backend's default stream, over groups.
     *
     * @param backend where it runs
     * @param groups parameters with their options, one group at least
     * @return the optimizer, the caller's to close
     */
    public static Adam on(Backend backend, List<AdamGroup> groups) {
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
    public static Adam on(Backend backend, List<AdamGroup> groups, Stream stream) {
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
    public static Adam on(Backend backend, List<AdamGroup> groups, StepOptions step, Stream stream) {
        return new Adam(backend, List.copyOf(groups), step, stream);
    }

    private List<AdamGroup> complete(List<AdamGroup> given) {
        if (given.isEmpty()) {
            throw new IllegalArgumentException("Adam.on: no groups");
        }
        boolean amsgrad = given.get(0).options().amsgrad();
        for (AdamGroup group : given) {
            if (group.options().amsgrad() != amsgrad) {
                throw new IllegalArgumentException("Adam.on: amsgrad is not the same in all groups");
            }
            for (AdamParameter p : group.parameters()) {
                if (p.maxExpAvgSq() != null && !amsgrad) {
                    throw new IllegalArgumentException(
                            "Adam.on: maxExpAvgSq of " + p.name() + " is given, and amsgrad is false");
                }
                tensors.requireAccumulates(stepOptions, p.name(), p.gradAccumulator());
                tensors.add(p.name(), ROLES, p.param(), p.grad(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq(),
                        p.master(), p.gradAccumulator());
            }
        }
        tensors.checkOverlap();
        List<AdamGroup> completed = new ArrayList<>();
        for (AdamGroup group : given) {
            completed.add(new AdamGroup(group.options(), group.parameters().stream()
                    .map(p -> new AdamParameter(p.name(), p.param(), p.grad(), state(p, p.expAvg(), 2),
                            state(p, p.expAvgSq(), 3), amsgrad ? state(p, p.maxExpAvgSq(), 4) : null, p.master(),
                            stepOptions.accumulateGrad() ? state(p, p.gradAccumulator(), 6) : null))
                    .toList()));
        }
        tensors.complete();
        return List.copyOf(completed);
    }

    private Tensor state(AdamParameter p, @Nullable Tensor given, int role) {
        return tensors.orAllocate(given, ROLES[role] + " of " + p.name(), p.param());
    }

    /**
     * Updates every parameter of the enabled groups and its moments from its gradient, as the next step of its group.
     *
     * @throws IllegalStateException if the optimizer or one of its tensors is closed
     * @throws WrongThreadException if a tensor is confined to another thread
     */
    public void step() {
        if (closed) {
            throw new IllegalStateException("Adam is closed");
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
            throw new IllegalStateException("Adam is closed");
        }
        if (!stepOptions.accumulateGrad()) {
            throw new IllegalStateException(
                    "Adam." + call + ": Adam was made without accumulateGrad in its StepOptions");
        }
        tensors.requireUsable(call);
        return Objects.requireNonNull(guarded);
    }

    /**
     * The options given.
     *
     * @return options of the first group
     */
    public AdamOptions options() {
        return groups.get(0).options();
    }

    /**
     * The groups, with the moments in use.
     *
     * @return groups in the order given, with the options given
     */
    public List<AdamGroup> groups() {
        return groups;
    }

    /**
     * The parameters of all groups, with the moments in use.
     *
     * @return parameters in the order given
     */
    public List<AdamParameter> parameters() {
        return parameters;
    }

    /**
     * How many steps were done. With {@link StepOptions}, or more than 64 groups on a device, it waits for those that are
     * queued.
     *
     * @return step count of the first group
     */
    public long stepCount() {
        return stepCount(0);
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
     * Sets the step count of all groups, to resume a run.
     *
     * @param stepCount steps done so far, from 0 to 2^53
     */
    public void setStepCount(long stepCount) {
        for (int i = 0; i < stepCounts.length; i++) {
            setStepCount(i, stepCount);
        }
    }

    /**
     * Sets the step count of a group.
     *
     * @param group index of the group
     * @param stepCount steps done so far, from 0 to 2^53
     */
    public void setStepCount(int group, long stepCount) {
        stepCounts[index(group)] = OptimizerTensors.checkedStepCount("Adam", stepCount);
        if (guarded != null) {
            guarded.setStepCount(group, stepCount);
        }
    }

    /**
     * The learning rate that was given or set, which the schedule's factor multiplies.
     *
     * @return learning rate of the first group
     */
    public double lr() {
        return lrs[0];
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
        return new IllegalStateException("Adam was made without StepOptions");
    }

    private int index(int group) {
        return Objects.checkIndex(group, scalars.length);
    }

    /** Releases tables and the moments that this object allocated. Idempotent. */
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
