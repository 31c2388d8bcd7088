package dev.isobit.sim;

import dev.isobit.IsobitException;
import dev.isobit.cuda.CudaFinding;
import dev.isobit.cuda.CudaProvider;
import dev.isobit.ptx.DeviceFault;
import dev.isobit.ptx.Finding;
import dev.isobit.ptx.LaunchReport;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * The simulated CUDA driver of this JVM: there is one, from {@link #start} until the JVM ends. What goes through
 * {@code libcuda.so.1} afterwards, JCuda's calls in particular, is answered here.
 *
 * <p>Memory, streams and kernels are real; only their device is not. Streams are asynchronous: what they are given is
 * done when something waits for it, in an order that a seed decides where CUDA leaves it open, so that a wait which is
 * missing shows. Addresses are never used again, so that use after free is an illegal address. A kernel that fails
 * takes its context along, as on a device.
 *
 * <p>Not simulated: contexts other than the primary one, the per-thread default stream, graphs, textures, memory pools,
 * access of kernels to host memory. A function that is missing returns {@code CUDA_ERROR_NOT_SUPPORTED}, and its name is
 * in {@link #notSupported}.
 *
 * <p>Thread-safe; calls into the driver are answered one at a time.
 */
public final class SimulatedDriver {
    private static final System.Logger LOG = System.getLogger("isobit");
    private static final int MOST_KEPT = 1000;

    private static @Nullable SimulatedDriver running;

    private final ExecutorService deviceThread =
            Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon().name("isobit-sim").factory());
    private final Path library;
    private final Faults faults = new Faults();
    private final Map<String, Long> calls = new TreeMap<>();
    private final List<String> violations = new ArrayList<>();
    private final List<String> notSupported = new ArrayList<>();
    private final List<Finding> findings = new ArrayList<>();
    private final List<DeviceFault> deviceFaults = new ArrayList<>();
    private DriverFunctions functions;
    private SimOptions options;
    private final Map<String, Long> launches = new TreeMap<>();
    private long threadInstructions;

    private SimulatedDriver(Path library, SimOptions options) {
        this.library = library;
        this.options = options;
        this.functions = new DriverFunctions(this, options);
    }

    /**
     * Makes the simulated driver the {@code libcuda.so.1} of this JVM.
     *
     * @param options what is simulated
     * @return the driver
     * @throws IsobitException if it runs already, if this JVM has another {@code libcuda.so.1}, or if it cannot be loaded
     */
    public static synchronized SimulatedDriver start(SimOptions options) {
        if (running != null) {
            throw new IsobitException("the simulated driver runs already");
        }
        String other = CudaProvider.loadedLibrary();
        if (other != null) {
            throw new IsobitException("this JVM has loaded " + other
                    + " for the backend cuda: sim and cuda exclude each other in a JVM");
        }
        StandIn standIn = StandIn.load();
        try {
            var driver = new SimulatedDriver(standIn.file(), options);
            driver.bind(standIn);
            // The cuda module takes it as the library of this process.
            CudaFinding finding = new CudaProvider(SimProvider.NAME, standIn.file()).find();
            if (finding.library() == null) {
                throw new IsobitException("backend sim: " + finding.summary());
            }
            driver.clear();
            running = driver;
            return driver;
        } finally {
            standIn.removeFile();
        }
    }

    /**
     * The driver that was started.
     *
     * @return the driver; null before
     */
    public static synchronized @Nullable SimulatedDriver running() {
        return running;
    }

    private void bind(StandIn standIn) {
        try {
            MethodHandles.Lookup lookup = MethodHandles.lookup();
            MethodHandle call = lookup.findVirtual(SimulatedDriver.class, "call",
                    MethodType.methodType(int.class, Method.class, Object[].class)).bindTo(this);
            for (Method function : DriverFunctions.functions()) {
                MethodType type = MethodType.methodType(int.class, function.getParameterTypes());
                standIn.bind(function.getName(), call.bindTo(function)
                        .asCollector(Object[].class, type.parameterCount()).asType(type));
            }
            standIn.bind("not_supported", lookup.findVirtual(SimulatedDriver.class, "missing",
                    MethodType.methodType(int.class, long.class)).bindTo(this));
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("the simulated driver", e);
        }
    }

    // ---- called by the library; what is thrown here would end the JVM

    private int call(Method function, Object[] arguments) {
        boolean interrupted = Thread.interrupted();
        try {
            String name = function.getName();
            Faults.Outcome outcome = faults.next(name);
            Result planned = outcome.result();
            synchronized (this) {
                calls.merge(name, 1L, Long::sum);
                if (outcome.removes()) {
                    functions.setRemoved(true);
                }
                if (planned != null && planned.losesContext()) {
                    functions.loseCurrent(planned);
                }
                if (planned == null || DriverFunctions.RELEASING.contains(name)) {
                    function.invoke(functions, arguments);
                }
                return planned == null ? 0 : planned.code();
            }
        } catch (java.lang.reflect.InvocationTargetException e) {
            return e.getCause() instanceof DriverError error ? error.result().code() : unexpected(function, e);
        } catch (Throwable e) {
            return unexpected(function, e);
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static int unexpected(Method function, Throwable e) {
        try {
            LOG.log(System.Logger.Level.ERROR, "sim: " + function.getName() + " failed", e);
        } catch (Throwable again) {
            // There is nobody left to tell.
        }
        return Result.UNKNOWN.code();
    }

    private int missing(long name) {
        try {
            String function = StandIn.getText(name);
            LOG.log(System.Logger.Level.WARNING, "sim: {0} is not supported", function);
            synchronized (this) {
                keep(notSupported, function);
            }
        } catch (Throwable e) {
            // The result says enough.
        }
        return Result.NOT_SUPPORTED.code();
    }

    /**
     * Runs a kernel and waits for it. On a thread of its own, for a kernel stops where its thread is interrupted, and an
     * interrupt of the caller is nothing to a device.
     */
    void onDeviceThread(Runnable kernel) {
        Future<?> running = deviceThread.submit(kernel);
        boolean interrupted = false;
        try {
            while (true) {
                try {
                    running.get();
                    return;
                } catch (InterruptedException e) {
                    interrupted = true;
                } catch (ExecutionException e) {
                    throw new IllegalStateException(e);
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    // ---- told by contexts, under the lock

    private static <T> void keep(List<T> list, T item) {
        if (list.size() < MOST_KEPT) {
            list.add(item);
        }
    }

    void violation(String text) {
        LOG.log(System.Logger.Level.WARNING, "sim: {0}", text);
        keep(violations, text);
    }

    void count(String kernel, LaunchReport report) {
        launches.merge(kernel, 1L, Long::sum);
        threadInstructions += report.threadInstructions();
    }

    void found(Finding finding) {
        LOG.log(System.Logger.Level.WARNING, "sim: {0}", finding);
        keep(findings, finding);
    }

    void fault(DeviceFault fault) {
        keep(deviceFaults, fault);
    }

    // ---- for whoever looks at it

    /**
     * Where the library was loaded from; the file is gone.
     *
     * @return a path that names the library in this process
     */
    public Path library() {
        return library;
    }

    /**
     * What is simulated.
     *
     * @return options
     */
    public synchronized SimOptions options() {
        return options;
    }

    /**
     * Simulates something else from now on, as if the machine had been started anew.
     *
     * @param options what is simulated
     * @throws IllegalStateException if a context is held
     */
    public synchronized void reset(SimOptions options) {
        boolean[] held = {false};
        functions.contexts(context -> held[0] = true);
        if (held[0]) {
            throw new IllegalStateException("a context of the simulated driver is held: close the backends first");
        }
        this.options = options;
        functions = new DriverFunctions(this, options);
        faults.clear();
        clear();
    }

    /** Forgets what was told so far: calls, violations, findings, faults of kernels. */
    public synchronized void clear() {
        calls.clear();
        violations.clear();
        notSupported.clear();
        findings.clear();
        deviceFaults.clear();
        launches.clear();
        threadInstructions = 0;
    }

    /**
     * Faults on demand.
     *
     * @return the plan, to be changed at any time
     */
    public Faults faults() {
        return faults;
    }

    /**
     * Takes all devices away, or puts them back. Contexts that are held are lost for good.
     *
     * @param away whether they are away
     */
    public synchronized void setDevicesRemoved(boolean away) {
        functions.setRemoved(away);
    }

    /**
     * How often each function was called, since the last {@link #clear}.
     *
     * @return counts by name, of those that were called
     */
    public synchronized Map<String, Long> calls() {
        return new LinkedHashMap<>(calls);
    }

    /**
     * What a driver would suffer from: things released that are none, things left behind when a context ended.
     *
     * @return in order of occurrence
     */
    public synchronized List<String> violations() {
        return List.copyOf(violations);
    }

    /**
     * Functions of the library that were called and that the simulator does not have.
     *
     * @return names, in order of the calls
     */
    public synchronized List<String> notSupported() {
        return List.copyOf(notSupported);
    }

    /**
     * What the sanitizer found in kernels.
     *
     * @return findings, in order of the launches; empty unless {@link SimOptions#sanitizing}
     */
    public synchronized List<Finding> findings() {
        return List.copyOf(findings);
    }

    /**
     * Kernels that failed, each with kernel, source line, block, thread and address.
     *
     * @return in order of occurrence
     */
    public synchronized List<DeviceFault> deviceFaults() {
        return List.copyOf(deviceFaults);
    }

    /**
     * How often kernels have run to their end, since the last {@link #clear}.
     *
     * @return counts by name of the kernel, of those that ran
     */
    public synchronized Map<String, Long> launches() {
        return new LinkedHashMap<>(launches);
    }

    /**
     * How many instructions kernels have executed, counted once per thread.
     *
     * @return a count
     */
    public synchronized long threadInstructions() {
        return threadInstructions;
    }

    /**
     * What lives in the contexts that are held: device memory, pinned memory, modules, streams, events, and contexts.
     *
     * @return how many of each kind
     */
    public synchronized Map<String, Integer> live() {
        Map<String, Integer> live = new LinkedHashMap<>();
        functions.contexts(context -> {
            live.merge("context", context.device.holders, Integer::sum);
            context.live().forEach((kind, count) -> live.merge(kind, count, Integer::sum));
        });
        live.values().removeIf(count -> count == 0);
        return live;
    }
}
