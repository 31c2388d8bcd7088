package dev.isobit;

import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * Adam and AdamW over a list of parameters; a step is one launch.
 *
 * <p>With {@code g} the gradient (negated if {@code maximize}), {@code m = expAvg}, {@code v = expAvgSq}, and
 * {@link AdamScalars} for the scalars, one rounding per operation:
 * <pre>
 * g  = fma(gradDecay, p, g)                    Adam with weight decay only
 * m' = fma(w1, g - m, m)
 * v' = fma(w2, fma(g, g, -v), v)
 * p1 = p·paramDecay                            AdamW with weight decay only
 * p' = fma(negStepSize, m' / fma(sqrt(v'), rsqrtBc2, eps), p1)
 * </pre>
 *
 * <p>Shapes: any; a parameter, its gradient and moments have one element count, F32. Non-finite values follow the
 * formula. No tensor may overlap another.
 *
 * <p>Errors: {@link IllegalArgumentException} for shapes, overlap, devices and hyper-parameters;
 * {@link UnsupportedOperationException} for types the backend does not have; {@link IllegalStateException} for closed
 * memory or after {@link #close}; {@link WrongThreadException} for memory confined to another thread. Nothing is
 * written in any of these cases.
 *
 * <p>Threading: one thread at a time and one stream. It allocates nothing per step. Ownership: close it when done; it
 * owns its tables and the moments that it allocated. Source: Kingma and Ba 2014, Loshchilov and Hutter 2017; PyTorch
 * {@code torch.optim.AdamW}.
 */
public final class Adam implements AutoCloseable {
    private final AdamOptions options;
    private final List<AdamParameter> parameters;
    private final List<Memory> ownedMoments;
    private final Memory[] memories;
    private final AdamKernel kernel;
    private final AdamScalars scalars = new AdamScalars();
    private double lr;
    private long stepCount;
    private boolean closed;

    private Adam(Backend backend, AdamOptions options, List<AdamParameter> parameters, Stream stream) {
        this.options = options;
        this.lr = options.lr();
        this.ownedMoments = new ArrayList<>();
        boolean made = false;
        try {
            this.parameters = complete(backend, parameters);
            this.memories = memories(this.parameters);
            this.kernel = backend.adamKernel(options, this.parameters, stream);
            made = true;
        } finally {
            if (!made) {
                ownedMoments.forEach(Memory::close);
            }
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
        Objects.requireNonNull(options, "options");
        if (stream.backend() != backend) {
            throw new IllegalArgumentException("Adam.on: the stream belongs to backend " + stream.backend().name()
                    + ", not to this " + backend.name());
        }
        return new Adam(backend, options, parameters, stream);
    }

    private List<AdamParameter> complete(Backend backend, List<AdamParameter> given) {
        Operands checks = new Operands("Adam.on", backend);
        record Operand(String name, Tensor tensor, boolean written) {}
        List<Operand> all = new ArrayList<>();
        for (AdamParameter p : given) {
            all.add(new Operand("param of " + p.name(), p.param(), true));
            all.add(new Operand("grad of " + p.name(), p.grad(), false));
            if (p.expAvg() != null) {
                all.add(new Operand("expAvg of " + p.name(), p.expAvg(), true));
            }
            if (p.expAvgSq() != null) {
                all.add(new Operand("expAvgSq of " + p.name(), p.expAvgSq(), true));
            }
            for (Operand o : all.subList(all.size() - (p.expAvg() != null ? 1 : 0) - (p.expAvgSq() != null ? 1 : 0) - 2,
                    all.size())) {
                checks.require(o.tensor.elementCount() == p.param().elementCount(), o.name, o.tensor,
                        p.param().elementCount() + " elements as in param");
                checks.dtype(o.name, o.tensor, o.tensor.dtype().isFloating()
                        && backend.dtypes().contains(o.tensor.dtype()), backend.dtypes().toString());
                checks.memory(o.name, o.tensor, o.written);
            }
        }
        // Sorted by address, the first overlap is between neighbours: n log n for thousands of tensors.
        List<Operand> sorted = new ArrayList<>(all);
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
        for (Operand hidden : all) {
            if (hidesArray(hidden.tensor)) {
                for (Operand o : all) {
                    if (o != hidden && hidden.tensor.overlaps(o.tensor)) {
                        throw checks.refuse(hidden.name + " " + hidden.tensor + " overlaps " + o.name + " " + o.tensor);
                    }
                }
            }
        }
        List<AdamParameter> completed = new ArrayList<>();
        for (AdamParameter p : given) {
            Tensor expAvg = p.expAvg() != null ? p.expAvg() : moment(backend, p.param());
            Tensor expAvgSq = p.expAvgSq() != null ? p.expAvgSq() : moment(backend, p.param());
            completed.add(new AdamParameter(p.name(), p.param(), p.grad(), expAvg, expAvgSq));
        }
        return List.copyOf(completed);
    }

    private static boolean hidesArray(Tensor tensor) {
        return tensor.memory() instanceof HostMemory host && host.hidesArray();
    }

    /** Addresses of one array are comparable, those of different arrays are not. */
    private static Object space(Tensor tensor) {
        return tensor.memory() instanceof HostMemory host && host.array() != null ? host.array() : Adam.class;
    }

    private static Memory[] memories(List<AdamParameter> parameters) {
        Set<Memory> distinct = Collections.newSetFromMap(new IdentityHashMap<>());
        for (AdamParameter p : parameters) {
            for (Tensor t : new Tensor[] {p.param(), p.grad(), p.expAvg(), p.expAvgSq()}) {
                distinct.add(t.memory());
            }
        }
        return distinct.toArray(new Memory[0]);
    }

    private Tensor moment(Backend backend, Tensor param) {
        Tensor moment = backend.allocate(param.dtype(), param.shape());
        ownedMoments.add(moment.memory());
        return moment;
    }

    /**
     * Updates every parameter and its moments from its gradient, as step {@code stepCount() + 1}.
     *
     * @throws IllegalStateException if the optimizer or one of its tensors is closed
     * @throws WrongThreadException if a tensor is confined to another thread
     */
    public void step() {
        if (closed) {
            throw new IllegalStateException("Adam is closed");
        }
        for (Memory memory : memories) {
            if (!memory.isAlive()) {
                throw new IllegalStateException("Adam.step: the memory of " + operandIn(memory) + " is closed");
            }
            if (!Operands.isAccessible(memory)) {
                throw new WrongThreadException(
                        "Adam.step: " + operandIn(memory) + " is confined to another thread than "
                                + Thread.currentThread().getName());
            }
        }
        scalars.set(options, lr, stepCount + 1);
        kernel.step(scalars);
        stepCount++;
    }

    /** The first operand that lies in some memory, for messages. */
    private String operandIn(Memory memory) {
        for (AdamParameter p : parameters) {
            String[] names = {"param", "grad", "expAvg", "expAvgSq"};
            Tensor[] tensors = {p.param(), p.grad(), p.expAvg(), p.expAvgSq()};
            for (int i = 0; i < tensors.length; i++) {
                if (tensors[i].memory() == memory) {
                    return names[i] + " of " + p.name() + " " + tensors[i];
                }
            }
        }
        return memory.toString();
    }

    /**
     * The options given.
     *
     * @return options
     */
    public AdamOptions options() {
        return options;
    }

    /**
     * The parameters, with the moments in use.
     *
     * @return parameters in the order given
     */
    public List<AdamParameter> parameters() {
        return parameters;
    }

    /**
     * How many steps were done.
     *
     * @return step count
     */
    public long stepCount() {
        return stepCount;
    }

    /**
     * Sets the step count, to resume a run.
     *
     * @param stepCount steps done so far, at least 0
     */
    public void setStepCount(long stepCount) {
        if (stepCount < 0) {
            throw new IllegalArgumentException("Adam.setStepCount: " + stepCount + " is negative");
        }
        this.stepCount = stepCount;
    }

    /**
     * The learning rate of the next step.
     *
     * @return learning rate
     */
    public double lr() {
        return lr;
    }

    /**
     * Sets the learning rate from the next step on.
     *
     * @param lr learning rate, finite, at least 0
     */
    public void setLr(double lr) {
        this.lr = options.withLr(lr).lr();
    }

    /** Releases tables and the moments that this object allocated. Idempotent. */
    @Override
    public void close() {
        if (!closed) {
            closed = true;
            kernel.close();
            ownedMoments.forEach(Memory::close);
        }
    }
}
