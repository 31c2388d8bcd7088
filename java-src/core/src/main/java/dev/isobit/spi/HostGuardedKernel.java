package dev.isobit.spi;

import dev.isobit.AdamGroup;
import dev.isobit.DType;
import dev.isobit.GradScaling;
import dev.isobit.SgdGroup;
import dev.isobit.SgdOptions;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * A guarded step over host memory: decides, in exactly rounded float64 operations, whether a step is done and what the
 * gradients are multiplied by, and has a kernel do it. Every backend decides in these operations.
 */
public final class HostGuardedKernel implements GuardedKernel {
    /** Of an optimizer: its update over all parameters. */
    private interface Update {
        void step(double[] lrs, long[] steps);

        void close();
    }

    /** Adds gradients to accumulators: a step of SGD at a learning rate of -1, since fma(1, g, a) is a + g. */
    private static final class Accumulation {
        private final SgdKernel sum;
        private final SgdScalars[] scalars;
        private final HostGradients gradients;
        private final boolean zeroes;

        Accumulation(HostBackend backend, StepOptions options, Function<List<List<Tensor>>, HostGradients> view,
                List<List<SgdParameter>> groups) {
            sum = backend.sgdKernel(
                    groups.stream().map(group -> new SgdGroup(SgdOptions.defaults(), group)).toList(),
                    backend.defaultStream());
            scalars = new SgdScalars[groups.size()];
            Arrays.setAll(scalars, i -> new SgdScalars());
            for (SgdScalars of : scalars) {
                of.negLr = 1;
            }
            gradients = view.apply(tensors(groups, SgdParameter::grad));
            zeroes = options.zeroGrad();
        }

        void run(boolean[] enabled) {
            for (int i = 0; i < scalars.length; i++) {
                scalars[i].enabled = enabled[i];
            }
            sum.step(scalars);
            if (zeroes) {
                gradients.zero(enabled);
            }
        }
    }

    private static List<List<Tensor>> tensors(List<List<SgdParameter>> groups, Function<SgdParameter, Tensor> which) {
        return groups.stream().map(group -> group.stream().map(which).toList()).toList();
    }

    private final HostBackend backend;
    private final StepOptions options;
    /** Of a step: with accumulators those. */
    private final HostGradients gradients;
    private final @Nullable Accumulation accumulation;
    private final GroupScalars[] scalars;
    private final Update update;
    private final double[] lrs;
    private final boolean[] enabled;
    private final long[] steps;
    private final long[] next;
    private final Tensor gradScale;
    private final MemorySegment scaleSegment;
    private long growthTracker;
    private long skippedSteps;
    private double gradNorm = Double.NaN;
    private boolean foundInf;
    private float gradDivisor;

    /** @param gradients of each group, what a step takes for gradients, with the gradients that are added to it */
    private HostGuardedKernel(HostBackend backend, StepOptions options,
            Function<List<List<Tensor>>, HostGradients> view, List<List<SgdParameter>> gradients,
            GroupScalars[] scalars, Update update) {
        this.backend = backend;
        this.options = options;
        this.gradients = view.apply(tensors(gradients, SgdParameter::param));
        this.accumulation = options.accumulateGrad() ? new Accumulation(backend, options, view, gradients) : null;
        this.scalars = scalars;
        this.update = update;
        this.lrs = new double[scalars.length];
        this.enabled = new boolean[scalars.length];
        this.steps = new long[scalars.length];
        this.next = new long[scalars.length];
        this.gradDivisor = options.gradDivisor();
        this.gradScale = backend.allocate(DType.F32);
        this.scaleSegment = gradScale.segment();
        GradScaling scaling = options.gradScaling();
        setScale(scaling == null ? 1 : scaling.initialScale());
    }

    /**
     * A guarded step of Adam.
     *
     * @param backend where it runs
     * @param groups the parameters, with moments
     * @param options options
     * @param view of tensors that are gradients, of each group
     * @param kernel the update; it looks at {@link GroupScalars#scaled}
     * @return the prepared step, which closes the kernel
     */
    public static HostGuardedKernel adam(HostBackend backend, List<AdamGroup> groups, StepOptions options,
            Function<List<List<Tensor>>, HostGradients> view, AdamKernel kernel) {
        AdamScalars[] scalars = new AdamScalars[groups.size()];
        Arrays.setAll(scalars, i -> new AdamScalars());
        List<List<SgdParameter>> gradients = groups.stream().map(group -> group.parameters().stream()
                .map(p -> new SgdParameter(p.name(), p.stepGrad(), p.grad(), null)).toList()).toList();
        return new HostGuardedKernel(backend, options, view, gradients, scalars, new Update() {
            @Override
            public void step(double[] lrs, long[] steps) {
                for (int i = 0; i < scalars.length; i++) {
                    scalars[i].set(groups.get(i).options(), lrs[i], steps[i]);
                }
                kernel.step(scalars);
            }

            @Override
            public void close() {
                kernel.close();
            }
        });
    }

    /**
     * A guarded step of SGD.
     *
     * @param backend where it runs
     * @param groups the parameters, with momentum buffers
     * @param options options
     * @param view of tensors that are gradients, of each group
     * @param kernel the update; it looks at {@link GroupScalars#scaled}
     * @return the prepared step, which closes the kernel
     */
    public static HostGuardedKernel sgd(HostBackend backend, List<SgdGroup> groups, StepOptions options,
            Function<List<List<Tensor>>, HostGradients> view, SgdKernel kernel) {
        SgdScalars[] scalars = new SgdScalars[groups.size()];
        Arrays.setAll(scalars, i -> new SgdScalars());
        List<List<SgdParameter>> gradients = groups.stream().map(group -> group.parameters().stream()
                .map(p -> new SgdParameter(p.name(), p.stepGrad(), p.grad(), null)).toList()).toList();
        return new HostGuardedKernel(backend, options, view, gradients, scalars, new Update() {
            @Override
            public void step(double[] lrs, long[] steps) {
                for (int i = 0; i < scalars.length; i++) {
                    scalars[i].set(groups.get(i).options(), lrs[i], steps[i]);
                }
                kernel.step(scalars);
            }

            @Override
            public void close() {
                kernel.close();
            }
        });
    }

    private float scale() {
        return scaleSegment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0);
    }

    private void setScale(float scale) {
        scaleSegment.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 0, scale);
    }

    @Override
    public void set(int group, double lr, boolean isEnabled) {
        lrs[group] = lr;
        enabled[group] = isEnabled;
    }

    @Override
    public void setGradDivisor(float divisor) {
        gradDivisor = divisor;
    }

    /** There is no queue. */
    @Override
    public void queueChanges() {
        backend.requireOpen();
    }

    @Override
    public void accumulate() {
        backend.requireOpen();
        Objects.requireNonNull(accumulation).run(enabled);
    }

    /** In two passes: gradients that were just added may still be in a cache. */
    @Override
    public void accumulateAndStep() {
        accumulate();
        step();
    }

    @Override
    public void step() {
        backend.requireOpen();
        double divisor = (double) scale() * gradDivisor;
        double clip = 1;
        double norm = Double.NaN;
        boolean skips = false;
        if (options.checksGrad()) {
            norm = Math.sqrt(gradients.sumOfSquares(enabled)) / divisor;
            skips = !(norm <= Double.MAX_VALUE);
            double coefficient = options.maxNorm() / (norm + 1e-6);
            clip = coefficient < 1 ? coefficient : 1;
        }
        if (!skips) {
            float factor = (float) (clip / divisor);
            for (int i = 0; i < scalars.length; i++) {
                scalars[i].enabled = enabled[i];
                scalars[i].gradFactor = factor;
                scalars[i].clipValue = (float) options.clipValue();
                next[i] = steps[i] + 1;
            }
            update.step(lrs, next);
            for (int i = 0; i < steps.length; i++) {
                steps[i] = enabled[i] ? next[i] : steps[i];
            }
        }
        if (options.zeroesStepGrad()) {
            gradients.zero(enabled);
        }
        gradNorm = norm;
        foundInf = skips;
        skippedSteps += skips ? 1 : 0;
        GradScaling scaling = options.gradScaling();
        if (scaling != null && skips) {
            rescale(scaling.backoffFactor());
        } else if (scaling != null && ++growthTracker == scaling.growthInterval()) {
            rescale(scaling.growthFactor());
        }
    }

    private void rescale(float by) {
        float scaled = scale() * by;
        if (scaled >= Float.MIN_NORMAL && scaled <= Float.MAX_VALUE) {
            setScale(scaled);
        }
        growthTracker = 0;
    }

    @Override
    public StepState state() {
        return new StepState(scale(), growthTracker, skippedSteps, gradNorm, foundInf);
    }

    @Override
    public void setState(StepState state) {
        setScale(state.gradScale());
        growthTracker = state.growthTracker();
        skippedSteps = state.skippedSteps();
    }

    @Override
    public long stepCount(int group) {
        return steps[group];
    }

    @Override
    public void setStepCount(int group, long stepCount) {
        steps[group] = stepCount;
    }

    @Override
    public Tensor gradScale() {
        return gradScale;
    }

    @Override
    public void close() {
        update.close();
    }
}
