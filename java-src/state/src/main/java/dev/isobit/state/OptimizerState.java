package dev.isobit.state;

import dev.isobit.Adam;
import dev.isobit.AdamParameter;
import dev.isobit.Backend;
import dev.isobit.DType;
import dev.isobit.Sgd;
import dev.isobit.SgdParameter;
import dev.isobit.StepState;
import dev.isobit.Tensor;
import dev.isobit.math.NarrowFloats;
import dev.isobit.safetensors.SafetensorsException;
import dev.isobit.safetensors.SafetensorsFile;
import dev.isobit.safetensors.StoredTensor;
import dev.isobit.safetensors.StoredType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * An optimizer's parameters, moments and step count in a safetensors file. What is loaded continues with the bits that
 * it would have had, on this backend or another.
 *
 * <p>Layout: for a parameter named {@code fc.weight}, with the names that PyTorch gives its optimizers' state
 * <pre>
 * fc.weight                  the parameter, of its type and shape
 * fc.weight.exp_avg          first moment, of Adam and AdamW
 * fc.weight.exp_avg_sq       second moment
 * fc.weight.max_exp_avg_sq   its maximum, with amsgrad
 * fc.weight.momentum_buffer  momentum, of SGD
 * fc.weight.master_param     the master of a parameter of 16 bits, F32, or its remainders, I16: as Transformer Engine names them
 * fc.weight.grad_accumulator sum of the gradients since the last step, with accumulateGrad
 * fc.weight.step             steps done, a scalar: F32 as in PyTorch while it is exact there, up to 2^24; else I64
 * grad_scaler.scale           with StepOptions that look at gradients: the loss scale, an F32 scalar
 * grad_scaler._growth_tracker steps since it changed, an I64 scalar; both as PyTorch's GradScaler names them
 * grad_scaler.skipped_steps   steps that were skipped, an I64 scalar
 * </pre>
 * The last three may be absent from a file that is loaded: the optimizer keeps its own. So may the sums of gradients, all of
 * them: they become zero, as they are after a step. The steps of SGD are not in PyTorch's files: they are taken to be begun where there is a momentum buffer. All parameters of
 * a group have done the same number of steps. The metadata has {@code format} = {@code pt}. Options and the learning rate are code, not state: they are not in the file.
 *
 * <p>A file from PyTorch is loaded if its names are made of the parameters' names in this way, with or without the
 * parameters themselves:
 * <pre>
 * state = {f"{name}.{key}": value.contiguous() for name, parameter in model.named_parameters()
 *          for key, value in optimizer.state[parameter].items() if value is not None}
 * safetensors.torch.save_file(state, "optimizer.safetensors")
 * </pre>
 * or of their numbers, as PyTorch's {@code state_dict} has them: through all groups in order, from 0. The optimizer here has
 * the same groups of the same parameters in the same order then.
 * <pre>
 * state = {f"state.{number}.{key}": value.contiguous() for number, kept in optimizer.state_dict()["state"].items()
 *          for key, value in kept.items() if value is not None}
 * </pre>
 * What is F32 here may be BF16 or F16 in the file, as PyTorch keeps the moments of such parameters: it is widened, which is
 * exact. A file without parameters may be without masters and remainders, all of them, which PyTorch does not have: the
 * optimizer keeps its own.
 *
 * <p>Threading: as the optimizer, which belongs to one thread. Tensors on a device are copied in the order of the backend's
 * default stream: an optimizer on a stream of its own is synchronised before.
 */
public final class OptimizerState {
    /** A float counts to here by ones. */
    private static final long EXACT_IN_FLOAT = 1L << 24;

    private static final String SCALE = "grad_scaler.scale";
    private static final String GROWTH_TRACKER = "grad_scaler._growth_tracker";
    private static final String SKIPPED_STEPS = "grad_scaler.skipped_steps";

    /** As PyTorch's state_dict has it. */
    private static final Pattern NUMBERED = Pattern.compile("state\\.[0-9]+\\..*");

    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

    private OptimizerState() {}

    /** What a file may be without, see above. */
    private enum Kind {
        PARAM, STATE, MASTER, SUM
    }

    /** What an optimizer keeps under a name. */
    private record Slot(String name, Tensor tensor, Kind kind) {
        /** The same of a parameter of another name. */
        Slot named(String before, String after) {
            return new Slot(after + name.substring(before.length()), tensor, kind);
        }
    }

    /**
     * Parameters with one step count.
     *
     * @param parameters what is kept of each, the parameter itself first
     * @param stepCount steps done
     * @param setStepCount sets them
     * @param stepsUnsaid steps done where the file does not say; -1 if it has to
     */
    private record Group(List<List<Slot>> parameters, LongSupplier stepCount, LongConsumer setStepCount,
            long stepsUnsaid) {}

    /**
     * Writes the state of Adam or AdamW, whole or not at all: see {@link SafetensorsFile#write}.
     *
     * @param file where; its folder must be there; an older file is replaced
     * @param backend the optimizer's backend
     * @param adam the optimizer; its parameters' names must differ
     * @throws IllegalArgumentException if two tensors would have one name
     * @throws IllegalStateException if a tensor's memory is closed
     * @throws java.io.UncheckedIOException if the file cannot be written
     */
    public static void save(Path file, Backend backend, Adam adam) {
        save(file, backend, groups(adam), scaler(adam));
    }

    /**
     * Writes the state of SGD, whole or not at all: see {@link SafetensorsFile#write}.
     *
     * @param file where; its folder must be there; an older file is replaced
     * @param backend the optimizer's backend
     * @param sgd the optimizer; its parameters' names must differ
     * @throws IllegalArgumentException if two tensors would have one name
     * @throws IllegalStateException if a tensor's memory is closed
     * @throws java.io.UncheckedIOException if the file cannot be written
     */
    public static void save(Path file, Backend backend, Sgd sgd) {
        save(file, backend, groups(sgd), scaler(sgd));
    }

    /**
     * Loads the state of Adam or AdamW, parameters included where the file has them. All is checked before anything is
     * changed.
     *
     * @param file a file of {@link #save}, or one from PyTorch with these names
     * @param backend the optimizer's backend
     * @param adam the optimizer, with parameters of the names or numbers, types and shapes in the file
     * @throws SafetensorsException if the file is damaged or holds anything but the state of these parameters; the message
     *     names file, tensor and value
     * @throws IllegalStateException if a tensor's memory is closed
     * @throws java.io.UncheckedIOException if the file cannot be read
     */
    public static void load(Path file, Backend backend, Adam adam) {
        load(file, backend, groups(adam), scaler(adam));
    }

    /**
     * Loads the state of SGD, parameters included where the file has them. All is checked before anything is changed.
     *
     * @param file a file of {@link #save}, or one from PyTorch with these names
     * @param backend the optimizer's backend
     * @param sgd the optimizer, with parameters of the names or numbers, types and shapes in the file
     * @throws SafetensorsException if the file is damaged or holds anything but the state of these parameters; the message
     *     names file, tensor and value
     * @throws IllegalStateException if a tensor's memory is closed
     * @throws java.io.UncheckedIOException if the file cannot be read
     */
    public static void load(Path file, Backend backend, Sgd sgd) {
        load(file, backend, groups(sgd), scaler(sgd));
    }

    private static List<Group> groups(Adam adam) {
        return IntStream.range(0, adam.groups().size())
                .mapToObj(i -> new Group(adam.groups().get(i).parameters().stream().map(OptimizerState::slots).toList(),
                        () -> adam.stepCount(i), count -> adam.setStepCount(i, count), -1))
                .toList();
    }

    /** PyTorch counts no steps of SGD: where there is a momentum buffer, the first one is done. */
    private static List<Group> groups(Sgd sgd) {
        return IntStream.range(0, sgd.groups().size())
                .mapToObj(i -> new Group(sgd.groups().get(i).parameters().stream().map(OptimizerState::slots).toList(),
                        () -> sgd.stepCount(i), count -> sgd.setStepCount(i, count),
                        sgd.groups().get(i).options().momentum() == 0 ? 0 : 1))
                .toList();
    }

    /** What an optimizer keeps of all groups, if it looks at gradients. */
    private record Scaler(Supplier<StepState> state, Consumer<StepState> setState) {}

    private static @Nullable Scaler scaler(Adam adam) {
        return adam.stepOptions().checksGrad() ? new Scaler(adam::stepState, adam::setStepState) : null;
    }

    private static @Nullable Scaler scaler(Sgd sgd) {
        return sgd.stepOptions().checksGrad() ? new Scaler(sgd::stepState, sgd::setStepState) : null;
    }

    private static void save(Path file, Backend backend, List<Group> groups, @Nullable Scaler scaler) {
        List<StoredTensor> stored = new ArrayList<>();
        try (Arena arena = Arena.ofShared()) {
            for (Group group : groups) {
                for (List<Slot> slots : group.parameters) {
                    for (Slot slot : slots) {
                        stored.add(new StoredTensor(slot.name, type(slot.tensor), slot.tensor.shape(),
                                onHost(backend, slot.tensor, arena)));
                    }
                    stored.add(step(stepName(slots), group.stepCount.getAsLong()));
                }
            }
            if (scaler != null) {
                StepState state = scaler.state.get();
                stored.add(scalar(SCALE, StoredType.F32, Float.floatToRawIntBits(state.gradScale())));
                stored.add(scalar(GROWTH_TRACKER, StoredType.I64, state.growthTracker()));
                stored.add(scalar(SKIPPED_STEPS, StoredType.I64, state.skippedSteps()));
            }
            SafetensorsFile.write(file, Map.of("format", "pt"), stored);
        }
    }

    private static void load(Path file, Backend backend, List<Group> groups, @Nullable Scaler scaler) {
        try (SafetensorsFile saved = SafetensorsFile.open(file); Arena arena = Arena.ofShared()) {
            Set<String> left = new HashSet<>(saved.names());
            List<Group> inFile = isNumbered(left, groups) ? numbered(groups) : groups;
            long[] steps = new long[groups.size()];
            for (int i = 0; i < steps.length; i++) {
                steps[i] = steps(saved, inFile.get(i), left);
            }
            List<Slot> wanted = new ArrayList<>();
            inFile.forEach(group -> group.parameters.forEach(wanted::addAll));
            Set<Kind> kinds = EnumSet.of(Kind.STATE);
            wanted.stream().filter(slot -> left.contains(slot.name)).forEach(slot -> kinds.add(slot.kind));
            if (kinds.contains(Kind.PARAM)) {
                kinds.add(Kind.MASTER);
            }
            List<Slot> zeros = kinds.contains(Kind.SUM)
                    ? List.of()
                    : wanted.stream().filter(slot -> slot.kind == Kind.SUM).toList();
            wanted.removeIf(slot -> !kinds.contains(slot.kind));
            for (Slot slot : wanted) {
                check(saved, slot, left);
            }
            zeros.forEach(OptimizerState::checkAlive);
            StepState state = scaler != null && saved.find(SCALE) != null ? state(saved, left) : null;
            if (!left.isEmpty()) {
                throw new SafetensorsException(file, left.iterator().next(),
                        "it is no state of this optimizer's parameters");
            }
            for (Slot slot : wanted) {
                StoredTensor stored = saved.tensor(slot.name);
                if (isWidened(stored, slot.tensor)) {
                    try (Arena own = Arena.ofShared()) {
                        fill(backend, widened(stored, own), slot.tensor, own);
                    }
                } else {
                    fill(backend, stored.bytes(), slot.tensor, arena);
                }
            }
            for (Slot slot : zeros) {
                fill(backend, arena.allocate(slot.tensor.byteSize(), Long.BYTES), slot.tensor, arena);
            }
            for (int i = 0; i < steps.length; i++) {
                groups.get(i).setStepCount.accept(steps[i]);
            }
            if (scaler != null && state != null) {
                scaler.setState.accept(state);
            }
        }
    }

    /** Whether a file has numbers for names, and none of the parameters' own. */
    private static boolean isNumbered(Set<String> names, List<Group> groups) {
        return names.stream().anyMatch(NUMBERED.asMatchPredicate())
                && groups.stream().flatMap(group -> group.parameters.stream())
                        .noneMatch(slots -> names.contains(stepName(slots))
                                || slots.stream().anyMatch(slot -> names.contains(slot.name)));
    }

    private static List<Group> numbered(List<Group> groups) {
        List<Group> numbered = new ArrayList<>();
        int number = 0;
        for (Group group : groups) {
            List<List<Slot>> parameters = new ArrayList<>();
            for (List<Slot> slots : group.parameters) {
                String before = slots.getFirst().name;
                String after = "state." + number++;
                parameters.add(slots.stream().map(slot -> slot.named(before, after)).toList());
            }
            numbered.add(new Group(parameters, group.stepCount, group.setStepCount, group.stepsUnsaid));
        }
        return numbered;
    }

    private static String stepName(List<Slot> slots) {
        return slots.getFirst().name + ".step";
    }

    /** The steps that all parameters of a group have done. */
    private static long steps(SafetensorsFile saved, Group group, Set<String> left) {
        long all = -1;
        for (List<Slot> slots : group.parameters) {
            String name = stepName(slots);
            boolean said = group.stepsUnsaid < 0 || saved.find(name) != null;
            long steps = said ? steps(saved, name, left) : group.stepsUnsaid;
            if (all >= 0 && steps != all) {
                throw new SafetensorsException(saved.file(), name,
                        steps + " steps were done, but " + all + " with the parameters before in its group");
            }
            all = steps;
        }
        return Math.max(0, all);
    }

    private static List<Slot> slots(AdamParameter p) {
        List<Slot> slots = new ArrayList<>();
        add(slots, p.name(), p.param(), Kind.PARAM);
        add(slots, p.name() + ".exp_avg", p.expAvg(), Kind.STATE);
        add(slots, p.name() + ".exp_avg_sq", p.expAvgSq(), Kind.STATE);
        add(slots, p.name() + ".max_exp_avg_sq", p.maxExpAvgSq(), Kind.STATE);
        add(slots, p.name() + ".master_param", p.master(), Kind.MASTER);
        add(slots, p.name() + ".grad_accumulator", p.gradAccumulator(), Kind.SUM);
        return slots;
    }

    private static List<Slot> slots(SgdParameter p) {
        List<Slot> slots = new ArrayList<>();
        add(slots, p.name(), p.param(), Kind.PARAM);
        add(slots, p.name() + ".momentum_buffer", p.momentumBuffer(), Kind.STATE);
        add(slots, p.name() + ".master_param", p.master(), Kind.MASTER);
        add(slots, p.name() + ".grad_accumulator", p.gradAccumulator(), Kind.SUM);
        return slots;
    }

    private static void add(List<Slot> slots, String name, @Nullable Tensor tensor, Kind kind) {
        if (tensor != null) {
            slots.add(new Slot(name, tensor, kind));
        }
    }

    private static StoredType type(Tensor tensor) {
        return StoredType.valueOf(tensor.dtype().name());
    }

    private static MemorySegment onHost(Backend backend, Tensor tensor, Arena arena) {
        if (backend.usesHostMemory()) {
            return tensor.segment();
        }
        Tensor host = Tensor.of(tensor.dtype(), arena.allocate(tensor.byteSize(), tensor.dtype().byteSize()),
                tensor.shape());
        backend.copy(tensor, host);
        return host.segment();
    }

    private static StoredTensor step(String name, long count) {
        return count <= EXACT_IN_FLOAT
                ? scalar(name, StoredType.F32, Float.floatToRawIntBits(count))
                : scalar(name, StoredType.I64, count);
    }

    private static StoredTensor scalar(String name, StoredType type, long bits) {
        MemorySegment bytes = MemorySegment.ofArray(new byte[type.byteSize()]);
        if (type == StoredType.F32) {
            bytes.set(ValueLayout.JAVA_INT_UNALIGNED.withOrder(ORDER), 0, (int) bits);
        } else {
            bytes.set(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ORDER), 0, bits);
        }
        return new StoredTensor(name, type, new long[0], bytes);
    }

    private static StepState state(SafetensorsFile saved, Set<String> left) {
        StoredTensor stored = saved.tensor(SCALE);
        left.remove(SCALE);
        if (stored.dtype() != StoredType.F32 || stored.bytes().byteSize() != Float.BYTES) {
            throw new SafetensorsException(saved.file(), SCALE, "it is " + stored.dtype()
                    + Arrays.toString(stored.shape()) + ", no F32 scalar");
        }
        float scale = stored.bytes().get(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER), 0);
        long growthTracker = steps(saved, GROWTH_TRACKER, left);
        long skipped = saved.find(SKIPPED_STEPS) == null ? 0 : steps(saved, SKIPPED_STEPS, left);
        try {
            return new StepState(scale, growthTracker, skipped, Double.NaN, false);
        } catch (IllegalArgumentException e) {
            throw new SafetensorsException(saved.file(), SCALE, e.getMessage());
        }
    }

    private static long steps(SafetensorsFile saved, String name, Set<String> left) {
        StoredTensor step = saved.tensor(name);
        left.remove(name);
        if (step.bytes().byteSize() != step.dtype().byteSize()) {
            throw new SafetensorsException(saved.file(), name, "shape " + Arrays.toString(step.shape())
                    + " is no scalar");
        }
        if (step.dtype() == StoredType.I64) {
            return counted(saved, name, step.bytes().get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ORDER), 0));
        }
        double value = switch (step.dtype()) {
            case F32 -> step.bytes().get(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ORDER), 0);
            case F64 -> step.bytes().get(ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ORDER), 0);
            case I32 -> step.bytes().get(ValueLayout.JAVA_INT_UNALIGNED.withOrder(ORDER), 0);
            default -> throw new SafetensorsException(saved.file(), name,
                    "dtype " + step.dtype() + " is none of F32, F64, I32, I64");
        };
        if (!(value < 0x1p63 && value == Math.rint(value))) {
            throw new SafetensorsException(saved.file(), name, value + " is no number of steps");
        }
        return counted(saved, name, (long) value);
    }

    /** As many as an optimizer takes. */
    private static long counted(SafetensorsFile saved, String name, long steps) {
        if (steps < 0 || steps > 1L << 53) {
            throw new SafetensorsException(saved.file(), name, steps + " is no number of steps");
        }
        return steps;
    }

    private static void check(SafetensorsFile saved, Slot slot, Set<String> left) {
        StoredTensor stored = saved.tensor(slot.name);
        left.remove(slot.name);
        boolean taken = stored.dtype() == type(slot.tensor) || isWidened(stored, slot.tensor);
        if (!taken || !Arrays.equals(stored.shape(), slot.tensor.shape())) {
            throw new SafetensorsException(saved.file(), slot.name, "it is " + stored.dtype()
                    + Arrays.toString(stored.shape()) + ", the optimizer's is " + slot.tensor.dtype()
                    + Arrays.toString(slot.tensor.shape()));
        }
        checkAlive(slot);
    }

    private static boolean isWidened(StoredTensor stored, Tensor into) {
        return into.dtype() == DType.F32 && (stored.dtype() == StoredType.BF16 || stored.dtype() == StoredType.F16);
    }

    private static MemorySegment widened(StoredTensor stored, Arena arena) {
        ValueLayout.OfShort layout = ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ORDER);
        MemorySegment floats = arena.allocate(2 * stored.bytes().byteSize(), Float.BYTES);
        for (long at = 0; at < stored.bytes().byteSize(); at += Short.BYTES) {
            short bits = stored.bytes().get(layout, at);
            floats.set(ValueLayout.JAVA_FLOAT, 2 * at,
                    stored.dtype() == StoredType.BF16 ? NarrowFloats.fromBf16(bits) : NarrowFloats.fromF16(bits));
        }
        return floats;
    }

    private static void checkAlive(Slot slot) {
        if (!slot.tensor.memory().isAlive()) {
            throw new IllegalStateException("OptimizerState.load: the memory of " + slot.name + " is closed");
        }
    }

    private static void fill(Backend backend, MemorySegment bytes, Tensor tensor, Arena arena) {
        if (backend.usesHostMemory()) {
            tensor.segment().copyFrom(bytes);
            return;
        }
        // Others' files may have elements at odd addresses.
        MemorySegment aligned = bytes.address() % tensor.dtype().byteSize() == 0
                ? bytes
                : arena.allocate(bytes.byteSize(), tensor.dtype().byteSize()).copyFrom(bytes);
        backend.copy(Tensor.of(tensor.dtype(), aligned, tensor.shape()), tensor);
    }
}
