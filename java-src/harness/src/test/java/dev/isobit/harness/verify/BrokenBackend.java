package dev.isobit.harness.verify;

import dev.isobit.AdamGroup;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.HostMemory;
import dev.isobit.NllLossOptions;
import dev.isobit.SgdGroup;
import dev.isobit.StepOptions;
import dev.isobit.StepState;
import dev.isobit.Stream;
import dev.isobit.Tensor;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.CrossEntropyKernel;
import dev.isobit.spi.GuardedKernel;
import dev.isobit.spi.HostBackend;
import dev.isobit.spi.NllLossCall;
import dev.isobit.spi.NllLossKernel;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SoftmaxKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** The cpu backend with something done after each call: what verify must notice. */
final class BrokenBackend extends HostBackend {
    private final Backend cpu = Backend.open("cpu");
    private final Consumer<CrossEntropyCall> afterCrossEntropy;
    private final Consumer<AdamParameter> afterAdam;
    private final Consumer<NllLossCall> afterNllLoss;
    private final Consumer<GuardedCall> afterGuarded;

    /** A call of a guarded optimizer: a step, or gradients that were added. */
    record GuardedCall(boolean accumulates, GuardedKernel kernel, List<List<GuardedTensors>> groups) {}

    /** Of a parameter. */
    record GuardedTensors(Tensor param, Tensor grad, @Nullable Tensor accumulator) {}

    BrokenBackend(Consumer<CrossEntropyCall> afterCrossEntropy, Consumer<AdamParameter> afterAdam) {
        this(afterCrossEntropy, afterAdam, call -> {}, call -> {});
    }

    private BrokenBackend(Consumer<CrossEntropyCall> afterCrossEntropy, Consumer<AdamParameter> afterAdam,
            Consumer<NllLossCall> afterNllLoss, Consumer<GuardedCall> afterGuarded) {
        this.afterCrossEntropy = afterCrossEntropy;
        this.afterAdam = afterAdam;
        this.afterNllLoss = afterNllLoss;
        this.afterGuarded = afterGuarded;
    }

    /** Breaks outputs of negative log-likelihood. */
    static BrokenBackend nllLoss(Consumer<NllLossCall> breaks) {
        return new BrokenBackend(call -> {}, parameter -> {}, breaks, call -> {});
    }

    /** Breaks what guarded optimizers do that sum gradients. */
    static BrokenBackend accumulation(Consumer<GuardedCall> breaks) {
        return new BrokenBackend(call -> {}, parameter -> {}, call -> {}, breaks);
    }

    /** Breaks an output of cross-entropy, where it is asked for and has elements. */
    static BrokenBackend gradient(Consumer<Tensor> breaks) {
        return new BrokenBackend(call -> ifThere(call.gradLogits, breaks), parameter -> {});
    }

    static BrokenBackend loss(Consumer<Tensor> breaks) {
        return new BrokenBackend(call -> ifThere(call.loss, breaks), parameter -> {});
    }

    static BrokenBackend param(Consumer<Tensor> breaks) {
        return new BrokenBackend(call -> {}, parameter -> ifThere(parameter.param(), breaks));
    }

    static void ifThere(@Nullable Tensor tensor, Consumer<Tensor> breaks) {
        if (tensor != null && tensor.elementCount() > 0) {
            breaks.accept(tensor);
        }
    }

    static int bits(Tensor tensor, long index) {
        return tensor.segment().get(ValueLayout.JAVA_INT_UNALIGNED, index * 4);
    }

    static void setBits(Tensor tensor, long index, int bits) {
        tensor.segment().set(ValueLayout.JAVA_INT_UNALIGNED, index * 4, bits);
    }

    /** One element past the end. */
    static void writeBeyond(Tensor tensor) {
        MemorySegment all = ((HostMemory) tensor.memory()).segment();
        all.set(ValueLayout.JAVA_INT_UNALIGNED, tensor.byteOffset() + tensor.byteSize(), 0);
    }

    @Override
    public String name() {
        return "broken";
    }

    @Override
    public String description() {
        return "cpu, broken on purpose";
    }

    @Override
    public Set<DType> dtypes() {
        return cpu.dtypes();
    }

    @Override
    public CrossEntropyKernel crossEntropyKernel(CrossEntropyOptions options, Stream stream) {
        CrossEntropyKernel kernel = cpu.crossEntropyKernel(options, cpu.defaultStream());
        return new CrossEntropyKernel() {
            @Override
            public void run(CrossEntropyCall call) {
                kernel.run(call);
                afterCrossEntropy.accept(call);
            }

            @Override
            public void close() {
                kernel.close();
            }
        };
    }

    @Override
    public BceWithLogitsKernel bceWithLogitsKernel(BceWithLogitsOptions options, Stream stream) {
        return cpu.bceWithLogitsKernel(options, cpu.defaultStream());
    }

    @Override
    public SoftmaxKernel softmaxKernel(boolean logarithm, Stream stream) {
        return cpu.softmaxKernel(logarithm, cpu.defaultStream());
    }

    @Override
    public NllLossKernel nllLossKernel(NllLossOptions options, Stream stream) {
        NllLossKernel kernel = cpu.nllLossKernel(options, cpu.defaultStream());
        return new NllLossKernel() {
            @Override
            public void run(NllLossCall call) {
                kernel.run(call);
                afterNllLoss.accept(call);
            }

            @Override
            public void close() {
                kernel.close();
            }
        };
    }

    @Override
    public SgdKernel sgdKernel(List<SgdGroup> groups, Stream stream) {
        return cpu.sgdKernel(groups, cpu.defaultStream());
    }

    @Override
    public GuardedKernel guardedAdamKernel(List<AdamGroup> groups, StepOptions step, Stream stream) {
        GuardedKernel kernel = cpu.guardedAdamKernel(groups, step, cpu.defaultStream());
        return !step.accumulateGrad()
                ? kernel
                : new Guarded(kernel, groups.stream().map(group -> group.parameters().stream()
                        .map(p -> new GuardedTensors(p.param(), p.grad(), p.gradAccumulator())).toList()).toList());
    }

    @Override
    public GuardedKernel guardedSgdKernel(List<SgdGroup> groups, StepOptions step, Stream stream) {
        GuardedKernel kernel = cpu.guardedSgdKernel(groups, step, cpu.defaultStream());
        return !step.accumulateGrad()
                ? kernel
                : new Guarded(kernel, groups.stream().map(group -> group.parameters().stream()
                        .map(p -> new GuardedTensors(p.param(), p.grad(), p.gradAccumulator())).toList()).toList());
    }

    private final class Guarded implements GuardedKernel {
        private final GuardedKernel kernel;
        private final List<List<GuardedTensors>> groups;

        Guarded(GuardedKernel kernel, List<List<GuardedTensors>> groups) {
            this.kernel = kernel;
            this.groups = groups;
        }

        @Override
        public void set(int group, double lr, boolean enabled) {
            kernel.set(group, lr, enabled);
        }

        @Override
        public void setGradDivisor(float gradDivisor) {
            kernel.setGradDivisor(gradDivisor);
        }

        @Override
        public void queueChanges() {
            kernel.queueChanges();
        }

        @Override
        public void accumulate() {
            kernel.accumulate();
            afterGuarded.accept(new GuardedCall(true, kernel, groups));
        }

        @Override
        public void accumulateAndStep() {
            accumulate();
            step();
        }

        @Override
        public void step() {
            kernel.step();
            afterGuarded.accept(new GuardedCall(false, kernel, groups));
        }

        @Override
        public StepState state() {
            return kernel.state();
        }

        @Override
        public void setState(StepState state) {
            kernel.setState(state);
        }

        @Override
        public long stepCount(int group) {
            return kernel.stepCount(group);
        }

        @Override
        public void setStepCount(int group, long stepCount) {
            kernel.setStepCount(group, stepCount);
        }

        @Override
        public Tensor gradScale() {
            return kernel.gradScale();
        }

        @Override
        public void close() {
            kernel.close();
        }
    }

    @Override
    public AdamKernel adamKernel(List<AdamGroup> groups, Stream stream) {
        AdamKernel kernel = cpu.adamKernel(groups, cpu.defaultStream());
        return new AdamKernel() {
            @Override
            public void step(AdamScalars[] scalars) {
                kernel.step(scalars);
                groups.forEach(group -> group.parameters().forEach(afterAdam));
            }

            @Override
            public void close() {
                kernel.close();
            }
        };
    }

    @Override
    public void close() {
        cpu.close();
    }
}
