package dev.isobit.cuda;

import static java.lang.invoke.MethodType.methodType;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The control side of the recording driver, native-build/driver/recorder.c. */
final class Recorder {
    static final int INVALID_VALUE = 1;
    static final int OUT_OF_MEMORY = 2;
    static final int NO_DEVICE = 100;
    static final int INVALID_PTX = 218;
    static final int ILLEGAL_ADDRESS = 700;
    static final int LAUNCH_FAILED = 719;
    static final int COOPERATIVE_LAUNCH_TOO_LARGE = 720;
    static final int NOT_SUPPORTED = 801;
    static final int UNKNOWN = 999;

    /** Kinds of what can live in a context, and contexts. */
    static final List<String> KINDS = List.of("device", "pinned", "module", "stream", "event", "graph", "context");

    private static final int MAX_ARGUMENTS = 4096;
    private static final long LAUNCH_BYTES = 176 + MAX_ARGUMENTS;

    /**
     * One launch as the driver got it.
     *
     * @param arguments every byte of the argument block
     */
    record Launch(String function, List<Integer> grid, List<Integer> block, int shared, boolean cooperative,
            long stream, int device, byte[] arguments) {}

    private final CudaLibrary library;

    Recorder(Path library) {
        this.library = CudaLibrary.load(library);
    }

    private Object call(String name, Class<?> result, Object... arguments) {
        Class<?>[] types = new Class<?>[arguments.length];
        try (Arena arena = Arena.ofConfined()) {
            Object[] natives = arguments.clone();
            for (int i = 0; i < arguments.length; i++) {
                if (arguments[i] instanceof String text) {
                    natives[i] = arena.allocateFrom(text);
                    types[i] = MemorySegment.class;
                } else {
                    types[i] = arguments[i] instanceof Integer ? int.class : long.class;
                }
            }
            MethodHandle function = library.function(name, methodType(result, types));
            return function.invokeWithArguments(natives);
        } catch (Throwable e) {
            throw new IllegalStateException(name, e);
        }
    }

    /** A function of the driver itself, for what another library in the process would do. */
    int driver(String name, Object... arguments) {
        return (int) call(name, int.class, arguments);
    }

    /** A function of the driver that writes a 64-bit value: a pointer, a handle. */
    long driverOut(String name, Object... arguments) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ValueLayout.JAVA_LONG);
            Object[] all = new Object[arguments.length + 1];
            all[0] = out.address();
            System.arraycopy(arguments, 0, all, 1, arguments.length);
            int result = driver(name, all);
            if (result != 0) {
                throw new IllegalStateException(name + ": " + result);
            }
            return out.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    void reset() {
        call("recorder_reset", void.class);
    }

    void setDriverVersion(int version) {
        call("recorder_set_driver_version", void.class, version);
    }

    void setDeviceCount(int count) {
        call("recorder_set_device_count", void.class, count);
    }

    void setDevice(int ordinal, int capability, int multiprocessors, long memoryBytes) {
        call("recorder_set_device", void.class, ordinal, capability / 10, capability % 10, multiprocessors,
                memoryBytes);
    }

    /** How many blocks of any kernel a multiprocessor runs at once; -1 for a device without cooperative launches. */
    void setResidentBlocks(int count) {
        call("recorder_set_resident_blocks", void.class, count);
    }

    /** Lets a native function run in place of kernels; it gets the address of the launch. */
    void setKernels(MemorySegment function) {
        call("recorder_set_kernels", void.class, function.address());
    }

    /** Whether launches are recorded; where not, they return at once. */
    void setRecording(boolean on) {
        call("recorder_set_recording", void.class, on ? 1 : 0);
    }

    /** Lets a call of a driver function fail: the {@code call}-th from now on, or each with 0. */
    void fail(String function, long call, int result) {
        if ((int) call("recorder_fail", int.class, function, call, result) != 0) {
            throw new IllegalStateException("too many faults");
        }
    }

    void clearFaults() {
        call("recorder_clear_faults", void.class);
    }

    long faultsFired() {
        return (long) call("recorder_faults_fired", long.class);
    }

    /** Forgets calls and launches. */
    void clearLog() {
        call("recorder_clear_log", void.class);
    }

    List<Launch> launches() {
        List<Launch> launches = new ArrayList<>();
        long count = (long) call("recorder_launch_count", long.class);
        for (long i = 0; i < count; i++) {
            MemorySegment at =
                    CudaLibrary.view((long) call("recorder_launch", long.class, i), LAUNCH_BYTES, Arena.global());
            launches.add(new Launch(at.getString(0), triple(at, 128), triple(at, 140),
                    at.get(ValueLayout.JAVA_INT, 152), at.get(ValueLayout.JAVA_INT, 156) != 0,
                    at.get(ValueLayout.JAVA_LONG, 160), at.get(ValueLayout.JAVA_INT, 168),
                    at.asSlice(176, at.get(ValueLayout.JAVA_INT, 172)).toArray(ValueLayout.JAVA_BYTE)));
        }
        return launches;
    }

    private static List<Integer> triple(MemorySegment at, long offset) {
        return List.of(at.get(ValueLayout.JAVA_INT, offset), at.get(ValueLayout.JAVA_INT, offset + 4),
                at.get(ValueLayout.JAVA_INT, offset + 8));
    }

    /** The names of the driver functions called, in order. */
    List<String> calls() {
        return texts("recorder_call_count", "recorder_call");
    }

    /** What a driver would suffer from: guards overwritten, things freed twice, things left behind. */
    List<String> violations() {
        return texts("recorder_violation_count", "recorder_violation");
    }

    /** Functions that were called though the recorder does not have them. */
    List<String> unsupported() {
        return texts("recorder_unsupported_count", "recorder_unsupported");
    }

    private List<String> texts(String count, String item) {
        List<String> texts = new ArrayList<>();
        long n = (long) call(count, long.class);
        for (long i = 0; i < n; i++) {
            texts.add(CudaLibrary.view((long) call(item, long.class, i), 256, Arena.global()).getString(0));
        }
        return texts;
    }

    /** The bytes from an address to the end of its block of device memory; -1 where there is none. */
    long bytesFrom(long address) {
        return (long) call("recorder_bytes_from", long.class, address);
    }

    /** Device memory, read as it is. */
    byte[] read(long address, int bytes) {
        call("recorder_settle", void.class);
        return CudaLibrary.view(address, bytes, Arena.global()).toArray(ValueLayout.JAVA_BYTE);
    }

    /** Writes to device memory, as a kernel would. */
    void write(long address, long value) {
        call("recorder_settle", void.class);
        CudaLibrary.view(address, Long.BYTES, Arena.global()).set(ValueLayout.JAVA_LONG_UNALIGNED, 0, value);
    }

    /** How many of a kind are alive. */
    long live(String kind) {
        return (long) call("recorder_live", long.class, kind);
    }
}
