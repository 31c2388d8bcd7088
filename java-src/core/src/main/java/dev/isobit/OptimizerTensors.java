package dev.isobit;

import dev.isobit.spi.CountedMemory;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The tensors of an optimizer: checked when it is made, their memory looked at again before each step. Owns the state
 * that it allocated.
 */
final class OptimizerTensors {
    /** The role of what a parameter of 16 bits is computed in. */
    static final String MASTER = "master";
    /** The role of what gradients are added to. */
    static final String ACCUMULATOR = "gradAccumulator";

    private static final long MAX_STEP_COUNT = 1L << 53;

    private record Operand(String name, Tensor tensor) {}

    private final String optimizer;
    private final Backend backend;
    private final Operands checks;
    private final boolean writesGrad;
    private final List<Operand> operands = new ArrayList<>();
    private final List<Memory> owned = new ArrayList<>();
    /** To be looked at before each step. */
    private Memory[] memories = {};
    /** To be looked at once some such memory has ended. */
    private Memory[] counted = {};
    /** How often memory had ended when those were last looked at. */
    private long ends = -1;

    /**
     * Nothing yet.
     *
     * @param optimizer its name in messages
     * @param backend where it runs
     * @param stream a stream of that backend
     * @param writesGrad whether gradients are written, too
     */
    OptimizerTensors(String optimizer, Backend backend, Stream stream, boolean writesGrad) {
        if (stream.backend() != backend) {
            throw new IllegalArgumentException(optimizer + ".on: the stream belongs to backend "
                    + stream.backend().name() + ", not to this one, " + backend.name());
        }
        this.optimizer = optimizer;
        this.backend = backend;
        this.writesGrad = writesGrad;
        this.checks = new Operands(optimizer + ".on", backend);
    }

    /**
     * Takes a parameter and its tensors: their roles, param first, the second one the gradient, then state; null is to be
     * allocated. All of them may be BF16, parameter and gradient F16, too; a master and an accumulator may not.
     */
    void add(String parameter, String[] roles, @Nullable Tensor... tensors) {
        Tensor param = Objects.requireNonNull(tensors[0]);
        for (int role = 0; role < roles.length; role++) {
            Tensor tensor = tensors[role];
            if (tensor != null) {
                Operand o = new Operand(roles[role] + " of " + parameter, tensor);
                checks.require(tensor.elementCount() == param.elementCount(), o.name, tensor,
                        param.elementCount() + " elements as in param");
                if (roles[role].equals(MASTER)) {
                    checkMaster(o, param);
                } else if (roles[role].equals(ACCUMULATOR)) {
                    checkAccumulator(o);
                } else {
                    checkType(o, role >= 2);
                }
                checks.memory(o.name, tensor, writesGrad || role != 1);
                operands.add(o);
            }
        }
    }

    /** Refuses an accumulator that nothing would use. */
    void requireAccumulates(StepOptions options, String parameter, @Nullable Tensor accumulator) {
        if (accumulator != null && !options.accumulateGrad()) {
            throw checks.refuse(ACCUMULATOR + " of " + parameter + " is given, and accumulateGrad is false");
        }
    }

    private void checkType(Operand o, boolean isState) {
        DType dtype = o.tensor.dtype();
        checks.dtype(o.name, o.tensor, dtype == DType.BF16 || dtype == DType.F16 && !isState
                || dtype.isFloating() && backend.dtypes().contains(dtype),
                Operands.floatTypes(backend) + (isState ? ", BF16" : ", BF16, F16"));
    }

    /** A sum of many gradients would lose most of them in 16 bits. */
    private void checkAccumulator(Operand o) {
        checks.dtype(o.name, o.tensor, backend.dtypes().contains(o.tensor.dtype()), Operands.floatTypes(backend));
    }

    private void checkMaster(Operand o, Tensor param) {
        DType dtype = o.tensor.dtype();
        boolean isBf16 = param.dtype() == DType.BF16;
        if (!isBf16 && param.dtype() != DType.F16) {
            throw checks.refuse(o.name + " is given, and the parameter is " + param.dtype() + ", not BF16 or F16");
        }
        checks.dtype(o.name, o.tensor, dtype == DType.F32 || isBf16 && dtype == DType.I16,
                "F32" + (isBf16 ? " or I16" : "") + " for a parameter of " + param.dtype());
    }

    /** What was given, or new zeroed memory of the parameter's shape, and of its type unless that has 16 bits: then F32. */
    Tensor orAllocate(@Nullable Tensor given, String name, Tensor param) {
        if (given != null) {
            return given;
        }
        boolean isNarrow = param.dtype().byteSize() < Float.BYTES;
        Tensor state = backend.allocate(isNarrow ? DType.F32 : param.dtype(), param.shape());
        owned.add(state.memory());
        operands.add(new Operand(name, state));
        return state;
    }

    /** Refuses tensors that overlap. */
    void checkOverlap() {
        // Sorted by address, the first overlap is between neighbours: n log n for thousands of tensors.
        List<Operand> sorted = new ArrayList<>(operands);
        sorted.removeIf(o -> o.tensor.elementCount() == 0 || hidesArray(o.tensor));
        Map<Object, Integer> arrays = new IdentityHashMap<>();
        sorted.forEach(o -> arrays.putIfAbsent(space(o.tensor), arrays.size()));
        sorted.sort((a, b) -> {
            int space = Integer.compare(arrays.get(space(a.tensor)), arrays.get(space(b.tensor)));
            return space != 0 ? space : Long.compareUnsigned(a.tensor.address(), b.tensor.address());
        });
        Operand furthest = null;
        for (Operand o : sorted) {
            if (furthest != null && furthest.tensor.overlaps(o.tensor)) {
                throw checks.refuse(furthest.name + " " + furthest.tensor + " overlaps " + o.name + " " + o.tensor);
            }
            furthest = o;
        }
        // A read-only view of an array does not tell which array: it has no place in that order.
        for (Operand hidden : operands) {
            if (hidesArray(hidden.tensor)) {
                for (Operand o : operands) {
                    if (o != hidden && hidden.tensor.overlaps(o.tensor)) {
                        throw checks.refuse(hidden.name + " " + hidden.tensor + " overlaps " + o.name + " " + o.tensor);
                    }
                }
            }
        }
    }

    private static boolean hidesArray(Tensor tensor) {
        return tensor.memory() instanceof HostMemory host && host.hidesArray();
    }

    /** Addresses of one array are comparable, those of different arrays are not. */
    private static Object space(Tensor tensor) {
        return tensor.memory() instanceof HostMemory host && host.array() != null
                ? host.array()
                : OptimizerTensors.class;
    }

    /**
     * All tensors are known. Of memory that is opened and closed together one is looked at before a step, of arrays none, and
     * of memory whose end is counted none until some has ended: thousands of small tensors would else cost more than their
     * update.
     */
    void complete() {
        Map<Object, Memory> distinct = new LinkedHashMap<>();
        for (Operand o : operands) {
            Memory memory = o.tensor.memory();
            if (!(memory instanceof HostMemory host)) {
                distinct.putIfAbsent(memory, memory);
            } else if (host.segment().isNative()) {
                distinct.putIfAbsent(host.segment().scope(), memory);
            }
        }
        memories = distinct.values().stream().filter(m -> !(m instanceof CountedMemory)).toArray(Memory[]::new);
        counted = distinct.values().stream().filter(m -> m instanceof CountedMemory).toArray(Memory[]::new);
    }

    /** Before a step, or another call: all memory is open, and the calling thread's to use. */
    void requireUsable(String call) {
        requireUsable(call, memories);
        // Counted first: what ends meanwhile is found the next time.
        long now = CountedMemory.ends();
        if (now != ends) {
            requireUsable(call, counted);
            ends = now;
        }
    }

    private void requireUsable(String call, Memory[] all) {
        for (Memory memory : all) {
            if (!memory.isAlive()) {
                throw new IllegalStateException(
                        optimizer + "." + call + ": the memory of " + operandIn(memory) + " is closed");
            }
            if (!Operands.isAccessible(memory)) {
                throw new WrongThreadException(
                        optimizer + "." + call + ": " + operandIn(memory) + " is confined to another thread than "
                                + Thread.currentThread().getName());
            }
        }
    }

    /** The first operand that lies in some memory, for messages. */
    private String operandIn(Memory memory) {
        return operands.stream().filter(o -> o.tensor.memory() == memory).map(o -> o.name + " " + o.tensor).findFirst()
                .orElseThrow();
    }

    /** A step count that may be set. Beyond 2^53 a float64 does not hold it; a count that overflows would be negative. */
    static long checkedStepCount(String optimizer, long stepCount) {
        if (stepCount < 0 || stepCount > MAX_STEP_COUNT) {
            throw new IllegalArgumentException(optimizer + ".setStepCount: " + stepCount + " is "
                    + (stepCount < 0 ? "negative" : "above 2^53"));
        }
        return stepCount;
    }

    /** Releases what was allocated. */
    void close() {
        owned.forEach(Memory::close);
    }
}
