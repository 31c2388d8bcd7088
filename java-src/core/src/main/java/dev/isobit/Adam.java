package dev.isobit;

import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.AdamScalars;
import java.util.ArrayList;
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
 * <p>Shapes: any; a parameter, its gradient and moments have one element count, F32. Non-finite values follow the
 * formula. No tensor may overlap another.
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
    private static final String[] ROLES = {"param", "grad", "expAvg", "expAvgSq", "maxExpAvgSq"};

    private final AdamOptions options;
    private final List<AdamParameter> parameters;
    private final OptimizerTensors tensors;
    private final AdamKernel kernel;
    private final AdamScalars scalars = new AdamScalars();
    private double lr;
    private long stepCount;
    private boolean closed;

    private Adam(Backend backend, AdamOptions options, List<AdamParameter> parameters, Stream stream) {
        this.options = options;
        this.lr = options.lr();
        this.tensors = new OptimizerTensors("Adam", backend);
        boolean made = false;
        try {
            this.parameters = complete(parameters);
            this.kernel = backend.adamKernel(options, this.parameters, stream);
            made = true;
        } finally {
            if (!made) {
                tensors.close();
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

    private List<AdamParameter> complete(List<AdamParameter> given) {
        for (AdamParameter p : given) {
            if (p.maxExpAvgSq() != null && !options.amsgrad()) {
                throw new IllegalArgumentException(
                        "Adam.on: maxExpAvgSq of " + p.name() + " is given, and amsgrad is false");
            }
            tensors.add(p.name(), ROLES, p.param(), p.grad(), p.expAvg(), p.expAvgSq(), p.maxExpAvgSq());
        }
        tensors.checkOverlap();
        List<AdamParameter> completed = new ArrayList<>();
        for (AdamParameter p : given) {
            completed.add(new AdamParameter(p.name(), p.param(), p.grad(), state(p, p.expAvg(), 2),
                    state(p, p.expAvgSq(), 3), options.amsgrad() ? state(p, p.maxExpAvgSq(), 4) : null));
        }
        tensors.complete();
        return List.copyOf(completed);
    }

    private Tensor state(AdamParameter p, @Nullable Tensor given, int role) {
        return tensors.orAllocate(given, ROLES[role] + " of " + p.name(), p.param());
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
        tensors.requireUsable();
        scalars.set(options, lr, stepCount + 1);
        kernel.step(scalars);
        stepCount++;
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
            tensors.close();
        }
    }
}
