package dev.isobit.cuda;

import dev.isobit.AdamGroup;
import dev.isobit.Backend;
import dev.isobit.BceWithLogitsOptions;
import dev.isobit.CrossEntropyOptions;
import dev.isobit.DType;
import dev.isobit.DeviceMemory;
import dev.isobit.HostMemory;
import dev.isobit.Memory;
import dev.isobit.NllLossOptions;
import dev.isobit.SgdGroup;
import dev.isobit.StepOptions;
import dev.isobit.Stream;
import dev.isobit.Tensor;
import dev.isobit.spi.AdamKernel;
import dev.isobit.spi.BceWithLogitsKernel;
import dev.isobit.spi.CrossEntropyKernel;
import dev.isobit.spi.GuardedKernel;
import dev.isobit.spi.NllLossKernel;
import dev.isobit.spi.SgdKernel;
import dev.isobit.spi.SoftmaxKernel;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.driver.CUmemorytype;
import jcuda.driver.CUpointer_attribute;

/**
 * A CUDA device. It works in the device's primary context, the one that other libraries of the process use too, and
 * takes their device pointers ({@link #wrap}) and streams ({@link #wrapStream}) as they are. Every call makes
 * that context current on its thread and leaves it so.
 *
 * <p>An operation queues at most three launches, before which an optimizer's step with {@link StepOptions} sets what the host
 * has changed, and returns: it copies nothing, waits for nothing and allocates nothing, except scratch memory when it first sees more rows than before. What waits for the device is
 * {@link Stream#synchronize}, the closing of a stream or operation, {@link #copy} and {@link #allocate}. All but the
 * last also tell what operations on that stream found out on the device, such as a target out of range.
 *
 * <p>Errors: a failed call of the driver is a {@link CudaException}. Where it took the context along, every later call
 * says so; closing still works, and afterwards the device can be opened again unless other code holds its context.
 *
 * <p>Threading: thread-safe. Ownership: whoever opened it closes it; closing waits for the device and releases memory,
 * streams and events that were made here, closed or not.
 */
public final class CudaBackend implements Backend {
    private static final Set<DType> DTYPES = Set.of(DType.F32);

    private final CudaDriver driver;
    private final CudaDevice device;
    private final HandleRegistry handles = new HandleRegistry();
    private final Set<StatusBoard> boards = ConcurrentHashMap.newKeySet();
    private final Map<String, CudaModule> modules = new HashMap<>();
    private final LaunchTable launchTable;
    private final LaunchMethod launchMethod;
    private final boolean mayCooperate = CudaProvider.mayCooperate();
    private final CudaStream defaultStream;
    private final CudaCopy copy;

    CudaBackend(String name, CudaLibrary library, CudaDevice device, LaunchMethod launchMethod) {
        this.device = device;
        this.launchMethod = launchMethod;
        this.launchTable = new LaunchTable(device);
        this.driver = new CudaDriver(name, library, device.ordinal());
        try {
            this.defaultStream = CudaStream.create(this, "Backend.open");
        } catch (RuntimeException e) {
            driver.close();
            throw e;
        }
        this.copy = new CudaCopy(driver, handles, defaultStream.handleObject());
        CudaDriver watched = driver;
        HandleRegistry.watch(this, "CudaBackend of device " + device.ordinal(), watched::isClosed);
    }

    CudaDriver driver() {
        return driver;
    }

    HandleRegistry handles() {
        return handles;
    }

    Set<StatusBoard> boards() {
        return boards;
    }

    LaunchTable launchTable() {
        return launchTable;
    }

    CudaCopy copies() {
        return copy;
    }

    Launcher launcher(CudaStream stream, ArgumentBlock arguments) {
        return launchMethod.launcher(driver, stream.handleObject(), arguments);
    }

    /** Whether all blocks of a launch can run at once, and may: {@link CudaProvider#COOPERATIVE_PROPERTY}. */
    boolean launchesCooperatively(String user) {
        return mayCooperate && driver.launchesCooperatively(user);
    }

    /** The module of an operation, loaded at first use. */
    CudaModule module(String user, String op) {
        synchronized (modules) {
            CudaModule module = modules.get(op);
            if (module == null) {
                String ptx = device.ptx();
                module = CudaModule.load(driver, handles, user, op, ptx == null ? "sm_75" : ptx);
                modules.put(op, module);
            }
            return module;
        }
    }

    @Override
    public String name() {
        return driver.backendName();
    }

    @Override
    public String description() {
        return device + ", driver of CUDA " + CudaFinding.versionText(driver.library().driverVersion())
                + ", launches through " + launchMethod.words();
    }

    /**
     * The device.
     *
     * @return what the driver tells of it
     */
    public CudaDevice device() {
        return device;
    }

    @Override
    public Set<DType> dtypes() {
        return DTYPES;
    }

    @Override
    public boolean usesHostMemory() {
        return false;
    }

    @Override
    public boolean accepts(Memory memory) {
        return memory instanceof CudaMemory cuda && cuda.driver().ordinal() == driver.ordinal();
    }

    @Override
    public Memory allocate(long byteSize) {
        String operation = "Backend.allocate";
        if (byteSize < 0) {
            throw new IllegalArgumentException(operation + ": byteSize = " + byteSize + " is negative");
        }
        driver.checkUsable(operation);
        // The driver refuses 0 bytes, and an empty tensor should still have an address of its own.
        long bytes = Math.max(byteSize, 1);
        CudaMemory memory = new CudaMemory(driver, handles, driver.allocate(operation, bytes), byteSize);
        try {
            driver.fill(operation, memory.address(), (byte) 0, bytes, defaultStream.handleObject());
            // Other streams may use it next.
            driver.synchronize(operation, defaultStream.handleObject());
        } catch (RuntimeException e) {
            memory.close();
            throw e;
        }
        return memory;
    }

    /**
     * Allocates zeroed page-locked host memory, from and to which copies go without a detour.
     *
     * @param byteSize size in bytes, at least 0
     * @return the memory, the caller's to close
     * @throws IllegalArgumentException if the size is negative
     * @throws CudaException if there is not enough
     */
    public PinnedMemory allocatePinned(long byteSize) {
        String operation = "CudaBackend.allocatePinned";
        if (byteSize < 0) {
            throw new IllegalArgumentException(operation + ": byteSize = " + byteSize + " is negative");
        }
        return new PinnedMemory(driver, handles, operation, byteSize);
    }

    /**
     * Wraps device memory of another library. Nothing is copied; the memory stays its owner's, who keeps it alive.
     *
     * @param pointer a device pointer into memory of this device
     * @param byteSize how many bytes from there may be used
     * @return a view of it; closing it frees nothing
     * @throws IllegalArgumentException if the pointer's first or last byte is no memory of this device
     */
    public DeviceMemory wrap(long pointer, long byteSize) {
        String operation = "CudaBackend.wrap";
        driver.checkUsable(operation);
        if (byteSize < 0 || pointer + byteSize < pointer) {
            throw new IllegalArgumentException(
                    operation + ": byteSize = " + byteSize + " from 0x" + Long.toHexString(pointer) + " is no range");
        }
        if (byteSize > 0) {
            checkPointer(operation, pointer, "");
            checkPointer(operation, pointer + byteSize - 1, ", the last of " + byteSize + " bytes,");
        }
        return new CudaMemory(driver, pointer, byteSize);
    }

    private void checkPointer(String operation, long pointer, String which) {
        String text = operation + ": 0x" + Long.toHexString(pointer) + which;
        int type = driver.pointerAttribute(operation, CUpointer_attribute.CU_POINTER_ATTRIBUTE_MEMORY_TYPE, pointer);
        if (type != CUmemorytype.CU_MEMORYTYPE_DEVICE) {
            throw new IllegalArgumentException(text + " is "
                    + (type == CUmemorytype.CU_MEMORYTYPE_HOST ? "host memory" : "no device memory"));
        }
        int ordinal =
                driver.pointerAttribute(operation, CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, pointer);
        if (ordinal != driver.ordinal()) {
            throw new IllegalArgumentException(
                    text + " lies on device " + ordinal + ", this backend has device " + driver.ordinal());
        }
    }

    @Override
    public void copy(Tensor from, Tensor to) {
        String operation = "Backend.copy";
        driver.checkUsable(operation);
        if (from.dtype() != to.dtype() || from.elementCount() != to.elementCount()) {
            throw new IllegalArgumentException(
                    operation + ": from " + from + " and to " + to + " differ in type or element count");
        }
        checkMemory(operation, "from", from, false);
        checkMemory(operation, "to", to, true);
        boolean fromHost = from.memory() instanceof HostMemory;
        boolean toHost = to.memory() instanceof HostMemory;
        if (!fromHost && !toHost && from.overlaps(to) && !from.startsWith(to)) {
            throw new IllegalArgumentException(operation + ": from " + from + " overlaps to " + to);
        }
        if (fromHost && toHost) {
            driver.synchronize(operation, defaultStream.handleObject());
            MemorySegment.copy(from.segment(), 0, to.segment(), 0, from.byteSize());
        } else if (fromHost) {
            copy.toDevice(operation, from.segment(), to.address());
        } else if (toHost) {
            copy.toHost(operation, from.address(), to.segment());
        } else {
            copy.onDevice(operation, from.address(), to.address(), from.byteSize());
        }
        defaultStream.synchronize(operation);
    }

    private void checkMemory(String operation, String name, Tensor tensor, boolean written) {
        Memory memory = tensor.memory();
        if (!memory.isAlive()) {
            throw new IllegalStateException(operation + ": the memory of " + name + " " + tensor + " is closed");
        }
        if (!(memory instanceof HostMemory) && !accepts(memory)) {
            throw new IllegalArgumentException(operation + ": " + name + " " + tensor + " lies in " + memory
                    + ", which this backend, device " + driver.ordinal() + ", cannot use");
        }
        if (memory instanceof HostMemory host) {
            if (!host.segment().isAccessibleBy(Thread.currentThread())) {
                throw new WrongThreadException(operation + ": " + name + " " + tensor
                        + " is confined to another thread than " + Thread.currentThread().getName());
            }
            if (written && host.segment().isReadOnly()) {
                throw new IllegalArgumentException(operation + ": " + name + " " + tensor + " is read-only memory");
            }
        }
    }

    @Override
    public CudaStream defaultStream() {
        return defaultStream;
    }

    /**
     * Makes a stream.
     *
     * @return a new stream, the caller's to close
     */
    public CudaStream newStream() {
        return CudaStream.create(this, "CudaBackend.newStream");
    }

    /**
     * Wraps a stream of another library, so that operations are queued in its order.
     *
     * @param handle a {@code CUstream} of this device's primary context; 0 is the legacy default stream
     * @return a view of it; close it before its owner destroys the stream
     * @throws IllegalArgumentException if it is no stream of this device
     */
    public CudaStream wrapStream(long handle) {
        return CudaStream.wrap(this, handle);
    }

    /**
     * Makes an event.
     *
     * @return a new event, the caller's to close
     */
    public CudaEvent newEvent() {
        return new CudaEvent(driver, handles, "CudaBackend.newEvent");
    }

    @Override
    public CrossEntropyKernel crossEntropyKernel(CrossEntropyOptions options, Stream stream) {
        return new CudaCrossEntropy(this, options, ours("CrossEntropy.on", stream));
    }

    @Override
    public BceWithLogitsKernel bceWithLogitsKernel(BceWithLogitsOptions options, Stream stream) {
        return new CudaBceWithLogits(this, options, ours("BceWithLogits.on", stream));
    }

    @Override
    public SoftmaxKernel softmaxKernel(boolean logarithm, Stream stream) {
        return new CudaSoftmax(this, logarithm, ours(logarithm ? "LogSoftmax.on" : "Softmax.on", stream));
    }

    @Override
    public NllLossKernel nllLossKernel(NllLossOptions options, Stream stream) {
        return new CudaNllLoss(this, options, ours("NllLoss.on", stream));
    }

    @Override
    public AdamKernel adamKernel(List<AdamGroup> groups, Stream stream) {
        return new CudaAdam(this, groups, ours("Adam.on", stream));
    }

    @Override
    public SgdKernel sgdKernel(List<SgdGroup> groups, Stream stream) {
        return new CudaSgd(this, groups, ours("Sgd.on", stream));
    }

    /** Those of an argument block. */
    @Override
    public int maxHostGroups() {
        return ChunkedStep.GROUPS;
    }

    @Override
    public GuardedKernel guardedAdamKernel(List<AdamGroup> groups, StepOptions step, Stream stream) {
        return CudaAdam.guarded(this, groups, step, ours("Adam.on", stream));
    }

    @Override
    public GuardedKernel guardedSgdKernel(List<SgdGroup> groups, StepOptions step, Stream stream) {
        return CudaSgd.guarded(this, groups, step, ours("Sgd.on", stream));
    }

    private CudaStream ours(String operation, Stream stream) {
        if (stream instanceof CudaStream cuda && cuda.backend() == this) {
            cuda.checkOpen(operation);
            return cuda;
        }
        throw new IllegalArgumentException(operation + ": " + stream + " is no stream of this backend");
    }

    /**
     * Waits for the device, then releases everything that was made here. Idempotent.
     *
     * @throws dev.isobit.IsobitException if something queued failed, or met a target out of range; all is released then
     *     too
     */
    @Override
    public void close() {
        synchronized (this) {
            if (driver.isClosed()) {
                return;
            }
            List<RuntimeException> failures = new ArrayList<>();
            for (StatusBoard board : boards) {
                board.close("Backend.close", failures);
            }
            boards.clear();
            handles.releaseAll(failures);
            HandleRegistry.attempt(failures, driver::close);
            HandleRegistry.raise(failures);
        }
    }

    @Override
    public String toString() {
        return "CudaBackend[" + device + "]";
    }
}
