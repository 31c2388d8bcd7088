package dev.isobit.sim;

import static dev.isobit.sim.StandIn.putInt;
import static dev.isobit.sim.StandIn.putLong;

import dev.isobit.ptx.Dim3;
import dev.isobit.ptx.Entry;
import dev.isobit.ptx.PtxModule;
import dev.isobit.ptx.PtxSyntaxException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * The functions of the driver. A method has the name, the arguments and the meaning of a function of the library, as
 * the documentation of the driver's interface has them: pointers, handles and sizes are longs. It returns where the
 * function succeeds and throws {@link DriverError} where it does not; whatever else it throws is a mistake of ours.
 * {@link SimulatedDriver} calls them one at a time.
 */
final class DriverFunctions {
    /** Functions of the library that are here. */
    static final Set<String> NAMES = functions().stream().map(Method::getName).collect(Collectors.toUnmodifiableSet());

    /** Those that release something: they do so even where they tell an error. */
    static final Set<String> RELEASING = Set.of("cuMemFree_v2", "cuMemFreeHost", "cuStreamDestroy_v2",
            "cuEventDestroy_v2", "cuGraphDestroy", "cuGraphExecDestroy", "cuModuleUnload",
            "cuDevicePrimaryCtxRelease_v2");

    /** PTX that was parsed before: a text is parsed once in a process. */
    private static final List<Parsed> PARSED = new CopyOnWriteArrayList<>();

    private record Parsed(MemorySegment text, PtxModule module) {}

    private static final long LEGACY_STREAM = 1;
    private static final long PER_THREAD_STREAM = 2;
    private static final int STREAM_NON_BLOCKING = 1;
    private static final int EVENT_FLAGS = 7;
    private static final long FIRST_HANDLE = 0x5150_0000L;
    private static final long HANDLE_STEP = 16;
    private static final int POINTER_CONTEXT = 1;
    private static final int POINTER_MEMORY_TYPE = 2;
    private static final int POINTER_ORDINAL = 9;
    private static final int MEMORY_OF_HOST = 1;
    private static final int MEMORY_OF_DEVICE = 2;
    private static final int JIT_ERROR_LOG = 5;
    private static final int JIT_ERROR_LOG_BYTES = 6;
    private static final int MOST_GRID_YZ = 65535;
    private static final int MOST_BLOCK_XY = 1024;
    private static final int MOST_BLOCK_Z = 64;

    private final SimulatedDriver driver;
    private final SimOptions options;
    private final List<SimDevice> devices = new ArrayList<>();
    private final ThreadLocal<Deque<SimDevice>> current = ThreadLocal.withInitial(ArrayDeque::new);
    /** The stream that a thread captures. */
    private final ThreadLocal<@Nullable SimStream> captured = new ThreadLocal<>();
    private final Map<Integer, MemorySegment> names = new HashMap<>();
    private final Map<Integer, MemorySegment> texts = new HashMap<>();
    private long nextHandle = FIRST_HANDLE;
    private boolean initialised;
    private boolean removed;

    DriverFunctions(SimulatedDriver driver, SimOptions options) {
        this.driver = driver;
        this.options = options;
        for (Chip chip : options.chips()) {
            devices.add(new SimDevice(devices.size(), chip, handle()));
        }
    }

    static List<Method> functions() {
        return Arrays.stream(DriverFunctions.class.getDeclaredMethods())
                .filter(method -> method.getName().matches("cu[A-Z].*") && !Modifier.isStatic(method.getModifiers()))
                .toList();
    }

    private long handle() {
        nextHandle += HANDLE_STEP;
        return nextHandle;
    }

    // ---- control

    /** Takes all devices away, or gives them back: contexts that there were are lost. */
    void setRemoved(boolean away) {
        removed = away;
        if (away) {
            contexts(context -> context.lose(Result.LAUNCH_FAILED));
        }
    }

    void contexts(Consumer<SimContext> each) {
        for (SimDevice device : devices) {
            if (device.context != null) {
                each.accept(device.context);
            }
        }
    }

    /** Takes the current context out of use, as a fault does that a call tells of. */
    void loseCurrent(Result why) {
        SimDevice device = current.get().peek();
        if (device != null && device.context != null) {
            device.context.lose(why);
        }
    }

    // ---- what calls need

    private SimDevice device(int number) {
        requireInitialised();
        DriverError.unless(!removed, Result.NO_DEVICE);
        DriverError.unless(number >= 0 && number < devices.size(), Result.INVALID_DEVICE);
        return devices.get(number);
    }

    private void requireInitialised() {
        DriverError.unless(initialised, Result.NOT_INITIALIZED);
    }

    private SimDevice currentDevice() {
        requireInitialised();
        SimDevice device = current.get().peek();
        if (device == null || device.context == null) {
            throw new DriverError(Result.INVALID_CONTEXT);
        }
        return device;
    }

    private SimContext context() {
        SimContext context = Objects.requireNonNull(currentDevice().context);
        Result lost = context.lost();
        if (lost != null) {
            throw new DriverError(lost);
        }
        return context;
    }

    /** The context of a call that must not be made by a thread that captures a stream. */
    private SimContext contextOutsideCapture() {
        SimContext context = context();
        SimStream stream = captured.get();
        if (stream != null && stream.capture != null) {
            stream.capture.invalid = true;
            throw new DriverError(Result.STREAM_CAPTURE_UNSUPPORTED);
        }
        return context;
    }

    private boolean isCapturing() {
        SimStream stream = captured.get();
        return stream != null && stream.capture != null;
    }

    private static SimStream stream(SimContext context, long handle) {
        DriverError.unless(handle != PER_THREAD_STREAM, Result.NOT_SUPPORTED);
        return handle == 0 || handle == LEGACY_STREAM ? context.legacy : find(context.streams, handle);
    }

    private static <T> T find(Map<Long, T> things, long handle) {
        T thing = things.get(handle);
        if (thing == null) {
            throw new DriverError(Result.INVALID_HANDLE);
        }
        return thing;
    }

    // ---- start, devices, contexts

    void cuInit(int flags) {
        DriverError.unless(flags == 0, Result.INVALID_VALUE);
        DriverError.unless(!devices.isEmpty() && !removed, Result.NO_DEVICE);
        initialised = true;
    }

    void cuDriverGetVersion(long version) {
        putInt(version, options.driverVersion());
    }

    void cuDeviceGetCount(long count) {
        requireInitialised();
        putInt(count, removed ? 0 : devices.size());
    }

    void cuDeviceGet(long device, int ordinal) {
        putInt(device, device(ordinal).ordinal);
    }

    void cuDeviceGetName(long name, int length, int device) {
        StandIn.putText(name, length, device(device).name());
    }

    void cuDeviceTotalMem_v2(long bytes, int device) {
        device(device);
        putLong(bytes, options.memoryBytes());
    }

    void cuDeviceGetAttribute(long value, int attribute, int device) {
        putInt(value, device(device).chip.attribute(attribute));
    }

    void cuDevicePrimaryCtxRetain(long context, int device) {
        SimDevice of = device(device);
        if (of.context == null) {
            of.context = new SimContext(driver, of, options);
        } else if (of.context.lost() != null) {
            throw new DriverError(of.context.lost());
        }
        of.holders++;
        putLong(context, of.contextHandle);
    }

    void cuDevicePrimaryCtxRelease_v2(int device) {
        requireInitialised();
        DriverError.unless(device >= 0 && device < devices.size(), Result.INVALID_DEVICE);
        SimDevice of = devices.get(device);
        SimContext context = of.context;
        if (context == null) {
            driver.violation("cuDevicePrimaryCtxRelease of a context that nobody holds");
            throw new DriverError(Result.INVALID_CONTEXT);
        }
        of.holders--;
        if (of.holders == 0) {
            of.context = null;
            context.destroy();
        }
    }

    void cuDevicePrimaryCtxGetState(int device, long flags, long active) {
        putInt(flags, 0);
        putInt(active, device(device).context == null ? 0 : 1);
    }

    private @Nullable SimDevice deviceOf(long context) {
        for (SimDevice device : devices) {
            if (device.contextHandle == context && device.context != null) {
                if (device.context.lost() != null) {
                    throw new DriverError(device.context.lost());
                }
                return device;
            }
        }
        DriverError.unless(context == 0, Result.INVALID_CONTEXT);
        return null;
    }

    void cuCtxSetCurrent(long context) {
        requireInitialised();
        SimDevice device = deviceOf(context);
        current.get().poll();
        if (device != null) {
            current.get().push(device);
        }
    }

    void cuCtxPushCurrent_v2(long context) {
        requireInitialised();
        SimDevice device = deviceOf(context);
        DriverError.unless(device != null, Result.INVALID_CONTEXT);
        current.get().push(Objects.requireNonNull(device));
    }

    void cuCtxPopCurrent_v2(long context) {
        requireInitialised();
        SimDevice device = current.get().poll();
        DriverError.unless(device != null, Result.INVALID_CONTEXT);
        if (context != 0) {
            putLong(context, Objects.requireNonNull(device).contextHandle);
        }
    }

    void cuCtxGetCurrent(long context) {
        requireInitialised();
        SimDevice device = current.get().peek();
        putLong(context, device == null ? 0 : device.contextHandle);
    }

    void cuCtxGetDevice(long device) {
        putInt(device, currentDevice().ordinal);
    }

    void cuCtxGetStreamPriorityRange(long least, long greatest) {
        context();
        for (long out : new long[] {least, greatest}) {
            if (out != 0) {
                putInt(out, 0);
            }
        }
    }

    void cuCtxSynchronize() {
        SimContext context = contextOutsideCapture();
        context.finishAll();
        context();
    }

    // ---- memory

    void cuMemAlloc_v2(long pointer, long bytes) {
        putLong(pointer, contextOutsideCapture().allocate(bytes, options.memoryBytes()));
    }

    void cuMemFree_v2(long pointer) {
        SimContext context = contextOutsideCapture();
        if (pointer != 0) {
            context.free(pointer);
        }
    }

    void cuMemGetInfo_v2(long unused, long total) {
        putLong(unused, options.memoryBytes() - context().usedBytes());
        putLong(total, options.memoryBytes());
    }

    void cuMemGetAddressRange_v2(long base, long bytes, long pointer) {
        Map.Entry<Long, Long> block = context().block(pointer);
        if (block == null) {
            throw new DriverError(Result.NOT_FOUND);
        }
        if (base != 0) {
            putLong(base, block.getKey());
        }
        if (bytes != 0) {
            putLong(bytes, block.getValue());
        }
    }

    void cuMemHostAlloc(long pointer, long bytes, int flags) {
        DriverError.unless((flags & ~EVENT_FLAGS) == 0, Result.INVALID_VALUE);
        putLong(pointer, contextOutsideCapture().allocatePinned(bytes));
    }

    void cuMemAllocHost_v2(long pointer, long bytes) {
        putLong(pointer, contextOutsideCapture().allocatePinned(bytes));
    }

    void cuMemFreeHost(long pointer) {
        contextOutsideCapture().freePinned(pointer);
    }

    void cuPointerGetAttribute(long data, int attribute, long pointer) {
        context();
        for (SimDevice device : devices) {
            SimContext context = device.context;
            if (context == null) {
                continue;
            }
            boolean onDevice = context.block(pointer) != null;
            if (onDevice || context.pinned(pointer) != null) {
                switch (attribute) {
                    case POINTER_CONTEXT -> putLong(data, device.contextHandle);
                    case POINTER_MEMORY_TYPE -> putInt(data, onDevice ? MEMORY_OF_DEVICE : MEMORY_OF_HOST);
                    case POINTER_ORDINAL -> putInt(data, device.ordinal);
                    default -> throw new DriverError(Result.NOT_SUPPORTED);
                }
                return;
            }
        }
        throw new DriverError(Result.INVALID_VALUE);
    }

    void cuMemcpyHtoD_v2(long to, long from, long bytes) {
        SimContext context = contextOutsideCapture();
        context.finish(toDevice(context, context.legacy, to, from, bytes));
    }

    void cuMemcpyHtoDAsync_v2(long to, long from, long bytes, long stream) {
        SimContext context = context();
        toDevice(context, stream(context, stream), to, from, bytes);
    }

    /** As on a device, memory that is not pinned is read before the call returns. */
    private static Work toDevice(SimContext context, SimStream stream, long to, long from, long bytes) {
        context.requireRange(to, bytes);
        DriverError.unless(from != 0 || bytes == 0, Result.INVALID_VALUE);
        MemorySegment host = StandIn.at(from, bytes);
        MemorySegment source = context.isPinned(from, bytes)
                ? host
                : Arena.ofAuto().allocate(Math.max(1, bytes)).asSlice(0, bytes).copyFrom(host);
        return context.enqueue(stream, () -> copy(context, to, source));
    }

    private static void copy(SimContext context, long to, MemorySegment source) {
        if (source.byteSize() > 0) {
            context.memory.memory(to, source.byteSize()).copyFrom(source);
        }
    }

    void cuMemcpyDtoH_v2(long to, long from, long bytes) {
        SimContext context = contextOutsideCapture();
        context.finish(toHost(context, context.legacy, to, from, bytes));
    }

    /** As on a device, memory that is not pinned is written before the call returns. */
    void cuMemcpyDtoHAsync_v2(long to, long from, long bytes, long stream) {
        SimContext context = context();
        Work work = toHost(context, stream(context, stream), to, from, bytes);
        if (!context.isPinned(to, bytes)) {
            contextOutsideCapture();
            context.finish(work);
        }
    }

    private static Work toHost(SimContext context, SimStream stream, long to, long from, long bytes) {
        context.requireRange(from, bytes);
        DriverError.unless(to != 0 || bytes == 0, Result.INVALID_VALUE);
        MemorySegment host = StandIn.at(to, bytes);
        return context.enqueue(stream, () -> {
            if (bytes > 0) {
                host.copyFrom(context.memory.view(from, bytes));
            }
        });
    }

    void cuMemcpyDtoD_v2(long to, long from, long bytes) {
        onDevice(to, from, bytes, 0);
    }

    void cuMemcpyDtoDAsync_v2(long to, long from, long bytes, long stream) {
        onDevice(to, from, bytes, stream);
    }

    private void onDevice(long to, long from, long bytes, long stream) {
        SimContext context = context();
        context.requireRange(to, bytes);
        context.requireRange(from, bytes);
        context.enqueue(stream(context, stream), () -> {
            if (bytes > 0) {
                copy(context, to, context.memory.view(from, bytes));
            }
        });
    }

    void cuMemsetD8_v2(long to, byte value, long count) {
        fill(to, new byte[] {value}, count, 0);
    }

    void cuMemsetD8Async(long to, byte value, long count, long stream) {
        fill(to, new byte[] {value}, count, stream);
    }

    void cuMemsetD32_v2(long to, int value, long count) {
        fill(to, bytes(value), count, 0);
    }

    void cuMemsetD32Async(long to, int value, long count, long stream) {
        fill(to, bytes(value), count, stream);
    }

    private static byte[] bytes(int value) {
        return new byte[] {(byte) value, (byte) (value >> 8), (byte) (value >> 16), (byte) (value >> 24)};
    }

    private void fill(long to, byte[] pattern, long count, long stream) {
        SimContext context = context();
        DriverError.unless(count >= 0 && count <= Long.MAX_VALUE / pattern.length && to % pattern.length == 0,
                Result.INVALID_VALUE);
        long bytes = count * pattern.length;
        context.requireRange(to, bytes);
        context.enqueue(stream(context, stream), () -> {
            if (bytes > 0) {
                MemorySegment range = context.memory.memory(to, bytes);
                for (int i = 0; i < pattern.length && pattern.length > 1; i++) {
                    range.set(ValueLayout.JAVA_BYTE, i, pattern[i]);
                }
                if (pattern.length == 1) {
                    range.fill(pattern[0]);
                } else {
                    for (long at = pattern.length; at < bytes; at += pattern.length) {
                        MemorySegment.copy(range, 0, range, at, pattern.length);
                    }
                }
            }
        });
    }

    // ---- modules

    void cuModuleLoadData(long module, long image) {
        load(module, image, 0, 0);
    }

    void cuModuleLoadDataEx(long module, long image, int count, long jitOptions, long values) {
        long log = 0;
        int logBytes = 0;
        for (int i = 0; i < count; i++) {
            int option = StandIn.getInt(jitOptions + (long) i * Integer.BYTES);
            long value = StandIn.getLong(values + (long) i * Long.BYTES);
            log = option == JIT_ERROR_LOG ? value : log;
            logBytes = option == JIT_ERROR_LOG_BYTES ? (int) value : logBytes;
        }
        load(module, image, log, logBytes);
    }

    private void load(long module, long image, long log, int logBytes) {
        SimContext context = contextOutsideCapture();
        PtxModule ptx;
        try {
            ptx = parsed(image);
        } catch (PtxSyntaxException e) {
            StandIn.putText(log, logBytes, "ptxas application ptx input; error   : " + e.getMessage());
            throw new DriverError(Result.INVALID_PTX);
        }
        if (tenfold(ptx.version()) > newestIsa()) {
            StandIn.putText(log, logBytes,
                    "ptxas application ptx input, line 1; fatal   : Unsupported .version " + ptx.version());
            throw new DriverError(Result.UNSUPPORTED_PTX_VERSION);
        }
        int target = Integer.parseInt(ptx.target().replaceAll("\\D", ""));
        if (target > context.device.chip.capability()) {
            StandIn.putText(log, logBytes, "ptxas fatal   : PTX with .target '" + ptx.target()
                    + "' cannot be compiled to architecture '" + context.device.chip.target() + "'");
            throw new DriverError(Result.INVALID_PTX);
        }
        long handle = handle();
        context.modules.put(handle, new SimModule(context.memory.load(ptx)));
        putLong(module, handle);
    }

    /** The module of a text; one that is known to the byte is not parsed again, nor made a string of. */
    private static PtxModule parsed(long image) {
        MemorySegment bytes = StandIn.text(image);
        for (Parsed known : PARSED) {
            if (known.text.byteSize() == bytes.byteSize() && known.text.mismatch(bytes) < 0) {
                return known.module;
            }
        }
        byte[] copy = bytes.toArray(ValueLayout.JAVA_BYTE);
        String text = new String(copy, StandardCharsets.UTF_8);
        DriverError.unless(text.contains(".version"), Result.INVALID_IMAGE);
        var added = new Parsed(MemorySegment.ofArray(copy), PtxModule.parse(text));
        PARSED.add(added);
        return added.module;
    }

    /** {@code 7.8} as 78. */
    private static int tenfold(String version) {
        String[] parts = version.split("\\.");
        return 10 * Integer.parseInt(parts[0]) + Integer.parseInt(parts[1]);
    }

    /** The newest ISA that the driver reads, by its release notes: CUDA 11.x 7.x, 12.x 8.x (12.6 stayed at 8.5), 13.x 9.x. */
    private int newestIsa() {
        int major = options.driverVersion() / 1000;
        int minor = options.driverVersion() % 1000 / 10;
        return 10 * (major - 4) + (major == 12 && minor > 5 ? minor - 1 : minor);
    }

    void cuModuleUnload(long module) {
        SimContext context = contextOutsideCapture();
        SimModule loaded = find(context.modules, module);
        context.finishAll();
        context();
        context.modules.remove(module);
        loaded.functions.forEach(context.functions::remove);
        loaded.image.close();
    }

    void cuModuleGetFunction(long function, long module, long name) {
        SimContext context = context();
        SimModule loaded = find(context.modules, module);
        String wanted = StandIn.getText(name);
        Entry entry = loaded.image.module().entries().stream().filter(e -> e.name().equals(wanted)).findFirst()
                .orElseThrow(() -> new DriverError(Result.NOT_FOUND));
        long handle = handle();
        context.functions.put(handle, new SimModule.Function(loaded, entry));
        loaded.functions.add(handle);
        putLong(function, handle);
    }

    void cuModuleGetGlobal_v2(long pointer, long bytes, long module, long name) {
        SimModule loaded = find(context().modules, module);
        String wanted = StandIn.getText(name);
        try {
            if (pointer != 0) {
                putLong(pointer, loaded.image.address(wanted));
            }
            if (bytes != 0) {
                putLong(bytes, loaded.image.bytes(wanted));
            }
        } catch (IllegalArgumentException e) {
            throw new DriverError(Result.NOT_FOUND);
        }
    }

    private static final int FUNCTION_MOST_THREADS = 0;
    private static final int FUNCTION_STATIC_SHARED = 1;
    private static final int FUNCTION_MOST_DYNAMIC_SHARED = 8;

    void cuFuncGetAttribute(long value, int attribute, long function) {
        SimModule.Function of = find(context().functions, function);
        putInt(value, switch (attribute) {
            case FUNCTION_MOST_THREADS -> of.entry.maxThreads();
            case FUNCTION_STATIC_SHARED -> of.entry.sharedBytes();
            case FUNCTION_MOST_DYNAMIC_SHARED -> of.mostSharedBytes;
            default -> throw new DriverError(Result.NOT_SUPPORTED);
        });
    }

    void cuFuncSetAttribute(long function, int attribute, int value) {
        SimContext context = context();
        SimModule.Function of = find(context.functions, function);
        DriverError.unless(attribute == FUNCTION_MOST_DYNAMIC_SHARED, Result.NOT_SUPPORTED);
        DriverError.unless(value >= 0 && value + of.entry.sharedBytes() <= context.device.chip.sharedBytesPerBlock(),
                Result.INVALID_VALUE);
        of.mostSharedBytes = value;
    }

    void cuOccupancyMaxActiveBlocksPerMultiprocessor(long blocks, long function, int threads, long sharedBytes) {
        SimContext context = context();
        Entry entry = find(context.functions, function).entry;
        DriverError.unless(threads > 0 && sharedBytes >= 0, Result.INVALID_VALUE);
        putInt(blocks, threads > entry.maxThreads()
                ? 0
                : (int) context.device.chip.residentBlocks(threads, sharedBytes + entry.sharedBytes()));
    }

    // ---- streams and events

    void cuStreamCreate(long stream, int flags) {
        SimContext context = context();
        DriverError.unless((flags & ~STREAM_NON_BLOCKING) == 0, Result.INVALID_VALUE);
        long handle = handle();
        context.streams.put(handle, new SimStream(handle, flags == 0));
        putLong(stream, handle);
    }

    void cuStreamCreateWithPriority(long stream, int flags, int priority) {
        cuStreamCreate(stream, flags);
    }

    /** What was queued is done all the same. */
    void cuStreamDestroy_v2(long stream) {
        SimContext context = context();
        find(context.streams, stream);
        context.streams.remove(stream);
    }

    void cuStreamSynchronize(long stream) {
        SimContext context = contextOutsideCapture();
        context.finish(stream(context, stream));
    }

    void cuStreamQuery(long stream) {
        SimContext context = context();
        query(context, stream(context, stream).queue.peekLast());
    }

    private void query(SimContext context, @Nullable Work work) {
        boolean done = work == null || work.isDone();
        context.passTime(work);
        context();
        DriverError.unless(done, Result.NOT_READY);
    }

    /** Unlike the other functions it also knows streams of devices that are not current. */
    void cuStreamGetCtx(long stream, long context) {
        SimDevice here = currentDevice();
        context();
        for (SimDevice device : devices) {
            if (device.context != null && device.context.streams.containsKey(stream)) {
                putLong(context, device.contextHandle);
                return;
            }
        }
        stream(context(), stream);
        putLong(context, here.contextHandle);
    }

    void cuStreamWaitEvent(long stream, long event, int flags) {
        SimContext context = context();
        DriverError.unless((flags & ~1) == 0, Result.INVALID_VALUE);
        SimStream waiting = stream(context, stream);
        Work mark = find(context.events, event).mark;
        if (mark != null && !mark.isDone()) {
            context.enqueue(waiting, mark, () -> {});
        }
    }

    void cuEventCreate(long event, int flags) {
        SimContext context = context();
        DriverError.unless((flags & ~EVENT_FLAGS) == 0, Result.INVALID_VALUE);
        long handle = handle();
        context.events.put(handle, new SimEvent());
        putLong(event, handle);
    }

    void cuEventDestroy_v2(long event) {
        SimContext context = context();
        find(context.events, event);
        context.events.remove(event);
    }

    void cuEventRecord(long event, long stream) {
        SimContext context = context();
        SimEvent of = find(context.events, event);
        DriverError.unless(stream(context, stream).capture == null, Result.NOT_SUPPORTED);
        of.mark = context.enqueue(stream(context, stream), () -> {});
    }

    void cuEventSynchronize(long event) {
        SimContext context = contextOutsideCapture();
        context.finish(find(context.events, event).mark);
    }

    void cuEventQuery(long event) {
        SimContext context = context();
        query(context, find(context.events, event).mark);
    }

    void cuEventElapsedTime(long milliseconds, long from, long to) {
        SimContext context = context();
        Work start = find(context.events, from).mark;
        Work end = find(context.events, to).mark;
        if (start == null || end == null) {
            throw new DriverError(Result.INVALID_HANDLE);
        }
        DriverError.unless(start.isDone() && end.isDone(), Result.NOT_READY);
        StandIn.putFloat(milliseconds, (end.doneAt() - start.doneAt()) * 1e-6f);
    }

    // ---- graphs

    private static final int CAPTURE_MODES = 3;

    /** Modes are not told apart: what the capturing thread must not do in the strictest one breaks every capture. */
    void cuStreamBeginCapture_v2(long stream, int mode) {
        SimContext context = context();
        DriverError.unless(mode >= 0 && mode < CAPTURE_MODES, Result.INVALID_VALUE);
        SimStream of = stream(context, stream);
        DriverError.unless(of != context.legacy, Result.STREAM_CAPTURE_UNSUPPORTED);
        DriverError.unless(of.capture == null && !isCapturing(), Result.ILLEGAL_STATE);
        of.capture = new SimGraph();
        captured.set(of);
    }

    void cuStreamEndCapture(long stream, long graph) {
        SimContext context = context();
        SimStream of = stream(context, stream);
        SimGraph made = of.capture;
        putLong(graph, 0);
        if (made == null || captured.get() != of) {
            throw new DriverError(Result.ILLEGAL_STATE);
        }
        of.capture = null;
        captured.remove();
        DriverError.unless(!made.invalid, Result.STREAM_CAPTURE_INVALIDATED);
        long handle = handle();
        context.graphs.put(handle, made);
        putLong(graph, handle);
    }

    private static SimGraph graph(SimContext context, long handle, boolean executable) {
        SimGraph graph = find(context.graphs, handle);
        DriverError.unless(graph.executable == executable, Result.INVALID_HANDLE);
        return graph;
    }

    void cuGraphInstantiateWithFlags(long executable, long graph, long flags) {
        SimContext context = context();
        DriverError.unless(flags == 0, Result.NOT_SUPPORTED);
        SimGraph made = new SimGraph(graph(context, graph, false).work);
        long handle = handle();
        context.graphs.put(handle, made);
        putLong(executable, handle);
    }

    void cuGraphLaunch(long executable, long stream) {
        SimContext context = context();
        SimStream on = stream(context, stream);
        DriverError.unless(on.capture == null, Result.NOT_SUPPORTED);
        graph(context, executable, true).work.forEach(work -> context.enqueue(on, work));
    }

    void cuGraphDestroy(long graph) {
        SimContext context = context();
        graph(context, graph, false);
        context.graphs.remove(graph);
    }

    void cuGraphExecDestroy(long executable) {
        SimContext context = context();
        graph(context, executable, true);
        context.graphs.remove(executable);
    }

    // ---- launches

    void cuLaunchKernel(long function, int gridX, int gridY, int gridZ, int blockX, int blockY, int blockZ,
            int sharedBytes, long stream, long parameters, long extra) {
        DriverError.unless(extra == 0, Result.NOT_SUPPORTED);
        launch(function, new int[] {gridX, gridY, gridZ}, new int[] {blockX, blockY, blockZ}, sharedBytes, stream,
                parameters, false);
    }

    void cuLaunchCooperativeKernel(long function, int gridX, int gridY, int gridZ, int blockX, int blockY, int blockZ,
            int sharedBytes, long stream, long parameters) {
        launch(function, new int[] {gridX, gridY, gridZ}, new int[] {blockX, blockY, blockZ}, sharedBytes, stream,
                parameters, true);
    }

    private void launch(long handle, int[] grid, int[] block, int sharedBytes, long stream, long parameters,
            boolean cooperative) {
        SimContext context = context();
        SimModule.Function function = context.functions.get(handle);
        if (function == null) {
            driver.violation("launch of a function whose module is not loaded");
            throw new DriverError(Result.INVALID_HANDLE);
        }
        Entry entry = function.entry;
        SimStream on = stream(context, stream);
        boolean fits = grid[0] > 0 && grid[1] > 0 && grid[2] > 0 && grid[1] <= MOST_GRID_YZ && grid[2] <= MOST_GRID_YZ
                && block[0] > 0 && block[1] > 0 && block[2] > 0 && block[0] <= MOST_BLOCK_XY
                && block[1] <= MOST_BLOCK_XY && block[2] <= MOST_BLOCK_Z && sharedBytes >= 0
                && sharedBytes <= function.mostSharedBytes;
        DriverError.unless(fits, Result.INVALID_VALUE);
        var blocks = new Dim3(grid[0], grid[1], grid[2]);
        var threads = new Dim3(block[0], block[1], block[2]);
        Dim3 required = entry.requiredBlock();
        Dim3 cluster = entry.requiredCluster();
        DriverError.unless(threads.size() <= entry.maxThreads() && (required == null || required.equals(threads))
                && (cluster == null || blocks.x() % cluster.x() == 0 && blocks.y() % cluster.y() == 0
                        && blocks.z() % cluster.z() == 0),
                Result.INVALID_VALUE);
        Chip chip = context.device.chip;
        DriverError.unless(!cooperative || blocks.size() <= chip.multiprocessors()
                * chip.residentBlocks(threads.size(), (long) sharedBytes + entry.sharedBytes()),
                Result.COOPERATIVE_LAUNCH_TOO_LARGE);
        context.launch(function, on, blocks, threads, sharedBytes, cooperative, arguments(entry, parameters));
    }

    /** The argument block, put together from the array of pointers to each parameter. */
    private static MemorySegment arguments(Entry entry, long parameters) {
        MemorySegment all = Arena.ofAuto().allocate(Math.max(1, entry.parameterBytes()), 16);
        for (int i = 0; i < entry.parameters().size(); i++) {
            DriverError.unless(parameters != 0, Result.INVALID_VALUE);
            Entry.Parameter parameter = entry.parameters().get(i);
            long from = StandIn.getLong(parameters + (long) i * Long.BYTES);
            DriverError.unless(from != 0, Result.INVALID_VALUE);
            MemorySegment.copy(StandIn.at(from, parameter.bytes()), 0, all, parameter.offset(), parameter.bytes());
        }
        return all;
    }

    // ---- errors by name

    void cuGetErrorName(int error, long name) {
        putLong(name, names.computeIfAbsent(error, code -> text(code, true)).address());
    }

    void cuGetErrorString(int error, long text) {
        putLong(text, texts.computeIfAbsent(error, code -> text(code, false)).address());
    }

    private static MemorySegment text(int code, boolean name) {
        return Arrays.stream(Result.values()).filter(result -> result.code() == code).findFirst()
                .map(result -> Arena.global().allocateFrom(name ? result.symbol() : result.text()))
                .orElseThrow(() -> new DriverError(Result.INVALID_VALUE));
    }
}
