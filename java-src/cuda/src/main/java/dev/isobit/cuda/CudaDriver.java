package dev.isobit.cuda;

import dev.isobit.spi.CountedMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import jcuda.Pointer;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUjit_option;
import jcuda.driver.CUmemorytype;
import jcuda.driver.CUmodule;
import jcuda.driver.CUpointer_attribute;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.JCudaDriver;
import org.jspecify.annotations.Nullable;

/**
 * The driver's calls into the primary context of one device, each checked. Every call makes that context current first:
 * contexts are per thread, and other code may have left another one there. A result that takes the context along is
 * remembered: every later call fails with it, and closing what lived in the context does nothing.
 *
 * <p>Host memory is handed over as native memory, never as an array: JCuda holds an array with
 * {@code GetPrimitiveArrayCritical} while the driver works, which with some collectors stops every garbage collection
 * until the call returns, a compilation of PTX included.
 *
 * <p>JCuda's switch for exceptions belongs to the whole process and is never touched; where somebody else has turned it
 * on, its exceptions are turned back into results.
 *
 * <p>Thread-safe.
 */
final class CudaDriver {
    private final String backendName;
    private final CudaLibrary library;
    private final int ordinal;
    private final CUdevice device = new CUdevice();
    private final Handles.Context context = new Handles.Context();
    private volatile boolean closed;
    private volatile @Nullable CudaException lost;

    /** Retains the primary context of a device. JCuda must be loaded. */
    CudaDriver(String backendName, CudaLibrary library, int ordinal) {
        String operation = "Backend.open";
        this.backendName = backendName;
        this.library = library;
        this.ordinal = ordinal;
        check(operation, "cuInit", result(() -> JCudaDriver.cuInit(0)));
        check(operation, "cuDeviceGet(" + ordinal + ")", result(() -> JCudaDriver.cuDeviceGet(device, ordinal)));
        check(operation, "cuDevicePrimaryCtxRetain of device " + ordinal,
                result(() -> JCudaDriver.cuDevicePrimaryCtxRetain(context, device)));
    }

    /** The name of the backend that it works for. */
    String backendName() {
        return backendName;
    }

    CudaLibrary library() {
        return library;
    }

    int ordinal() {
        return ordinal;
    }

    boolean isClosed() {
        return closed;
    }

    boolean isLost() {
        return lost != null;
    }

    /** Releases the context. Idempotent. */
    void close() {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
            CountedMemory.countEnd();
        }
        int result = result(() -> JCudaDriver.cuDevicePrimaryCtxRelease(device));
        if (result != 0 && lost == null) {
            check("Backend.close", "cuDevicePrimaryCtxRelease of device " + ordinal, result);
        }
    }

    // ---- results

    interface Call {
        int run();
    }

    /** The result of a call, also where somebody turned JCuda's exceptions on. */
    static int result(Call call) {
        try {
            return call.run();
        } catch (jcuda.CudaException e) {
            return result(e);
        }
    }

    /** The result behind an exception of JCuda, whose message is the name of the result. */
    static int result(jcuda.CudaException e) {
        String name = String.valueOf(e.getMessage());
        for (int result = 1; result <= CUresult.CUDA_ERROR_UNKNOWN; result++) {
            if (name.equals(CUresult.stringFor(result))) {
                return result;
            }
        }
        return CUresult.CUDA_ERROR_UNKNOWN;
    }

    /** Throws unless a result is success; remembers one that takes the context along. */
    void check(String operation, String call, int result) {
        if (result != 0) {
            throw failure(operation, call, result);
        }
    }

    /** As {@link #check}, of a launch with one grid and block dimension. */
    void checkLaunch(String operation, CudaFunction function, int grid, int block, int sharedBytes, int result) {
        if (result != 0) {
            throw failure(operation, "cuLaunchKernel(" + function.name() + ", grid " + grid + ", block " + block
                    + (sharedBytes == 0 ? "" : ", shared " + sharedBytes) + ")", result);
        }
    }

    /** As {@link #checkLaunch}, of a cooperative one. */
    void checkCooperativeLaunch(String operation, CudaFunction function, int grid, int block, int result) {
        if (result != 0) {
            throw failure(operation, "cuLaunchCooperativeKernel(" + function.name() + ", grid " + grid + ", block "
                    + block + ")", result);
        }
    }

    private CudaException failure(String operation, String call, int result) {
        boolean loses = CudaException.losesContext(result);
        CudaException failure = new CudaException(operation, result, call + ": " + library.errorName(result)
                + (loses ? "; the context of device " + ordinal + " is lost" : ""));
        if (loses && lost == null) {
            lost = failure;
        }
        return failure;
    }

    /** Throws if the context is closed or lost. */
    void checkUsable(String operation) {
        if (closed) {
            throw new IllegalStateException(operation + ": the backend is closed");
        }
        CudaException cause = lost;
        if (cause != null) {
            throw new CudaException(operation, cause.result(), "the context of device " + ordinal
                    + " is lost since " + cause.operation() + " failed; close the backend and open it again", cause);
        }
    }

    /** Checks that the context is usable and makes it current on this thread. */
    private void enter(String operation) {
        checkUsable(operation);
        check(operation, "cuCtxSetCurrent", result(() -> JCudaDriver.cuCtxSetCurrent(context)));
    }

    private void call(String operation, String name, Call call) {
        enter(operation);
        check(operation, name, result(call));
    }

    /** As {@link #call}, to release something: where the context is gone it went along. */
    private void release(String operation, String name, Call call) {
        if (!closed && lost == null) {
            call(operation, name, call);
        }
    }

    /** For a launcher: the context to make current. */
    Handles.Context context() {
        return context;
    }

    // ---- memory

    /** Allocates device memory; what it holds is not defined. */
    long allocate(String operation, long bytes) {
        Handles.DevicePointer pointer = new Handles.DevicePointer();
        enter(operation);
        int result = result(() -> JCudaDriver.cuMemAlloc(pointer, bytes));
        if (result == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
            long[] unused = {-1};
            long[] total = {-1};
            result(() -> JCudaDriver.cuMemGetInfo(unused, total));
            check(operation, "cuMemAlloc of " + bytes + " bytes (of " + total[0] + ", " + unused[0] + " are free)",
                    result);
        }
        check(operation, "cuMemAlloc of " + bytes + " bytes", result);
        return pointer.raw();
    }

    void free(String operation, long pointer) {
        release(operation, "cuMemFree", () -> JCudaDriver.cuMemFree(new Handles.DevicePointer(pointer)));
    }

    long allocateHost(String operation, long bytes) {
        Handles.HostPointer pointer = new Handles.HostPointer();
        call(operation, "cuMemHostAlloc of " + bytes + " bytes", () -> JCudaDriver.cuMemHostAlloc(pointer, bytes, 0));
        return pointer.raw();
    }

    void freeHost(String operation, long pointer) {
        release(operation, "cuMemFreeHost", () -> JCudaDriver.cuMemFreeHost(new Handles.HostPointer(pointer)));
    }

    /** Queues a fill. */
    void fill(String operation, long pointer, byte value, long bytes, CUstream stream) {
        call(operation, "cuMemsetD8Async of " + bytes + " bytes",
                () -> JCudaDriver.cuMemsetD8Async(new Handles.DevicePointer(pointer), value, bytes, stream));
    }

    /** Queues a copy from pinned host memory. */
    void copyToDevice(String operation, long device, long host, long bytes, CUstream stream) {
        call(operation, "cuMemcpyHtoDAsync of " + bytes + " bytes", () -> JCudaDriver
                .cuMemcpyHtoDAsync(new Handles.DevicePointer(device), new Handles.HostPointer(host), bytes, stream));
    }

    /** Queues a copy to pinned host memory. */
    void copyToHost(String operation, long host, long device, long bytes, CUstream stream) {
        call(operation, "cuMemcpyDtoHAsync of " + bytes + " bytes", () -> JCudaDriver
                .cuMemcpyDtoHAsync(new Handles.HostPointer(host), new Handles.DevicePointer(device), bytes, stream));
    }

    /** Queues a copy within the device. */
    void copyOnDevice(String operation, long to, long from, long bytes, CUstream stream) {
        call(operation, "cuMemcpyDtoDAsync of " + bytes + " bytes", () -> JCudaDriver
                .cuMemcpyDtoDAsync(new Handles.DevicePointer(to), new Handles.DevicePointer(from), bytes, stream));
    }

    /**
     * What the driver knows of an address.
     *
     * @return the attribute, or -1 where the driver does not know the address
     */
    int pointerAttribute(String operation, int attribute, long address) {
        enter(operation);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocate(ValueLayout.JAVA_INT);
            int result = result(() -> JCudaDriver.cuPointerGetAttribute(Handles.HostPointer.to(value), attribute,
                    new Handles.DevicePointer(address)));
            if (result == CUresult.CUDA_ERROR_INVALID_VALUE) {
                return -1;
            }
            check(operation, "cuPointerGetAttribute of 0x" + Long.toHexString(address), result);
            return value.get(ValueLayout.JAVA_INT, 0);
        }
    }

    /** Whether host memory at this address is pinned, so that the device can reach it without a detour. */
    boolean isPinned(String operation, long address) {
        return pointerAttribute(operation, CUpointer_attribute.CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                address) == CUmemorytype.CU_MEMORYTYPE_HOST;
    }

    // ---- streams and events

    Handles.Stream createStream(String operation) {
        Handles.Stream stream = new Handles.Stream();
        // Flag 0: ordered with the legacy default stream too, on which much foreign code works.
        call(operation, "cuStreamCreate", () -> JCudaDriver.cuStreamCreate(stream, 0));
        return stream;
    }

    /**
     * A foreign stream as JCuda's object. JCuda offers no constructor for one, but a copy from the device to
     * {@code Pointer.to(handle)} sets the handle.
     */
    Handles.Stream foreignStream(String operation, long raw) {
        Handles.Stream stream = new Handles.Stream();
        if (raw == 0) {
            return stream;
        }
        long scratch = allocate(operation, Long.BYTES);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment value = arena.allocateFrom(ValueLayout.JAVA_LONG, raw);
            call(operation, "cuMemcpyHtoD", () -> JCudaDriver.cuMemcpyHtoD(new Handles.DevicePointer(scratch),
                    Handles.HostPointer.to(value), Long.BYTES));
            call(operation, "cuMemcpyDtoH", () -> JCudaDriver.cuMemcpyDtoH(Pointer.to(stream),
                    new Handles.DevicePointer(scratch), Long.BYTES));
        } finally {
            free(operation, scratch);
        }
        if (stream.raw() != raw) {
            throw new IllegalStateException(operation + ": this JCuda cannot take a foreign stream");
        }
        return stream;
    }

    /** Whether a stream belongs to this context. */
    boolean ownsStream(String operation, CUstream stream) {
        Handles.Context found = new Handles.Context();
        enter(operation);
        int result = result(() -> JCudaDriver.cuStreamGetCtx(stream, found));
        if (result == CUresult.CUDA_ERROR_INVALID_HANDLE || result == CUresult.CUDA_ERROR_INVALID_VALUE) {
            return false;
        }
        check(operation, "cuStreamGetCtx", result);
        return found.raw() == context.raw();
    }

    void destroyStream(String operation, CUstream stream) {
        release(operation, "cuStreamDestroy", () -> JCudaDriver.cuStreamDestroy(stream));
    }

    /** Waits until all work of a stream has finished. */
    void synchronize(String operation, CUstream stream) {
        call(operation, "cuStreamSynchronize", () -> JCudaDriver.cuStreamSynchronize(stream));
    }

    void waitForEvent(String operation, CUstream stream, CUevent event) {
        call(operation, "cuStreamWaitEvent", () -> JCudaDriver.cuStreamWaitEvent(stream, event, 0));
    }

    Handles.Event createEvent(String operation) {
        Handles.Event event = new Handles.Event();
        call(operation, "cuEventCreate", () -> JCudaDriver.cuEventCreate(event, 0));
        return event;
    }

    void destroyEvent(String operation, CUevent event) {
        release(operation, "cuEventDestroy", () -> JCudaDriver.cuEventDestroy(event));
    }

    void recordEvent(String operation, CUevent event, CUstream stream) {
        call(operation, "cuEventRecord", () -> JCudaDriver.cuEventRecord(event, stream));
    }

    void synchronizeEvent(String operation, CUevent event) {
        call(operation, "cuEventSynchronize", () -> JCudaDriver.cuEventSynchronize(event));
    }

    float elapsedMilliseconds(String operation, CUevent from, CUevent to) {
        float[] milliseconds = {0};
        call(operation, "cuEventElapsedTime", () -> JCudaDriver.cuEventElapsedTime(milliseconds, from, to));
        return milliseconds[0];
    }

    // ---- graphs

    void beginCapture(String operation, CUstream stream) {
        // Of this thread's calls alone: what others allocate meanwhile is not our business.
        call(operation, "cuStreamBeginCapture", () -> JCudaDriver.cuStreamBeginCapture(stream,
                CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
    }

    /** Ends a capture and drops what was captured, whatever became of it. */
    void dropCapture(CUstream stream) {
        CUgraph graph = new CUgraph();
        if (lost == null && result(() -> JCudaDriver.cuCtxSetCurrent(context)) == 0
                && result(() -> JCudaDriver.cuStreamEndCapture(stream, graph)) == 0) {
            result(() -> JCudaDriver.cuGraphDestroy(graph));
        }
    }

    /** Ends a capture; what was captured as a graph that can be launched. */
    CUgraphExec endCapture(String operation, CUstream stream) {
        CUgraph graph = new CUgraph();
        CUgraphExec executable = new CUgraphExec();
        boolean ended = false;
        try {
            call(operation, "cuStreamEndCapture", () -> JCudaDriver.cuStreamEndCapture(stream, graph));
            ended = true;
        } finally {
            if (!ended) {
                dropCapture(stream);
            }
        }
        try {
            call(operation, "cuGraphInstantiate", () -> JCudaDriver.cuGraphInstantiate(executable, graph, 0));
        } finally {
            release(operation, "cuGraphDestroy", () -> JCudaDriver.cuGraphDestroy(graph));
        }
        return executable;
    }

    void launchGraph(String operation, CUgraphExec executable, CUstream stream) {
        call(operation, "cuGraphLaunch", () -> JCudaDriver.cuGraphLaunch(executable, stream));
    }

    void destroyExecutable(String operation, CUgraphExec executable) {
        release(operation, "cuGraphExecDestroy", () -> JCudaDriver.cuGraphExecDestroy(executable));
    }

    // ---- modules

    /** Loads a PTX text; where the driver's compiler refuses it, the error carries its log. */
    Handles.Module loadModule(String operation, String name, byte[] ptx) {
        Handles.Module module = new Handles.Module();
        enter(operation);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(ptx.length + 1L).copyFrom(MemorySegment.ofArray(ptx));
            MemorySegment log = arena.allocate(16384, 8);
            MemorySegment values = arena.allocate(2 * ValueLayout.JAVA_LONG.byteSize(), 8);
            values.setAtIndex(ValueLayout.JAVA_LONG, 0, log.address());
            values.setAtIndex(ValueLayout.JAVA_LONG, 1, log.byteSize());
            int[] options =
                    {CUjit_option.CU_JIT_ERROR_LOG_BUFFER, CUjit_option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
            int result = result(() -> JCudaDriver.cuModuleLoadDataEx(module, Handles.HostPointer.to(text),
                    options.length, options, Handles.HostPointer.to(values)));
            if (result != 0) {
                String message = log.getString(0, StandardCharsets.UTF_8).strip();
                throw failure(operation, "cuModuleLoadDataEx(" + name + ")"
                        + (message.isEmpty() ? "" : ": the driver's compiler says: " + message), result);
            }
        }
        return module;
    }

    void unloadModule(String operation, CUmodule module) {
        release(operation, "cuModuleUnload", () -> JCudaDriver.cuModuleUnload(module));
    }

    Handles.Function function(String operation, CUmodule module, String name) {
        Handles.Function function = new Handles.Function();
        call(operation, "cuModuleGetFunction(" + name + ")",
                () -> JCudaDriver.cuModuleGetFunction(function, module, name));
        return function;
    }

    /** Whether the device runs all blocks of a launch at once where it is told to. */
    boolean launchesCooperatively(String operation) {
        int[] value = {0};
        enter(operation);
        int result = result(() -> JCudaDriver.cuDeviceGetAttribute(value,
                CUdevice_attribute.CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH, device));
        if (result == CUresult.CUDA_ERROR_INVALID_VALUE) {
            return false; // a driver that does not know the question
        }
        check(operation, "cuDeviceGetAttribute(COOPERATIVE_LAUNCH)", result);
        return value[0] != 0;
    }

    /** How many blocks of a kernel without dynamic shared memory a multiprocessor runs at once. */
    int residentBlocks(String operation, CudaFunction function, int block) {
        int[] value = {0};
        call(operation, "cuOccupancyMaxActiveBlocksPerMultiprocessor(" + function.name() + ", block " + block + ")",
                () -> JCudaDriver.cuOccupancyMaxActiveBlocksPerMultiprocessor(value, function.handle(), block, 0));
        return value[0];
    }

    /** Allows a kernel more dynamic shared memory than the 48 KiB that every device gives unasked. */
    void allowSharedBytes(String operation, CUfunction function, int bytes) {
        call(operation, "cuFuncSetAttribute(MAX_DYNAMIC_SHARED_SIZE_BYTES, " + bytes + ")",
                () -> JCudaDriver.cuFuncSetAttribute(function,
                        CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes));
    }
}
