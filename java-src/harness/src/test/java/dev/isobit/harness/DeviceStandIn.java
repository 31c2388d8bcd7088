package dev.isobit.harness;

import dev.isobit.AdamGroup;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.DeviceMemory;
import dev.isobit.HostMemory;
import dev.isobit.Memory;
import dev.isobit.NllLossOptions;
import dev.isobit.Reduction;
import dev.isobit.SgdGroup;
import dev.isobit.SgdParameter;
import dev.isobit.StepOptions;
import dev.isobit.Stream;
import dev.isobit.TargetOutOfRangeException;
import dev.isobit.Tensor;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.BceWithLogitsCall;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.CrossEntropyCall;
import dev.isobit.spi.CrossEntropyKernel;
import dev.isobit.spi.GuardedKernel;
import dev.isobit.spi.NllLossCall;
import dev.isobit.spi.NllLossKernel;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SoftmaxCall;
import dev.isobit.spi.SoftmaxKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A backend with memory of its own, as a GPU has: the cpu backend behind copies, with a device's way of telling bad
 * targets. What drives devices is tested on it.
 */
public final class DeviceStandIn implements Backend {
    private final Backend cpu = Backend.open("cpu");
    private final Stream stream = new DeviceStream();
    private @Nullable TargetOutOfRangeException pending;

    /** Memory that the host cannot read but through {@link #copy}. */
    private record Block(HostMemory hidden, Arena arena) implements DeviceMemory {
        @Override
        public String backendName() {
            return "device";
        }

        @Override
        public int deviceOrdinal() {
            return 0;
        }

        @Override
        public long byteSize() {
            return hidden.byteSize();
        }

        @Override
        public boolean isAlive() {
            return arena.scope().isAlive();
        }

        @Override
        public long address() {
            return hidden.address();
        }

        @Override
        public void close() {
            if (isAlive()) {
                arena.close();
            }
        }
    }

    private final class DeviceStream implements Stream {
        @Override
        public Backend backend() {
            return DeviceStandIn.this;
        }

        @Override
        public void synchronize() {
            TargetOutOfRangeException told = pending;
            pending = null;
            if (told != null) {
                throw told;
            }
        }

        @Override
        public void close() {}
    }

    @Override
    public String name() {
        return "device";
    }

    @Override
    public String description() {
        return "cpu behind copies";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F32);
    }

    @Override
    public boolean usesHostMemory() {
        return false;
    }

    @Override
    public boolean accepts(Memory memory) {
        return memory instanceof Block;
    }

    @Override
    public Memory allocate(long byteSize) {
        Arena arena = Arena.ofShared();
        return new Block(HostMemory.of(arena.allocate(byteSize, 256)), arena);
    }

    private static Tensor hidden(Tensor tensor) {
        return tensor.memory() instanceof Block block
                ? Tensor.of(tensor.dtype(), block.hidden, tensor.byteOffset(), tensor.shape())
                : tensor;
    }

    private static @Nullable Tensor hiddenOrNull(@Nullable Tensor tensor) {
        return tensor == null ? null : hidden(tensor);
    }

    @Override
    public void copy(Tensor from, Tensor to) {
        stream.synchronize();
        MemorySegment.copy(hidden(from).segment(), 0, hidden(to).segment(), 0, from.byteSize());
    }

    @Override
    public Stream defaultStream() {
        return stream;
    }

    @Override
    public CrossEntropyKernel crossEntropyKernel(CrossEntropyOptions options, Stream on) {
        CrossEntropyKernel kernel = cpu.crossEntropyKernel(options, cpu.defaultStream());
        return new CrossEntropyKernel() {
            @Override
            public void run(CrossEntropyCall call) {
                Tensor targets = hidden(Objects.requireNonNull(call.targets));
                var inside = new CrossEntropyCall();
                inside.plain = call.plain;
                inside.rows = call.rows;
                inside.classes = call.classes;
                inside.stride = call.stride;
                inside.inner = call.inner;
                inside.logits = hiddenOrNull(call.logits);
                inside.targets = targets;
                inside.probabilities = call.probabilities;
                inside.classWeights = hiddenOrNull(call.classWeights);
                inside.weights = hiddenOrNull(call.weights);
                inside.gradLoss = hiddenOrNull(call.gradLoss);
                inside.gradLossPerRow = call.gradLossPerRow;
                inside.gradLossScale = call.gradLossScale;
                inside.denominator = hiddenOrNull(call.denominator);
                inside.loss = hiddenOrNull(call.loss);
                inside.gradLogits = hiddenOrNull(call.gradLogits);
                inside.lse = hiddenOrNull(call.lse);
                inside.entropy = hiddenOrNull(call.entropy);
                inside.argmax = hiddenOrNull(call.argmax);
                inside.hits = hiddenOrNull(call.hits);
                inside.logProbabilities = hiddenOrNull(call.logProbabilities);
                inside.states = hiddenOrNull(call.states);
                inside.entropyTerms = call.entropyTerms;
                inside.places = call.places;
                inside.targetLogits = hiddenOrNull(call.targetLogits);
                inside.savedStates = hiddenOrNull(call.savedStates);
                inside.savedTargetLogits = hiddenOrNull(call.savedTargetLogits);
                inside.firstClass = call.firstClass;
                inside.allClasses = call.allClasses;
                if (!call.plain) {
                    kernel.run(inside);
                    return;
                }
                boolean[] bad = new boolean[(int) call.rows];
                inside.targets = sound("CrossEntropy", targets, options.ignoreIndex(), call.classes, bad);
                kernel.run(inside);
                for (int row = 0; row < bad.length; row++) {
                    if (bad[row]) {
                        nan(inside.gradLogits, row * call.classes, call.classes);
                        nan(inside.loss, inside.loss != null && inside.loss.rank() == 1 ? row : 0, 1);
                    }
                }
            }

            @Override
            public void close() {
                kernel.close();
            }
        };
    }

    /** Targets of which those out of range, which are told at the next wait, are ignored. */
    private Tensor sound(String operation, Tensor targets, long ignoreIndex, long classes, boolean[] bad) {
        long[] sound = new long[bad.length];
        long firstBad = -1;
        long firstTarget = 0;
        long count = 0;
        for (int row = 0; row < sound.length; row++) {
            // As the tensor's getter gives float64, large targets are told apart by their range only.
            sound[row] = (long) targets.get(row);
            bad[row] = sound[row] != ignoreIndex && (sound[row] < 0 || sound[row] >= classes);
            if (bad[row]) {
                firstTarget = firstBad < 0 ? sound[row] : firstTarget;
                firstBad = firstBad < 0 ? row : firstBad;
                sound[row] = ignoreIndex;
                count++;
            }
        }
        if (count > 0) {
            pending = new TargetOutOfRangeException(operation, firstBad, firstTarget, count);
        }
        return Tensor.of(sound, targets.shape());
    }

    private static void nan(@Nullable Tensor tensor, long from, long count) {
        for (long i = from; tensor != null && i < from + count; i++) {
            tensor.segment().set(ValueLayout.JAVA_FLOAT_UNALIGNED, i * 4, Float.NaN);
        }
    }

    @Override
    public BceWithLogitsKernel bceWithLogitsKernel(BceWithLogitsOptions options, Stream on) {
        BceWithLogitsKernel kernel = cpu.bceWithLogitsKernel(options, cpu.defaultStream());
        return new BceWithLogitsKernel() {
            @Override
            public void run(BceWithLogitsCall call) {
                var inner = new BceWithLogitsCall();
                inner.count = call.count;
                inner.logits = hidden(Objects.requireNonNull(call.logits));
                inner.targets = hidden(Objects.requireNonNull(call.targets));
                inner.targetBits = call.targetBits;
                inner.posWeight = hiddenOrNull(call.posWeight);
                inner.weights = hiddenOrNull(call.weights);
                inner.mask = hiddenOrNull(call.mask);
                inner.gradLoss = hiddenOrNull(call.gradLoss);
                inner.gradLossPerElement = call.gradLossPerElement;
                inner.loss = hiddenOrNull(call.loss);
                inner.gradLogits = hiddenOrNull(call.gradLogits);
                inner.sigmoid = hiddenOrNull(call.sigmoid);
                if (inner.posWeight != null) {
                    inner.posWeightBroadcast.set(inner.logits, inner.posWeight);
                }
                if (inner.weights != null) {
                    inner.weightsBroadcast.set(inner.logits, inner.weights);
                }
                if (inner.mask != null) {
                    inner.maskBroadcast.set(inner.logits, inner.mask);
                }
                kernel.run(inner);
            }

            @Override
            public void close() {
                kernel.close();
            }
        };
    }

    @Override
    public SoftmaxKernel softmaxKernel(boolean logarithm, Stream on) {
        SoftmaxKernel kernel = cpu.softmaxKernel(logarithm, cpu.defaultStream());
        return new SoftmaxKernel() {
            @Override
            public void run(SoftmaxCall call) {
                var inside = new SoftmaxCall();
                inside.outer = call.outer;
                inside.classes = call.classes;
                inside.inner = call.inner;
                inside.input = hiddenOrNull(call.input);
                inside.gradOutput = hiddenOrNull(call.gradOutput);
                inside.result = hiddenOrNull(call.result);
                kernel.run(inside);
            }

            @Override
            public void close() {
                kernel.close();
            }
        };
    }

    @Override
    public NllLossKernel nllLossKernel(NllLossOptions options, Stream on) {
        NllLossKernel kernel = cpu.nllLossKernel(options, cpu.defaultStream());
        return new NllLossKernel() {
            @Override
            public void run(NllLossCall call) {
                var inside = new NllLossCall();
                inside.outer = call.outer;
                inside.classes = call.classes;
                inside.inner = call.inner;
                inside.logProbabilities = hiddenOrNull(call.logProbabilities);
                inside.classWeights = hiddenOrNull(call.classWeights);
                inside.gradLoss = hiddenOrNull(call.gradLoss);
                inside.gradLossPerRow = call.gradLossPerRow;
                inside.loss = hiddenOrNull(call.loss);
                inside.gradLogProbabilities = hiddenOrNull(call.gradLogProbabilities);
                boolean[] bad = new boolean[(int) (call.outer * call.inner)];
                inside.targets = sound("NllLoss", hidden(Objects.requireNonNull(call.targets)), options.ignoreIndex(),
                        call.classes, bad);
                kernel.run(inside);
                for (int row = 0; row < bad.length; row++) {
                    for (long k = 0; bad[row] && k < call.classes; k++) {
                        nan(inside.gradLogProbabilities,
                                (row / call.inner * call.classes + k) * call.inner + row % call.inner, 1);
                    }
                    if (bad[row]) {
                        nan(inside.loss, options.reduction() == Reduction.NONE ? row : 0, 1);
                    }
                }
            }

            @Override
            public void close() {
                kernel.close();
            }
        };
    }

    @Override
    public AdamKernel adamKernel(List<AdamGroup> groups, Stream on) {
        return cpu.adamKernel(hiddenAdam(groups), cpu.defaultStream());
    }

    @Override
    public GuardedKernel guardedAdamKernel(List<AdamGroup> groups, StepOptions step, Stream on) {
        return cpu.guardedAdamKernel(hiddenAdam(groups), step, cpu.defaultStream());
    }

    private List<AdamGroup> hiddenAdam(List<AdamGroup> groups) {
        return groups.stream().map(group -> new AdamGroup(group.options(), group.parameters().stream()
                .map(p -> new AdamParameter(p.name(), hidden(p.param()), hidden(p.grad()), hiddenOrNull(p.expAvg()),
                        hiddenOrNull(p.expAvgSq()), hiddenOrNull(p.maxExpAvgSq()), hiddenOrNull(p.master()),
                        hiddenOrNull(p.gradAccumulator())))
                .toList())).toList();
    }

    @Override
    public SgdKernel sgdKernel(List<SgdGroup> groups, Stream on) {
        return cpu.sgdKernel(hiddenSgd(groups), cpu.defaultStream());
    }

    @Override
    public GuardedKernel guardedSgdKernel(List<SgdGroup> groups, StepOptions step, Stream on) {
        return cpu.guardedSgdKernel(hiddenSgd(groups), step, cpu.defaultStream());
    }

    private List<SgdGroup> hiddenSgd(List<SgdGroup> groups) {
        return groups.stream().map(group -> new SgdGroup(group.options(), group.parameters().stream()
                .map(p -> new SgdParameter(p.name(), hidden(p.param()), hidden(p.grad()),
                        hiddenOrNull(p.momentumBuffer()), hiddenOrNull(p.master()),
                        hiddenOrNull(p.gradAccumulator())))
                .toList())).toList();
    }

    @Override
    public void close() {
        cpu.close();
    }
}
