package dev.isobit.cuda;

import dev.isobit.IsobitException;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * The driver's library, libcuda.so.1, bound through {@code java.lang.foreign}: what a probe needs before any class of
 * JCuda is touched, since JCuda's initializer fails for good where the library is missing. The one class that calls
 * restricted methods.
 *
 * <p>A process has one libcuda.so.1: the first one loaded stays, and libJCudaDriver binds to it by its soname.
 */
@SuppressWarnings("restricted")
final class CudaLibrary {
    static final String SONAME = "libcuda.so.1";

    private static final int RTLD_LAZY = 1;
    private static final int RTLD_NOW = 2;
    private static final int RTLD_NOLOAD = 4;

    private static final Linker LINKER = Linker.nativeLinker();
    private static final AddressLayout TEXT =
            ValueLayout.ADDRESS.withTargetLayout(MemoryLayout.sequenceLayout(4096, ValueLayout.JAVA_BYTE));
    private static final MethodHandle DLOPEN = system("dlopen", ValueLayout.ADDRESS, ValueLayout.ADDRESS,
            ValueLayout.JAVA_INT);
    private static final MethodHandle DLSYM = system("dlsym", ValueLayout.ADDRESS, ValueLayout.ADDRESS,
            ValueLayout.ADDRESS);
    private static final MethodHandle DLERROR = system("dlerror", TEXT);

    // Constants, so that a call is compiled to little more than a call; the address comes with each call. Not critical:
    // a launch waits where the driver's queue is full, and a driver may call back into Java.
    private static final MethodHandle SET_CURRENT =
            LINKER.downcallHandle(FunctionDescriptor.of(ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG));
    private static final MethodHandle LAUNCH_KERNEL = LINKER.downcallHandle(FunctionDescriptor.of(ValueLayout.JAVA_INT,
            ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
            ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));

    private static final MethodHandle LAUNCH_COOPERATIVE = LINKER.downcallHandle(FunctionDescriptor.of(
            ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT,
            ValueLayout.JAVA_INT, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG));

    private static @Nullable CudaLibrary loaded;

    private final String path;
    private final MemorySegment handle;
    private final MethodHandle init;
    private final MethodHandle driverGetVersion;
    private final MethodHandle deviceGetCount;
    private final MethodHandle deviceGet;
    private final MethodHandle deviceGetName;
    private final MethodHandle deviceGetAttribute;
    private final MethodHandle deviceTotalMem;
    private final MethodHandle getErrorName;
    private final MemorySegment ctxSetCurrent;
    private final MemorySegment launchKernel;
    private final MemorySegment launchCooperative;

    private CudaLibrary(String path, MemorySegment handle) {
        this.path = path;
        this.handle = handle;
        init = bind("cuInit", ValueLayout.JAVA_INT);
        driverGetVersion = bind("cuDriverGetVersion", ValueLayout.ADDRESS);
        deviceGetCount = bind("cuDeviceGetCount", ValueLayout.ADDRESS);
        deviceGet = bind("cuDeviceGet", ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
        deviceGetName = bind("cuDeviceGetName", ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
        deviceGetAttribute =
                bind("cuDeviceGetAttribute", ValueLayout.ADDRESS, ValueLayout.JAVA_INT, ValueLayout.JAVA_INT);
        deviceTotalMem = bind("cuDeviceTotalMem_v2", ValueLayout.ADDRESS, ValueLayout.JAVA_INT);
        getErrorName = bind("cuGetErrorName", ValueLayout.JAVA_INT, ValueLayout.ADDRESS);
        ctxSetCurrent = symbol("cuCtxSetCurrent");
        launchKernel = symbol("cuLaunchKernel");
        launchCooperative = symbol("cuLaunchCooperativeKernel");
    }

    private static MethodHandle system(String name, MemoryLayout result, MemoryLayout... arguments) {
        return LINKER.downcallHandle(LINKER.defaultLookup().findOrThrow(name),
                FunctionDescriptor.of(result, arguments));
    }

    /**
     * The driver's library, loaded once per process.
     *
     * @param wanted a path; null for the one that the system's linker finds
     * @throws IsobitException if it cannot be loaded, is none, or another one is loaded already
     */
    static synchronized CudaLibrary load(@Nullable Path wanted) {
        String path = wanted == null ? SONAME : wanted.toAbsolutePath().toString();
        if (loaded != null) {
            if (!loaded.path.equals(path)) {
                throw new IsobitException("this process has loaded " + loaded.path + " as its " + SONAME
                        + " and cannot load " + path + " as well (backends cuda and sim exclude each other in a JVM)");
            }
            return loaded;
        }
        if (wanted != null && !Files.isRegularFile(wanted)) {
            throw new IsobitException("there is no file " + path);
        }
        MemorySegment handle = open(path, RTLD_LAZY);
        if (handle.address() == 0) {
            throw new IsobitException(lastError());
        }
        // JCuda's library asks for the soname: it must find this one and no second.
        long found = open(SONAME, RTLD_LAZY | RTLD_NOLOAD).address();
        if (found != handle.address()) {
            throw new IsobitException(found == 0
                    ? path + " does not have the soname " + SONAME
                    : "other code of this process has loaded another " + SONAME + " than " + path);
        }
        loaded = new CudaLibrary(path, handle);
        return loaded;
    }

    /** What {@link #load} has loaded; null before. */
    static synchronized @Nullable String loadedPath() {
        return loaded == null ? null : loaded.path;
    }

    /**
     * Whether a library can be loaded with all that it links to.
     *
     * @return null if it can, else what is missing, in the linker's words
     */
    static @Nullable String missing(String name) {
        return open(name, RTLD_NOW).address() != 0 ? null : lastError();
    }

    /** A native address as a segment. */
    static MemorySegment view(long address, long byteSize, Arena arena) {
        return MemorySegment.ofAddress(address).reinterpret(byteSize, arena, null);
    }

    private static MemorySegment open(String path, int mode) {
        try (Arena arena = Arena.ofConfined()) {
            return (MemorySegment) DLOPEN.invokeExact(arena.allocateFrom(path), mode);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private static String lastError() {
        try {
            MemorySegment text = (MemorySegment) DLERROR.invokeExact();
            return text.address() == 0 ? "unknown error of dlopen" : text.getString(0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private MethodHandle bind(String name, MemoryLayout... arguments) {
        return LINKER.downcallHandle(symbol(name), FunctionDescriptor.of(ValueLayout.JAVA_INT, arguments));
    }

    private MemorySegment symbol(String name) {
        MemorySegment symbol;
        try (Arena arena = Arena.ofConfined()) {
            symbol = (MemorySegment) DLSYM.invokeExact(handle, arena.allocateFrom(name));
        } catch (Throwable e) {
            throw unexpected(e);
        }
        if (symbol.address() == 0) {
            throw new IsobitException(path + " has no function " + name);
        }
        return symbol;
    }

    /** A further function of the library, for what JCuda does not reach. */
    MethodHandle function(String name, MethodType type) {
        FunctionDescriptor descriptor = type.returnType() == void.class
                ? FunctionDescriptor.ofVoid(layouts(type))
                : FunctionDescriptor.of(layout(type.returnType()), layouts(type));
        return LINKER.downcallHandle(symbol(name), descriptor);
    }

    private static MemoryLayout[] layouts(MethodType type) {
        return type.parameterList().stream().map(CudaLibrary::layout).toArray(MemoryLayout[]::new);
    }

    private static MemoryLayout layout(Class<?> type) {
        return type == int.class ? ValueLayout.JAVA_INT : type == long.class ? ValueLayout.JAVA_LONG : TEXT;
    }

    String path() {
        return path;
    }

    int init() {
        try {
            return (int) init.invokeExact(0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** The CUDA version of the driver: 12060 for 12.6. */
    int driverVersion() {
        return number("cuDriverGetVersion", out -> (int) driverGetVersion.invokeExact(out));
    }

    int deviceCount() {
        return number("cuDeviceGetCount", out -> (int) deviceGetCount.invokeExact(out));
    }

    int device(int ordinal) {
        return number("cuDeviceGet", out -> (int) deviceGet.invokeExact(out, ordinal));
    }

    int deviceAttribute(int attribute, int device) {
        return number("cuDeviceGetAttribute(" + attribute + ")",
                out -> (int) deviceGetAttribute.invokeExact(out, attribute, device));
    }

    long deviceTotalMemory(int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            check("cuDeviceTotalMem", (int) deviceTotalMem.invokeExact(out, device));
            return out.get(ValueLayout.JAVA_LONG, 0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    String deviceName(int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(256);
            check("cuDeviceGetName", (int) deviceGetName.invokeExact(out, 256, device));
            return out.getString(0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** The driver's name of a result code, such as {@code CUDA_ERROR_OUT_OF_MEMORY}. */
    String errorName(int result) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(TEXT);
            int status = (int) getErrorName.invokeExact(result, out);
            MemorySegment name = out.get(TEXT, 0);
            return status != 0 || name.address() == 0 ? "an error without a name" : name.getString(0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Makes a context current on this thread; the result is the driver's. */
    int setCurrentContext(long context) {
        try {
            return (int) SET_CURRENT.invokeExact(ctxSetCurrent, context);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Queues a launch in one dimension; {@code arguments} is an array of one pointer. The result is the driver's. */
    int launchKernel(long function, int grid, int block, int sharedBytes, long stream, long arguments) {
        try {
            return (int) LAUNCH_KERNEL.invokeExact(launchKernel, function, grid, 1, 1, block, 1, 1, sharedBytes, stream,
                    arguments, 0L);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** As {@link #launchKernel}, where all blocks run at once. */
    int launchCooperative(long function, int grid, int block, long stream, long arguments) {
        try {
            return (int) LAUNCH_COOPERATIVE.invokeExact(launchCooperative, function, grid, 1, 1, block, 1, 1, 0, stream,
                    arguments);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private interface NumberCall {
        int apply(MemorySegment out) throws Throwable;
    }

    private int number(String function, NumberCall call) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
            check(function, call.apply(out));
            return out.get(ValueLayout.JAVA_INT, 0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    private void check(String function, int result) {
        if (result != 0) {
            throw new CudaException("CUDA driver", result, function + ": " + errorName(result));
        }
    }

    private static RuntimeException unexpected(Throwable e) {
        if (e instanceof Error error) {
            throw error;
        }
        return e instanceof RuntimeException exception ? exception : new IllegalStateException(e);
    }
}
